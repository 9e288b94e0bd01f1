"""Fuzzing: Schemathesis generates correct and wrong requests from the document; the only module that imports it.

Its requests go through our client, so that budget, quota, journal and profile hold and the checks see each answer. They
judge statuses, media types, headers, schemas and 5xx with more tolerance than Schemathesis does. This module reads the
other checks of the engine: wrong input accepted, correct input refused, a key that has no effect, an unexpected method,
a link that leads nowhere. `run(client, ledger, seed=1, max_examples=30)` runs it.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from dataclasses import replace
from functools import cache
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

from zof_contracts.checks.claims import describe
from zof_contracts.checks.conformance import ConformanceCheck
from zof_contracts.checks.history import HistoryCheck
from zof_contracts.contract.document import PREFIX, load_contract, translate_extensions
from zof_contracts.contract.resources import load_resources
from zof_contracts.contract.rules import OWNERS
from zof_contracts.evidence.exchange import Request
from zof_contracts.evidence.header_values import parse_whole_number
from zof_contracts.evidence.ledger import Ledger
from zof_contracts.search.minimize import LONGEST_REAL_WAIT, add_prerequisites, find_longest_pause, resend
from zof_contracts.search.recheck import is_reproduced, judge_separately, mark_flaky
from zof_contracts.search.references import names_unknown, use_references
from zof_contracts.target.budget import Stopped
from zof_contracts.target.client import Unanswered
from zof_contracts.target.interruption import INTERRUPTION
from zof_contracts.target.transport import Unreachable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from zof_contracts.contract.document import Operation
    from zof_contracts.evidence.exchange import Exchange, Response
    from zof_contracts.evidence.findings import Finding
    from zof_contracts.target.client import Client

_LONGEST: Final = 160
"""The characters of a request that a finding shows."""
_SHORT_WAIT: Final = 0.5
"""Seconds of the longest pause when the requests of a finding are repeated for the first time."""
_FRAMING: Final = frozenset({"content-encoding", "content-length", "transfer-encoding", "connection"})
_NUMBER: Final = "x-contracts-exchange"
_IDEMPOTENCY_KEY: Final = "idempotency-key"
_LONGEST_KEY: Final = 255
_MOMENT: Final = "^[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt ][0-9:.]+([Zz]|[+-][0-9:]+)$"
"""The form of a timestamp; whether the day exists is not judged."""
_JUDGED_BY_CHECKS: Final = (
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_headers_conformance",
    "response_schema_conformance",
)


def run(client: Client, ledger: Ledger, *, seed: int, max_examples: int) -> Counter[str]:
    """Send generated requests; returns the number of successes of each operation.

    Raises:
        Stopped: no request may be sent any more.
        KeyboardInterrupt: a signal ended it, which the engine reports as an event.
    """
    bridge = _Bridge(client, ledger.nonce)
    began = len(client.journal)
    confirmed = {key for key, finding in ledger.findings.items() if not finding.flaky}
    stream = engine.from_schema(_make_schema(bridge, seed, max_examples)).execute()
    for event in stream:
        if bridge.stopped is not None:
            stream.stop()
            raise bridge.stopped
        if isinstance(event, events.ScenarioFinished):
            for finding in _list_failures(event):
                _record(ledger, client, *finding)
        elif isinstance(event, events.Interrupted):
            stream.stop()
            raise KeyboardInterrupt
        elif isinstance(event, events.FatalError):
            raise event.exception
        elif isinstance(event, events.NonFatalError) and bridge.stopped is None:
            client.notes.setdefault(_describe_failure(event))
    if bridge.stopped is not None:
        raise bridge.stopped
    INTERRUPTION.raise_if_requested()
    generated = client.journal[began:]
    confirmation = Confirmation(ledger, client)
    for key in [key for key in ledger.findings if key not in confirmed]:
        confirmation.repeat(key)
    return Counter(each.operation for each in generated if each.operation and each.response.ok)


def _make_schema(bridge: _Bridge, seed: int, max_examples: int) -> Any:  # noqa: ANN401  untyped there
    document = translate_extensions(load_contract().document)  # a copy, since links are written into it
    document["servers"] = [{"url": PREFIX}]  # no address, so that the engine itself can send nothing
    use_references(document, bridge.client.target)
    full = bridge.client.target.profile == "full"
    config = schemathesis.Config.from_dict(
        {
            "seed": seed,
            "cache": {"enabled": False},
            "workers": 1,
            "continue-on-failure": True,
            "analysis": {"constants": {"enabled": False}},
            "generation": {"max-examples": max_examples, "database": "none"},
            "checks": {name: {"enabled": False} for name in _JUDGED_BY_CHECKS},
            "phases": {} if full else {"coverage": {"unexpected-methods": []}},
            "auth": {"openapi": {"bearerAuth": {"bearer": bridge.client.target.keys["main"]}}},
        }
    )
    schema = schemathesis.openapi.from_dict(document, config=config)
    schema.app = bridge
    # Webhooks cannot be deleted, so generated requests register none and send no events.
    return schema.exclude(tag="Webhooks", method="POST") if full else schema.include(method="GET")


class _Bridge:
    """The application that the engine calls: it passes every request to the client."""

    def __init__(self, client: Client, nonce: str) -> None:
        self.client = client
        self._nonce = nonce
        self.stopped: Stopped | Unreachable | None = None

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:  # noqa: ANN401  ASGI
        """Answer as the target does."""
        if scope["type"] != "http":
            await _answer_lifespan(receive, send)
            return
        body, more = b"", True
        while more:
            message = await receive()
            body, more = body + message.get("body", b""), message.get("more_body", False)
        try:
            exchange = self._send(scope, body)
        except Unanswered:  # the observers have judged it
            await send({"type": "http.response.start", "status": 500, "headers": []})
            await send({"type": "http.response.body", "body": b""})
            return
        answer = exchange.response
        pairs = [
            (name.encode("latin-1"), value.encode("latin-1"))
            for name, value in answer.headers
            if name not in _FRAMING  # the body is decoded and whole
        ]
        pairs.append((_NUMBER.encode(), str(exchange.number).encode()))
        await send({"type": "http.response.start", "status": answer.status, "headers": pairs})
        # The engine parses JSON without bounds, so what the harness refuses to parse is kept from it.
        is_odd = answer.json_flaw and "json" in (answer.header("content-type") or "")
        await send({"type": "http.response.body", "body": b"null" if is_odd else answer.body})

    def _send(self, scope: Any, body: bytes) -> Exchange:  # noqa: ANN401  ASGI
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
        path = (scope.get("raw_path") or scope["path"].encode()).decode("latin-1")
        if path in _list_fixed_paths():
            headers = tuple((name, self._make_unique(name, value)) for name, value in headers)
        key, form = self._key(next((value for name, value in given if name == "authorization"), ""))
        return Request(scope["method"], path, scope["query_string"].decode("latin-1"), headers, body, key, form)

    def _make_unique(self, name: str, value: str) -> str:
        """The value of a header; an idempotency key becomes one that no other verification of the target has used."""
        if name != _IDEMPOTENCY_KEY or not value:
            return value
        ending = f"-{self._nonce}"
        if len(value) + len(ending) <= _LONGEST_KEY:
            return value + ending
        return value[: -len(ending)] + ending  # of the length that was generated, which may be too long

    def _key(self, authorization: str) -> tuple[str, str]:
        """The name of the key that was sent and the form it was sent in; a made-up key is its own name."""
        scheme, _, secret = authorization.partition(" ")
        if secret == self.client.target.keys["main"]:
            return "main", f"{scheme} {{key}}"
        return (secret or authorization), f"{scheme} {{key}}" if secret else "{key}"


@cache
def _list_fixed_paths() -> frozenset[str]:
    """The paths without an ID: the same in each verification, and so are the scopes of idempotency keys in them."""
    return frozenset(PREFIX + each.path for each in load_contract().operations.values() if "{" not in each.path)


async def _answer_lifespan(receive: Any, send: Any) -> None:  # noqa: ANN401  ASGI
    for _ in range(2):
        message = await receive()
        await send({"type": f"{message['type']}.complete"})


def _describe_failure(event: events.NonFatalError) -> str:
    """Say that the engine gave up an operation, with the type of the error, whose text may quote the target."""
    error = type(event.value).__name__
    return f"requests to {event.label} were no longer generated after an error of the generator ({error})"


# --- findings


def _list_failures(event: events.ScenarioFinished) -> Iterator[tuple[Any, int]]:
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


def _record(ledger: Ledger, client: Client, failure: Any, number: int) -> None:  # noqa: ANN401  untyped there
    exchange = client.journal[number - 1]
    rule, expected = _judge_failure(client, failure, exchange) or ("", "")
    if rule:
        got = f"{describe(exchange.response)} for {exchange.request.method} {exchange.request.target}"
        place = _find_place(rule, exchange)
        ledger.record_violation(rule, expected=expected, got=got[:_LONGEST], trace=exchange, place=place)


def _judge_failure(client: Client, failure: Any, exchange: Exchange) -> tuple[str, str] | None:  # noqa: ANN401, PLR0911
    """The rule that a failure of the engine breaks, and what is expected; None when it breaks none."""
    if isinstance(failure, AcceptedNegativeData):
        rule = None if _may_be_replay(client, exchange) else find_broken_rule(exchange)
        return (rule, "4xx for a wrong request") if rule else None
    if isinstance(failure, RejectedPositiveData):
        if names_unknown(exchange, client):
            return None
        # The engine makes up cursors, which only look correct.
        if exchange.response.error.get("param") == "starting_after" or "starting_after" in exchange.request.query:
            return None
        rule = OWNERS.accepts.get(exchange.operation)
        return (rule, "2xx for a correct request, or 404") if rule else None
    if isinstance(failure, IgnoredAuth):
        return ("auth.key-invalid" if exchange.request.key else "auth.key-required"), "401"
    if isinstance(failure, UnsupportedMethodResponse):
        return "errors.method-not-allowed", "405 and Allow"
    if isinstance(failure, EnsureResourceAvailability):
        return "runs.start.retrievable", "the run that was started"
    if isinstance(failure, MissingHeaderNotRejected) and not exchange.request.key:
        return "auth.key-required", "401"
    return None


def _find_place(rule: str, exchange: Exchange) -> str:
    """The place of a finding, the same as a probe gives it."""
    if rule != "exports.formats":
        return ""
    try:
        return str(json.loads(exchange.request.body)["format"])
    except (ValueError, TypeError, KeyError):
        return ""


class Confirmation:
    """Repeats the requests of findings. Those of one trace are sent once, whatever the number of its findings."""

    def __init__(self, ledger: Ledger, client: Client) -> None:
        self._ledger = ledger
        self._client = client
        self._answers: dict[tuple[tuple[int, ...], float], tuple[Ledger, Response]] = {}
        """What was found when a trace was sent again, and its last answer, by its exchanges and its longest pause."""

    def repeat(self, key: str) -> None:
        """Repeat the requests of a finding; the finding is flaky if neither a check nor the status shows it again.

        On a real clock the pauses are short at first: most findings do not depend on them.
        """
        ledger, client = self._ledger, self._client
        finding = ledger.findings[key]
        trace = add_prerequisites(client.journal, finding.trace)
        is_found_by_checks = _is_found_by_checks(ledger, finding)
        has_long_pause = not client.target.can_move_clock and find_longest_pause(trace) > _SHORT_WAIT
        for longest_wait in (_SHORT_WAIT, LONGEST_REAL_WAIT) if has_long_pause else (LONGEST_REAL_WAIT,):
            ledger.findings[key] = finding
            scratch, answer = self._resend(trace, longest_wait)
            if is_found_by_checks:
                mark_flaky(ledger, key, scratch)
                is_shown = is_reproduced(finding, scratch)
            else:
                is_shown = answer.status == finding.trace[-1].response.status
                ledger.findings[key] = finding if is_shown else replace(finding, flaky=True)
            if is_shown:
                return

    def _resend(self, trace: Sequence[Exchange], longest_wait: float) -> tuple[Ledger, Response]:
        """Send a trace again, unless that was done; return what was found, and the last answer."""
        numbers = tuple(each.number for each in trace)
        if (numbers, longest_wait) not in self._answers:
            with judge_separately(self._client, self._ledger) as scratch:
                answer = resend(trace, self._client, longest_wait=longest_wait)[-1].response
            self._answers[numbers, longest_wait] = scratch, answer
        return self._answers[numbers, longest_wait]


def _is_found_by_checks(ledger: Ledger, finding: Finding) -> bool:
    """Whether the checks found it: they find it again in the recorded trace."""
    scratch = Ledger(ledger.target, rules=tuple(ledger.rules.values()))
    for observer in (ConformanceCheck(scratch), HistoryCheck(scratch)):
        for exchange in finding.trace:
            observer(exchange)
    return finding.key in scratch.findings


def _may_be_replay(client: Client, exchange: Exchange) -> bool:
    """Whether the idempotency key was used before, so that the body need not be judged."""
    if exchange.response.header("idempotency-replayed") is not None:
        return True
    key, path = exchange.request.header(_IDEMPOTENCY_KEY), exchange.request.path
    earlier = (each.request for each in client.journal[: exchange.number - 1])
    return key is not None and any(each.path == path and each.header(_IDEMPOTENCY_KEY) == key for each in earlier)


def find_broken_rule(exchange: Exchange) -> str | None:
    """The rule that the acceptance of a wrong request breaks, the query first; None when the request is correct."""
    operation = load_contract().operations.get(exchange.operation)
    if operation is None or not exchange.response.ok:
        return None
    return _judge_query(operation, exchange) or _judge_header(exchange) or _judge_body(operation, exchange)


def _judge_query(operation: Operation, exchange: Exchange) -> str | None:
    pairs = parse_qsl(exchange.request.query, keep_blank_values=True)
    names = [name for name, _ in pairs]
    parameters = map(load_contract().resolve, operation.node.get("parameters", ()))
    known = {each["name"]: each for each in parameters if each["in"] == "query"}
    if set(names) - set(known):
        return "conventions.unknown-parameter"
    if len(names) > len(set(names)):
        return "conventions.repeated-parameter"
    largest = load_resources().largest_page
    for name, value in pairs:
        if name == "limit" and not 1 <= (parse_whole_number(value) or 0) <= largest:
            return "pages.limit.refused"
        filters = load_resources().filters.get(operation.id, ())
        if name in filters and not _is_valid(known[name]["schema"], value):
            return OWNERS.filters[operation.id]
    return None


def _judge_header(exchange: Exchange) -> str | None:
    key = exchange.request.header(_IDEMPOTENCY_KEY)
    wrong = key is not None and not (0 < len(key) <= _LONGEST_KEY and key.isascii() and key.isprintable())
    return "idempotency.key-form" if wrong else None


def _judge_body(operation: Operation, exchange: Exchange) -> str | None:
    schema = load_resources().inputs.get(operation.id)
    if schema is None:
        return None
    if not exchange.request.body:
        return "conventions.missing-body"
    if "json" not in (exchange.request.header("content-type") or ""):
        return "conventions.not-json"
    try:
        body = json.loads(exchange.request.body)
    except ValueError:
        return "conventions.malformed-body"
    node = load_contract().at(f"#/components/schemas/{schema}")
    return _judge_fields(body, node) or BODY_JUDGES[schema](body, node)


def _judge_fields(body: Any, schema: dict[str, Any]) -> str | None:  # noqa: ANN401  a JSON value
    if not isinstance(body, dict):
        return None
    if body.keys() - schema["properties"].keys():
        return "conventions.unknown-field"
    return "conventions.null-field" if None in body.values() else None


def _judge_export(body: Any, schema: dict[str, Any]) -> str:  # noqa: ANN401  a JSON value
    formats = load_contract().resolve(schema["properties"]["format"])["enum"]
    has_format = isinstance(body, dict) and body.get("format") in formats
    return "results.filter.refused" if has_format else "exports.refused"


def _judge_start(body: Any, schema: dict[str, Any]) -> str | None:  # noqa: ANN401  a JSON value
    if not isinstance(body, dict) or not all(_has_type(body[name], name) for name in body):
        return "runs.start.types"
    if set(schema["required"]) - body.keys():
        return "runs.start.required"
    if ("test_case_ids" in body) == ("test_suite_id" in body):
        return "runs.start.either"
    cases = body.get("test_case_ids", [""])
    if not 1 <= len(cases) <= 500 or len(set(cases)) < len(cases):  # noqa: PLR2004  the documented number
        return "runs.start.case-count"
    return None if _has_well_formed_ids(body, schema) else "runs.start.id-form"


def _has_well_formed_ids(body: dict[str, Any], schema: dict[str, Any]) -> bool:
    """Whether the IDs of a start are well-formed; a deployment may have what they name though we did not give it."""
    fields = schema["properties"]
    ids = [(fields[name], body[name]) for name in ("project_id", "test_suite_id") if name in body]
    items = load_contract().resolve(fields["test_case_ids"])["items"]
    ids += [(items, case) for case in body.get("test_case_ids", ())]
    return all(_is_valid(node, value) for node, value in ids)


def _judge_webhook(body: Any, schema: dict[str, Any]) -> str | None:  # noqa: ANN401  a JSON value
    url = body.get("url") if isinstance(body, dict) else None
    if not isinstance(url, str) or not _is_valid(schema["properties"]["url"], url):
        return "webhooks.url.refused"
    events = body.get("events")
    known = load_contract().resolve(load_contract().resolve(schema["properties"]["events"])["items"])["enum"]
    if (
        not isinstance(events, list)
        or not events
        or any(each not in known or events.count(each) > 1 for each in events)
    ):
        return "webhooks.events.refused"
    return "webhooks.secret.refused" if "secret" in body else None


BODY_JUDGES: Final[dict[str, Callable[[Any, dict[str, Any]], str | None]]] = {
    "StartRun": _judge_start,
    "ExportResults": _judge_export,
    "CreateWebhook": _judge_webhook,
}
"""By schema of a request body: what names the rule that an accepted wrong body breaks."""


def _has_type(value: Any, name: str) -> bool:  # noqa: ANN401  a JSON value
    if name == "test_case_ids":
        return isinstance(value, list) and all(isinstance(one, str) for one in value)
    return isinstance(value, str)


def _is_valid(schema: dict[str, Any], value: str) -> bool:
    whole = load_contract().resolve(schema)
    if "enum" in whole:
        return value in whole["enum"]
    return re.search(whole.get("pattern", _MOMENT), value) is not None
