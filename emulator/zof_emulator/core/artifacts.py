"""Artifacts: what cases and runs leave behind, each told by the run and its slot, none of them stored."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from zof_emulator.core.lifecycle import Status

if TYPE_CHECKING:
    from zof_emulator.core.runs import Run

_PER_CASE: Final = 2
_SHOWN: Final = frozenset({Status.FAILED, Status.ERROR})


@dataclass(frozen=True, slots=True)
class Artifact:
    """Something left behind; `kind` is trace, screenshot, har or junit; `index` its case's, None for the run's."""

    slot: int
    kind: str
    index: int | None
    created_at: int


def slots_of_case(run: Run, index: int) -> list[int]:
    """The slots that the case at `index` has filled, ascending: a trace, and a screenshot if it went wrong."""
    if index >= len(run.outcomes):
        return []
    trace = index * _PER_CASE
    return [trace, trace + 1] if run.outcomes[index] in _SHOWN else [trace]


def slots(run: Run) -> list[int]:
    """All slots that are filled, in the order in which they were: the cases', then a HAR and a JUnit file."""
    filled = [slot for index in range(len(run.outcomes)) for slot in slots_of_case(run, index)]
    own = len(run.cases) * _PER_CASE
    return [*filled, own, own + 1] if run.has_ended else filled


def find(run: Run, slot: int) -> Artifact | None:
    """The artifact in a slot, or None when the slot is not filled."""
    index, second = divmod(slot, _PER_CASE)
    if index < len(run.cases):
        if slot not in slots_of_case(run, index):
            return None
        return Artifact(slot, "screenshot" if second else "trace", index, run.ends[index])
    if index > len(run.cases) or not run.has_ended:
        return None
    return Artifact(slot, "junit" if second else "har", None, run.completed_at or 0)
