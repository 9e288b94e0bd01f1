"""The timeline: a clock, and an agenda of future actions, ordered by instant and then by insertion."""

from __future__ import annotations

from dataclasses import dataclass, replace
from heapq import heapify, heappop, heappush
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from zof_emulator.core.config import ClockMode
from zof_emulator.core.instants import LAST

if TYPE_CHECKING:
    from collections.abc import Mapping

DELIVER: Final = "deliver"
"""The outcome of what is due when it is a webhook delivery."""
NEVER: Final = 1 << 62
"""An instant after all others."""
SLICE: Final = 1_000
"""The number of actions in a slice of a long settlement: about ten milliseconds of work."""


class MustWait(Exception):  # noqa: N818  not an error
    """Something else must be served before time continues; then the caller repeats its call."""


class SliceEnded(MustWait):
    """A slice of actions has been carried out, and more are due. Other worlds are served before the next slice."""


@dataclass(frozen=True, slots=True)
class Clock:
    """The clock of a world.

    In the mode `real` it follows the system's clock, `offset` ms ahead. In the modes `manual` and `auto` it stands
    still until an operation moves it; in the mode `auto` a client that polls an unfinished run moves it too.
    """

    mode: ClockMode = ClockMode.REAL
    offset: int = 0

    @property
    def is_stopped(self) -> bool:
        """Whether the clock moves only when something moves it."""
        return self.mode is not ClockMode.REAL

    def read(self, system: int, now: int) -> int:
        """The current instant, given the system's time and the last instant that was read (all in ms).

        Time never runs backwards.
        """
        if self.mode is not ClockMode.REAL:
            return now
        shown = system + self.offset
        return now if shown < now else min(LAST, shown)

    def catch_up(self, system: int, now: int) -> Clock:
        """The clock that shows `now` at the system's time (ms) if it would show less; otherwise this clock."""
        return self.move_by(max(0, now - system - self.offset)) if self.mode is ClockMode.REAL else self

    def move_by(self, by: int) -> Clock:
        """The clock, moved by `by` ms."""
        return replace(self, offset=self.offset + by)


class Due(NamedTuple):
    """Something on the agenda: a place to fill in an organization, the end of a run's case, or a delivery to send."""

    at: int
    sequence: int
    organization: str
    number: int = -1
    """The run whose case ends, or the endpoint of the delivery; -1 when it is a place to fill."""
    outcome: str = ""
    """The outcome of the case; `DELIVER` when it is a delivery."""
    rule: int = -1
    """The index of the outcome rule that decided the outcome of the case; -1 if none did."""


def _find_place(due: Due) -> tuple[int, bool, int]:
    """The place of an action in a saved agenda."""
    is_delivery = due.outcome == DELIVER
    return due.at, is_delivery, due.number if is_delivery else due.sequence


class Agenda:
    """The future actions, the earliest first. Actions that are due at one instant keep their order of insertion."""

    __slots__ = ("_heap", "_sequence", "_withdrawn", "first")

    def __init__(self) -> None:
        self._heap: list[Due] = []
        self._withdrawn: set[int] = set()
        """The runs whose action is in the heap and will not be carried out; the first action is of none of them."""
        self._sequence = 0
        self.first = NEVER
        """When the next action is due, in ms; `NEVER` if there is none. Stored, because every request reads it."""

    def __len__(self) -> int:
        return len(self._heap) - len(self._withdrawn)

    def put(self, at: int, organization: str, number: int = -1, outcome: str = "", rule: int = -1) -> None:
        """Add an action that is due at an instant (ms)."""
        self._sequence += 1
        heappush(self._heap, Due(at, self._sequence, organization, number, outcome, rule))
        self.first = self._heap[0].at

    def take(self, now: int) -> Due | None:
        """Remove and return the next action that is due at `now` or before; None if there is none."""
        if self.first > now:
            return None
        due = heappop(self._heap)
        self._look_ahead()
        return due

    def withdraw(self, number: int) -> None:
        """Remove the end of a run's case; costs as much as adding one, on average."""
        self._withdrawn.add(number)
        if 2 * len(self._withdrawn) > len(self._heap):
            self._heap = [due for due in self._heap if not self._is_withdrawn(due)]
            self._withdrawn.clear()
            heapify(self._heap)
        self._look_ahead()

    def _is_withdrawn(self, due: Due) -> bool:
        return due.number in self._withdrawn and due.outcome != DELIVER

    def _look_ahead(self) -> None:
        """Find the next action."""
        while self._withdrawn and self._heap and self._is_withdrawn(self._heap[0]):
            self._withdrawn.discard(heappop(self._heap).number)
        self.first = self._heap[0].at if self._heap else NEVER

    def to_json(self) -> dict[str, Any]:
        """The agenda as JSON, with new numbers, so that it does not depend on the order in which receivers answered.

        Deliveries of one instant follow the other actions of that instant, by endpoint, and each is given once.
        """
        places = {_find_place(due): due for due in self._heap if not self._is_withdrawn(due)}
        due = [[one.at, number, *one[2:]] for number, (_, one) in enumerate(sorted(places.items()), 1)]
        return {"sequence": len(due), "due": due}

    @classmethod
    def from_json(cls, saved: Mapping[str, Any]) -> Agenda:
        """The saved agenda."""
        agenda = cls()
        agenda._sequence = saved["sequence"]
        agenda._heap = [Due(*row) for row in saved["due"]]
        agenda.first = agenda._heap[0].at if agenda._heap else NEVER
        return agenda
