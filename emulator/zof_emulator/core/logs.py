"""Logs: the log lines of a run. None is stored; each follows from its run and its index."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from zof_emulator.core.lifecycle import Status
from zof_emulator.core.outcome_rules import NO_RULES

if TYPE_CHECKING:
    from zof_emulator.core.outcome_rules import LogText, OutcomeRules
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


def count_lines(run: Run, rules: OutcomeRules = NO_RULES) -> int:
    """The number of lines that the run has written."""
    if run.started_at is None:
        return 1 + run.has_ended
    done = len(run.outcomes)
    cut_off = done < len(run.cases)
    added = sum(len(_find_added_lines(run, index, rules)) for index in range(len(run.rules)))
    if run.has_ended:
        return _BEFORE_CASES + _PER_CASE * (done + cut_off) + added + 1
    return _BEFORE_CASES + _PER_CASE * done + added + 1


def make_line(run: Run, index: int, rules: OutcomeRules = NO_RULES) -> Line:
    """The line at `index`, from 0 to `count(run, rules) - 1`."""
    if index == 0:
        return Line(run.created_at, "info", f"Run queued: {len(run.cases)} cases on {run.environment}.")
    if run.has_ended and index == count_lines(run, rules) - 1:
        return _make_last_line(run)
    if index == 1:
        return Line(run.started_at or 0, "info", "Run started.")
    case_index, place, added = _find_case(run, index - _BEFORE_CASES, rules)
    if place == 0:
        return _make_start_line(run, case_index)
    return (
        _make_added_line(run, case_index, place, added)
        if place <= len(added)
        else _make_end_line(run, case_index, rules)
    )


def _find_case(run: Run, offset: int, rules: OutcomeRules) -> tuple[int, int, tuple[LogText, ...]]:
    """The case of a line, the place of the line among those of the case, and the lines that a rule adds to the case.

    `offset` is the place of the line among those of all cases.
    """
    if not run.rules:
        return *divmod(offset, _PER_CASE), ()
    for index in range(len(run.rules)):
        added = _find_added_lines(run, index, rules)
        if offset < _PER_CASE + len(added):
            return index, offset, added
        offset -= _PER_CASE + len(added)
    return len(run.rules), offset, ()


def _find_added_lines(run: Run, index: int, rules: OutcomeRules) -> tuple[LogText, ...]:
    rule = rules.find_rule(run, index)
    return () if rule is None else rule.log


def _make_last_line(run: Run) -> Line:
    took = "before it started" if run.duration_ms is None else f"after {run.duration_ms} ms"
    return Line(run.completed_at or 0, _LEVELS.get(run.status, "error"), f"Run {run.status} {took}.")


def _make_start_line(run: Run, index: int) -> Line:
    case = run.cases[index]
    return Line(run.case_started_at(index) or 0, "info", f"{case} started.", case)


def _make_added_line(run: Run, index: int, place: int, added: tuple[LogText, ...]) -> Line:
    """A line that a rule adds to a case; these lines are spread over the duration of the case."""
    took = run.case_duration_ms(index) or 0
    at = (run.case_started_at(index) or 0) + took * place // (len(added) + 1)
    return Line(at, added[place - 1].level, added[place - 1].message, run.cases[index])


def _make_end_line(run: Run, index: int, rules: OutcomeRules) -> Line:
    case, status, took = run.cases[index], run.case_status(index), run.case_duration_ms(index) or 0
    why = rules.failure(run, index)
    message = f"{case} {status} after {took} ms."
    return Line(
        run.case_ended_at(index) or 0,
        _LEVELS.get(status, "error"),
        message if why is None else f"{message} {why.message}",
        case,
    )
