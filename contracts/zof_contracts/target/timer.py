"""Our own clock, as a value, so that a test can replace it and wait for nothing."""

from __future__ import annotations

import time
from typing import Final, Protocol

from zof_contracts.target.interruption import INTERRUPTION

_LONGEST_SLEEP: Final = 0.2
"""Seconds after which a thread that waits looks for a signal."""


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
        """Wait; a signal that asks the command to end ends the wait in every thread with `KeyboardInterrupt`."""
        until = self.now() + seconds
        while (left := until - self.now()) > 0:
            time.sleep(min(left, _LONGEST_SLEEP))
            INTERRUPTION.raise_if_requested()
