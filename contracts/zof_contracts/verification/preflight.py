"""The preflight: a few quick requests that show whether the target can be verified with the arguments given.

It reads a list, and with the profile `full` it starts a run with the cases and one with the suite, and cancels both.
What is wrong beyond that, the rules report.
"""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote

from zof_contracts.evidence.findings import quote_value
from zof_contracts.target.budget import BudgetExceeded, Stopped
from zof_contracts.target.client import Unanswered
from zof_contracts.target.transport import Unreachable

if TYPE_CHECKING:
    from zof_contracts.evidence.exchange import Exchange, Response
    from zof_contracts.target.client import Client

_LISTS: Final = ("/runs", "/results", "/projects")
_SECONDS: Final = 8.0
_LONGEST: Final = 200
_FORBIDDEN: Final = 403
_NOT_FOUND: Final = 404
_REFUSALS: Final = frozenset({400, 403, 404, 422})
"""Statuses that blame the request."""
_OPTIONS: Final = {
    "project_id": "--project",
    "environment": "--environment",
    "test_case_ids": "--case",
    "test_suite_id": "--suite",
}
"""The option that gives each field of a start."""
_FEWEST_RUNS: Final = 10
"""The smallest budget of runs of which the preflight uses two."""


class WrongArgument(Stopped):
    """The target refuses a start because of an argument; the message names the option."""


def check_target(client: Client, *, starts: bool = True) -> None:
    """Check that the target can be verified; `starts` says whether runs may be started to find out.

    Raises:
        Unreachable: it cannot, for a reason that the message gives in one line.
        Stopped: the budget or the target permits no request, or an argument is wrong.
    """
    usual, client.timeout = client.timeout, _SECONDS
    try:
        _check_lists(client)
        if starts and client.target.profile == "full" and _can_afford_runs(client):
            _check_start(client, {"test_case_ids": list(client.target.cases)})
            if client.target.suite:
                _check_start(client, {"test_suite_id": client.target.suite})
    except Unanswered as unanswered:
        raise Unreachable(f"{client.target.base} answers only some requests: {unanswered}") from unanswered
    finally:
        client.timeout = usual


def _can_afford_runs(client: Client) -> bool:
    return client.budget.runs is None or client.budget.runs >= _FEWEST_RUNS


def _check_lists(client: Client) -> None:
    refusals = []
    for path in _LISTS:
        try:
            refusal = _explain_refusal(client, client.get(path, limit=1))
        except Unanswered as unanswered:
            refusal = f"gives no answer to {path}: {unanswered.exchange.response.flaw}"
        if not refusal:
            return
        refusals.append(refusal)
    raise Unreachable(f"{client.target.base} {refusals[0]}")


def _explain_refusal(client: Client, exchange: Exchange) -> str:  # noqa: PLR0911  one line for each kind of answer
    """Why this answer shows that nothing can be verified; empty if it does not."""
    answer = exchange.response
    kind = (answer.header("content-type") or "").partition(";")[0].strip().lower()
    match answer.status:
        case 401 | 403:
            return f"refuses the key (--key) with {answer.status}: {_quote_message(client, answer)}"
        case status if 300 <= status < 400:  # noqa: PLR2004  what HTTP calls a redirect
            location = client.target.redact(answer.header("location") or "no location")[:_LONGEST]
            return f"redirects to {location}: give that address with --url"
    if answer.ok and answer.json is not None:
        return ""
    if kind == "text/html" or answer.body.lstrip()[:1] == b"<":
        return f"answers {answer.status} with HTML, not JSON: check --url"
    if answer.ok:
        return f"answers {quote_value(kind)}, not JSON ({answer.flaw or answer.json_flaw}): check --url"
    if answer.status == _NOT_FOUND:
        return f"answers 404 to {exchange.request.path}: check --url"
    return f"answers {answer.status} to every list, so that nothing can be verified"


def _check_start(client: Client, what: dict[str, Any]) -> None:
    """Start a run and cancel it; `WrongArgument` if the start is refused because of what was given."""
    try:
        answer = client.start(**what).response
    except (BudgetExceeded, Unanswered):
        return  # the verification ends by itself, or the rules judge that
    if answer.status in _REFUSALS:
        raise WrongArgument(f"{client.target.base} {_blame(client, what, answer)}")
    run = answer.fields.get("id")
    if answer.ok and isinstance(run, str):
        with suppress(BudgetExceeded, Unanswered):
            client.post(f"/runs/{quote(run, safe='')}/cancel")


def _blame(client: Client, what: dict[str, Any], answer: Response) -> str:
    """Which argument a refused start is about."""
    message = _quote_message(client, answer)
    if answer.status == _FORBIDDEN:
        return f"does not let this key (--key) start runs; it answers 403: {message}"
    target = client.target
    given = {"project_id": target.project, "environment": target.environment, **what}
    field, value = _find_field(given, answer)
    if field:
        return f"refuses {_OPTIONS[field]} {value}; it answers {answer.status}: {message}"
    options = ", ".join(_OPTIONS[name] for name in given)
    return f"refuses a start, so that one of {options} is wrong; it answers {answer.status}: {message}"


def _find_field(given: dict[str, object], answer: Response) -> tuple[str, object]:
    """The field that an error names, by `param` or in its message, and its value; empty if it names none."""
    param = answer.error.get("param")
    name, _, index = param.partition("[") if isinstance(param, str) else ("", "", "")
    if name in given:
        values, position = given[name], index.rstrip("]")
        is_item = isinstance(values, list) and position.isdecimal() and len(position) < _FEWEST_RUNS
        if isinstance(values, list):
            item = int(position) if is_item else -1
            return name, values[item] if 0 <= item < len(values) else ", ".join(values)
        return name, values
    message = str(answer.error.get("message"))
    for field, value in given.items():
        for each in value if isinstance(value, list) else [value]:
            if str(each) in message:
                return field, each
    return "", ""


def _quote_message(client: Client, answer: Response) -> str:
    message = answer.error.get("message")
    return " ".join(client.target.redact(str(message)).split())[:_LONGEST] if message else "no reason given"
