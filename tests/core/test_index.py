"""Indexes: their answers equal those of a linear search through all runs and results."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import product

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from zof_emulator.core import runs
from zof_emulator.core.index import NO_END, Period, ResultIndex, RunIndex
from zof_emulator.core.lifecycle import Status
from zof_emulator.core.runs import Run

from tests.core.worlds import BEGAN, ENDINGS, ORGANIZATIONS, PROJECTS

STATUSES = (None, *Status)


@dataclass
class Lists:
    """The two indexes, and the lists of all runs by creation and all results by visibility."""

    by_run: RunIndex = field(default_factory=RunIndex)
    by_result: ResultIndex = field(default_factory=ResultIndex)
    runs: dict[int, Run] = field(default_factory=dict)
    results: list[tuple[int, int, Status, int]] = field(default_factory=list)
    """Run, place of the case, status and when it became visible; the rank is the place in this list."""
    now: int = BEGAN
    created: int = 0

    def add(self, project: str, count: int) -> None:
        """Create a run with this many cases; run numbers have gaps, as other organizations use some."""
        number = self.created * 3 + 1
        self.created += 1
        cases = tuple(f"tc_{place}" for place in range(count))
        self.runs[number] = Run(number, ORGANIZATIONS[0], project, "staging", None, cases, self.now)
        self.by_run.add(self.runs[number])

    def follow(self, now: Run) -> None:
        """Advance a run; when it has ended, its results are visible, the last case's with the lowest rank."""
        before = self.runs[now.number]
        after = now._replace(rank=self.by_result.add(now)) if now.has_ended else now
        self.by_run.move(before, after)
        self.runs[now.number] = after
        if after.has_ended:
            assert after.rank == len(self.results)
            last = len(after.cases) - 1
            found = [(after.number, place, after.case_status(place), self.now) for place in range(last, -1, -1)]
            self.results += found

    def forget(self, count: int) -> None:
        """Delete the runs that ended first, if there are any."""
        if count >= len(self.by_result):
            return
        ended = dict.fromkeys(number for number, *_ in self.results if number in self.runs)
        gone = self.by_result.forget(count)
        assert gone == list(ended)[:count]
        self.by_run.forget(frozenset(gone))
        for number in gone:
            del self.runs[number]


steps = st.tuples(
    st.sampled_from(["start", "start", "go", "go", "go", "cancel", "wait", "forget"]),
    st.integers(0, 20),
    st.integers(0, 2_500),
)
histories = st.lists(steps, max_size=1) | st.lists(steps, min_size=6, max_size=30)
instants = st.none() | st.sampled_from([BEGAN // 1000 * 1000, 0]) | st.integers(BEGAN - 1_500, BEGAN + 12_000)
periods = st.builds(Period, instants, instants)
limits = st.integers(1, 6)


def replay_history(history: list[tuple[str, int, int]]) -> Lists:
    """The lists after a history."""
    lists = Lists()
    for what, pick, wait in history:
        if what == "wait":
            lists.now += wait
        elif what == "forget":
            lists.forget(pick % 2 + 1)
        elif what == "start":
            lists.add(PROJECTS[pick % 2], pick % 3 + 1)
        elif running := [one for one in lists.runs.values() if not one.has_ended]:
            run = running[pick % len(running)]
            if what == "cancel":
                lists.follow(runs.cancel(run, lists.now))
            elif run.status is Status.QUEUED:
                lists.follow(runs.begin(run, lists.now))
            else:
                for place in range(len(run.outcomes), len(run.cases)):
                    run = runs.end_case(run, ENDINGS[(pick + place) % 3], lists.now)
                lists.follow(run)
    return lists


def is_within(instant: int, period: Period) -> bool:
    """Whether an instant, as the wire shows it in whole seconds, lies in a period."""
    shown = instant // 1_000 * 1_000
    return (period.after is None or shown >= period.after) and (period.before is None or shown < period.before)


@settings(max_examples=60)
@given(histories, periods, limits)
def test_runs_are_found_as_in_a_plain_list(history: list[tuple[str, int, int]], drawn: Period, limit: int) -> None:
    """Under every filter and from every position, a page of runs equals that of a linear search."""
    lists = replay_history(history)
    edges = [Period(after=run.created_at // 1_000 * 1_000) for run in lists.runs.values()]
    for project, status, period in product((None, *PROJECTS, "proj_none"), STATUSES, (drawn, *edges[-2:])):
        matching = [
            run.number
            for run in reversed(lists.runs.values())
            if project in {None, run.project_id} and status in {None, run.status} and is_within(run.created_at, period)
        ]
        for below in (NO_END, *matching):
            rest = [number for number in matching if number < below]
            page = lists.by_run.page(project, status, period, below, limit)
            assert page == (rest[:limit], len(rest) > limit)


@settings(max_examples=60)
@given(histories, periods, limits)
def test_results_are_found_as_in_a_plain_list(history: list[tuple[str, int, int]], drawn: Period, limit: int) -> None:
    """Under every filter and from every position, a page of results equals that of a linear search."""
    lists = replay_history(history)
    ended = [run for run in lists.runs.values() if run.has_ended]
    edges = [Period(before=run.completed_at) for run in ended]
    for run, status, period in product((None, *ended), STATUSES, (drawn, *edges[-2:])):
        matching = [
            rank
            for rank, (number, _, stands, visible) in reversed(list(enumerate(lists.results)))
            if number in lists.runs
            if (run is None or number == run.number) and status in {None, stands} and is_within(visible, period)
        ]
        for below in (NO_END, *matching):
            rest = [rank for rank in matching if rank < below]
            page = lists.by_result.page(run, status, period, below, limit)
            assert page == (rest[:limit], len(rest) > limit)


@given(histories)
def test_a_rank_leads_back_to_its_case(history: list[tuple[str, int, int]]) -> None:
    """Each rank names one case of one run, and the number of ranks is that of the visible results."""
    lists = replay_history(history)
    assert lists.by_result.end == len(lists.results)
    for rank, (number, place, _, _) in enumerate(lists.results):
        if number not in lists.runs:
            assert rank < lists.by_result.start
            continue
        assert lists.by_result.find(rank) == (number, len(lists.runs[number].cases) - 1 - place)


@given(histories)
def test_the_cases_of_a_run_are_listed_in_its_order(history: list[tuple[str, int, int]]) -> None:
    """The list of a run's results, highest rank first, is the run's own order."""
    lists = replay_history(history)
    for run in (one for one in lists.runs.values() if one.has_ended):
        ranks, more = lists.by_result.page(run, None, Period(), NO_END, 100)
        assert [lists.results[rank][1] for rank in ranks] == list(range(len(run.cases)))
        assert not more


SECOND_OF = BEGAN // 1_000 * 1_000
"""The second that the wire shows for BEGAN, 123 ms earlier."""


@pytest.mark.parametrize(
    ("period", "found"),
    [
        (Period(), True),
        (Period(after=SECOND_OF), True),
        (Period(after=SECOND_OF - 1), True),
        (Period(after=SECOND_OF + 1), False),
        (Period(after=BEGAN), False),
        (Period(after=SECOND_OF + 1_000), False),
        (Period(before=SECOND_OF), False),
        (Period(before=SECOND_OF + 1), True),
        (Period(before=BEGAN), True),
        (Period(before=SECOND_OF + 1_000), True),
        (Period(SECOND_OF, SECOND_OF), False),
        (Period(SECOND_OF, SECOND_OF + 1), True),
        (Period(SECOND_OF + 5_000, SECOND_OF), False),
    ],
)
def test_a_period_compares_what_the_wire_shows(*, period: Period, found: bool) -> None:
    """A run made at 00.123 shows 00: it was created from 00 on, not from 00.001 on, and before 00.001."""
    lists = Lists()
    lists.add(PROJECTS[0], 1)
    assert lists.by_run.page(None, None, period, NO_END, 1) == ([1] if found else [], False)


@given(st.lists(st.integers(-5_000, 5_000), max_size=30).map(sorted), periods)
def test_a_period_is_a_slice(instants: list[int], period: Period) -> None:
    """The items of a period are contiguous, and the bounds are their first and last position."""
    shifted = [BEGAN + instant for instant in instants]
    lower, upper = period.bounds(shifted)
    assert shifted[lower:upper] == [instant for instant in shifted if is_within(instant, period)]
