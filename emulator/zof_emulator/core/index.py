"""Indexes: which runs and results a filter finds, in order, without reading the others."""

from __future__ import annotations

from array import array
from bisect import bisect_left, bisect_right
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from zof_emulator.core.instants import SECOND
from zof_emulator.core.pages import take_newest

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Sequence

    from zof_emulator.core.lifecycle import Status
    from zof_emulator.core.runs import Run

NO_END: Final = 1 << 47
"""Above every position."""
_NOTHING: Final = array("q")


@dataclass(frozen=True, slots=True)
class Period:
    """From `after` (inclusive) to `before` (exclusive), in ms; None is open.

    What is compared is what the wire shows, whole seconds, so that a filter and the list it filters agree.
    """

    after: int | None = None
    before: int | None = None

    def bounds(self, instants: Sequence[int]) -> tuple[int, int]:
        """Which slice of these ascending instants lies in the period."""
        lower = 0 if self.after is None else bisect_left(instants, _second_up(self.after))
        upper = len(instants) if self.before is None else bisect_left(instants, _second_up(self.before))
        return lower, upper


def _second_up(instant: int) -> int:
    return -(-instant // SECOND) * SECOND


class RunIndex:
    """An organization's runs by project and status; a run is known by its number."""

    __slots__ = ("_appends", "_by", "_created", "_numbers")

    def __init__(self) -> None:
        self._created = array("q")
        self._numbers = array("q")
        self._by: dict[tuple[str | None, Status | None], array[int]] = {}
        self._appends: dict[tuple[str, Status], tuple[Callable[[int], None], ...]] = {}

    def add(self, run: Run) -> None:
        """Take in a new run; runs come in the order of their numbers."""
        self._created.append(run.created_at)
        self._numbers.append(run.number)
        added = self._appends.get((run.project_id, run.status)) or self._lists_of(run.project_id, run.status)
        for append in added:
            append(run.number)

    def move(self, before: Run, now: Run) -> None:
        """Follow a run into another status."""
        for project in (None, now.project_id):
            left = self._list(project, before.status)
            del left[bisect_left(left, now.number)]
            joined = self._list(project, now.status)
            joined.insert(bisect_left(joined, now.number), now.number)

    def forget(self, gone: Collection[int]) -> None:
        """Leave out runs with these numbers."""
        kept = [place for place, number in enumerate(self._numbers) if number not in gone]
        self._created = array("q", [self._created[place] for place in kept])
        self._numbers = array("q", [self._numbers[place] for place in kept])
        self._by = {key: array("q", [one for one in found if one not in gone]) for key, found in self._by.items()}
        self._appends.clear()

    def page(
        self, project: str | None, status: Status | None, period: Period, below: int, limit: int
    ) -> tuple[list[int], bool]:
        """The newest `limit` runs with a number under `below` that match, and whether more do."""
        first, last = period.bounds(self._created)
        lower = self._numbers[first] if first < len(self._numbers) else NO_END
        upper = self._numbers[last] if last < len(self._numbers) else NO_END
        index = self._numbers if project is status is None else self._by.get((project, status), _NOTHING)
        return take_newest(index, lower, min(upper, below), limit)

    def _lists_of(self, project: str, status: Status) -> tuple[Callable[[int], None], ...]:
        """What a new run of this project and status is appended to; looked up once, for there are many of them."""
        lists = self._list(None, status), self._list(project, None), self._list(project, status)
        found = self._appends[project, status] = tuple(one.append for one in lists)
        return found

    def _list(self, project: str | None, status: Status | None) -> array[int]:
        found = self._by.get((project, status))
        if found is None:
            found = self._by[project, status] = array("q")
        return found


class ResultIndex:
    """An organization's results, by the rank that the end of their run gave them: the list shows high ranks first."""

    __slots__ = ("_bases", "_by_status", "_runs", "_visible", "end", "start")

    def __init__(self, start: int = 0) -> None:
        self._bases = array("q")
        self._runs = array("q")
        self._visible = array("q")
        self._by_status: dict[Status, array[int]] = {}
        self.start = start
        """The lowest rank of a result that is not forgotten."""
        self.end = start
        """The rank that the next result will have; all visible ones are below."""

    def __len__(self) -> int:
        """How many runs have results here."""
        return len(self._runs)

    def forget(self, count: int) -> list[int]:
        """Leave out the results of the `count` runs that ended first, but not of all; the numbers of these runs."""
        gone = self._runs[:count].tolist()
        self.start = self._bases[count]
        del self._bases[:count], self._runs[:count], self._visible[:count]
        for found in self._by_status.values():
            del found[: bisect_left(found, self.start)]
        return gone

    def add(self, run: Run) -> int:
        """Take in the results of a run that has ended; the rank of its last case, the lowest of them."""
        base = self.end
        self._bases.append(base)
        self._runs.append(run.number)
        self._visible.append(run.completed_at or 0)
        statuses = run.case_statuses()
        self.end += len(statuses)
        for place, status in enumerate(reversed(statuses)):
            found = self._by_status.get(status)
            if found is None:
                found = self._by_status[status] = array("q")
            found.append(base + place)
        return base

    def page(
        self, run: Run | None, status: Status | None, period: Period, below: int, limit: int
    ) -> tuple[list[int], bool]:
        """The `limit` highest ranks under `below` that match, and whether more do."""
        lower, upper = self._ranks(period)
        if run is not None:
            lower, upper = max(lower, run.rank), min(upper, run.rank + len(run.cases))
        index = range(self.end) if status is None else self._by_status.get(status, _NOTHING)
        return take_newest(index, lower, min(upper, below), limit)

    def runs_in(self, period: Period) -> Sequence[int]:
        """The numbers of the runs that ended in a period, in the order of their ends."""
        first, last = period.bounds(self._visible)
        return self._runs[first:last]

    def find(self, rank: int) -> tuple[int, int]:
        """The number of the run whose results hold this rank, and the place of the rank among them from below."""
        place = bisect_right(self._bases, rank) - 1
        return self._runs[place], rank - self._bases[place]

    def _ranks(self, period: Period) -> tuple[int, int]:
        first, last = period.bounds(self._visible)
        return (
            self._bases[first] if first < len(self._bases) else self.end,
            self._bases[last] if last < len(self._bases) else self.end,
        )
