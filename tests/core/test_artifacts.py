"""Artifacts: which slots are filled in any state of a run, and what lies in each."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

from hypothesis import given
from hypothesis import strategies as st
from zof_emulator.core.artifacts import Artifact, find, slots, slots_of_case
from zof_emulator.core.lifecycle import Status

from tests.core.worlds import lives

if TYPE_CHECKING:
    from zof_emulator.core.runs import Run


def left(run: Run) -> list[Artifact]:
    """What a run has left behind by the rule, case by case, and then its own."""
    kinds: list[tuple[str, int | None, int]] = []
    for index, outcome in enumerate(run.outcomes):
        kinds.append(("trace", index, run.ends[index]))
        if outcome in {Status.FAILED, Status.ERROR}:
            kinds.append(("screenshot", index, run.ends[index]))
    if run.completed_at is not None:
        kinds += [("har", None, run.completed_at), ("junit", None, run.completed_at)]
    return [Artifact(slot, *kind) for slot, kind in zip(slots(run), kinds, strict=True)]


@given(lives)
def test_the_filled_slots_hold_what_the_rule_says(life: tuple[Run, ...]) -> None:
    """Each case that has ended left a trace, and a screenshot if it went wrong; each run that has, a HAR and JUnit."""
    for run in life:
        assert [find(run, slot) for slot in slots(run)] == left(run)


@given(lives, st.integers(0, 40))
def test_a_slot_that_is_not_listed_is_empty(life: tuple[Run, ...], slot: int) -> None:
    """What the list does not show cannot be found, and what it shows can."""
    for run in life:
        assert (find(run, slot) is not None) is (slot in slots(run))


@given(lives)
def test_slots_are_in_order(life: tuple[Run, ...]) -> None:
    """Slots ascend as their artifacts came to be, so that the newest first is the greatest first."""
    run = life[-1]
    assert slots(run) == sorted(set(slots(run)))
    times = [one.created_at for one in left(run)]
    assert times == sorted(times)


@given(lives)
def test_a_cases_slots_are_its_own(life: tuple[Run, ...]) -> None:
    """A case's slots are those of the run's whose artifacts are that case's."""
    run = life[-1]
    for index in range(len(run.cases)):
        assert slots_of_case(run, index) == [one.slot for one in left(run) if one.index == index]


@given(lives)
def test_what_was_left_stays(life: tuple[Run, ...]) -> None:
    """A run that goes on takes nothing back: what was in a slot stays there, as it was."""
    for before, after in pairwise(life):
        assert left(before) == left(after)[: len(left(before))]
