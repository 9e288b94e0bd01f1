"""The document: loads an OpenAPI document, refuses keywords that the emulator does not honour, resolves references."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import yaml

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

Node = dict[str, Any]

_STATUS: Final = re.compile(r"[1-5][0-9]{2}")
_BASIS: Final = re.compile(r"(D|I)( \S+)+|A( \S+)*")


class SpecError(Exception):
    """The document cannot be used. The message names the place, by a JSON pointer, and the fault."""


def _list_keywords(leaves: str, **children: str) -> Mapping[str, str]:
    return dict.fromkeys(leaves.split(), "") | {key.replace("_", "-"): kind for key, kind in children.items()}


# The keywords that each kind of object may have. A value names the kind of the content: `{kind}` is a map of that kind,
# `[kind]` is a list of it, and "" is not checked. A keyword that is missing here is not honoured and stops the boot.
_GRAMMAR: Final[Mapping[str, Mapping[str, str]]] = {
    "root": _list_keywords(
        "openapi jsonSchemaDialect info servers security tags x-unknown-names-first",
        paths="{path}",
        webhooks="{path}",
        components="components",
        x_conventions="[convention]",
        x_elsewhere="{status}",
    ),
    "convention": _list_keywords("name description x-basis"),
    "path": _list_keywords("", **dict.fromkeys(("get", "post", "put", "patch", "delete"), "operation")),
    "operation": _list_keywords(
        "operationId tags summary description security x-basis x-internal",
        parameters="[parameter]",
        requestBody="body",
        responses="{status}",
    ),
    "parameter": _list_keywords("name in required description x-basis", schema="schema", examples="{example}"),
    "body": _list_keywords("required description x-basis x-max-bytes", content="{media}"),
    "media": _list_keywords("", schema="schema", examples="{example}"),
    "example": _list_keywords("summary value x-message"),
    "response": _list_keywords("description x-basis", headers="{header}", content="{media}", links="{link}"),
    "status": _list_keywords("description x-basis", headers="{header}", content="{media}", links="{link}"),
    "header": _list_keywords("description required x-basis", schema="schema", examples="{example}"),
    "link": _list_keywords("operationId description parameters"),
    "components": _list_keywords(
        "",
        securitySchemes="{scheme}",
        parameters="{parameter}",
        headers="{header}",
        schemas="{schema}",
        responses="{response}",
        examples="{example}",
    ),
    "scheme": _list_keywords("type scheme description x-basis"),
    "schema": _list_keywords(
        "type format enum const pattern minLength maxLength minimum maximum minItems maxItems uniqueItems "
        "maxProperties required additionalProperties description default examples contentMediaType xml "
        "x-basis x-enum-varnames x-expected x-extended-by x-extensible-enum x-pattern x-transitions",
        properties="{schema}",
        items="schema",
        **dict.fromkeys(("if", "then", "else", "not"), "schema"),
        **dict.fromkeys(("anyOf", "oneOf", "allOf"), "[schema]"),
    ),
}
_BESIDE_REF: Final = frozenset({"$ref", "summary", "description", "x-basis"})


_LIST: Final = "tag:yaml.org,2002:seq"
_COLLECTIONS: Final = frozenset({_LIST, "tag:yaml.org,2002:map"})
_WORDS: Final = {"yes": True, "true": True, "on": True, "no": False, "false": False, "off": False}
_SCALARS: Final[Mapping[str, Callable[[str], Any]]] = {
    "tag:yaml.org,2002:str": str,
    "tag:yaml.org,2002:int": int,
    "tag:yaml.org,2002:float": float,
    "tag:yaml.org,2002:bool": lambda text: _WORDS[text.lower()],
    "tag:yaml.org,2002:null": lambda _text: None,
}
"""The functions that read the text of a scalar, by its tag."""


def _read_yaml(content: bytes) -> Any:  # noqa: ANN401  a JSON value
    """The value of a document in YAML. PyYAML's own constructor takes twice as long, and drops repeated keys.

    Raises:
        KeyError, ValueError, yaml.YAMLError: it is not YAML, or has a repeated key or a value that JSON has not.
    """
    loader = yaml.CSafeLoader(content)
    try:
        node = loader.get_single_node()
        return None if node is None else _make_value(node)
    finally:
        loader.dispose()


def _make_value(node: Any) -> Any:  # noqa: ANN401  PyYAML has no types for nodes
    if isinstance(node, yaml.ScalarNode):
        return _SCALARS[node.tag](node.value)
    if node.tag not in _COLLECTIONS or (node.tag == _LIST) != isinstance(node, yaml.SequenceNode):
        raise ValueError(f"the tag {node.tag} in line {node.start_mark.line + 1} is not honoured")
    if node.tag == _LIST:
        return [_make_value(one) for one in node.value]
    mapping = {_make_key(key): _make_value(value) for key, value in node.value}
    if len(mapping) != len(node.value):
        keys = [key.value for key, _ in node.value]
        twice = next(key for index, key in enumerate(keys) if key in keys[:index])
        raise ValueError(f"{twice!r} occurs twice in line {node.start_mark.line + 1} and below")
    return mapping


def _make_key(node: Any) -> Any:  # noqa: ANN401
    if not isinstance(node, yaml.ScalarNode):
        raise ValueError(f"a key in line {node.start_mark.line + 1} is no scalar")  # noqa: TRY004  the file is invalid
    return _SCALARS[node.tag](node.value)


@dataclass(frozen=True, slots=True, eq=False)
class Document:
    """An OpenAPI document. The emulator honours all of its keywords."""

    root: Node

    def follow(self, node: Node) -> Node:
        """The node, or the target of its `$ref`; keywords beside the `$ref` override those of the target.

        Raises:
            SpecError: the reference is circular, or its target does not exist.
        """
        found, seen = node, set[str]()
        while "$ref" in found:
            ref = found["$ref"]
            if ref in seen:
                raise SpecError(f"{ref}: the reference leads back to itself")
            seen.add(ref)
            beside = {key: value for key, value in found.items() if key != "$ref"}
            found = self.find_node(ref) | beside
        return found

    def find_node(self, ref: str) -> Node:
        """The target of a local reference (`#/a/b`).

        Raises:
            SpecError: the target does not exist.
        """
        found: Any = self.root
        for word in ref.removeprefix("#/").split("/"):
            step = word.replace("~1", "/").replace("~0", "~")
            if not isinstance(found, dict) or step not in found:
                raise SpecError(f"{ref}: the reference leads nowhere")
            found = found[step]
        return _require_object(found, ref)

    def resolve(self, node: Any) -> Any:  # noqa: ANN401  a JSON value
        """A copy in which every reference is replaced by its target."""
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


def load_document(path: Path) -> Document:
    """Read and check a document in YAML.

    Raises:
        SpecError: the document cannot be read, or has a keyword that the emulator does not honour.
    """
    try:
        return _read(path, path.read_bytes())
    except OSError as error:
        raise SpecError(f"{path}: {error.strerror}") from error


@lru_cache(maxsize=8)
def _read(path: Path, content: bytes) -> Document:
    """The document in the content of a file; cached, because a process may make many emulators."""
    try:
        root = _read_yaml(content)
    except (yaml.YAMLError, KeyError, RecursionError, TypeError, ValueError) as error:
        raise SpecError(f"{path}: not YAML: {' '.join(str(error).split())}") from error
    return check_document(_require_object(root, str(path)))


def check_document(root: Node) -> Document:
    """Make a document from its root object.

    Raises:
        SpecError: it has a keyword that the emulator does not honour.
    """
    document = Document(root)
    _check(document, root, "root", "#")
    return document


def find_document(name: str) -> Path:
    """The path of a document of the package: beside its modules or, in a checkout, at the project's root."""
    package = Path(__file__).resolve().parent.parent
    beside = package / name
    return beside if beside.exists() else package.parent.parent / name


def encode_json(root: Node) -> bytes:
    """A document as JSON."""
    return json.dumps(root, ensure_ascii=False).encode()


def _check(document: Document, node: Any, kind: str, pointer: str) -> None:  # noqa: ANN401  a JSON value
    if not kind:
        return
    if kind[0] == "[" and not isinstance(node, list):
        raise SpecError(f"{pointer}: must be a list")
    if kind[0] in "{[":
        for key, child in enumerate(node) if kind[0] == "[" else _require_object(node, pointer).items():
            if kind == "{status}" and not _STATUS.fullmatch(str(key)):
                raise SpecError(f"{pointer}/{key}: not a status; use three digits, since ranges are not honoured")
            _check(document, child, kind[1:-1], f"{pointer}/{_escape_pointer(key)}")
        return
    for key, child in _require_object(node, pointer).items():
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
        raise SpecError(f"{pointer}: not a basis; use D or I with its sources, or A")
    if "$ref" in node and (kind == "path" or (kind != "schema" and key not in _BESIDE_REF)):
        raise SpecError(f"{pointer}: a $ref allows no other keyword here, and a path must not be a $ref")


def _require_object(value: Any, pointer: str) -> Node:  # noqa: ANN401  a JSON value
    if not isinstance(value, dict):
        raise SpecError(f"{pointer}: must be an object")
    return value


def _escape_pointer(key: object) -> str:
    return str(key).replace("~", "~0").replace("/", "~1")
