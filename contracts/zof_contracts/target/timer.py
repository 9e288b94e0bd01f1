"""Our own clock, as a value, so that a test can replace it and wait for nothing."""

from __future__ import annotations

import time
from typing import Protocol


class Timer(Protocol):
    """Measures time and waits."""

    def now(self) -> float:
        """Seconds since some moment; never fewer than before."""
        ...

    def sleep(self, seconds: float) -> None:
        """Wait."""
        ...


class SystemTimer:
    """The machine's clock."""

    def now(self) -> float:
        """Seconds of the machine's monotonic clock."""
        return time.monotonic()

    def sleep(self, seconds: float) -> None:
        """Wait."""
        time.sleep(seconds)
