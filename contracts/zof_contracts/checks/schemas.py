"""Shapes: JSON bodies against the schemas of `openapi.yaml`, and which rule of the catalogue a flaw breaks.

The schemas stay open and enums are not judged, since new fields and values break nothing; what is new is told apart,
for strict mode. Where a flaw lies decides whose rule it is: a documented field's own, or that of what was assumed.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any, Final

import jsonschema_rs

from zof_contracts.contract.document import load_contract, translate_extensions

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

Value = Any
_TOLD: Final = {
    "Run": ("runs.shape", "runs.fields"),
    "RunDetail": ("runs.shape", "runs.fields"),
    "Result": ("results.shape", "results.fields"),
    "Artifact": ("artifacts.kinds", "artifacts.fields"),
    "LogEntry": ("logs.shape", "logs.shape"),
    "LogPage": ("logs.shape", "logs.shape"),
    "Project": ("projects.shape", "projects.fields"),
    "RunPage": ("pages.envelope", "pages.envelope"),
    "ResultPage": ("pages.envelope", "pages.envelope"),
    "ArtifactPage": ("pages.envelope", "pages.envelope"),
    "ProjectPage": ("pages.envelope", "pages.envelope"),
    "ExportedResults": ("exports.at-once", "exports.at-once"),
    "ErrorResponse": ("errors.envelope", "errors.envelope"),
}
"""Whose rules a schema's flaws are: of what is documented or inferred, and of what is assumed."""
_DOCUMENTED_IDS: Final = frozenset({"RunId", "ProjectId", "TestCaseId", "TestSuiteId", "OrganizationId"})
_TIMESTAMPS: Final = frozenset({"Timestamp", "NullableTimestamp"})
_LINKS: Final = frozenset({"url", "logs_url"})


@dataclass(frozen=True, slots=True)
class Shape:
    """A schema with its references followed: what is needed to walk a value beside it."""

    names: tuple[str, ...]
    """The components it went through, the outermost first."""
    basis: str
    """D, I or A."""
    properties: Mapping[str, Shape]
    items: Shape | None
    enum: frozenset[str]


@dataclass(frozen=True, slots=True)
class SchemaError:
    """A place where a value is not as its schema says."""

    rule: str
    expected: str
    got: str


@dataclass(frozen=True, slots=True)
class Judgement:
    """What a body showed."""

    flaws: tuple[SchemaError, ...]
    shown: frozenset[str]
    """The rules that it could have broken and did not."""
    unknown_fields: tuple[str, ...]
    unknown_values: tuple[str, ...]
    links: tuple[str, ...]


def judge(value: Value, schema: Mapping[str, Any]) -> Judgement:
    """A body against the schema of its answer, a reference into the components."""
    reference = schema["$ref"]
    shape = _shape(reference)
    walk = _Walk()
    walk.visit(shape, value, "")
    flaws = {(flaw.rule, flaw.expected): flaw for flaw in _flaws(reference, shape, value)}
    flaws.update({(flaw.rule, flaw.expected): flaw for flaw in walk.flaws})
    broken = {rule for rule, _ in flaws}
    return Judgement(
        tuple(flaws.values()),
        frozenset(walk.shown - broken),
        tuple(dict.fromkeys(walk.unknown_fields)),
        tuple(dict.fromkeys(walk.unknown_values)),
        tuple(walk.links),
    )


def mask(value: object) -> str:
    """A value as text without IDs and times, so that one defect reads the same each time."""
    text = re.sub(r"\b([a-z]{2,5})_[A-Za-z0-9_-]+", r"\1_…", repr(value))
    text = re.sub(r"[0-9]", "0", text)
    return text if len(text) <= 80 else text[:79] + "…"  # noqa: PLR2004  what fits a line


class _Walk:
    """One walk along a value, beside its shape."""

    def __init__(self) -> None:
        self.shown: set[str] = set()
        self.flaws: list[SchemaError] = []
        self.unknown_fields: list[str] = []
        self.unknown_values: list[str] = []
        self.links: list[str] = []

    def visit(self, shape: Shape, value: Value, place: str) -> None:
        for name in shape.names:
            self.shown |= _shows(name, value)
        if isinstance(value, dict):
            self._fields(shape, value, place)
        elif isinstance(value, list) and shape.items is not None:
            for item in value:
                self.visit(shape.items, item, f"{place}[]")
        elif isinstance(value, str) and shape.enum and value not in shape.enum:
            self.unknown_values.append(f"{place}: {value}")

    def _fields(self, shape: Shape, value: dict[str, Value], place: str) -> None:
        for name, inner in value.items():
            where = f"{place}.{name}" if place else name
            if name in shape.properties:
                self.visit(shape.properties[name], inner, where)
                self.shown |= {"conventions.snake-case"} if "_" in name else set()
                self.links += [inner] if name in _LINKS and isinstance(inner, str) else []
            elif shape.properties:
                self.unknown_fields.append(where)
                if (snake := _snake(name)) in shape.properties and snake not in value:
                    self.flaws.append(SchemaError("conventions.snake-case", f"the field {snake}", f"the field {name}"))


def _snake(name: str) -> str:
    return re.sub(r"(?<=[a-z0-9])([A-Z])|-", r"_\1", name).lower()


def _shows(name: str, value: Value) -> set[str]:
    if name in _TOLD and isinstance(value, dict):
        return set(_TOLD[name])
    if not isinstance(value, str):
        return {"conventions.durations"} if name == "Duration" and value is not None else set()
    if name in _TIMESTAMPS:
        return {"conventions.timestamps"}
    if name in _DOCUMENTED_IDS:
        return {"conventions.ids.prefix", "conventions.ids.pattern"}
    return {"conventions.ids.pattern"} if name.endswith("Id") else set()


@cache
def _shape(reference: str) -> Shape:
    return _compiled({"$ref": reference}, "A")


def _compiled(node: Mapping[str, Any], basis: str) -> Shape:
    names: list[str] = []
    while "$ref" in node:
        names.append(node["$ref"].rpartition("/")[2])
        node = {**load_contract().at(node["$ref"]), **{key: value for key, value in node.items() if key != "$ref"}}
    basis = str(node["x-basis"])[0] if "x-basis" in node else basis
    parts = [_compiled(part, basis) for word in ("allOf", "anyOf") for part in node.get(word, ())]
    properties = {name: field for part in parts for name, field in part.properties.items()}
    properties |= {name: _compiled(field, basis) for name, field in node.get("properties", {}).items()}
    return Shape(
        (*names, *(name for part in parts for name in part.names)),
        basis,
        properties,
        _compiled(node["items"], basis) if "items" in node else None,
        frozenset(each for each in node.get("enum", node.get("x-extensible-enum", ())) if isinstance(each, str)),
    )


@cache
def _validator(reference: str) -> jsonschema_rs.Draft202012Validator:
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


def _flaws(reference: str, shape: Shape, value: Value) -> Iterator[SchemaError]:
    for error in _validator(reference).iter_errors(value):
        path: list[str | int] = list(error.instance_path)
        at = _at(value, path)
        keyword = str(error.kind.name)
        if keyword == "required":
            path.append(str(error.kind.property))  # type: ignore[attr-defined]  # of this kind alone
            at = None
        owner, leaf = _place(shape, path)
        if "NextCursor" in leaf.names:
            continue  # When it must be there is told by has_more: the oracle's matter.
        if keyword == "format" and path and path[-1] in _LINKS:
            continue  # A link that is not absolute is not under the target's base either: the tap's matter.
        yield _flaw(owner, leaf, path, keyword, at)


def _at(value: Value, path: Sequence[str | int]) -> Value:
    for part in path:
        value = value[part]
    return value


def _place(shape: Shape, path: Sequence[str | int]) -> tuple[str, Shape]:
    """The schema whose rules speak of a place, and the shape there."""
    owner = _owner(shape, "ErrorResponse")
    for part in path:
        inner = shape.items if isinstance(part, int) else shape.properties.get(part)
        if inner is None:
            break
        shape = inner
        owner = _owner(shape, owner)
    return owner, shape


def _owner(shape: Shape, known: str) -> str:
    return next((name for name in shape.names if name in _TOLD), known)


def _flaw(owner: str, leaf: Shape, path: Sequence[str | int], keyword: str, value: Value) -> SchemaError:
    place = "".join("[]" if isinstance(part, int) else f".{part}" for part in path).lstrip(".") or "the body"
    if keyword == "required":
        return SchemaError(_general(owner, leaf), f"{place} is there", f"{place} is not there")
    kind = next((name for name in reversed(leaf.names) if name not in _TOLD), "")
    expected = f"{place} is a {kind}" if kind else f"{place} is as documented"
    return SchemaError(_particular(leaf, value) or _general(owner, leaf), expected, f"{mask(value)} ({keyword})")


def _general(owner: str, leaf: Shape) -> str:
    documented, assumed = _TOLD[owner]
    return assumed if leaf.basis == "A" else documented


def _particular(leaf: Shape, value: Value) -> str | None:
    """The rule of a kind of value that all objects share, if one is broken."""
    if value is None:
        return None
    for name in leaf.names:
        if name in _TIMESTAMPS:
            return "conventions.timestamps"
        if name == "Duration":
            return "conventions.durations" if leaf.basis == "A" else None
        if name.endswith("Id") and isinstance(value, str):
            prefix = load_contract().at(f"#/components/schemas/{name}")["pattern"].partition("[")[0].removeprefix("^")
            strange = name in _DOCUMENTED_IDS and not value.startswith(prefix)
            return "conventions.ids.prefix" if strange else "conventions.ids.pattern"
    return None
