"""Artifacts: the files of cases and runs. None is stored; each follows from its run and its slot."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Final

from zof_emulator.core.lifecycle import Status
from zof_emulator.core.outcome_rules import NO_RULES

if TYPE_CHECKING:
    from zof_emulator.core.outcome_rules import OutcomeRules, OwnFile
    from zof_emulator.core.runs import Run

_PER_CASE: Final = 2
_WITH_SCREENSHOT: Final = frozenset({Status.FAILED, Status.ERROR})


class ArtifactKind(StrEnum):
    """The kinds of artifact."""

    TRACE = "trace"
    SCREENSHOT = "screenshot"
    HAR = "har"
    JUNIT = "junit"
    OWN = "own"
    """A file whose content a scenario gives."""


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
    file: OwnFile | None = None
    """The file, if a scenario gives its content."""


def list_case_slots(run: Run, index: int, rules: OutcomeRules = NO_RULES) -> list[int]:
    """The filled slots of the case at `index`, ascending: a trace, a screenshot if the case failed or broke, own files.

    The number of slots of a case is the same for all cases of a world, so that an artifact keeps its ID.
    """
    if index >= len(run.outcomes):
        return []
    trace = index * (_PER_CASE + rules.most_artifacts)
    filled = [trace, trace + 1] if run.outcomes[index] in _WITH_SCREENSHOT else [trace]
    rule = rules.find_rule(run, index)
    if rule is not None:
        filled += range(trace + _PER_CASE, trace + _PER_CASE + len(rule.artifacts))
    return filled


def list_slots(run: Run, rules: OutcomeRules = NO_RULES) -> list[int]:
    """All filled slots in ascending order: those of the cases, then a HAR and a JUnit file once the run has ended."""
    filled = [slot for index in range(len(run.outcomes)) for slot in list_case_slots(run, index, rules)]
    own = len(run.cases) * (_PER_CASE + rules.most_artifacts)
    return [*filled, own, own + 1] if run.has_ended else filled


def find_artifact(run: Run, slot: int, rules: OutcomeRules = NO_RULES) -> Artifact | None:
    """The artifact in a slot, or None if the slot is not filled."""
    index, place = divmod(slot, _PER_CASE + rules.most_artifacts)
    if index < len(run.cases):
        if slot not in list_case_slots(run, index, rules):
            return None
        if place >= _PER_CASE:
            rule = rules.find_rule(run, index)
            file = None if rule is None else rule.artifacts[place - _PER_CASE]
            return Artifact(slot, ArtifactKind.OWN, index, run.ends[index], file)
        kind = ArtifactKind.SCREENSHOT if place else ArtifactKind.TRACE
        return Artifact(slot, kind, index, run.ends[index])
    if index > len(run.cases) or place >= _PER_CASE or not run.has_ended:
        return None
    kind = ArtifactKind.JUNIT if place else ArtifactKind.HAR
    return Artifact(slot, kind, None, run.completed_at or 0)
