"""Judges of one answer against the document: status, media type, headers, error code and body.

`client.observers.append(ConformanceCheck(ledger))` has every exchange judged. The check sends nothing and does not
judge answers of paths outside the API. What an answer states compared with earlier ones is judged by
`zof_contracts.checks.history`.
"""

from __future__ import annotations

import re
import sys
from functools import cache
from typing import TYPE_CHECKING, Any, Final

from zof_contracts.checks.request_parts import describe_request
from zof_contracts.checks.schemas import check_schema
from zof_contracts.contract.document import PREFIX, Operation, load_contract
from zof_contracts.evidence.exchange import NO_STATUS
from zof_contracts.evidence.findings import quote_value
from zof_contracts.evidence.header_values import parse_whole_number

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from zof_contracts.checks.schemas import SchemaError, SchemaResult
    from zof_contracts.evidence.exchange import Exchange, Response
    from zof_contracts.evidence.ledger import Ledger

_QUOTA: Final = ("x-ratelimit-limit", "x-ratelimit-remaining", "x-ratelimit-reset")
_WITH_OWN_RULES: Final = frozenset(
    {"x-request-id", *_QUOTA, "www-authenticate", "retry-after", "allow", "accept-ranges", "content-range"}
)
"""Headers that other rules are about."""
_REQUEST_ID: Final = re.compile(r"req_[A-Za-z0-9_-]{20}")
_UNIX: Final = range(1_000_000_000, 100_000_000_000)
"""Unix seconds of a plausible time: neither a duration nor milliseconds."""
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
"""The rule about the error code of a status."""
_UNAUTHORIZED: Final = 401
_THROTTLED: Final = 429
_FAULT: Final = 500
_MAYBE_ABSENT: Final = frozenset({404, 405})
"""The statuses of an operation that a target does not have."""
_ERROR: Final = 400
_MOST_PLACES: Final = 6
"""The largest number of places of findings about requests of one operation."""


def _is_relative(location: str) -> bool:
    """Whether a Location names no host."""
    return location.startswith("/") and not location.startswith("//")


class ConformanceCheck:
    """Judges every exchange by the document."""

    def __init__(self, ledger: Ledger) -> None:
        self.ledger = ledger
        self._places: dict[str, set[str]] = {}
        """The unusual parts of the requests of the findings, by operation."""
        self._successes: dict[str, Exchange] = {}
        """The first success of each operation."""

    def fork(self, ledger: Ledger) -> ConformanceCheck:
        """A check that records in another ledger."""
        fork = ConformanceCheck(ledger)
        fork._places, fork._successes = self._places, self._successes
        return fork

    def __call__(self, exchange: Exchange) -> None:
        """Judge one exchange."""
        if not exchange.request.path.startswith(PREFIX + "/"):
            return
        if not self._check_answered(exchange):
            return
        self._check_no_server_error(exchange)
        self._check_request_id(exchange)
        self._check_quota_form(exchange)
        operation = load_contract().operations.get(exchange.operation)
        if operation is not None:
            self._check_operation(exchange, operation)
        self._check_error(exchange)

    def _check_answered(self, exchange: Exchange) -> bool:
        """Whether the request was answered; a finding if it was not."""
        flaw, is_answered = exchange.response.flaw, exchange.response.status != NO_STATUS
        place = "" if is_answered else self._name_request(exchange)
        rule = "conventions.answered"
        return self.ledger.check(rule, is_answered, expected="an answer", got=flaw, trace=exchange, place=place)

    def _check_no_server_error(self, exchange: Exchange) -> None:
        status = exchange.response.status
        rule = "conventions.no-server-error"
        place = self._name_request(exchange) if status >= _FAULT else ""
        by_gateway = (
            " without JSON, as a gateway in front of the API answers" if exchange.response.is_from_gateway else ""
        )
        got = f"status {status}{by_gateway}"
        self.ledger.check(rule, status < _FAULT, expected="no 5xx", got=got, trace=exchange, place=place)

    def _name_request(self, exchange: Exchange) -> str:
        """The place of a finding about a request; the number of places for one operation is limited."""
        places = self._places.setdefault(exchange.operation, set())
        place = describe_request(exchange)
        if place not in places and len(places) >= _MOST_PLACES:
            return "other requests"
        places.add(place)
        return place

    def _check_request_id(self, exchange: Exchange) -> None:
        value, status = exchange.response.header("x-request-id"), exchange.response.status
        everyday = exchange.operation and status < _FAULT and status != _UNAUTHORIZED
        rule = "conventions.request-id.present" if everyday else "conventions.request-id.everywhere"
        got = f"{status} without X-Request-Id"
        self.ledger.check(rule, value, expected="X-Request-Id", got=got, trace=exchange)
        if value:
            fits = _REQUEST_ID.fullmatch(value)
            self.ledger.check(
                "conventions.request-id.form",
                fits,
                expected="req_ and 20 letters, digits, _ or -",
                got=f"X-Request-Id {quote_value(value)}",
                trace=exchange,
            )

    def _check_quota_form(self, exchange: Exchange) -> None:
        values = [exchange.response.header(name) for name in _QUOTA]
        if any(value is not None for value in values):
            fault = next(iter(_find_quota_faults(values)), None)
            self.ledger.check(
                "limits.headers.form",
                fault is None,
                expected="whole numbers, and Reset in Unix seconds",
                got=fault,
                trace=exchange,
            )
        if self.ledger.target.is_strict and values[0] is not None:
            got = f"X-RateLimit-Limit {values[0]}"
            self.ledger.check("limits.default", values[0] == "100", expected="100", got=got, trace=exchange)

    def _check_operation(self, exchange: Exchange, operation: Operation) -> None:
        answer = exchange.response
        self._check_quota_present(exchange)
        documented = operation.responses.get(str(answer.status))
        if answer.status <= _FAULT:
            self.ledger.check(
                "conventions.status",
                documented is not None,
                expected=f"one of {', '.join(operation.responses)}",
                got=f"status {answer.status}",
                trace=exchange,
                place=str(answer.status),
            )
        response = load_contract().resolve(documented) if documented is not None else {}
        self._check_headers(exchange, response)
        if self._check_media_type(exchange, response):
            self._check_body(exchange, response)

    def _check_quota_present(self, exchange: Exchange) -> None:
        """Judge that the quota is stated, except for a 404 of an operation that may not exist and so has no limiter."""
        status = exchange.response.status
        trace = [exchange]
        if exchange.response.ok:
            self._successes.setdefault(exchange.operation, exchange)
        elif status in _MAYBE_ABSENT:
            if exchange.operation not in self._successes:
                return
            trace = [self._successes[exchange.operation], exchange]
        missing = [name for name in _QUOTA if exchange.response.header(name) is None]
        if exchange.response.ok or (_ERROR <= status < _FAULT and status != _UNAUTHORIZED):
            self.ledger.check(
                "limits.headers" if exchange.response.ok else "limits.headers.errors",
                not missing,
                expected="three X-RateLimit headers",
                got=f"{status} without {', '.join(missing)}",
                trace=trace,
            )

    def _check_headers(self, exchange: Exchange, response: dict[str, Any]) -> None:
        for name, node in response.get("headers", {}).items():
            if name.lower() in _WITH_OWN_RULES:
                continue
            header = load_contract().resolve(node)
            value = exchange.response.header(name.lower())
            if value is None and not header.get("required"):
                continue
            self.ledger.check(
                "conventions.headers.required",
                value is not None and _is_valid_header(value, header["schema"]),
                expected=f"{name} as documented",
                got=f"no header {name}" if value is None else f"{name} {quote_value(value)}",
                trace=exchange,
                place=name,
            )

    def _check_media_type(self, exchange: Exchange, response: dict[str, Any]) -> bool:
        """Judge the media type; returns whether the body is JSON of a documented schema."""
        kind = _read_media_type(exchange.response)
        documented = response.get("content", {})
        expected = ", ".join(documented)
        got = f"Content-Type {kind}" if kind else "no Content-Type"
        if _may_be_binary(exchange):
            fits = kind in documented
            self.ledger.check("conventions.content-type", fits, expected=expected, got=got, trace=exchange)
            return kind == "application/json" and exchange.operation == "exportResults"
        parses = _is_json(exchange.response)
        is_json = (kind == "application/json" or kind.endswith("+json")) and parses
        body = "" if parses else f" and the body {quote_value(exchange.response.body.decode('utf-8', 'replace'))}"
        if not self.ledger.check("conventions.json", is_json, expected="JSON", got=got + body, trace=exchange):
            return False
        if documented:
            fits = kind in documented
            self.ledger.check("conventions.content-type", fits, expected=expected, got=got, trace=exchange)
        return True

    def _check_body(self, exchange: Exchange, response: dict[str, Any]) -> None:
        schema = response.get("content", {}).get("application/json", {}).get("schema", {})
        if not exchange.response.ok or "$ref" not in schema:
            return
        result = check_schema(exchange.response.json, schema)
        for error in result.errors:
            self._record_error(error, exchange)
        for rule in result.kept:
            self.ledger.record_kept(rule)
        self._check_links(exchange, result.links)
        self._check_unknown(exchange, result)

    def _record_error(self, error: SchemaError, exchange: Exchange) -> None:
        self.ledger.record_violation(
            error.rule, expected=error.expected, got=error.got, trace=exchange, place=error.place
        )

    def _check_links(self, exchange: Exchange, links: tuple[str, ...]) -> None:
        location = exchange.response.header("location") if exchange.operation == "startRun" else None
        # HTTP lets Location be relative; the links in bodies are documented as absolute.
        given = [*links, *([location] if location and not _is_relative(location) else [])]
        base = self.ledger.target.base + "/"
        foreign = [link for link in given if not link.startswith(base)]
        if given:
            self.ledger.check(
                "conventions.links.absolute",
                not foreign,
                expected=f"links below {base}",
                got=quote_value(foreign[0]) if foreign else "",
                trace=exchange,
            )

    def _check_unknown(self, exchange: Exchange, result: SchemaResult) -> None:
        """In strict mode, judge what the schemas do not know."""
        if not self.ledger.target.is_strict:
            return
        fields = {place: f"the field {place}" for place in result.unknown_fields}
        values = {place: f"{place} {quote_value(value)}" for place, value in result.unknown_values.items()}
        self._record_unknown(exchange, "versioning.unknown-field", "documented fields only", fields)
        self._record_unknown(exchange, "versioning.unknown-value", "documented values only", values)

    def _record_unknown(self, exchange: Exchange, rule: str, expected: str, unknown: Mapping[str, str]) -> None:
        for place, got in unknown.items():
            self.ledger.record_violation(rule, expected=expected, got=got, trace=exchange, place=place)
        if not unknown:
            self.ledger.record_kept(rule)

    def _check_error(self, exchange: Exchange) -> None:
        status = exchange.response.status
        if status < _ERROR:
            return
        if exchange.operation and exchange.response.json is not None:
            self._check_envelope(exchange)
        code = exchange.response.error.get("code")
        if isinstance(code, str) and (rule := _CODES.get(status)):
            wanted = _list_documented_codes()[status]
            expected, got = " or ".join(sorted(wanted)), f"{status} with code {quote_value(code)}"
            self.ledger.check(rule, code in wanted, expected=expected, got=got, trace=exchange)
        if exchange.operation:
            self._check_refusal_headers(exchange)

    def _check_refusal_headers(self, exchange: Exchange) -> None:
        status = exchange.response.status
        if status == _UNAUTHORIZED:
            challenge = exchange.response.header("www-authenticate") or ""
            self.ledger.check(
                "errors.unauthorized.challenge",
                challenge.lower().startswith("bearer"),
                expected="WWW-Authenticate: Bearer",
                got=f"WWW-Authenticate {quote_value(challenge)}" if challenge else "no header WWW-Authenticate",
                trace=exchange,
            )
        if status == _THROTTLED:
            wait = exchange.response.header("retry-after") or ""
            self.ledger.check(
                "limits.retry-after",
                (parse_whole_number(wait) or 0) >= 1,
                expected="whole seconds, at least 1",
                got=f"Retry-After {quote_value(wait)}" if wait else "no header Retry-After",
                trace=exchange,
            )

    def _check_envelope(self, exchange: Exchange) -> None:
        result = check_schema(exchange.response.json, {"$ref": "#/components/schemas/ErrorResponse"})
        for error in result.errors:
            self._record_error(error, exchange)
        if not result.errors:
            self.ledger.record_kept("errors.envelope")
        self._check_unknown(exchange, result)


def _may_be_binary(exchange: Exchange) -> bool:
    """Whether the answer need not be JSON: the bytes of an artifact, or an export as CSV."""
    return exchange.response.ok and exchange.operation in {"downloadArtifact", "exportResults"}


def _read_media_type(answer: Response) -> str:
    return (answer.header("content-type") or "").partition(";")[0].strip().lower()


def _is_json(answer: Response) -> bool:
    return answer.json is not None or answer.body.strip() == b"null"


def _is_valid_header(value: str, schema: dict[str, Any]) -> bool:
    return value == schema.get("const", value) and bool(re.search(schema.get("pattern", ""), value))


def _find_quota_faults(values: list[str | None]) -> Iterator[str]:
    for name, value, allowed in zip(_QUOTA, values, (range(1, sys.maxsize), range(sys.maxsize), _UNIX), strict=True):
        number = parse_whole_number(value)
        if value is not None and (number is None or number not in allowed):  # None in a range would be searched for
            yield f"{name} {quote_value(value)}"


@cache
def _list_documented_codes() -> dict[int, frozenset[str]]:
    """The error codes in the examples of the document, by status."""
    found: dict[int, set[str]] = {status: set() for status in _CODES}
    contract = load_contract()
    responses = [pair for operation in contract.operations.values() for pair in operation.responses.items()]
    for status, response in [*responses, *contract.document["x-elsewhere"].items()]:
        content = contract.resolve(response).get("content", {}).get("application/json", {})
        for example in content.get("examples", {}).values():
            value = contract.resolve(example).get("value", {})
            if isinstance(value, dict) and "error" in value and int(status) in found:
                found[int(status)].add(value["error"]["code"])
    return {status: frozenset(codes) for status, codes in found.items()}
