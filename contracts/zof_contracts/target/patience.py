"""The patience with runs: how long a step of a verification waits for a run to end.

On a clock that can be moved, waiting takes no time and every step may wait as long as the longest run. On a real clock
the first run that does not end in time uses the patience up; later steps then wait for a moment only, so that a target
whose runs never end costs the patience once.
"""

from __future__ import annotations

from typing import Final

_LONGEST: Final = 600.0
"""Seconds to wait where the clock can be moved."""
_MOMENT: Final = 1.0
"""Seconds to wait after the patience was used up."""


class Patience:
    """How long to wait for runs, and whether a run has not ended in that time."""

    def __init__(self, seconds: float, *, is_free: bool) -> None:
        self.seconds = seconds
        self.is_free = is_free
        """Whether waiting takes no time."""
        self._has_run_out = False

    def has_run_out(self) -> bool:
        """Whether a run has not ended in time."""
        return self._has_run_out

    def measure(self) -> float:
        """The seconds that a step may wait for a run."""
        if self.is_free:
            return _LONGEST
        return min(self.seconds, _MOMENT) if self._has_run_out else self.seconds

    def use_up(self, run_id: str, status: object) -> str:
        """Record that a run has not ended in time; returns a note for the reader, empty where waiting is free."""
        if self.is_free or self._has_run_out:
            return ""
        self._has_run_out = True
        return (
            f"the run {run_id} was still {status} after {self.seconds:g} s, and later steps did not wait that long "
            f"again; raise --patience (now {self.seconds:g}s) to exercise the rules about runs that have ended"
        )
