"""The tap: every exchange against the spec, on its own: status, media type, headers, error code and body.

Plug in: `client.observers.append(Tap(ledger))`. It sends nothing. Answers of paths outside of the API are not its
matter, and neither is what an answer says compared with an earlier one: that is `zof_contracts.checks.history`'s.
"""

from __future__ import annotations

import re
import sys
from functools import cache
from typing import TYPE_CHECKING, Any, Final

from zof_contracts.checks.schemas import judge, mask
from zof_contracts.contract.document import PREFIX, Operation, load_contract
from zof_contracts.evidence.exchange import NO_STATUS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from zof_contracts.checks.schemas import SchemaError
    from zof_contracts.evidence.exchange import Exchange, Response
    from zof_contracts.evidence.ledger import Ledger

_QUOTA: Final = ("x-ratelimit-limit", "x-ratelimit-remaining", "x-ratelimit-reset")
_OF_THEIR_OWN: Final = frozenset({"x-request-id", *_QUOTA, "www-authenticate", "retry-after", "allow"})
"""Headers that have rules of their own."""
_REQUEST_ID: Final = re.compile(r"req_[A-Za-z0-9_-]{20}")
_UNIX: Final = range(1_000_000_000, 100_000_000_000)
"""Numbers of seconds that are a time: neither a duration nor milliseconds."""
_CODES: Final = {
    400: "errors.invalid-request.code",
    401: "errors.unauthorized.code",
    403: "errors.forbidden.code",
    404: "errors.not-found.code",
    405: "errors.method-not-allowed.code",
    409: "errors.conflict.code",
    413: "errors.too-large.code",
    415: "errors.not-json.code",
    429: "errors.rate-limited.code",
}
"""The rule that speaks of the code of a status."""
_UNAUTHORIZED: Final = 401
_THROTTLED: Final = 429
_FAULT: Final = 500
_ERROR: Final = 400


class ConformanceCheck:
    """Holds every exchange against the document."""

    def __init__(self, ledger: Ledger) -> None:
        self.ledger = ledger

    def __call__(self, exchange: Exchange) -> None:
        """Judge one exchange."""
        if not exchange.request.path.startswith(PREFIX + "/"):
            return
        if not self._answered(exchange):
            return
        self._server(exchange)
        self._request_id(exchange)
        self._quota_form(exchange)
        operation = load_contract().operations.get(exchange.operation)
        if operation is not None:
            self._documented(exchange, operation)
        self._error(exchange)

    def _answered(self, exchange: Exchange) -> bool:
        """Whether the request was answered."""
        answer = exchange.response
        return self.ledger.check(
            "conventions.answered",
            answer.status != NO_STATUS,
            expected="an answer",
            got=answer.flaw,
            trace=exchange,
        )

    def _server(self, exchange: Exchange) -> None:
        status = exchange.response.status
        self.ledger.check("conventions.no-server-error", status < _FAULT, expected="no 5xx", got=status, trace=exchange)

    def _request_id(self, exchange: Exchange) -> None:
        value, status = exchange.response.header("x-request-id"), exchange.response.status
        everyday = exchange.operation and status < _FAULT and status != _UNAUTHORIZED
        rule = "conventions.request-id.present" if everyday else "conventions.request-id.everywhere"
        self.ledger.check(rule, value, expected="X-Request-Id", got="no such header", trace=exchange)
        if value:
            fits = _REQUEST_ID.fullmatch(value)
            self.ledger.check(
                "conventions.request-id.form",
                fits,
                expected="req_ and 20 characters",
                got=mask(value),
                trace=exchange,
            )

    def _quota_form(self, exchange: Exchange) -> None:
        values = [exchange.response.header(name) for name in _QUOTA]
        if any(value is not None for value in values):
            flaw = next((each for each in _quota_flaws(values)), None)
            self.ledger.check(
                "limits.headers.form",
                flaw is None,
                expected="whole numbers, Reset in Unix seconds",
                got=flaw,
                trace=exchange,
            )
        if self.ledger.target.strict and values[0] is not None:
            self.ledger.check("limits.default", values[0] == "100", expected="100", got=values[0], trace=exchange)

    def _documented(self, exchange: Exchange, operation: Operation) -> None:
        answer = exchange.response
        self._quota_there(exchange)
        documented = operation.responses.get(str(answer.status))
        if answer.status <= _FAULT:
            known = ", ".join(operation.responses)
            self.ledger.check(
                "conventions.status",
                documented is not None,
                expected=f"one of {known}",
                got=answer.status,
                trace=exchange,
                place=str(answer.status),
            )
        response = load_contract().resolve(documented) if documented is not None else {}
        self._headers(exchange, response)
        if self._media_type(exchange, response):
            self._body(exchange, response)

    def _quota_there(self, exchange: Exchange) -> None:
        status = exchange.response.status
        missing = [name for name in _QUOTA if exchange.response.header(name) is None]
        if exchange.response.ok or (_ERROR <= status < _FAULT and status != _UNAUTHORIZED):
            rule = "limits.headers" if exchange.response.ok else "limits.headers.errors"
            self.ledger.check(
                rule,
                not missing,
                expected="three X-RateLimit headers",
                got=f"without {', '.join(missing)}",
                trace=exchange,
            )

    def _headers(self, exchange: Exchange, response: dict[str, Any]) -> None:
        for name, node in response.get("headers", {}).items():
            if name.lower() in _OF_THEIR_OWN:
                continue
            header = load_contract().resolve(node)
            value = exchange.response.header(name.lower())
            if value is None and not header.get("required"):
                continue
            self.ledger.check(
                "conventions.headers.required",
                value is not None and _fits(value, header["schema"]),
                expected=f"{name} as documented",
                got="no such header" if value is None else mask(value),
                trace=exchange,
                place=name,
            )

    def _media_type(self, exchange: Exchange, response: dict[str, Any]) -> bool:
        """Whether the body is JSON of a documented schema, as it should be."""
        kind = _media(exchange.response)
        documented = response.get("content", {})
        if _binary(exchange):
            self.ledger.check(
                "conventions.content-type", kind in documented, expected=", ".join(documented), got=kind, trace=exchange
            )
            return kind == "application/json" and exchange.operation == "exportResults"
        is_json = (kind == "application/json" or kind.endswith("+json")) and _parses(exchange.response)
        got = kind if is_json or not kind.endswith("json") else f"{kind} that is none"
        if self.ledger.check("conventions.json", is_json, expected="JSON", got=got or "no media type", trace=exchange):
            if documented:
                self.ledger.check(
                    "conventions.content-type",
                    kind in documented,
                    expected=", ".join(documented),
                    got=kind,
                    trace=exchange,
                )
            return True
        return False

    def _body(self, exchange: Exchange, response: dict[str, Any]) -> None:
        schema = response.get("content", {}).get("application/json", {}).get("schema", {})
        if not exchange.response.ok or "$ref" not in schema:
            return
        judgement = judge(exchange.response.json, schema)
        for flaw in judgement.flaws:
            self._flaw(flaw, exchange)
        for rule in judgement.shown:
            self.ledger.record_kept(rule, exchange)
        self._links(exchange, judgement.links)
        if self.ledger.target.strict:
            self._strict(exchange, "versioning.unknown-field", judgement.unknown_fields)
            self._strict(exchange, "versioning.unknown-value", judgement.unknown_values)

    def _flaw(self, flaw: SchemaError, exchange: Exchange) -> None:
        self.ledger.record_violation(
            flaw.rule, expected=flaw.expected, got=flaw.got, trace=exchange, place=flaw.expected
        )

    def _links(self, exchange: Exchange, links: tuple[str, ...]) -> None:
        location = exchange.response.header("location") if exchange.operation == "startRun" else None
        given = [*links, *([location] if location else [])]
        foreign = [link for link in given if not link.startswith(self.ledger.target.base + "/")]
        if given:
            self.ledger.check(
                "conventions.links.absolute",
                not foreign,
                expected="links under our base",
                got=mask(foreign[:1]),
                trace=exchange,
            )

    def _strict(self, exchange: Exchange, rule: str, unknown: tuple[str, ...]) -> None:
        for each in unknown:
            self.ledger.record_violation(
                rule, expected=f"nothing new such as {each}", got=each, trace=exchange, place=each
            )
        if not unknown:
            self.ledger.record_kept(rule, exchange)

    def _error(self, exchange: Exchange) -> None:
        status = exchange.response.status
        if status < _ERROR:
            return
        if exchange.operation and exchange.response.json is not None:
            self._envelope(exchange)
        code = exchange.response.error.get("code")
        if isinstance(code, str) and (rule := _CODES.get(status)):
            wanted = _documented_codes()[status]
            self.ledger.check(
                rule, code in wanted, expected=" or ".join(sorted(wanted)), got=mask(code), trace=exchange
            )
        if status == _UNAUTHORIZED and exchange.operation:
            challenge = exchange.response.header("www-authenticate") or ""
            self.ledger.check(
                "errors.unauthorized.challenge",
                challenge.lower().startswith("bearer"),
                expected="WWW-Authenticate: Bearer",
                got=mask(challenge),
                trace=exchange,
            )
        if status == _THROTTLED and exchange.operation:
            wait = exchange.response.header("retry-after") or ""
            whole = wait.isascii() and wait.isdigit() and int(wait) >= 1
            self.ledger.check(
                "limits.retry-after", whole, expected="whole seconds, at least 1", got=mask(wait), trace=exchange
            )

    def _envelope(self, exchange: Exchange) -> None:
        judgement = judge(exchange.response.json, {"$ref": "#/components/schemas/Error"})
        for flaw in judgement.flaws:
            self._flaw(flaw, exchange)
        if not judgement.flaws:
            self.ledger.record_kept("errors.envelope", exchange)
        if self.ledger.target.strict:
            self._strict(exchange, "versioning.unknown-field", judgement.unknown_fields)
            self._strict(exchange, "versioning.unknown-value", judgement.unknown_values)


def _binary(exchange: Exchange) -> bool:
    """Whether the answer need not be JSON: an artifact's bytes, or an export as CSV."""
    return exchange.response.ok and exchange.operation in {"downloadArtifact", "exportResults"}


def _media(answer: Response) -> str:
    return (answer.header("content-type") or "").partition(";")[0].strip().lower()


def _parses(answer: Response) -> bool:
    return answer.json is not None or answer.body.strip() == b"null"


def _fits(value: str, schema: dict[str, Any]) -> bool:
    return value == schema.get("const", value) and bool(re.search(schema.get("pattern", ""), value))


def _quota_flaws(values: list[str | None]) -> Iterator[str]:
    for name, value, allowed in zip(_QUOTA, values, (range(1, sys.maxsize), range(sys.maxsize), _UNIX), strict=True):
        if value is not None and not (value.isascii() and value.isdigit() and int(value) in allowed):
            yield f"{name}: {mask(value)}"


@cache
def _documented_codes() -> dict[int, frozenset[str]]:
    """The codes that the document's examples show, by status."""
    found: dict[int, set[str]] = {status: set() for status in _CODES}
    responses = [(s, r) for operation in load_contract().operations.values() for s, r in operation.responses.items()]
    for status, response in [*responses, *load_contract().document["x-elsewhere"].items()]:
        content = load_contract().resolve(response).get("content", {}).get("application/json", {})
        for example in content.get("examples", {}).values():
            value = load_contract().resolve(example).get("value", {})
            if isinstance(value, dict) and "error" in value and int(status) in found:
                found[int(status)].add(value["error"]["code"])
    return {status: frozenset(codes) for status, codes in found.items()}
