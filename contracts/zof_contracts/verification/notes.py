"""Notes: facts about the target that a reader of the report should know, and that are no findings."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from zof_contracts.evidence.header_values import parse_date

if TYPE_CHECKING:
    from collections.abc import Iterator

    from zof_contracts.target.client import Client

_ENDS: Final = {"passed": "passed", "failed": "failed", "error": "ended in error"}
_CLOCK_TOLERANCE: Final = 30.0
"""Seconds by which the target's clock may be off without a note."""


def collect_notes(client: Client) -> tuple[str, ...]:
    """The notes, in the order in which they came up."""
    return tuple(dict.fromkeys((*client.notes, *_describe_clock(client), *_describe_cases(client))))


def _describe_clock(client: Client) -> Iterator[str]:
    """Compare the Date header of the first answer with our clock; a clock that can be moved shows any time."""
    first = next((each for each in client.journal if each.response.header("date")), None)
    date = parse_date(first.response.header("date")) if first else None
    if first is None or date is None or client.target.advance is not None:
        return
    difference = date - first.at
    if abs(difference) > _CLOCK_TOLERANCE:
        word = "ahead of" if difference > 0 else "behind"
        yield f"the target's clock is {abs(difference):.0f} s {word} the clock of this machine"


def _describe_cases(client: Client) -> Iterator[str]:
    """Say that the case given with --failing-case or --error-case ended otherwise."""
    target = client.target
    given = (("--failing-case", target.failing_case, "failed"), ("--error-case", target.error_case, "error"))
    for option, case, expected in given:
        statuses = {
            str(outcome.get("status"))
            for exchange in client.journal
            for outcome in _list_outcomes(exchange.response.fields)
            if case and outcome.get("test_case_id") == case
        }
        if (ended := sorted((statuses & _ENDS.keys()) - {expected})) and expected not in statuses:
            what = "failures" if expected == "failed" else "errors"
            yield f"the case {case} ({option}) {_ENDS[ended[0]]}, so the rules about {what} could not be checked"


def _list_outcomes(run: dict[str, Any]) -> list[dict[str, Any]]:
    outcomes = run.get("case_outcomes")
    return [one for one in outcomes if isinstance(one, dict)] if isinstance(outcomes, list) else []
