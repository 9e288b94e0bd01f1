"""Operations: what the spec says of each, compiled at boot, so that a request only looks things up."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import parse_qsl

from emulator.spec.document import SpecError
from emulator.spec.schema import ObjectRules, compiled

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from emulator.core.refusal import Refused
    from emulator.spec.document import Document, Node

JSON: Final = "application/json"
_MOST_PARAMETERS: Final = 100


@dataclass(frozen=True, slots=True)
class Refusal:
    """How a reason is answered: its status, the error's code, and the text with places for words."""

    status: int
    code: str
    message: str

    def error(self, refused: Refused) -> Node:
        """The error object of the wire."""
        words = {"param": refused.param or "The body", **refused.words}
        error = {"code": self.code, "message": self.message.format(**words)}
        return {"error": error if refused.param is None else error | {"param": refused.param}}


@dataclass(frozen=True, slots=True)
class Answer:
    """What the spec says of the answers with one status."""

    required: frozenset[str]
    """The headers that are always there, in lower case."""
    known: frozenset[str]
    """All headers that the spec names, in lower case."""
    holds: Mapping[str, Callable[[Any], bool]]
    """Whether a body holds to its schema, by media type."""
    item_holds: Callable[[Any], bool] | None
    """Whether one item of a page holds to its schema."""


@dataclass(frozen=True, slots=True)
class Header:
    """A request header that the spec constrains."""

    name: str
    holds: Callable[[Any], bool]
    expected: str


class Query:
    """The query parameters of an operation."""

    __slots__ = ("_defaults", "_integers", "_rules")

    def __init__(self, parameters: Sequence[Node]) -> None:
        properties = {one["name"]: one["schema"] for one in parameters}
        required = [one["name"] for one in parameters if one.get("required")]
        schema = {"type": "object", "properties": properties, "required": required, "additionalProperties": False}
        self._rules = ObjectRules(schema, "parameter")
        self._integers = frozenset(name for name, one in properties.items() if one.get("type") == "integer")
        self._defaults = {name: one["default"] for name, one in properties.items() if "default" in one}

    def decoded(self, raw: bytes) -> Mapping[str, Any]:
        """The values of a query string: integers as such, timestamps in ms, defaults filled in. Raises `Refused`."""
        if not raw:
            return self._defaults
        values: dict[str, Any] = {}
        repeated = []
        for name, text in _pairs(raw):
            if name in values:
                repeated.append(name)
            values[name] = _integer(text) if name in self._integers else text
        return self._defaults | self._rules.judged(values, {}, repeated)


@dataclass(frozen=True, slots=True)
class Body:
    """The body of an operation."""

    most_bytes: int
    required: bool
    rules: ObjectRules


@dataclass(frozen=True, slots=True)
class Operation:
    """One operation of the spec."""

    id: str
    method: str
    path: str
    secured: bool
    permissions: tuple[str, ...]
    """What a key must hold."""
    headers: tuple[Header, ...]
    query: Query
    body: Body | None
    answers: Mapping[int, Answer]
    reasons: Mapping[str, Refusal]
    idempotent: bool
    """Whether it takes an `Idempotency-Key`."""


def operations(document: Document) -> tuple[Operation, ...]:
    """All operations of a document, compiled; `SpecError` when one cannot be."""
    return tuple(_operation(document, path, method, node) for path, method, node in document.operations())


def elsewhere(document: Document) -> Mapping[str, Refusal]:
    """How requests are refused that reach no operation, by reason."""
    return _answers(document, document.root.get("x-elsewhere", {}))[0]


def _operation(document: Document, path: str, method: str, node: Node) -> Operation:
    try:
        reasons, answers = _answers(document, node["responses"])
        parameters = [document.resolved(one) for one in node.get("parameters", ())]
        security: list[dict[str, list[str]]] = node.get("security", document.root.get("security")) or []
        headers = tuple(
            Header(one["name"], compiled(one["schema"]), one["schema"].get("x-expected", ""))
            for one in parameters
            if one["in"] == "header"
        )
        return Operation(
            id=node["operationId"],
            method=method,
            path=path,
            secured=bool(security),
            permissions=tuple(role for one in security for roles in one.values() for role in roles),
            headers=headers,
            query=Query([one for one in parameters if one["in"] == "query"]),
            body=_body(document, node["requestBody"]) if "requestBody" in node else None,
            answers=answers,
            reasons=reasons,
            idempotent=any(one.name == "Idempotency-Key" for one in headers),
        )
    except KeyError as error:
        raise SpecError(f"#/paths/{path.replace('/', '~1')}/{method.lower()}: lacks {error}") from error


def _body(document: Document, node: Node) -> Body:
    found = document.resolved(node)
    schema = found["content"][JSON]["schema"]
    return Body(found["x-max-bytes"], found.get("required", False), ObjectRules(schema, "field"))


def _answers(document: Document, responses: Node) -> tuple[Mapping[str, Refusal], Mapping[int, Answer]]:
    reasons: dict[str, Refusal] = {}
    answers: dict[int, Answer] = {}
    texts = document.root.get("components", {}).get("examples", {})
    for status, response in responses.items():
        found = document.resolved(response)
        answers[int(status)] = _answer(found)
        if int(status) >= 400:  # noqa: PLR2004  the statuses of errors
            for reason, example in found["content"][JSON]["examples"].items():
                error = example["value"]["error"]
                message = example.get("x-message") or texts.get(reason, {}).get("x-message") or error["message"]
                reasons[reason] = Refusal(int(status), error["code"], message)
    return reasons, answers


def _answer(response: Node) -> Answer:
    headers = response.get("headers", {})
    content = response.get("content", {})
    page = content.get(JSON, {}).get("schema", {}).get("properties", {}).get("data", {}).get("items")
    return Answer(
        required=frozenset(name.lower() for name, one in headers.items() if one.get("required")),
        known=frozenset(name.lower() for name in headers),
        holds={media: compiled(one["schema"]) for media, one in content.items()},
        item_holds=compiled(page) if page else None,
    )


def _pairs(raw: bytes) -> Sequence[tuple[str, str]]:
    # No operation knows as many parameters as are read here, so a fault is among them if there are more.
    text = b"&".join(raw.split(b"&", _MOST_PARAMETERS)[:_MOST_PARAMETERS]).decode("latin-1")
    return parse_qsl(text, keep_blank_values=True, errors="replace")


def _integer(text: str) -> int | str:
    digits = text.removeprefix("-")
    return int(text) if digits.isascii() and digits.isdigit() and len(digits) <= 18 else text  # noqa: PLR2004
