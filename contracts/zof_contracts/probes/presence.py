"""Whether a deployment has an operation at all, so that rules about other things are not blamed for its absence.

The rule about what the operation is for reports the absence: `judge_presence` records that.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

from zof_contracts.checks.claims import describe
from zof_contracts.contract.document import load_contract
from zof_contracts.probes.context import ABSENT, CONFLICT, INVALID, ProbeContext, Unsettled
from zof_contracts.target.requests import build_request

if TYPE_CHECKING:
    from collections.abc import Callable

    from zof_contracts.contract.document import Operation
    from zof_contracts.evidence.exchange import Exchange

_PROOF: Final = frozenset({INVALID, CONFLICT, 413, 415})
"""The refusals that show that an operation exists."""


def is_absent(context: ProbeContext, exchange: Exchange) -> bool:
    """Whether an answer may mean that its operation does not exist: the main key finds nothing there either.

    That is tried with the ID of something that exists; where none is known, the answer says nothing.
    """
    operation = load_contract().operations.get(exchange.operation)
    if exchange.response.status not in ABSENT or operation is None:
        return False
    if operation.id not in context.absences:
        is_present = _is_proven(context, operation.id) or _is_answered(context, operation, exchange)
        context.absences[operation.id] = not is_present
    return context.absences[operation.id]


def skip_if_absent(context: ProbeContext, rule: str, exchange: Exchange) -> bool:
    """Record that a rule says nothing about an operation that may not exist; returns whether it may not."""
    if not is_absent(context, exchange):
        return False
    context.ledger.record_skip(rule, f"{exchange.operation} was answered {describe(exchange.response)} with every key")
    return True


def judge_presence(context: ProbeContext, rule: str, exchange: Exchange) -> None:
    """Record that the rule about an operation is broken if the main key got an answer that there is none."""
    is_missing = exchange.response.status in ABSENT and not context.has_succeeded(exchange.operation)
    if is_missing and context.has_answered():
        got = describe(exchange.response)
        context.ledger.record_violation(rule, expected="2xx", got=got, trace=exchange)


def _is_proven(context: ProbeContext, operation: str) -> bool:
    return any(_shows_presence(each) for each in context.client.journal if each.operation == operation)


def _shows_presence(exchange: Exchange) -> bool:
    is_main = exchange.request.key == "main"
    return exchange.response.ok or (is_main and exchange.response.status in _PROOF)


def _is_answered(context: ProbeContext, operation: Operation, exchange: Exchange) -> bool:
    """Whether an operation answers the main key, about something that exists."""
    request = replace(exchange.request, key="main", authorization="Bearer {key}")
    if "{" in operation.path:
        known = _find_id(context, operation.path.split("/")[1])
        if known is None:
            return False
        path = build_request("GET", operation.path.replace("{id}", known)).path
        request = replace(request, path=path, query="")
    return _shows_presence(context.client.send(request))


def _find_id(context: ProbeContext, kind: str) -> str | None:
    """The ID of something that exists; None where nothing is known."""
    if kind == "webhooks":
        made = context.client.webhook
        return None if made is None else str(made.response.fields.get("id"))
    try:
        run = str(context.find_ended_run().response.fields["id"])
    except Unsettled:
        return None
    find: dict[str, Callable[[str], list[dict[str, object]]]] = {
        "results": context.results,
        "artifacts": context.artifacts,
    }
    if kind not in find:
        return run
    return next((str(each["id"]) for each in find[kind](run) if "id" in each), None)
