"""Operations of a document, compiled at boot, so that a request needs only lookups."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import lru_cache
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final, TypeVar
from urllib.parse import parse_qsl

from zof_emulator.core.pages import CURSOR
from zof_emulator.core.refusal import Refused
from zof_emulator.spec.document import SpecError
from zof_emulator.spec.schema import ObjectRules, compile_schema

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from zof_emulator.spec.document import Document, Node

Part = TypeVar("Part")

JSON: Final = "application/json"
_LOCATIONS: Final = frozenset({"path", "query", "header"})
_MOST_PARAMETERS: Final = 100
_PARTIAL_CONTENT: Final = 206
_UNKNOWN_FIRST: Final = "x-unknown-names-first"
"""Whether the operations of a document refuse an unknown field or parameter before anything else that is wrong."""
_MOST_KEPT_QUERIES: Final = 128
_LONGEST_KEPT_QUERY: Final = 256
"""In bytes."""


@dataclass(frozen=True, slots=True)
class Refusal:
    """The error answer for a reason: status, code and message."""

    status: int
    code: str
    message: str
    is_template: bool
    """Whether the message has placeholders; a message without placeholders may contain braces."""
    example: Node = field(default_factory=dict, compare=False)
    """The error object of the example in the document."""

    def build_error(self, refused: Refused) -> Node:
        """The error object of the answer to a refused request."""
        values = {"param": "The body" if refused.param is None else refused.param, **refused.values}
        error = {"code": self.code, "message": self.message.format(**values) if self.is_template else self.message}
        return {"error": error if refused.param is None else error | {"param": refused.param}}


@dataclass(frozen=True, slots=True)
class Answer:
    """The answers of an operation with one status, as the document describes them."""

    required: frozenset[str]
    """The required headers, in lower case."""
    known: frozenset[str]
    """All documented headers, in lower case."""
    holds: Mapping[str, Callable[[Any], bool]]
    """The functions that say whether a body is valid, by media type."""
    item_holds: Callable[[Any], bool] | None
    """The function that says whether an item of a page is valid; None if the answer is not a page."""


@dataclass(frozen=True, slots=True)
class Header:
    """A request header that the document constrains."""

    name: str
    wire: bytes
    """The name in lower case, as ASGI servers pass it."""
    holds: Callable[[Any], bool]
    expected: str


class Query:
    """The query parameters of an operation."""

    __slots__ = ("_decoded", "_integers", "_names", "_rules", "_timestamps", "_unknown_first", "defaults")

    def __init__(self, parameters: Sequence[Node], *, unknown_first: bool) -> None:
        properties = {one["name"]: one["schema"] for one in parameters}
        required = [one["name"] for one in parameters if one.get("required")]
        schema = {"type": "object", "properties": properties, "required": required, "additionalProperties": False}
        self._rules = ObjectRules(schema, "parameter", unknown_first=unknown_first)
        self._unknown_first = unknown_first
        self._names = frozenset(properties)
        self._integers = frozenset(name for name, one in properties.items() if one.get("type") == "integer")
        self._timestamps = frozenset(name for name, one in properties.items() if one.get("format") == "date-time")
        self.defaults = {name: one["default"] for name, one in properties.items() if "default" in one}
        self._decoded: dict[bytes, Mapping[str, Any]] = {}
        """The values of short query strings that are valid everywhere, because a client sends the same ones again."""

    def decode(self, raw: bytes, look: Callable[[Mapping[str, Any]], object] | None = None) -> Mapping[str, Any]:
        """The values of a query string: integers as integers, timestamps in ms, defaults filled in.

        Args:
            raw: the query string.
            look: called with the valid known parameters; it may refuse one that a schema cannot judge. Unknown
                parameters are refused after that.

        Raises:
            Refused: a parameter is invalid, repeated or unknown.
        """
        found = self._decoded.get(raw)
        if found is not None:
            return found
        found, is_valid_everywhere = self._decode(raw, look)
        if is_valid_everywhere and len(raw) <= _LONGEST_KEPT_QUERY:
            if len(self._decoded) >= _MOST_KEPT_QUERIES:
                self._decoded.clear()
            self._decoded[raw] = found
        return found

    def _decode(self, raw: bytes, look: Callable[[Mapping[str, Any]], object] | None) -> tuple[Mapping[str, Any], bool]:
        """The values of a query string, and whether they are valid whatever `look` may say about a cursor."""
        values: dict[str, Any] = {}
        repeated = []
        for name, text in _split_query(raw):
            if name in values and name in self._names:
                repeated.append(name)
            values[name] = _read_integer(text) if name in self._integers else text
        known = {name: value for name, value in values.items() if name in self._names}
        if self._unknown_first and len(known) != len(values):
            self._rules.judge(values, {})
        try:
            judged = self._rules.judge(dict(known), {}, repeated)
        except Refused as refused:
            raise self._explain_plus(refused, known, raw) from None
        if look is not None:
            look(judged)
        if len(known) != len(values):
            self._rules.judge(values, {})
        return MappingProxyType(self.defaults | judged), CURSOR not in judged

    def _explain_plus(self, refused: Refused, known: Mapping[str, Any], raw: bytes) -> Refused:
        """The refusal, with a hint if a timestamp lost the `+` of its offset, which a query string reads as a space."""
        value = known.get(refused.param or "")
        expected = refused.values.get("expected")
        if refused.param not in self._timestamps or b"+" not in raw or not isinstance(value, str) or " " not in value:
            return refused
        if expected is None:
            return refused  # it is not the value that is refused, as when the parameter is given twice
        expected = f"{expected}; write the + of its offset as %2B"
        return Refused(refused.reason, refused.param, expected=expected)


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
    """The permissions that a key must have."""
    headers: tuple[Header, ...]
    query: Query
    body: Body | None
    answers: Mapping[int, Answer]
    reasons: Mapping[str, Refusal]
    idempotent: bool
    """Whether it accepts an `Idempotency-Key`."""
    has_ranges: bool
    """Whether it answers a `Range` with a part of a file (206)."""


@lru_cache(maxsize=8)
def compile_operations(document: Document) -> tuple[Operation, ...]:
    """All operations of a document, compiled; cached.

    Raises:
        SpecError: an operation cannot be compiled.
    """
    schemas = _AnswerSchemas(document)
    return tuple(
        _compile_part(
            f"#/paths/{path.replace('/', '~1')}/{method.lower()}", _compile_operation, schemas, path, method, node
        )
        for path, method, node in document.operations()
    )


def compile_elsewhere(document: Document) -> Mapping[str, Refusal]:
    """The refusals of requests that reach no operation, by reason."""
    elsewhere = document.root.get("x-elsewhere", {})
    return _compile_part("#/x-elsewhere", _compile_answers, _AnswerSchemas(document), elsewhere)[0]


def _compile_part(pointer: str, compile_: Callable[..., Part], *parts: Any) -> Part:  # noqa: ANN401
    """Compile a part of the document.

    Raises:
        SpecError: the part cannot be compiled; the message begins with `pointer`.
    """
    try:
        return compile_(*parts)
    except KeyError as error:
        raise SpecError(f"{pointer}: lacks {error}") from error
    except RecursionError as error:
        raise SpecError(f"{pointer}: a reference leads back to itself") from error
    except (AttributeError, TypeError, ValueError) as error:
        raise SpecError(f"{pointer}: {error}") from error


class _AnswerSchemas:
    """The schemas of the answers of a document; one to which several answers refer is compiled once."""

    def __init__(self, document: Document) -> None:
        self.document = document
        self._by_ref: dict[str, tuple[Node, Callable[[Any], bool]]] = {}

    def compile(self, node: Node) -> tuple[Node, Callable[[Any], bool]]:
        """A schema without references, and the function that says whether a value is valid."""
        if node.keys() != {"$ref"}:
            schema = self.document.resolve(node)
            return schema, compile_schema(schema)
        ref = node["$ref"]
        if ref not in self._by_ref:
            schema = self.document.resolve(node)
            self._by_ref[ref] = schema, compile_schema(schema)
        return self._by_ref[ref]


def _compile_operation(schemas: _AnswerSchemas, path: str, method: str, node: Node) -> Operation:
    document = schemas.document
    reasons, answers = _compile_answers(schemas, node["responses"])
    parameters = [document.resolve(one) for one in node.get("parameters", ())]
    for one in parameters:
        if one["in"] not in _LOCATIONS or (one["in"] == "header" and one.get("required")):
            raise ValueError(f"the emulator does not honour the parameter {one['name']} in {one['in']}")
    security: list[dict[str, list[str]]] = node.get("security", document.root.get("security")) or []
    headers = tuple(_compile_header(one["name"], one["schema"]) for one in parameters if one["in"] == "header")
    unknown_first = document.root.get(_UNKNOWN_FIRST, False)
    return Operation(
        id=node["operationId"],
        method=method,
        path=path,
        secured=bool(security),
        permissions=tuple(role for one in security for roles in one.values() for role in roles),
        headers=headers,
        query=Query([one for one in parameters if one["in"] == "query"], unknown_first=unknown_first),
        body=_compile_body(document, node["requestBody"], unknown_first=unknown_first)
        if "requestBody" in node
        else None,
        answers=answers,
        reasons=reasons,
        idempotent=any(one.name == "Idempotency-Key" for one in headers),
        has_ranges=_PARTIAL_CONTENT in answers,
    )


def _compile_header(name: str, schema: Node) -> Header:
    return Header(name, name.lower().encode(), compile_schema(schema), schema.get("x-expected", ""))


def _compile_body(document: Document, node: Node, *, unknown_first: bool) -> Body:
    found = document.resolve(node)
    schema = found["content"][JSON]["schema"]
    rules = ObjectRules(schema, "field", unknown_first=unknown_first)
    return Body(found["x-max-bytes"], found.get("required", False), rules)


def _compile_answers(schemas: _AnswerSchemas, responses: Node) -> tuple[Mapping[str, Refusal], Mapping[int, Answer]]:
    document = schemas.document
    reasons: dict[str, Refusal] = {}
    answers: dict[int, Answer] = {}
    texts = document.root.get("components", {}).get("examples", {})
    for status, response in responses.items():
        found = document.follow(response)
        answers[int(status)] = _compile_answer(schemas, found)
        if int(status) >= 400:  # noqa: PLR2004  the statuses of errors
            for reason, node in found["content"][JSON]["examples"].items():
                example = document.follow(node)
                error = example["value"]["error"]
                text = example.get("x-message") or texts.get(reason, {}).get("x-message")
                message = text or error["message"]
                reasons[reason] = Refusal(
                    int(status), error["code"], message, is_template=bool(text), example={"error": error}
                )
    return reasons, answers


def _compile_answer(schemas: _AnswerSchemas, response: Node) -> Answer:
    headers = {name.lower(): schemas.document.follow(one) for name, one in response.get("headers", {}).items()}
    bodies = {media: schemas.compile(one["schema"]) for media, one in response.get("content", {}).items()}
    page = bodies[JSON][0].get("properties", {}).get("data", {}).get("items") if JSON in bodies else None
    return Answer(
        required=frozenset(name for name, one in headers.items() if one.get("required")),
        known=frozenset(headers),
        holds={media: is_valid for media, (_, is_valid) in bodies.items()},
        item_holds=compile_schema(page) if page else None,
    )


def _split_query(raw: bytes) -> Sequence[tuple[str, str]]:
    # No operation has this many parameters, so a longer query has a fault among those that are read.
    pairs = list(filter(None, raw.split(b"&")))[:_MOST_PARAMETERS]
    return parse_qsl(b"&".join(pairs).decode("latin-1"), keep_blank_values=True, errors="replace")


def _read_integer(text: str) -> int | str:
    digits = text.removeprefix("-")
    return int(text) if digits.isascii() and digits.isdigit() and len(digits) <= 18 else text  # noqa: PLR2004
