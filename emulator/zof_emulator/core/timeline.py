"""The timeline: one clock, and an agenda of what is due, ordered by time and then by when it was put there."""

from __future__ import annotations

from dataclasses import dataclass, replace
from heapq import heappop, heappush
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from zof_emulator.core.config import ClockMode
from zof_emulator.core.instants import LAST

if TYPE_CHECKING:
    from collections.abc import Mapping

DELIVER: Final = "deliver"
"""The outcome of what is due when it is a webhook delivery."""
NEVER: Final = 1 << 62
"""An instant after all others."""


@dataclass(frozen=True, slots=True)
class Clock:
    """`real` follows the system's clock, `offset` ms apart; `manual` moves only when it is told.

    `auto` stands still too, and jumps when somebody polls what is unfinished.
    """

    mode: ClockMode = ClockMode.REAL
    offset: int = 0

    @property
    def stands(self) -> bool:
        """Whether time stands still by itself."""
        return self.mode is not ClockMode.REAL

    def read(self, system: int, now: int) -> int:
        """The instant it is, given the system's and the last one seen (ms); time never runs backwards."""
        return min(LAST, max(now, system + self.offset)) if self.mode is ClockMode.REAL else now

    def move_by(self, by: int) -> Clock:
        """The clock after it was told to move by so many ms."""
        return replace(self, offset=self.offset + by)


class Due(NamedTuple):
    """Something on the agenda: a place to fill in an organization, the end of a run's case, or a delivery to send."""

    at: int
    sequence: int
    organization: str
    number: int = -1
    """The run whose case ends, or the endpoint of the delivery; -1 when it is a place to fill."""
    outcome: str = ""
    """What the case comes to; `DELIVER` when it is a delivery."""


class Agenda:
    """What is due, the earliest first; what is due at one instant keeps the order in which it was put down."""

    __slots__ = ("_heap", "_sequence", "first")

    def __init__(self) -> None:
        self._heap: list[Due] = []
        self._sequence = 0
        self.first = NEVER
        """When the next thing is due, in ms; `NEVER` when nothing is. Kept, since every request asks for it."""

    def put(self, at: int, organization: str, number: int = -1, outcome: str = "") -> None:
        """Put something down for an instant in ms."""
        self._sequence += 1
        heappush(self._heap, Due(at, self._sequence, organization, number, outcome))
        self.first = self._heap[0].at

    def take(self, now: int) -> Due | None:
        """The next thing that is due at `now` or before, taken off the agenda."""
        if self.first > now:
            return None
        due = heappop(self._heap)
        self.first = self._heap[0].at if self._heap else NEVER
        return due

    def to_json(self) -> dict[str, Any]:
        """All of it, as JSON."""
        return {"sequence": self._sequence, "due": [list(due) for due in self._heap]}

    @classmethod
    def from_json(cls, saved: Mapping[str, Any]) -> Agenda:
        """What was saved."""
        found = cls()
        found._sequence = saved["sequence"]
        found._heap = [Due(*row) for row in saved["due"]]
        found.first = found._heap[0].at if found._heap else NEVER
        return found
