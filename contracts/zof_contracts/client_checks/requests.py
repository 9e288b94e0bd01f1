"""Judges of single requests: keys, operations, parameters and bodies."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import parse_qsl, unquote

from zof_contracts.checks.schemas import check_schema
from zof_contracts.client_checks.judge import ClientId, Judge, identify, is_success, shorten
from zof_contracts.client_checks.runs import read_fields
from zof_contracts.contract.document import load_contract
from zof_contracts.contract.resources import list_parameters, load_resources
from zof_contracts.evidence.findings import quote_value
from zof_contracts.evidence.memory import Memory
from zof_contracts.target.base_url import BaseUrl

if TYPE_CHECKING:
    from collections.abc import Iterator

    from zof_contracts.evidence.exchange import Exchange
    from zof_contracts.evidence.ledger import Ledger
    from zof_contracts.traffic.recording import RecordedExchange, RecordingStarted

_ID: Final = re.compile(r"^[a-z]+_[A-Za-z0-9_-]+$")
_EMPTY_BODIES: Final = frozenset({b"", b"{}", b"null"})
"""Bodies that say nothing, which many clients send with every POST."""
_SHORTEST_VALUE: Final = 6
"""Characters of a value that is looked for in later requests."""


class KeyJudge(Judge):
    """Judges how API keys travel."""

    def observe(self, each: RecordedExchange) -> None:
        """Judge one request."""
        request, trace = each.exchange.request, shorten(each)
        self.ledger.check(
            "client.secrets.header-only",
            not each.secrets,
            expected="no secret outside the header Authorization",
            got=", ".join(each.secrets),
            trace=trace,
            place=each.secrets[0] if each.secrets else "",
        )
        if request.key:
            self.ledger.check(
                "client.secrets.scheme",
                each.scheme.lower() == "bearer",
                expected="Authorization: Bearer and the key",
                got=f"the scheme {quote_value(each.scheme)}",
                trace=trace,
            )
        address = BaseUrl.parse(each.base)
        if not address.is_loopback:
            is_safe = address.scheme == "https"
            self.ledger.check("client.secrets.tls", is_safe, expected="https", got=each.base, trace=trace)


class RequestJudge(Judge):
    """Judges requests by the document."""

    def observe(self, each: RecordedExchange) -> None:
        """Judge one request."""
        exchange = each.exchange
        operation = load_contract().operations.get(exchange.operation)
        if operation is None:
            self._check_unknown(each)
            return
        self.ledger.record_kept("client.requests.operation")
        unknown = list(_list_unknown(each))
        self.ledger.check(
            "client.requests.known",
            not unknown,
            expected="documented parameters and fields only",
            got=", ".join(unknown),
            trace=shorten(each),
            place=unknown[0] if unknown else "",
        )
        if exchange.operation in load_resources().inputs and exchange.request.body:
            media_type = (exchange.request.header("content-type") or "").partition(";")[0].strip().lower()
            self.ledger.check(
                "client.requests.json",
                media_type == "application/json",
                expected="Content-Type: application/json",
                got=f"Content-Type: {media_type}" if media_type else "no Content-Type",
                trace=shorten(each),
            )

    def _check_unknown(self, each: RecordedExchange) -> None:
        request = each.exchange.request
        if request.method == "HEAD" and load_contract().find_operation("GET", request.path):
            return
        if any(part.startswith("art_") for part in request.path.split("/")):
            return  # the judge of downloads says where an artifact is
        path = "/".join("{id}" if _ID.fullmatch(part) else part for part in request.path.split("/"))
        self.ledger.record_violation(
            "client.requests.operation",
            expected="a documented method and path",
            got=f"{request.method} {request.path}",
            trace=shorten(each),
            place=f"{request.method} {path}",
        )


def _list_unknown(each: RecordedExchange) -> Iterator[str]:
    """The parameters and fields of a request that its operation does not read."""
    exchange = each.exchange
    contract, schema = load_contract(), load_resources().inputs.get(exchange.operation)
    known = list_parameters(contract, exchange.operation)
    for name, _ in parse_qsl(exchange.request.query, keep_blank_values=True):
        if name not in known and f"query parameter {name}" not in each.secrets:
            yield f"the query parameter {name}"
    body = exchange.request.body
    if schema is None:
        if body.strip() not in _EMPTY_BODIES:
            yield "a body"
        return
    properties = contract.at(f"#/components/schemas/{schema}")["properties"]
    for name in read_fields(body):
        if name not in properties and f"body field {name}" not in each.secrets:
            yield f"the field {name}"


class FieldUseJudge(Judge):
    """Judges whether a client relies on fields of answers that are not documented."""

    def __init__(self, ledger: Ledger, recording: RecordingStarted) -> None:
        super().__init__(ledger, recording)
        self._values: Memory[str, tuple[str, Exchange]] = Memory(200)
        """Texts that only undocumented fields gave, each with its field and the answer."""
        self._documented: Memory[str, None] = Memory()
        """Texts that documented fields gave since then."""

    def observe(self, each: RecordedExchange) -> None:
        """Look for such texts in a request, and collect those of its answer."""
        if len(self._values):
            self._search(each)
        schema = load_resources().answers.get(each.exchange.operation)
        if is_success(each) and each.is_answer_whole and schema:
            self._collect(each, schema)

    def _search(self, each: RecordedExchange) -> None:
        request = each.exchange.request
        headers = " ".join(value for _, value in request.headers)
        text = f"{unquote(request.target)} {headers} {request.body.decode(errors='replace')}"
        uses = [found for value, found in self._values.items() if value in text and value not in self._documented]
        for place, answer in uses:
            self.ledger.record_violation(
                "client.responses.documented",
                expected="values of documented fields only",
                got=f"the value of the undocumented field {place}",
                trace=(answer, shorten(each)),
                place=place,
            )
        if not uses:
            self.ledger.record_kept("client.responses.documented")

    def _collect(self, each: RecordedExchange, schema: str) -> None:
        result = check_schema(each.exchange.response.json, {"$ref": f"#/components/schemas/{schema}"})
        unknown = set(result.unknown_fields)
        if not unknown and not len(self._values):
            return
        for place, value in _list_texts(each.exchange.response.json):
            is_unknown = any(place == name or place.startswith((f"{name}.", f"{name}[")) for name in unknown)
            if not is_unknown:
                self._documented.set(value, None)
            elif len(value) >= _SHORTEST_VALUE and value not in self._documented:
                self._values.set(value, (place, shorten(each)))


def _list_texts(value: Any, place: str = "") -> Iterator[tuple[str, str]]:  # noqa: ANN401  a JSON value
    """The texts and numbers of a JSON value, each with its place as `check_schema` writes it."""
    if isinstance(value, dict):
        for name, child in value.items():
            yield from _list_texts(child, f"{place}.{name}" if place else name)
    elif isinstance(value, list):
        for child in value:
            yield from _list_texts(child, f"{place}[]")
    elif isinstance(value, str):
        yield place, value


class ErrorJudge(Judge):
    """Judges what a client does after an answer that its key or an ID is wrong."""

    def __init__(self, ledger: Ledger, recording: RecordingStarted) -> None:
        super().__init__(ledger, recording)
        self._unauthorized: Memory[ClientId, RecordedExchange] = Memory()
        self._absent: Memory[tuple[ClientId, str], RecordedExchange] = Memory()

    def observe(self, each: RecordedExchange) -> None:
        """Judge a request by the errors before it."""
        client, exchange = identify(each), each.exchange
        self._check_key(client, each)
        resource = _find_resource(each)
        if resource:
            self._check_resource(client, resource, each)
        if exchange.response.status == 401 and not each.is_lost and exchange.request.key:  # noqa: PLR2004
            self._unauthorized.set(client, each)

    def _check_key(self, client: ClientId, each: RecordedExchange) -> None:
        before = self._unauthorized.pop(client)
        if before is None or before.exchange.request.target == each.exchange.request.target:
            return  # an equal request is judged as the retry of a refused one
        self.ledger.record_violation(
            "client.errors.unauthorized",
            expected="no other request with the key that was refused",
            got=f"{each.exchange.request.method} {each.exchange.request.path}",
            trace=(shorten(before), shorten(each)),
        )

    def _check_resource(self, client: ClientId, resource: str, each: RecordedExchange) -> None:
        place = (client, resource)
        before = self._absent.pop(place)
        if before is not None and before.exchange.request.target != each.exchange.request.target:
            self.ledger.record_violation(
                "client.errors.not-found",
                expected="no other request about an ID that was not found",
                got=f"{each.exchange.request.method} {each.exchange.request.path}",
                trace=(shorten(before), shorten(each)),
            )
        answer = each.exchange.response
        if answer.status == 404 and answer.error.get("code") == "not_found" and not each.is_lost:  # noqa: PLR2004
            self._absent.set(place, each)

    def finish(self) -> None:
        """An error that no such request follows was understood."""
        for _ in self._unauthorized.values():
            self.ledger.record_kept("client.errors.unauthorized")
        for _ in self._absent.values():
            self.ledger.record_kept("client.errors.not-found")


def _find_resource(each: RecordedExchange) -> str:
    """Kind and ID in the path of a request about one run, result or webhook; empty if there is none."""
    parts = each.exchange.request.path.split("/")
    return "/".join(parts[2:4]) if each.exchange.operation and len(parts) > 3 and "_" in parts[3] else ""  # noqa: PLR2004
