"""The operations, references and bases of `openapi.yaml`, as the harness reads them.

`load_contract()` returns the one loaded document. `find_operation("GET", "/v1/runs/run_x")` returns the operation that
a request addresses, `basis("cancelRun/409")` returns what a place of the document rests on, and `resolve(node)` follows
a `$ref`. Model and state machine read the statuses of a run from `transitions`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Final
from urllib.parse import unquote

import yaml

PREFIX: Final = "/v1"
"""The start of every path of the API."""
_PACKAGE: Final = Path(__file__).parent.parent
_KEYWORDS: Final = {"x-pattern": "pattern", "x-extensible-enum": "enum"}
_METHODS: Final = frozenset({"get", "put", "post", "delete", "options", "head", "patch", "trace"})


@dataclass(frozen=True, slots=True)
class Basis:
    """The basis of a statement: D documented, I inferred or A assumed, with the sources that state it."""

    tag: str
    sources: tuple[str, ...] = ()

    @classmethod
    def read(cls, text: str) -> Basis:
        """Parse an `x-basis` such as `D S0 /docs/api/pagination`.

        Raises:
            ValueError: the text begins with another tag.
        """
        tag, *sources = text.replace(",", " ").split()
        if tag not in {"D", "I", "A"}:
            raise ValueError(f"invalid x-basis {text!r}: it must begin with D, I or A")
        return cls(tag, tuple(sources))

    @property
    def is_binding(self) -> bool:
        """Whether a deployment that differs violates the contract, and not just an assumption."""
        return self.tag != "A"

    def __str__(self) -> str:
        return " ".join((self.tag, *self.sources))


@dataclass(frozen=True, slots=True)
class Operation:
    """One operation of the document."""

    id: str
    method: str
    path: str
    """The path template below `/v1`."""
    pattern: re.Pattern[str]
    node: dict[str, Any]

    @property
    def responses(self) -> dict[str, Any]:
        """The documented answers by status."""
        responses: dict[str, Any] = self.node["responses"]
        return responses


class Contract:
    """A loaded document."""

    def __init__(self, document: dict[str, Any]) -> None:
        self.document = document
        self.operations = {operation.id: operation for operation in _read_operations(document)}

    def resolve(self, node: Any) -> Any:  # noqa: ANN401  a JSON value
        """Follow the `$ref` of a node; members beside the reference override those of its target."""
        while isinstance(node, dict) and "$ref" in node:
            beside = {name: value for name, value in node.items() if name != "$ref"}
            node = {**self.at(node["$ref"]), **beside}
        return node

    def at(self, pointer: str) -> Any:  # noqa: ANN401  a JSON value
        """The node at a JSON pointer such as `#/components/schemas/Run`."""
        node: Any = self.document
        for part in pointer.removeprefix("#/").split("/"):
            node = self.resolve(node)[part.replace("~1", "/").replace("~0", "~")]
        return node

    def pointer(self, place: str) -> str:
        """The JSON pointer of a short place: `cancelRun`, `cancelRun/409`, `schemas/Run/status` or `headers/X`."""
        head, *rest = place.split("/")
        if head in self.operations:
            operation = self.operations[head]
            path = operation.path.replace("~", "~0").replace("/", "~1")
            tail = f"/responses/{rest[0]}" if rest else ""
            return f"#/paths/{path}/{operation.method.lower()}{tail}"
        if head == "schemas":
            return "#/components/schemas/" + "/properties/".join(rest)
        return f"#/x-elsewhere/{rest[0]}" if head == "elsewhere" else f"#/components/{place}"

    def basis(self, place: str) -> Basis:
        """The basis of a place.

        Raises:
            KeyError: the place has no `x-basis`.
        """
        return Basis.read(self.resolve(self.at(self.pointer(place)))["x-basis"])

    def find_operation(self, method: str, path: str) -> Operation | None:
        """The operation of a request to a path that begins with `/v1`.

        None when there is none, and when the path may be that of another operation for some servers.
        """
        if not path.startswith(PREFIX + "/") or _is_ambiguous(path):
            return None
        below = path.removeprefix(PREFIX)
        found = (each for each in self.operations.values() if each.method == method and each.pattern.fullmatch(below))
        # A fixed path is preferred to a template that matches it too.
        return min(found, key=lambda each: each.path.count("{"), default=None)

    @property
    def transitions(self) -> dict[str, tuple[str, ...]]:
        """The statuses that may directly follow each status of a run."""
        table = self.at("#/components/schemas/RunStatus")["x-transitions"]
        return {status: tuple(after) for status, after in table.items()}

    @property
    def terminal(self) -> frozenset[str]:
        """The statuses that a run never leaves."""
        return frozenset(status for status, after in self.transitions.items() if not after)

    @property
    def initial(self) -> frozenset[str]:
        """The statuses that no other status leads to: a run begins in one of them."""
        table = self.transitions
        return frozenset(table) - {status for after in table.values() for status in after}

    def can_follow(self, before: str, after: str) -> bool:
        """Whether a run seen in one status may later be seen in another; an unknown status may follow any open one."""
        table = self.transitions
        if before not in table or after not in table:
            return before not in self.terminal
        seen, todo = {before}, [before]
        while todo:
            new = set(table[todo.pop()]) - seen
            seen |= new
            todo += new
        return after in seen


def _is_ambiguous(path: str) -> bool:
    """Whether a server that decodes a path before it routes a request may see other segments, or a query, in it."""
    decoded = unquote(unquote(path))  # by a gateway, and again by the server behind it
    has_dots = not {".", ".."}.isdisjoint(decoded.split("/"))
    return has_dots or decoded.count("/") != path.count("/") or "?" in decoded or "#" in decoded


def _read_operations(document: dict[str, Any]) -> list[Operation]:
    found = []
    for path, item in document["paths"].items():
        pattern = re.compile("[^/]+".join(re.escape(part) for part in re.split(r"\{\w+\}", path)))
        found += [
            Operation(node["operationId"], method.upper(), path, pattern, node)
            for method, node in item.items()
            if method in _METHODS
        ]
    return found


def translate_extensions(node: Any) -> Any:  # noqa: ANN401  a JSON value
    """A deep copy in which each of our extensions stands as the keyword that it means.

    `x-pattern` is a pattern and `x-extensible-enum` an enum that this project judges by, while a generated client does
    not: beside a format some clients refuse every answer, and a new value of a closed enum would break them.
    """
    if isinstance(node, list):
        return [translate_extensions(each) for each in node]
    if not isinstance(node, dict):
        return node
    return {_KEYWORDS.get(name, name): translate_extensions(value) for name, value in node.items()}


def find_document() -> Path:
    """The path of `openapi.yaml`: inside the package when installed, else at the root of the checkout."""
    beside = _PACKAGE / "openapi.yaml"
    return beside if beside.exists() else _PACKAGE.parent.parent / "openapi.yaml"


@cache
def load_contract() -> Contract:
    """The contract, read once."""
    loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    return Contract(yaml.load(find_document().read_text(encoding="utf-8"), Loader=loader))  # noqa: S506  both are safe
