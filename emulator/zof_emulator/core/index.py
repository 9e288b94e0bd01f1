"""Indexes: find the runs and results that match a filter, in order, without reading the others."""

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
"""A number above every run number and every rank."""
_NOTHING: Final = array("q")


@dataclass(frozen=True, slots=True)
class Period:
    """A period from `after` (inclusive) to `before` (exclusive), in ms; None means no bound.

    Instants are compared in whole seconds, as answers show them, so that a filter agrees with the list it filters.
    """

    after: int | None = None
    before: int | None = None

    def bounds(self, instants: Sequence[int]) -> tuple[int, int]:
        """The start and end of the slice of these ascending instants that lies in the period."""
        lower = 0 if self.after is None else bisect_left(instants, _round_up_to_second(self.after))
        upper = len(instants) if self.before is None else bisect_left(instants, _round_up_to_second(self.before))
        return lower, upper


def _round_up_to_second(instant: int) -> int:
    return -(-instant // SECOND) * SECOND


class RunIndex:
    """The numbers of an organization's runs, by project and status."""

    __slots__ = ("_appends", "_by", "_created", "_numbers")

    def __init__(self) -> None:
        self._created = array("q")
        self._numbers = array("q")
        self._by: dict[tuple[str | None, Status | None], array[int]] = {}
        self._appends: dict[tuple[str, Status], tuple[Callable[[int], None], ...]] = {}

    def add(self, run: Run) -> None:
        """Add a new run. Runs are added in the order of their numbers."""
        self._created.append(run.created_at)
        self._numbers.append(run.number)
        added = self._appends.get((run.project_id, run.status)) or self._find_lists(run.project_id, run.status)
        for append in added:
            append(run.number)

    def move(self, before: Run, now: Run) -> None:
        """Move a run from the lists of its old status to those of its new one."""
        for project in (None, now.project_id):
            left = self._list(project, before.status)
            del left[bisect_left(left, now.number)]
            joined = self._list(project, now.status)
            joined.insert(bisect_left(joined, now.number), now.number)

    def forget(self, gone: Collection[int]) -> None:
        """Remove the runs with these numbers."""
        kept = [offset for offset, number in enumerate(self._numbers) if number not in gone]
        self._created = array("q", [self._created[offset] for offset in kept])
        self._numbers = array("q", [self._numbers[offset] for offset in kept])
        rest = {key: array("q", [one for one in numbers if one not in gone]) for key, numbers in self._by.items()}
        self._by = {key: numbers for key, numbers in rest.items() if numbers}
        self._appends.clear()

    @property
    def list_count(self) -> int:
        """The number of lists, one for each project and status of a run."""
        return len(self._by)

    def page(
        self, project: str | None, status: Status | None, period: Period, below: int, limit: int
    ) -> tuple[list[int], bool]:
        """The numbers of the newest `limit` matching runs with a number less than `below`, and whether more match."""
        first, last = period.bounds(self._created)
        lower = self._numbers[first] if first < len(self._numbers) else NO_END
        upper = self._numbers[last] if last < len(self._numbers) else NO_END
        index = self._numbers if project is status is None else self._by.get((project, status), _NOTHING)
        return take_newest(index, lower, min(upper, below), limit)

    def _find_lists(self, project: str, status: Status) -> tuple[Callable[[int], None], ...]:
        """The `append` methods of the lists that a new run of this project and status belongs to; cached."""
        lists = self._list(None, status), self._list(project, None), self._list(project, status)
        appends = self._appends[project, status] = tuple(one.append for one in lists)
        return appends

    def _list(self, project: str | None, status: Status | None) -> array[int]:
        numbers = self._by.get((project, status))
        if numbers is None:
            numbers = self._by[project, status] = array("q")
        return numbers


class ResultIndex:
    """An organization's results by rank. A result gets its rank when its run ends; lists show high ranks first."""

    __slots__ = ("_bases", "_by_status", "_runs", "_visible", "end", "start")

    def __init__(self, start: int = 0) -> None:
        self._bases = array("q")
        self._runs = array("q")
        self._visible = array("q")
        self._by_status: dict[Status, array[int]] = {}
        self.start = start
        """The lowest rank that is not deleted."""
        self.end = start
        """The rank of the next result; every visible result has a lower rank."""

    def __len__(self) -> int:
        """The number of runs that have results here."""
        return len(self._runs)

    def forget(self, count: int) -> list[int]:
        """Remove the results of the `count` runs that ended first; `count` is less than the number of runs.

        Returns:
            The numbers of these runs.
        """
        gone = self._runs[:count].tolist()
        self.start = self._bases[count]
        del self._bases[:count], self._runs[:count], self._visible[:count]
        for ranks in self._by_status.values():
            del ranks[: bisect_left(ranks, self.start)]
        return gone

    def add(self, run: Run) -> int:
        """Add the results of a run that has ended.

        Returns:
            The lowest of their ranks, which the last case of the run has.
        """
        base = self.end
        self._bases.append(base)
        self._runs.append(run.number)
        self._visible.append(run.completed_at or 0)
        statuses = run.case_statuses()
        self.end += len(statuses)
        for rank, status in enumerate(reversed(statuses), base):
            ranks = self._by_status.get(status)
            if ranks is None:
                ranks = self._by_status[status] = array("q")
            ranks.append(rank)
        return base

    def page(
        self, run: Run | None, status: Status | None, period: Period, below: int, limit: int
    ) -> tuple[list[int], bool]:
        """The `limit` highest matching ranks less than `below`, and whether more match."""
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
        """The number of the run that has the result with this rank, and the rank minus the lowest rank of that run."""
        offset = bisect_right(self._bases, rank) - 1
        return self._runs[offset], rank - self._bases[offset]

    def _ranks(self, period: Period) -> tuple[int, int]:
        first, last = period.bounds(self._visible)
        return (
            self._bases[first] if first < len(self._bases) else self.end,
            self._bases[last] if last < len(self._bases) else self.end,
        )
