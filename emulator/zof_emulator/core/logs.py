"""Logs: the lines that a run has written so far, each told by the run and its place, none of them stored."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from zof_emulator.core.lifecycle import Status
from zof_emulator.core.outcomes import failure

if TYPE_CHECKING:
    from zof_emulator.core.runs import Run

_BEFORE_CASES: Final = 2
_PER_CASE: Final = 2
_LEVELS: Final = {Status.PASSED: "info", Status.CANCELED: "warning"}


@dataclass(frozen=True, slots=True)
class Line:
    """One line: when in ms, how grave, what, and about which case, if about one."""

    at: int
    level: str
    message: str
    test_case_id: str | None = None


def count(run: Run) -> int:
    """How many lines the run has written."""
    if run.started_at is None:
        return 1 + run.has_ended
    done = len(run.outcomes)
    cut_off = done < len(run.cases)
    if run.has_ended:
        return _BEFORE_CASES + _PER_CASE * (done + cut_off) + 1
    return _BEFORE_CASES + _PER_CASE * done + 1


def line(run: Run, place: int) -> Line:
    """The line at `place`, counted from 0, which must be less than `count(run)`."""
    if place == 0:
        return Line(run.created_at, "info", f"Run queued: {len(run.cases)} cases on {run.environment}.")
    if run.has_ended and place == count(run) - 1:
        return _last_line(run)
    if place == 1:
        return Line(run.started_at or 0, "info", "Run started.")
    index, ends = divmod(place - _BEFORE_CASES, _PER_CASE)
    return _case_ended(run, index) if ends else _case_started(run, index)


def _last_line(run: Run) -> Line:
    took = "before it started" if run.duration_ms is None else f"after {run.duration_ms} ms"
    return Line(run.completed_at or 0, _LEVELS.get(run.status, "error"), f"Run {run.status} {took}.")


def _case_started(run: Run, index: int) -> Line:
    case = run.cases[index]
    return Line(run.case_started_at(index) or 0, "info", f"{case} started.", case)


def _case_ended(run: Run, index: int) -> Line:
    case, status, took = run.cases[index], run.case_status(index), run.case_duration_ms(index) or 0
    why = failure(case, status, took)
    message = f"{case} {status} after {took} ms."
    return Line(
        run.case_ended_at(index) or 0,
        _LEVELS.get(status, "error"),
        message if why is None else f"{message} {why.message}",
        case,
    )
