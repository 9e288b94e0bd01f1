"""The document: loads it, refuses what the emulator would not honour, and follows its references."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import yaml

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

Node = dict[str, Any]

_STATUS: Final = re.compile(r"[1-5][0-9]{2}")
_BASIS: Final = re.compile(r"(D|I)( \S+)+|A( \S+)*")


class SpecError(Exception):
    """The document cannot be used; the message says where, by a JSON pointer, and why."""


def _keys(leaves: str, **children: str) -> Mapping[str, str]:
    return dict.fromkeys(leaves.split(), "") | {key.replace("_", "-"): kind for key, kind in children.items()}


# What may stand where. A value names the kind of what is inside: `{kind}` a map of it, `[kind]` a list of it, ""
# nothing that needs a look. What is not here is not honoured, and stops the boot.
_GRAMMAR: Final[Mapping[str, Mapping[str, str]]] = {
    "root": _keys(
        "openapi jsonSchemaDialect info servers security tags",
        paths="{path}",
        webhooks="{path}",
        components="components",
        x_conventions="[convention]",
        x_elsewhere="{status}",
    ),
    "convention": _keys("name description x-basis"),
    "path": _keys("", **dict.fromkeys(("get", "post", "put", "patch", "delete"), "operation")),
    "operation": _keys(
        "operationId tags summary description security x-basis",
        parameters="[parameter]",
        requestBody="body",
        responses="{status}",
    ),
    "parameter": _keys("name in required description x-basis", schema="schema", examples="{example}"),
    "body": _keys("required description x-basis x-max-bytes", content="{media}"),
    "media": _keys("", schema="schema", examples="{example}"),
    "example": _keys("summary value x-message"),
    "response": _keys("description x-basis", headers="{header}", content="{media}", links="{link}"),
    "status": _keys("description x-basis", headers="{header}", content="{media}", links="{link}"),
    "header": _keys("description required example x-basis", schema="schema"),
    "link": _keys("operationId description parameters"),
    "components": _keys(
        "",
        securitySchemes="{scheme}",
        parameters="{parameter}",
        headers="{header}",
        schemas="{schema}",
        responses="{response}",
        examples="{example}",
    ),
    "scheme": _keys("type scheme description x-basis"),
    "schema": _keys(
        "type format enum const pattern minLength maxLength minimum maximum minItems maxItems uniqueItems "
        "maxProperties required additionalProperties description default examples contentMediaType "
        "x-basis x-enum-varnames x-expected x-extended-by x-extensible-enum x-pattern x-transitions",
        properties="{schema}",
        items="schema",
        **dict.fromkeys(("if", "then", "else", "not"), "schema"),
        anyOf="[schema]",
        allOf="[schema]",
    ),
}
_BESIDE_REF: Final = frozenset({"$ref", "summary", "description", "x-basis"})


class _Loader(yaml.CSafeLoader):
    """Reads YAML, and refuses a key that stands twice in one mapping, which YAML forbids and PyYAML would lose."""

    def construct_mapping(self, node: Any, deep: bool = False) -> dict[Any, Any]:  # noqa: ANN401, FBT001, FBT002
        """A mapping, all of whose keys differ."""
        if not isinstance(node, yaml.MappingNode):
            raise ValueError(f"no mapping in line {node.start_mark.line + 1}")  # noqa: TRY004  the file is wrong
        keys = [str(key.value) for key, _ in node.value]
        if len(set(keys)) != len(keys):
            twice = next(key for place, key in enumerate(keys) if key in keys[:place])
            raise ValueError(f"{twice!r} stands twice in line {node.start_mark.line + 1} and below")
        found: dict[Any, Any] = super().construct_mapping(node, deep=deep)
        return found


@dataclass(frozen=True, slots=True, eq=False)
class Document:
    """An OpenAPI document all of whose keywords the emulator honours."""

    root: Node

    def follow(self, node: Node) -> Node:
        """The node, or what its `$ref` leads to; what stands beside a `$ref` is laid over it."""
        found, seen = node, set[str]()
        while "$ref" in found:
            ref = found["$ref"]
            if ref in seen:
                raise SpecError(f"{ref}: the reference leads back to itself")
            seen.add(ref)
            beside = {key: value for key, value in found.items() if key != "$ref"}
            found = self.at(ref) | beside
        return found

    def at(self, ref: str) -> Node:
        """What a local reference (`#/a/b`) leads to; `SpecError` when it leads nowhere."""
        found: Any = self.root
        for word in ref.removeprefix("#/").split("/"):
            step = word.replace("~1", "/").replace("~0", "~")
            if not isinstance(found, dict) or step not in found:
                raise SpecError(f"{ref}: the reference leads nowhere")
            found = found[step]
        return _node(found, ref)

    def resolve(self, node: Any) -> Any:  # noqa: ANN401  a JSON value
        """A copy in which every reference is replaced by what it leads to."""
        if isinstance(node, dict):
            return {key: self.resolve(value) for key, value in self.follow(node).items()}
        return [self.resolve(one) for one in node] if isinstance(node, list) else node

    def operations(self) -> Iterator[tuple[str, str, Node]]:
        """Each operation's path, method in capitals, and node, in the order of the document."""
        if "paths" not in self.root:
            raise SpecError("#: lacks paths")
        for path, item in self.root["paths"].items():
            for method, node in item.items():
                yield path, method.upper(), node


def load(path: Path) -> Document:
    """Read and check a document in YAML; `SpecError` when it cannot be read or asks for what is not honoured."""
    try:
        return _read(path, path.read_bytes())
    except OSError as error:
        raise SpecError(f"{path}: {error.strerror}") from error


@lru_cache(maxsize=8)
def _read(path: Path, content: bytes) -> Document:
    """The document in a file's content; read once, however many emulators one process makes."""
    try:
        root = yaml.load(content, _Loader)  # noqa: S506  it is a safe one
    except (yaml.YAMLError, KeyError, TypeError, ValueError) as error:
        raise SpecError(f"{path}: not YAML: {' '.join(str(error).split())}") from error
    return check_document(_node(root, str(path)))


def check_document(root: Node) -> Document:
    """The document around a root; `SpecError` when it asks for what is not honoured."""
    document = Document(root)
    _check(document, root, "root", "#")
    return document


def find(name: str) -> Path:
    """Where a document of ours stands: beside the package's modules, or, in a checkout, at the project's root."""
    package = Path(__file__).resolve().parent.parent
    beside = package / name
    return beside if beside.exists() else package.parent.parent / name


def as_json(root: Node) -> bytes:
    """A document as JSON."""
    return json.dumps(root, ensure_ascii=False).encode()


def _check(document: Document, node: Any, kind: str, pointer: str) -> None:  # noqa: ANN401  a JSON value
    if not kind:
        return
    if kind[0] == "[" and not isinstance(node, list):
        raise SpecError(f"{pointer}: must be a list")
    if kind[0] in "{[":
        for key, child in enumerate(node) if kind[0] == "[" else _node(node, pointer).items():
            if kind == "{status}" and not _STATUS.fullmatch(str(key)):
                raise SpecError(f"{pointer}/{key}: no status; every failure is documented by its own")
            _check(document, child, kind[1:-1], f"{pointer}/{_escape_pointer(key)}")
        return
    for key, child in _node(node, pointer).items():
        here = f"{pointer}/{_escape_pointer(key)}"
        _check_keyword(document, kind, node, key, here)
        _check(document, child, _GRAMMAR[kind].get(key, ""), here)


def _check_keyword(document: Document, kind: str, node: Node, key: str, pointer: str) -> None:
    if key == "$ref":
        if not isinstance(node[key], str):
            raise SpecError(f"{pointer}: must be a string")
        document.follow(node)
    elif key not in _GRAMMAR[kind]:
        raise SpecError(f"{pointer}: the emulator does not honour this keyword")
    if key == "x-basis" and not (isinstance(node[key], str) and _BASIS.fullmatch(node[key])):
        raise SpecError(f"{pointer}: not a basis: D or I with its sources, or A")
    if "$ref" in node and (kind == "path" or (kind != "schema" and key not in _BESIDE_REF)):
        raise SpecError(f"{pointer}: nothing may stand beside a $ref here, nor may a path be one")


def _node(value: Any, pointer: str) -> Node:  # noqa: ANN401  a JSON value
    if not isinstance(value, dict):
        raise SpecError(f"{pointer}: must be an object")
    return value


def _escape_pointer(key: object) -> str:
    return str(key).replace("~", "~0").replace("/", "~1")
