"""The lifecycle of a run: the table is closed, terminal statuses are final, a refusal changes nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st
from zof_emulator.core import runs
from zof_emulator.core.lifecycle import TERMINAL, TRANSITIONS, Status, Trigger, choose_end_trigger, find_next_status
from zof_emulator.core.refusal import Refused

from tests.core.worlds import ENDINGS, lives

if TYPE_CHECKING:
    from zof_emulator.core.runs import Run

PAIRS = [(status, event) for status in Status for event in Trigger]
ENDED = frozenset({Status.PASSED, Status.FAILED, Status.ERROR, Status.CANCELED})
POSSIBLE = {
    Status.QUEUED: {Trigger.BEGIN: Status.RUNNING, Trigger.CANCEL: Status.CANCELED},
    Status.RUNNING: {
        Trigger.PASS: Status.PASSED,
        Trigger.FAIL: Status.FAILED,
        Trigger.BREAK: Status.ERROR,
        Trigger.CANCEL: Status.CANCELED,
    },
}


@pytest.mark.parametrize(("status", "event"), PAIRS)
def test_what_follows_what(status: Status, event: Trigger) -> None:
    """Only these transitions exist: queued to running, running to a verdict, and either to canceled."""
    following = POSSIBLE.get(status, {}).get(event)
    if following is not None:
        assert find_next_status(status, event) is following
        return
    with pytest.raises(Refused) as refused:
        find_next_status(status, event)
    assert (refused.value.reason, refused.value.param) == ("run_ended", None)
    assert refused.value.values == {"status": status.value}


def test_the_table_is_closed() -> None:
    """The transitions reach all statuses, and the terminal statuses are those of the contract."""
    assert set(TRANSITIONS.values()) | {Status.QUEUED} == set(Status)
    assert ENDED == TERMINAL


@given(st.lists(st.sampled_from(Trigger), max_size=12))
def test_a_terminal_status_absorbs(events: list[Trigger]) -> None:
    """A run in a terminal status stays in it."""
    status = Status.QUEUED
    for event in events:
        try:
            following = find_next_status(status, event)
        except Refused:
            continue
        assert status not in TERMINAL
        status = following


@given(st.lists(st.sampled_from(ENDINGS), min_size=1))
def test_an_error_outweighs_a_failure_and_a_failure_a_pass(outcomes: list[Status]) -> None:
    """A run ends in error if any case did, else failed if any case did, else passed."""
    expected = (
        Status.ERROR if Status.ERROR in outcomes else Status.FAILED if Status.FAILED in outcomes else Status.PASSED
    )
    assert find_next_status(Status.RUNNING, choose_end_trigger(iter(outcomes))) is expected


@given(lives)
def test_a_refused_change_leaves_the_run_as_it_was(life: tuple[Run, ...]) -> None:
    """An ended run cannot start, end or be canceled, and its value does not change."""
    run = life[-1]
    if not run.has_ended:
        assert runs.cancel(run, 9).status is Status.CANCELED
        return
    before = repr(run)
    for change in (runs.begin, runs.cancel):
        with pytest.raises(Refused, match="run_ended"):
            change(run, 9)
    assert repr(run) == before
