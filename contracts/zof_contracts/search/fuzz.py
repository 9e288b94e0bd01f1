"""Shapes: Schemathesis makes up requests from the document, right ones and wrong ones; the only module that imports it.

Its requests go through our client, so that budget, quota, journal and profile hold, and tap and oracle see each answer:
what one answer shows by itself (statuses, media types, headers, schemas, 5xx) is theirs to judge, with more tolerance.
Here the engine's other checks are read: wrong input accepted, right input refused, a key that does not matter, a method
that should not be, a link that leads nowhere. Plug in: `run(client, ledger, seed=1, max_examples=30)`.
"""

from __future__ import annotations

import copy
import json
import re
from collections import Counter
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import parse_qsl

import schemathesis
from schemathesis import engine
from schemathesis.core.failures import AcceptedNegativeData
from schemathesis.engine import events
from schemathesis.openapi.checks import (
    EnsureResourceAvailability,
    IgnoredAuth,
    MissingHeaderNotRejected,
    RejectedPositiveData,
    UnsupportedMethodResponse,
)

from zof_contracts.checks.conformance import ConformanceCheck
from zof_contracts.checks.history import HistoryCheck
from zof_contracts.contract.document import PREFIX, load_contract
from zof_contracts.evidence.exchange import Request
from zof_contracts.evidence.ledger import Ledger
from zof_contracts.search.minimize import resend, with_prerequisites
from zof_contracts.search.recheck import judge_separately, mark_flaky
from zof_contracts.target.budget import Stopped
from zof_contracts.target.client import Unanswered
from zof_contracts.target.transport import Unreachable

if TYPE_CHECKING:
    from collections.abc import Iterator

    from zof_contracts.evidence.exchange import Exchange
    from zof_contracts.evidence.findings import Finding
    from zof_contracts.target.client import Client

_FRAMING: Final = frozenset({"content-encoding", "content-length", "transfer-encoding", "connection"})
_NUMBER: Final = "x-contracts-exchange"
_MOMENT: Final = "^[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt ][0-9:.]+([Zz]|[+-][0-9:]+)$"
"""What a timestamp looks like; whether that day exists is not asked."""
_JUDGED_BY_THE_TAP: Final = (
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_headers_conformance",
    "response_schema_conformance",
)


def run(client: Client, ledger: Ledger, *, seed: int, max_examples: int) -> Counter[str]:
    """Send made-up requests; how many successes each operation gave. `Stopped` when nothing may be sent any more."""
    bridge = _Bridge(client)
    began = len(client.journal)
    settled = {key for key, finding in ledger.findings.items() if not finding.flaky}
    stream = engine.from_schema(_schema(bridge, seed, max_examples)).execute()
    for event in stream:
        if bridge.stopped is not None:
            stream.stop()
            raise bridge.stopped
        if isinstance(event, events.ScenarioFinished):
            for finding in _failures(event):
                _tell(ledger, client, *finding)
        elif isinstance(event, events.FatalError):
            raise event.exception
    if bridge.stopped is not None:
        raise bridge.stopped
    made_up = client.journal[began:]
    for key in [key for key in ledger.findings if key not in settled]:
        _again(ledger, client, key)
    return Counter(each.operation for each in made_up if each.operation and each.response.ok)


def _schema(bridge: _Bridge, seed: int, max_examples: int) -> Any:  # noqa: ANN401  untyped there
    document = copy.deepcopy(load_contract().document)  # links are written into it
    document["servers"] = [{"url": PREFIX}]  # no address, so that the engine itself can send nothing
    full = bridge.client.target.profile == "full"
    config = schemathesis.Config.from_dict(
        {
            "seed": seed,
            "cache": {"enabled": False},
            "workers": 1,
            "continue-on-failure": True,
            "analysis": {"constants": {"enabled": False}},
            "generation": {"max-examples": max_examples, "database": "none"},
            "checks": {name: {"enabled": False} for name in _JUDGED_BY_THE_TAP},
            "phases": {} if full else {"coverage": {"unexpected-methods": []}},
            "auth": {"openapi": {"bearerAuth": {"bearer": bridge.client.target.keys["main"]}}},
        }
    )
    schema = schemathesis.openapi.from_dict(document, config=config)
    schema.app = bridge
    return schema if full else schema.include(method="GET")


class _Bridge:
    """What the engine takes for the application: hands every request to the client."""

    def __init__(self, client: Client) -> None:
        self.client = client
        self.stopped: Stopped | Unreachable | None = None

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:  # noqa: ANN401  ASGI
        """Answer as the target does."""
        if scope["type"] != "http":
            await _lifespan(receive, send)
            return
        body, more = b"", True
        while more:
            message = await receive()
            body, more = body + message.get("body", b""), message.get("more_body", False)
        try:
            exchange = self._sent(scope, body)
        except Unanswered:  # the observers have judged it
            await send({"type": "http.response.start", "status": 500, "headers": []})
            await send({"type": "http.response.body", "body": b""})
            return
        answer = exchange.response
        pairs = [
            (name.encode("latin-1"), value.encode("latin-1"))
            for name, value in answer.headers
            if name not in _FRAMING  # the body stands decoded and whole
        ]
        pairs.append((_NUMBER.encode(), str(exchange.number).encode()))
        await send({"type": "http.response.start", "status": answer.status, "headers": pairs})
        await send({"type": "http.response.body", "body": answer.body})

    def _sent(self, scope: Any, body: bytes) -> Exchange:  # noqa: ANN401  ASGI
        if self.stopped is not None:
            raise self.stopped
        try:
            return self.client.send(self._request(scope, body))
        except (Stopped, Unreachable) as stopped:
            self.stopped = stopped
            raise

    def _request(self, scope: Any, body: bytes) -> Request:  # noqa: ANN401  ASGI
        given = [(name.decode("latin-1").lower(), value.decode("latin-1")) for name, value in scope["headers"]]
        ours = {"authorization", "host", "content-length", "connection", "accept-encoding", "user-agent"}
        headers = tuple(pair for pair in given if pair[0] not in ours)
        key, form = self._key(next((value for name, value in given if name == "authorization"), ""))
        path = (scope.get("raw_path") or scope["path"].encode()).decode("latin-1")
        return Request(scope["method"], path, scope["query_string"].decode("latin-1"), headers, body, key, form)

    def _key(self, authorization: str) -> tuple[str, str]:
        """The name of the key that was sent and the form it was sent in; a made-up key is its own name."""
        scheme, _, secret = authorization.partition(" ")
        if secret == self.client.target.keys["main"]:
            return "main", f"{scheme} {{key}}"
        return (secret or authorization), f"{scheme} {{key}}" if secret else "{key}"


async def _lifespan(receive: Any, send: Any) -> None:  # noqa: ANN401  ASGI
    for _ in range(2):
        message = await receive()
        await send({"type": f"{message['type']}.complete"})


# --- findings


def _failures(event: events.ScenarioFinished) -> Iterator[tuple[Any, int]]:
    """Each failure of a scenario, and the number of its exchange."""
    for name, checks in event.recorder.checks.items():
        interaction = event.recorder.interactions.get(name)
        response = interaction.response if interaction else None
        if response is None:
            continue
        for check in checks:
            answer = getattr(check.failure_info, "response", None) or response  # the check may have sent again
            found = answer.headers.get(_NUMBER)
            if check.failure_info is not None and found:
                yield check.failure_info.failure, int(found[0])


def _tell(ledger: Ledger, client: Client, failure: Any, number: int) -> None:  # noqa: ANN401  untyped there
    exchange = client.journal[number - 1]
    status = exchange.response.status
    if isinstance(failure, AcceptedNegativeData):
        if (rule := find_broken_rule(exchange)) is not None and not _perhaps_replayed(client, exchange):
            ledger.record_violation(rule, expected="4xx", got=f"{status}", trace=exchange, place=_place(rule, exchange))
    elif isinstance(failure, RejectedPositiveData):
        if exchange.response.error.get("param") != "starting_after" and "starting_after" not in exchange.request.query:
            rule = _accepting(exchange)
            ledger.record_violation(
                rule, expected="2xx, or 404", got=f"{status}", trace=exchange, place=_place(rule, exchange)
            )
    elif isinstance(failure, IgnoredAuth):
        rule = "auth.key-invalid" if exchange.request.key else "auth.key-required"
        ledger.record_violation(rule, expected="401", got=f"{status}", trace=exchange)
    elif isinstance(failure, UnsupportedMethodResponse):
        ledger.record_violation("errors.method-not-allowed", expected="405 and Allow", got=f"{status}", trace=exchange)
    elif isinstance(failure, EnsureResourceAvailability):
        ledger.record_violation(
            "runs.start.retrievable", expected="the run that was started", got=f"{status}", trace=exchange
        )
    elif isinstance(failure, MissingHeaderNotRejected) and not exchange.request.key:
        ledger.record_violation("auth.key-required", expected="401", got=f"{status}", trace=exchange)


def _place(rule: str, exchange: Exchange) -> str:
    """What the rule speaks of there, in the word that probes have for it."""
    if rule != "exports.formats":
        return ""
    try:
        return str(json.loads(exchange.request.body)["format"])
    except (ValueError, TypeError, KeyError):
        return ""


def _again(ledger: Ledger, client: Client, key: str) -> None:
    """Send what shows a finding once more; what tap and oracle say of it then, or its status, tells if it is so."""
    finding = ledger.findings[key]
    trace = with_prerequisites(client.journal, finding.trace)
    with judge_separately(client, ledger) as scratch:
        answer = resend(trace, client)[-1].response
    if _seen_by_observers(ledger, finding):
        mark_flaky(ledger, key, scratch)
    elif answer.status != finding.trace[-1].response.status:
        ledger.findings[key] = replace(finding, flaky=True)


def _seen_by_observers(ledger: Ledger, finding: Finding) -> bool:
    """Whether tap or oracle found it: they find it again in what was recorded."""
    scratch = Ledger(ledger.target, rules=tuple(ledger.rules.values()))
    for observer in (ConformanceCheck(scratch), HistoryCheck(scratch)):
        for exchange in finding.trace:
            observer(exchange)
    return finding.key in scratch.findings


def _perhaps_replayed(client: Client, exchange: Exchange) -> bool:
    """Whether the idempotency key was used before; what is answered then need not look at the body."""
    if exchange.response.header("idempotency-replayed") is not None:
        return True
    key, path = exchange.request.header("idempotency-key"), exchange.request.path
    earlier = (each.request for each in client.journal[: exchange.number - 1])
    return key is not None and any(each.path == path and each.header("idempotency-key") == key for each in earlier)


def find_broken_rule(exchange: Exchange) -> str | None:
    """The rule that an accepted request breaks: what is wrong with it, the query first; None when nothing is found."""
    operation = load_contract().operations.get(exchange.operation)
    if operation is None or not exchange.response.ok:
        return None
    return _wrong_query(operation.node, exchange) or _wrong_header(exchange) or _wrong_body(exchange)


def _wrong_query(node: dict[str, Any], exchange: Exchange) -> str | None:
    pairs = parse_qsl(exchange.request.query, keep_blank_values=True)
    names = [name for name, _ in pairs]
    known = {
        each["name"]: each for each in map(load_contract().resolve, node.get("parameters", ())) if each["in"] == "query"
    }
    if set(names) - set(known):
        return "conventions.unknown-parameter"
    if len(names) > len(set(names)):
        return "conventions.repeated-parameter"
    for name, value in pairs:
        if name == "limit" and not (value.isascii() and value.isdigit() and 1 <= int(value) <= 100):  # noqa: PLR2004
            return "pages.limit.refused"
        if name not in {"limit", "starting_after"} and not _fits(known[name]["schema"], value):
            return f"{'results' if exchange.operation == 'listResults' else 'runs'}.filter.refused"
    return None


def _wrong_header(exchange: Exchange) -> str | None:
    key = exchange.request.header("idempotency-key")
    wrong = key is not None and not (0 < len(key) <= 255 and key.isascii() and key.isprintable())  # noqa: PLR2004
    return "idempotency.key-form" if wrong else None


def _wrong_body(exchange: Exchange) -> str | None:
    if exchange.operation not in {"startRun", "exportResults"}:
        return None
    if not exchange.request.body:
        return "conventions.missing-body"
    if "json" not in (exchange.request.header("content-type") or ""):
        return "conventions.not-json"
    try:
        body = json.loads(exchange.request.body)
    except ValueError:
        return "conventions.malformed-body"
    schema = load_contract().at(f"#/components/schemas/{exchange.operation[0].upper()}{exchange.operation[1:]}")
    return _wrong_fields(body, schema) or (
        _wrong_start(body, schema) if exchange.operation == "startRun" else _wrong_export(body, schema)
    )


def _wrong_fields(body: Any, schema: dict[str, Any]) -> str | None:  # noqa: ANN401  a JSON value
    if not isinstance(body, dict):
        return None
    if body.keys() - schema["properties"].keys():
        return "conventions.unknown-field"
    return "conventions.null-field" if None in body.values() else None


def _wrong_export(body: Any, schema: dict[str, Any]) -> str:  # noqa: ANN401  a JSON value
    good = isinstance(body, dict) and body.get("format") in schema["properties"]["format"]["enum"]
    return "results.filter.refused" if good else "exports.refused"


def _wrong_start(body: Any, schema: dict[str, Any]) -> str:  # noqa: ANN401  a JSON value
    if not isinstance(body, dict) or not all(_typed(body[name], name) for name in body):
        return "runs.start.types"
    if set(schema["required"]) - body.keys():
        return "runs.start.required"
    if ("test_case_ids" in body) == ("test_suite_id" in body):
        return "runs.start.either"
    cases = body.get("test_case_ids", [""])
    if not 1 <= len(cases) <= 500 or len(set(cases)) < len(cases):  # noqa: PLR2004  what the document says
        return "runs.start.case-count"
    return "runs.start.id-form"


def _typed(value: Any, name: str) -> bool:  # noqa: ANN401  a JSON value
    if name == "test_case_ids":
        return isinstance(value, list) and all(isinstance(one, str) for one in value)
    return isinstance(value, str)


def _fits(schema: dict[str, Any], value: str) -> bool:
    whole = load_contract().resolve(schema)
    if "enum" in whole:
        return value in whole["enum"]
    return re.search(whole.get("pattern", _MOMENT), value) is not None


def _accepting(exchange: Exchange) -> str:
    """The rule that a refusal of a right request breaks."""
    lists = {"listRuns": "runs.filter.status", "listResults": "results.filter.status"}
    known = {"startRun": "runs.start.accepted", "exportResults": "exports.formats", **lists}
    return known.get(exchange.operation, "pages.maximum")
