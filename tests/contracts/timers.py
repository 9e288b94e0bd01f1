"""A clock for clients of the harness that a test moves, so that no test waits."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass
class FakeTimer:
    """A clock that moves only when somebody sleeps; in seconds."""

    time: float = 0.0

    def now(self) -> float:
        """The time."""
        return self.time

    def sleep(self, seconds: float) -> None:
        """Move the clock."""
        self.time += seconds
