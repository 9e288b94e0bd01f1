"""JSON bodies against the schemas of `openapi.yaml`, and the rule that each error breaks.

Schemas stay open and enums are not judged, because new fields and values are no breaking change; strict mode reports
them. The place of an error decides which rule it breaks: the owner of the innermost schema that has one.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any, Final

import jsonschema_rs

from zof_contracts.contract.document import load_contract, translate_extensions
from zof_contracts.contract.resources import load_resources
from zof_contracts.contract.rules import OWNERS
from zof_contracts.evidence.findings import quote_value

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

Value = Any
_LINKS: Final = frozenset({"url", "logs_url"})
_SEVERAL: Final = 2
_BOUNDS: Final = frozenset({"maxItems", "minItems", "maxLength", "maximum"})
"""The keywords of bounds, which no page states: they are assumed, also in documented fields."""


@dataclass(frozen=True, slots=True)
class Shape:
    """A schema with its references resolved, to be walked along with a value."""

    names: tuple[str, ...]
    """The component schemas it was reached through, the outermost first."""
    basis: str
    """D, I or A."""
    properties: Mapping[str, Shape]
    items: Shape | None
    enum: frozenset[str]
    required: frozenset[str]
    """The fields that an object must have."""
    forms: tuple[Shape, ...]
    """The forms of an object that takes one of several; a value is judged by the first whose required fields it has."""


@dataclass(frozen=True, slots=True)
class SchemaError:
    """A place where a value does not fit its schema."""

    rule: str
    place: str
    """The place within the document: `summary.total`, `data[].id`."""
    expected: str
    got: str


@dataclass(frozen=True, slots=True)
class SchemaResult:
    """The result of checking a body against the rules of its schema."""

    errors: tuple[SchemaError, ...]
    kept: frozenset[str]
    """The rules that it could have broken and did not."""
    unknown_fields: tuple[str, ...]
    """The places of fields that the schema does not have."""
    unknown_values: Mapping[str, str]
    """Values that an enum does not have, by place."""
    links: tuple[str, ...]


def check_schema(value: Value, schema: Mapping[str, Any]) -> SchemaResult:
    """Judge a body by its schema, a reference into the components."""
    reference = schema["$ref"]
    shape = _load_shape(reference)
    walk = _Walker()
    walk.visit(shape, value, "")
    errors = {(error.rule, error.place): error for error in _find_errors(reference, shape, value)}
    errors.update({(error.rule, error.place): error for error in walk.errors})
    broken = {rule for rule, _ in errors}
    return SchemaResult(
        tuple(errors.values()),
        frozenset(walk.rules - broken),
        tuple(dict.fromkeys(walk.unknown_fields)),
        walk.unknown_values,
        tuple(walk.links),
    )


class _Walker:
    """One walk along a value and its shape."""

    def __init__(self) -> None:
        self.rules: set[str] = set()
        self.errors: list[SchemaError] = []
        self.unknown_fields: list[str] = []
        self.unknown_values: dict[str, str] = {}
        self.links: list[str] = []

    def visit(self, shape: Shape, value: Value, place: str) -> None:
        if shape.forms and isinstance(value, dict):
            form = next((each for each in shape.forms if each.required <= value.keys()), shape.forms[0])
            self.visit(form, value, place)
            return
        for name in shape.names:
            self.rules |= _list_rules(name, value)
        if isinstance(value, dict):
            self._visit_fields(shape, value, place)
        elif isinstance(value, list) and shape.items is not None:
            for item in value:
                self.visit(shape.items, item, f"{place}[]")
        elif isinstance(value, str) and shape.enum and value not in shape.enum:
            self.unknown_values.setdefault(place, value)

    def _visit_fields(self, shape: Shape, value: dict[str, Value], place: str) -> None:
        for name, inner in value.items():
            where = f"{place}.{name}" if place else name
            if name in shape.properties:
                self.visit(shape.properties[name], inner, where)
                self.rules |= {"conventions.snake-case"} if "_" in name else set()
                is_link = name in _LINKS and "WebhookUrl" not in shape.properties[name].names  # a client gave that URL
                self.links += [inner] if is_link and isinstance(inner, str) else []
            elif shape.properties:
                self.unknown_fields.append(where)
                if (snake := _convert_to_snake_case(name)) in shape.properties and snake not in value:
                    error = SchemaError("conventions.snake-case", where, f"the field {snake}", f"the field {name}")
                    self.errors.append(error)


def _convert_to_snake_case(name: str) -> str:
    return re.sub(r"(?<=[a-z0-9])([A-Z])|-", r"_\1", name).lower()


def _list_rules(name: str, value: Value) -> set[str]:
    """The rules that a value of a schema can break."""
    if name in OWNERS.schemas and isinstance(value, dict):
        return {OWNERS.schemas[name], OWNERS.assumed[name]}
    if name not in OWNERS.values or value is None:
        return set()
    if not isinstance(value, str) and name != "Duration":
        return set()
    return {OWNERS.values[name], *([OWNERS.prefixes[name]] if name in OWNERS.prefixes else [])}


@cache
def _load_shape(reference: str) -> Shape:
    return _compile({"$ref": reference}, "A")


def _compile(node: Mapping[str, Any], basis: str) -> Shape:
    names: list[str] = []
    while "$ref" in node:
        names.append(node["$ref"].rpartition("/")[2])
        node = {**load_contract().at(node["$ref"]), **{key: value for key, value in node.items() if key != "$ref"}}
    basis = str(node["x-basis"])[0] if "x-basis" in node else basis
    parts = [_compile(part, basis) for part in node.get("allOf", ())]
    choices = [_compile(part, basis) for part in (*node.get("anyOf", ()), *node.get("oneOf", ()))]
    forms = tuple(choice for choice in choices if choice.properties)
    if len(forms) < _SEVERAL:
        parts, forms = parts + choices, ()
    properties = {name: field for part in parts for name, field in part.properties.items()}
    properties |= {name: _compile(field, basis) for name, field in node.get("properties", {}).items()}
    return Shape(
        (*names, *(name for part in (*parts, *forms) for name in part.names)),
        basis,
        properties,
        _compile(node["items"], basis) if "items" in node else None,
        frozenset(each for each in node.get("enum", node.get("x-extensible-enum", ())) if isinstance(each, str)),
        frozenset(node.get("required", ())).union(*(part.required for part in parts)),
        forms,
    )


@cache
def _load_validator(reference: str) -> jsonschema_rs.Draft202012Validator:
    components = {"schemas": _open(translate_extensions(load_contract().document["components"]["schemas"]))}
    return jsonschema_rs.Draft202012Validator({"$ref": reference, "components": components}, validate_formats=True)


def _open(node: Any) -> Any:  # noqa: ANN401  a JSON value
    """The schemas without their enums and additionalProperties."""
    if isinstance(node, list):
        return [_open(each) for each in node]
    if not isinstance(node, dict):
        return node
    return {
        name: _open(value)
        for name, value in node.items()
        if not (name == "enum" and isinstance(value, list)) and name != "additionalProperties"
    }


def _find_errors(reference: str, shape: Shape, value: Value) -> Iterator[SchemaError]:
    for error in _load_validator(reference).iter_errors(value):
        path: list[str | int] = list(error.instance_path)
        found = _follow(value, path)
        keyword = str(error.kind.name)
        if keyword == "required":
            path.append(str(error.kind.property))  # type: ignore[attr-defined]  # of this kind alone
            found = None
        owner, leaf = _locate(reference, shape, path)
        if "NextCursor" in leaf.names:
            continue  # has_more decides whether it must be given: `checks.history` judges it.
        if keyword == "format" and path and path[-1] in _LINKS:
            continue  # A relative link is not below the base URL either: `checks.conformance` judges it.
        yield _describe_error(owner, leaf, path, keyword, found)


def _follow(value: Value, path: Sequence[str | int]) -> Value:
    for part in path:
        value = value[part]
    return value


def _locate(reference: str, shape: Shape, path: Sequence[str | int]) -> tuple[str, Shape]:
    """The innermost schema with an owner at a place, and the shape there."""
    owner = _find_owned(shape, reference.rpartition("/")[2])
    for part in path:
        inner = shape.items if isinstance(part, int) else shape.properties.get(part)
        if inner is None:
            break
        shape = inner
        owner = _find_owned(shape, owner)
    return owner, shape


def _find_owned(shape: Shape, outer: str) -> str:
    return next((name for name in shape.names if name in OWNERS.schemas), outer)


def _describe_error(owner: str, leaf: Shape, path: Sequence[str | int], keyword: str, value: Value) -> SchemaError:
    place = "".join("[]" if isinstance(part, int) else f".{part}" for part in path).lstrip(".")
    where = place or "the body"
    if keyword == "required":
        return SchemaError(_find_general_rule(owner, leaf, keyword), place, f"the field {where}", f"no field {where}")
    kind = next((name for name in reversed(leaf.names) if name not in OWNERS.schemas), "")
    expected = f"{where} of the form {kind}" if kind else f"{where} as documented"
    rule = _find_value_rule(leaf, value) or _find_general_rule(owner, leaf, keyword)
    return SchemaError(rule, place, expected, f"{where} {quote_value(value)} (wrong {keyword})")


def _find_general_rule(owner: str, leaf: Shape, keyword: str) -> str:
    return (OWNERS.assumed if leaf.basis == "A" or keyword in _BOUNDS else OWNERS.schemas)[owner]


def _find_value_rule(leaf: Shape, value: Value) -> str | None:
    """The rule of a kind of value that all objects share, if the value breaks one."""
    if value is None:
        return None
    for name in leaf.names:
        if name == "Duration":
            return OWNERS.values[name] if leaf.basis == "A" else None
        if name in load_resources().formats:
            return OWNERS.values[name]
        if name in OWNERS.values and isinstance(value, str):
            strange = name in OWNERS.prefixes and not value.startswith(load_resources().prefixes[name])
            return (OWNERS.prefixes if strange else OWNERS.values)[name]
    return None


def find_fault(name: str, value: Value) -> str:
    """The first fault of a value by a schema of the document, in one sentence; empty if it has none."""
    error = next(_load_validator(f"#/components/schemas/{name}").iter_errors(value), None)
    if error is None:
        return ""
    place = ".".join(str(step) for step in error.instance_path)
    return f"{place or 'the body'}: {error.message}"
