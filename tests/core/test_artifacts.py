"""Artifacts: which slots are filled in each state of a run, and with which artifact."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

from hypothesis import given
from hypothesis import strategies as st
from zof_emulator.core.artifacts import Artifact, ArtifactKind, find_artifact, list_case_slots, list_slots
from zof_emulator.core.lifecycle import Status

from tests.core.worlds import lives

if TYPE_CHECKING:
    from zof_emulator.core.runs import Run


def expected_artifacts(run: Run) -> list[Artifact]:
    """The expected artifacts of a run: those of each case, then those of the run."""
    kinds: list[tuple[ArtifactKind, int | None, int]] = []
    for index, outcome in enumerate(run.outcomes):
        kinds.append((ArtifactKind.TRACE, index, run.ends[index]))
        if outcome in {Status.FAILED, Status.ERROR}:
            kinds.append((ArtifactKind.SCREENSHOT, index, run.ends[index]))
    if run.completed_at is not None:
        kinds += [(ArtifactKind.HAR, None, run.completed_at), (ArtifactKind.JUNIT, None, run.completed_at)]
    return [Artifact(slot, *kind) for slot, kind in zip(list_slots(run), kinds, strict=True)]


@given(lives)
def test_the_filled_slots_hold_what_the_rule_says(life: tuple[Run, ...]) -> None:
    """An ended case has a trace, and a screenshot if it failed or broke; an ended run has a HAR and a JUnit file."""
    for run in life:
        assert [find_artifact(run, slot) for slot in list_slots(run)] == expected_artifacts(run)


@given(lives, st.integers(0, 40))
def test_a_slot_that_is_not_listed_is_empty(life: tuple[Run, ...], slot: int) -> None:
    """An artifact can be found if and only if the list shows its slot."""
    for run in life:
        assert (find_artifact(run, slot) is not None) is (slot in list_slots(run))


@given(lives)
def test_slots_are_in_order(life: tuple[Run, ...]) -> None:
    """Slots ascend in the order in which their artifacts are created, so that the newest has the greatest slot."""
    run = life[-1]
    assert list_slots(run) == sorted(set(list_slots(run)))
    times = [one.created_at for one in expected_artifacts(run)]
    assert times == sorted(times)


@given(lives)
def test_the_slots_of_a_case_belong_to_it(life: tuple[Run, ...]) -> None:
    """The slots of a case are the slots of the run whose artifacts belong to that case."""
    run = life[-1]
    for index in range(len(run.cases)):
        assert list_case_slots(run, index) == [one.slot for one in expected_artifacts(run) if one.index == index]


@given(lives)
def test_an_artifact_stays(life: tuple[Run, ...]) -> None:
    """A change of a run keeps every artifact that the run had."""
    for before, after in pairwise(life):
        assert expected_artifacts(before) == expected_artifacts(after)[: len(expected_artifacts(before))]
