"""Routes: the operations of each path in the document."""

from __future__ import annotations

from dataclasses import dataclass, field
from difflib import get_close_matches
from typing import TYPE_CHECKING, Final
from urllib.parse import unquote

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from starlette.types import Scope

    from zof_emulator.spec.operation import Operation

_NONE: Final[Mapping[str, str]] = {}
_LONGEST_MISSPELT: Final = 200
"""The length of the longest path that is compared with those of the document; the work grows with its square."""
_LIKENESS: Final = 0.75
"""How alike a misspelt path and one of the document are at least, from 0 to 1."""


@dataclass(frozen=True, slots=True)
class Route:
    """A path of the document, and its operations by method."""

    segments: tuple[str, ...]
    methods: dict[str, Operation] = field(default_factory=dict)

    @property
    def allow_header(self) -> str:
        """The methods of the path, as the value of the header `Allow`."""
        return ", ".join(sorted({*self.methods, "OPTIONS"}))


class _Node:
    """A place in the tree of paths, with one level for each segment."""

    __slots__ = ("fixed", "names", "route", "variable")

    def __init__(self) -> None:
        self.fixed: dict[str, _Node] = {}
        """The next nodes, by their segment."""
        self.variable: _Node | None = None
        """The next node whose segment is a parameter."""
        self.route: Route | None = None
        """The route of the path that ends here."""
        self.names: tuple[str, ...] = ()
        """The names of its parameters, the last one first."""

    def add(self, route: Route) -> None:
        """Add a route below this node."""
        node = self
        for segment in route.segments:
            if segment.startswith("{"):
                node.variable = node.variable or _Node()
                node = node.variable
            else:
                node = node.fixed.setdefault(segment, _Node())
        node.route = route
        node.names = tuple(segment[1:-1] for segment in reversed(route.segments) if segment.startswith("{"))

    def find(self, segments: Sequence[str], depth: int, values: list[str]) -> _Node | None:
        """The node at the end of the path that `segments[depth:]` continue below this one; None if no route ends there.

        A fixed segment is tried before a parameter. The values of the parameters are appended, the last one first.
        """
        if depth == len(segments):
            return None if self.route is None else self
        segment, found = segments[depth], None
        following = self.fixed.get(segment)
        if following is not None:
            found = following.find(segments, depth + 1, values)
        if found is None and segment and self.variable is not None:
            found = self.variable.find(segments, depth + 1, values)
            if found is not None:
                values.append(segment)
        return found


class Routes:
    """All paths of a document, under a prefix such as `/v1`."""

    __slots__ = ("_exact", "_prefix", "_root", "_templates")

    def __init__(self, prefix: str, operations: Iterable[Operation]) -> None:
        self._prefix = prefix + "/"
        routes: dict[str, Route] = {}
        for operation in operations:
            route = routes.setdefault(operation.path, Route(tuple(operation.path[1:].split("/"))))
            route.methods[operation.method] = operation
            if operation.method == "GET":  # HEAD is answered wherever GET is (RFC 9110, 9.3.2)
                route.methods["HEAD"] = operation
        self._templates = [prefix + path for path in routes]
        self._exact = {prefix + path: route for path, route in routes.items() if "{" not in path}
        self._root = _Node()
        for route in routes.values():
            self._root.add(route)

    def find(self, scope: Scope) -> tuple[Route | None, Mapping[str, str]]:
        """The route and the path parameters of a request; the route is None if the document lacks the path."""
        path: str = scope["path"]
        raw: bytes = scope.get("raw_path") or b""
        if b"%" in raw:
            return self._find_encoded(raw)
        exact = self._exact.get(path)
        if exact is not None:
            return exact, _NONE
        if not path.startswith(self._prefix):
            return None, _NONE
        return self._find_in_tree(path[len(self._prefix) :].split("/"))

    def find_nearest(self, path: str) -> str:
        """The path of the document that a path is a misspelling of, with the names of its parameters; or empty."""
        if len(path) > _LONGEST_MISSPELT:
            return ""
        given = path.split("/")
        spelt = {_fill(template.split("/"), given): template for template in self._templates}
        nearest = get_close_matches(path, spelt, 1, _LIKENESS)
        return spelt[nearest[0]] if nearest else ""

    def _find_encoded(self, raw: bytes) -> tuple[Route | None, Mapping[str, str]]:
        """The same for a path with percent-encoding; an encoded slash (%2F) is part of its segment, not its end."""
        parts = raw.partition(b"?")[0].decode("latin-1").split("/")
        segments = [unquote(part, errors="replace") for part in parts]
        prefix = self._prefix.split("/")[:-1]
        depth = len(prefix)
        return self._find_in_tree(segments[depth:]) if segments[:depth] == prefix else (None, _NONE)

    def _find_in_tree(self, segments: Sequence[str]) -> tuple[Route | None, Mapping[str, str]]:
        node, values = self._root, list[str]()
        for segment in segments:  # most paths need no search: at each place either segment or parameter leads on
            following = node.fixed.get(segment)
            if following is None:
                following = node.variable
                if following is None or not segment:
                    return None, _NONE
                values.append(segment)
            elif node.variable is not None:
                return self._search_tree(segments)
            node = following
        return (node.route, dict(zip(reversed(node.names), values, strict=True))) if node.route else (None, _NONE)

    def _search_tree(self, segments: Sequence[str]) -> tuple[Route | None, Mapping[str, str]]:
        values: list[str] = []
        found = self._root.find(segments, 0, values)
        return (None, _NONE) if found is None else (found.route, dict(zip(found.names, values, strict=True)))


def _fill(template: Sequence[str], given: Sequence[str]) -> str:
    """A path of the document with the segments of a request in the place of its parameters."""
    return "/".join(
        given[place] if one.startswith("{") and any(given[place : place + 1]) else one
        for place, one in enumerate(template)
    )
