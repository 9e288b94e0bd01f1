"""Runs: their properties in every state, and their immutability."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from zof_emulator.core.lifecycle import Status
from zof_emulator.core.runs import Run

from tests.core.worlds import list_started, lives


@given(lives)
def test_cases_run_one_after_another(life: tuple[Run, ...]) -> None:
    """At most one case runs, those before it have ended and those after it wait, or were canceled with the run."""
    for run in life:
        statuses = run.case_statuses()
        assert statuses == tuple(run.case_status(place) for place in range(len(run.cases)))
        assert statuses[: len(run.outcomes)] == run.outcomes
        rest = statuses[len(run.outcomes) :]
        if run.status is Status.RUNNING:
            assert rest == (Status.RUNNING, *[Status.QUEUED] * (len(rest) - 1))
        else:
            assert set(rest) <= {run.status}


@given(lives)
def test_times_are_in_order(life: tuple[Run, ...]) -> None:
    """A case begins when the one before it ends, the first with the run; and the run ends with its last case."""
    for run in life:
        times = [time for time in (run.created_at, run.started_at, *run.ends, run.completed_at) if time is not None]
        assert times == sorted(times)
        assert (run.completed_at is not None) is run.has_ended
        for place in list_started(run):
            begins = run.started_at if place == 0 else run.case_ended_at(place - 1)
            assert run.case_started_at(place) == begins
        if run.has_ended and run.status is not Status.CANCELED:
            assert run.case_ended_at(len(run.cases) - 1) == run.completed_at


@given(lives)
def test_durations_add_up(life: tuple[Run, ...]) -> None:
    """The durations of a run's cases add up to its own; a case or run that has not ended has none."""
    for run in life:
        durations = [run.case_duration_ms(place) for place in range(len(run.cases))]
        begun = list(list_started(run))
        if run.started_at is None or run.completed_at is None:
            assert run.duration_ms is None
            ends = run.ends
        else:
            assert run.duration_ms == run.completed_at - run.started_at == sum(one or 0 for one in durations)
            ends = tuple(range(len(begun)))
        assert [one is not None for one in durations] == [place < len(ends) for place in range(len(run.cases))]


@given(lives)
def test_the_cases_that_have_begun_have_a_start(life: tuple[Run, ...]) -> None:
    """A case or run that never started has no start time, and an end time only if it was canceled."""
    for run in life:
        begun = set(list_started(run))
        for place in range(len(run.cases)):
            assert (run.case_started_at(place) is not None) is (place in begun)
            if place not in begun:
                assert run.case_ended_at(place) == run.completed_at
                assert run.case_duration_ms(place) is None


@given(lives)
def test_what_has_ended_stays_as_it_was(life: tuple[Run, ...]) -> None:
    """Later states keep the outcomes, the times and the name of earlier ones."""
    for before, after in pairwise(life):
        assert after.outcomes[: len(before.outcomes)] == before.outcomes
        assert after.ends[: len(before.ends)] == before.ends
        assert before.started_at in {None, after.started_at}
        assert (after.number, after.cases, after.created_at) == (before.number, before.cases, before.created_at)


@given(lives)
def test_a_run_ends_as_its_cases_did(life: tuple[Run, ...]) -> None:
    """A run whose cases have all ended is in error, failed or passed, as the worst of them."""
    run = life[-1]
    if run.has_ended and run.status is not Status.CANCELED:
        worst = [one for one in (Status.ERROR, Status.FAILED, Status.PASSED) if one in run.outcomes]
        assert run.status is worst[0]
    else:
        assert len(run.outcomes) < len(run.cases)


def test_a_run_that_is_held_does_not_change() -> None:
    """A run is frozen: no attribute can be set."""
    run = Run(0, "org_a", "proj_a", "staging", None, ("tc_a",), 0)
    with pytest.raises(AttributeError):
        run.status = Status.PASSED  # type: ignore[misc]
