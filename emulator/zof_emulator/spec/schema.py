"""Schemas: compile a schema once, validate values, and report the first fault as a reason of the document."""

from __future__ import annotations

from functools import partial
from itertools import islice
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import jsonschema_rs
from jsonschema_rs import ValidationErrorKind

from zof_emulator.core.fields import describe_nearest
from zof_emulator.core.instants import parse_rfc3339
from zof_emulator.core.refusal import Refused

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from zof_emulator.spec.document import Node

    Labels = Mapping[str, Sequence[str]]
    Fault = tuple[Sequence[str | int], Refused]
    """The path to a fault in the object, and its refusal."""

_LONGEST_ECHO: Final = 100


def _find_kind(schema: Node) -> str:
    return "date-time" if schema.get("format") == "date-time" else schema.get("type") or ""


_READ: Final[Mapping[str, Callable[[Any], int]]] = {"date-time": parse_rfc3339, "integer": int}
"""The conversion of values from JSON: timestamps, and integers, which JSON may write as 1.0."""


def _find_readers(properties: Mapping[str, Node]) -> dict[str, Callable[[Any], Any]]:
    """The conversions of the fields that need one, by name; an object needs one if a field of it does."""
    readers: dict[str, Callable[[Any], Any]] = {}
    for name, schema in properties.items():
        kind = _find_kind(schema)
        inner = _find_readers(schema.get("properties", {})) if kind == "object" else {}
        if inner:
            readers[name] = partial(_read_fields, inner)
        elif kind in _READ:
            readers[name] = _READ[kind]
    return readers


def _read_fields(readers: Mapping[str, Callable[[Any], Any]], value: Mapping[str, Any]) -> dict[str, Any]:
    return {name: readers[name](one) if name in readers else one for name, one in value.items()}


_OPEN_CHOICES: Final = "x-extensible-enum"
_ASSERTED: Final[Mapping[str, str]] = {"x-pattern": "pattern", _OPEN_CHOICES: "enum"}
"""Extensions that the emulator asserts like the keyword, while a client that reads the document ignores them."""


def _is_timestamp(text: str) -> bool:
    try:
        parse_rfc3339(text)
    except ValueError:
        return False
    return True


def compile_schema(schema: Node) -> Callable[[Any], bool]:
    """The function that says whether a value is valid (JSON Schema 2020-12, formats and extensions asserted)."""
    return jsonschema_rs.Draft202012Validator(_translate_extensions(schema), validate_formats=True).is_valid


class Misfit(NamedTuple):
    """The first place at which a value is not valid."""

    path: Sequence[str | int]
    missing: str = ""
    """The field that the object at this place lacks, if that is what is wrong."""
    is_unknown: bool = False
    """Whether the object at this place has a field that the schema does not know."""


def compile_finder(schema: Node) -> Callable[[Any], Misfit | None]:
    """The function that says where a value is not valid (JSON Schema 2020-12); None if it is valid."""
    validate = jsonschema_rs.Draft202012Validator(schema).validate

    def find(value: Any) -> Misfit | None:  # noqa: ANN401  JSON
        try:
            validate(value)
        except jsonschema_rs.ValidationError as error:
            missing = str(error.kind.as_dict()["property"]) if error.kind.name == "required" else ""
            return Misfit(error.instance_path, missing, error.kind.name == "additionalProperties")
        except ValueError:  # the value is nested deeper than the validator goes
            return Misfit(())
        return None

    return find


def _translate_extensions(node: Any) -> Any:  # noqa: ANN401  a JSON value
    """The schema with each asserted extension replaced by its keyword."""
    if isinstance(node, list):
        return [_translate_extensions(one) for one in node]
    if not isinstance(node, dict):
        return node
    return {_ASSERTED.get(key, key): _translate_extensions(value) for key, value in node.items()}


def find_alternatives(schema: Node) -> list[str]:
    """The fields of which exactly one must be given; empty without a condition.

    The document writes the condition as: `if` the first field is present, `then` `not` the others, `else` the same
    condition for the others.

    Raises:
        ValueError: the condition has another form.
    """
    if "if" not in schema:
        return []
    names = [schema["if"]["required"][0]]
    rest = schema["else"]
    names += find_alternatives(rest) or rest["required"]
    if schema != _require_one(names) | {key: value for key, value in schema.items() if key not in _CONDITION}:
        raise ValueError(f"the condition must say that exactly one of {', '.join(names)} is given")
    return names


_CONDITION: Final = ("if", "then", "else")


def _require_one(names: Sequence[str]) -> Node:
    """The condition that exactly one of these fields is given."""
    first, *rest = ({"required": [name]} for name in names)
    if not rest:
        return first
    others = rest[0] if len(rest) == 1 else {"anyOf": rest}
    return {"if": first, "then": {"not": others}, "else": _require_one(names[1:])}


def _make_validator(schema: Node) -> jsonschema_rs.Draft202012Validator:
    """A validator that accepts every timestamp that the emulator can parse."""
    return jsonschema_rs.Draft202012Validator(schema, validate_formats=True, formats={"date-time": _is_timestamp})


class ObjectRules:
    """The rules of a request's body or query. The first fault, in the order of the document, is refused."""

    __slots__ = (
        "_alternatives",
        "_extended",
        "_is_valid",
        "_kind",
        "_readers",
        "_schema",
        "_unknown_first",
        "_validator",
    )

    def __init__(self, schema: Node, kind: str, *, unknown_first: bool = False) -> None:
        """Compile the rules.

        Args:
            schema: an object schema without references.
            kind: `field` or `parameter`; a part of the names of reasons.
            unknown_first: whether an unknown name is refused before all other faults, instead of after them.
        """
        self._schema = schema
        self._unknown_first = unknown_first
        properties = schema["properties"]
        self._kind = kind
        self._alternatives = find_alternatives(schema)
        self._extended = [(name, one["x-extended-by"]) for name, one in properties.items() if "x-extended-by" in one]
        extended = {name for name, _ in self._extended}
        self._readers = _find_readers(properties)
        closed = {
            name: {key: value for key, value in one.items() if key != _OPEN_CHOICES or name not in extended}
            for name, one in properties.items()
        }
        self._validator = _make_validator(_translate_extensions({**schema, "properties": closed}))
        self._is_valid = self._validator.is_valid

    @property
    def names(self) -> frozenset[str]:
        """The names of the object's fields."""
        return frozenset(self._schema["properties"])

    def judge(self, value: Any, labels: Labels, repeated: Sequence[str] = ()) -> dict[str, Any]:  # noqa: ANN401  JSON
        """Return the value with its timestamps as instants in ms, and with `1` in the place of `1.0`.

        Args:
            value: a JSON value.
            labels: the labels of the organization, by the name that the document uses in `x-extended-by`.
            repeated: the names that occur twice.

        Raises:
            Refused: the value is invalid; the first fault is named.
        """
        twice = [name for name in repeated if name in self._schema["properties"]]
        if twice or not self._is_fulfilled(value, labels):
            raise self._find_first_fault(value, labels, twice)
        if not self._readers:
            unchanged: dict[str, Any] = value
            return unchanged
        return _read_fields(self._readers, value)

    def _is_fulfilled(self, value: Any, labels: Labels) -> bool:  # noqa: ANN401  JSON
        try:
            if not self._is_valid(value):
                return False
        except ValueError:  # the value is nested deeper than the validator goes
            return False
        for name, label in self._extended:  # noqa: SIM110  a generator costs as much as all the rest
            if name in value and value[name] not in labels[label]:
                return False
        return True

    def _find_first_fault(self, value: Any, labels: Labels, repeated: Sequence[str]) -> Refused:  # noqa: ANN401  JSON
        twice = [(self._find_place([name]), Refused(f"repeated_{self._kind}", name)) for name in repeated]
        faults = twice + [(self._find_place(path), refusal) for path, refusal in self._list_faults(value, labels)]
        return min(faults, key=lambda fault: fault[0])[1]

    def _find_place(self, path: Sequence[str | int]) -> tuple[int, int, int]:
        names = list(self._schema["properties"])
        unknown = -1 if self._unknown_first else len(names)
        first = names.index(str(path[0])) if path and path[0] in names else unknown if path else -1
        return first, len(path), next((step for step in path if isinstance(step, int)), 0)

    def _list_faults(self, value: Any, labels: Labels) -> Iterator[Fault]:  # noqa: ANN401  JSON
        if not isinstance(value, dict):
            yield [], self._refuse_at([], labels)
            return
        properties = self._schema["properties"]
        is_closed = self._schema.get("additionalProperties") is False
        for name in islice((name for name in value if is_closed and name not in properties), 1):
            yield [name], Refused(f"unknown_{self._kind}", _cut(name), known=_describe_known(name, properties))
        required = self._schema.get("required", ())
        yield from (([name], Refused("missing_field", name)) for name in required if name not in value)
        yield from self._list_alternative_faults(value)
        for name in (name for name in properties if name in value):
            yield from self._list_field_faults(name, _shorten(value[name], properties[name]), labels)
        for name, label in self._extended:
            if isinstance(value.get(name), str) and value[name] not in labels[label]:
                yield [name], Refused("unknown_choice", name, allowed=", ".join(labels[label]))

    def _list_field_faults(self, name: str, value: Any, labels: Labels) -> Iterator[Fault]:  # noqa: ANN401  JSON
        try:
            errors = list(self._validator.iter_errors({name: value}))
        except ValueError:  # the value is nested deeper than the validator goes
            yield [name], self._refuse_at([name], labels)
            return
        for error in errors:
            path, kind = error.instance_path, error.kind
            if self._unknown_first and path and isinstance(kind, ValidationErrorKind.AdditionalProperties):
                yield path, self._refuse_unknown(path, kind.unexpected[0])
            elif path:
                yield path, self._refuse_at(path, labels)

    def _refuse_unknown(self, path: Sequence[str | int], name: str) -> Refused:
        """The refusal of an unknown field of an object at a place."""
        schema = self._schema
        for step in path:
            schema = _follow(schema, step)
        known = _describe_known(name, schema["properties"])
        return Refused("unknown_field", _format_path([*path, _cut(name)]), known=known)

    def _refuse_at(self, path: Sequence[str | int], labels: Labels) -> Refused:
        schema = self._schema
        expected = schema.get("x-expected")
        for step in path:
            schema = _follow(schema, step)
            expected = schema.get("x-expected", expected)
        param = _format_path(path) or None
        choices = labels[schema["x-extended-by"]] if "x-extended-by" in schema else schema.get("enum")
        if choices is not None:
            return Refused("unknown_choice", param, allowed=", ".join(choices))
        return Refused("invalid_value", param, expected=expected)

    def _list_alternative_faults(self, value: Mapping[str, Any]) -> Iterator[Fault]:
        names = self._alternatives
        given = [name for name in names if name in value]
        allowed = " or ".join(names)
        if names and not given:
            yield [names[0]], Refused("missing_alternative", names[0], allowed=allowed)
        elif len(given) > 1:
            yield [given[-1]], Refused("conflicting_field", given[-1], allowed=allowed)


def _shorten(value: Any, schema: Node) -> Any:  # noqa: ANN401  JSON
    """The value; a list that is too long is cut to one item more than allowed, because each fault in it costs time."""
    return value[: schema["maxItems"] + 1] if isinstance(value, list) and "maxItems" in schema else value


def _follow(schema: Node, step: str | int) -> Node:
    """The schema of an item or a field; the empty one if the schema does not describe it."""
    found: Any
    if isinstance(step, int):
        found = schema.get("items")
    else:
        found = schema.get("properties", {}).get(step, schema.get("additionalProperties"))
    return found if isinstance(found, dict) else {}


def _format_path(steps: Sequence[str | int]) -> str:
    path = "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in steps)
    return path.removeprefix(".")


def _describe_known(name: str, properties: Node) -> str:
    """The names that are allowed in the place of an unknown one, in words."""
    return f"use {', '.join(properties)}{describe_nearest(name, properties)}" if properties else "it takes none"


def _cut(name: str) -> str:
    return name if len(name) <= _LONGEST_ECHO else name[:_LONGEST_ECHO] + "…"
