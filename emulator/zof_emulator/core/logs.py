"""Logs: the log lines of a run. None is stored; each follows from its run and its index."""

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
    """A log line."""

    at: int
    """In ms since the Unix epoch."""
    level: str
    """`info`, `warning` or `error`."""
    message: str
    test_case_id: str | None = None
    """The case that the line is about; None if it is about the run."""


def count(run: Run) -> int:
    """The number of lines that the run has written."""
    if run.started_at is None:
        return 1 + run.has_ended
    done = len(run.outcomes)
    cut_off = done < len(run.cases)
    if run.has_ended:
        return _BEFORE_CASES + _PER_CASE * (done + cut_off) + 1
    return _BEFORE_CASES + _PER_CASE * done + 1


def line(run: Run, index: int) -> Line:
    """The line at `index`, from 0 to `count(run) - 1`."""
    if index == 0:
        return Line(run.created_at, "info", f"Run queued: {len(run.cases)} cases on {run.environment}.")
    if run.has_ended and index == count(run) - 1:
        return _last_line(run)
    if index == 1:
        return Line(run.started_at or 0, "info", "Run started.")
    case_index, is_end = divmod(index - _BEFORE_CASES, _PER_CASE)
    return _case_ended(run, case_index) if is_end else _case_started(run, case_index)


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
