"""Artifacts: the files of cases and runs. None is stored; each follows from its run and its slot."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Final

from zof_emulator.core.lifecycle import Status

if TYPE_CHECKING:
    from zof_emulator.core.runs import Run

_PER_CASE: Final = 2
_WITH_SCREENSHOT: Final = frozenset({Status.FAILED, Status.ERROR})


class ArtifactKind(StrEnum):
    """The kinds of artifact."""

    TRACE = "trace"
    SCREENSHOT = "screenshot"
    HAR = "har"
    JUNIT = "junit"


@dataclass(frozen=True, slots=True)
class Artifact:
    """An artifact of a run."""

    slot: int
    """Its number within the run, counted from 0."""
    kind: ArtifactKind
    index: int | None
    """The index of its case; None for an artifact of the run itself."""
    created_at: int
    """In ms since the Unix epoch."""


def slots_of_case(run: Run, index: int) -> list[int]:
    """The filled slots of the case at `index`, ascending: a trace, and a screenshot if the case failed or broke."""
    if index >= len(run.outcomes):
        return []
    trace = index * _PER_CASE
    return [trace, trace + 1] if run.outcomes[index] in _WITH_SCREENSHOT else [trace]


def slots(run: Run) -> list[int]:
    """All filled slots in ascending order: those of the cases, then a HAR and a JUnit file once the run has ended."""
    filled = [slot for index in range(len(run.outcomes)) for slot in slots_of_case(run, index)]
    own = len(run.cases) * _PER_CASE
    return [*filled, own, own + 1] if run.has_ended else filled


def find(run: Run, slot: int) -> Artifact | None:
    """The artifact in a slot, or None if the slot is not filled."""
    index, second = divmod(slot, _PER_CASE)
    if index < len(run.cases):
        if slot not in slots_of_case(run, index):
            return None
        kind = ArtifactKind.SCREENSHOT if second else ArtifactKind.TRACE
        return Artifact(slot, kind, index, run.ends[index])
    if index > len(run.cases) or not run.has_ended:
        return None
    kind = ArtifactKind.JUNIT if second else ArtifactKind.HAR
    return Artifact(slot, kind, None, run.completed_at or 0)
