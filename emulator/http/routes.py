"""Routes: which operations a path has, looked up in what the spec says of paths."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from urllib.parse import unquote

if TYPE_CHECKING:
    from collections.abc import Iterable

    from starlette.types import Scope

    from emulator.spec.operation import Operation


@dataclass(frozen=True, slots=True)
class Route:
    """A path of the spec and its operations by method."""

    segments: tuple[str, ...]
    methods: dict[str, Operation] = field(default_factory=dict)

    @property
    def allowed(self) -> str:
        """The methods that the path takes, as `Allow` lists them."""
        return ", ".join(sorted(self.methods))

    def match(self, segments: list[str]) -> str | None:
        """What stands in the place of `{…}`, or None when the segments are another path's."""
        found = ""
        for mine, theirs in zip(self.segments, segments, strict=True):
            if mine.startswith("{") and theirs:
                found = theirs
            elif mine != theirs:
                return None
        return found


class Routes:
    """All paths of a document, under a prefix such as `/v1`."""

    __slots__ = ("_exact", "_prefix", "_templates")

    def __init__(self, prefix: str, operations: Iterable[Operation]) -> None:
        self._prefix = prefix + "/"
        self._exact: dict[str, Route] = {}
        self._templates: dict[int, list[Route]] = {}
        routes: dict[str, Route] = {}
        for operation in operations:
            route = routes.setdefault(operation.path, Route(tuple(operation.path[1:].split("/"))))
            route.methods[operation.method] = operation
        for path, route in routes.items():
            if "{" in path:
                self._templates.setdefault(len(route.segments), []).append(route)
            else:
                self._exact[prefix + path] = route

    def find(self, scope: Scope) -> tuple[Route | None, str]:
        """The route of a request's path, and the ID in the path; None when there is no such path."""
        exact = self._exact.get(scope["path"])
        if exact is not None:
            return exact, ""
        segments = _segments(scope, self._prefix)
        for route in self._templates.get(len(segments), ()):
            name = route.match(segments)
            if name is not None:
                return route, name
        return None, ""


def _segments(scope: Scope, prefix: str) -> list[str]:
    """The segments below the prefix; an encoded slash (`%2F`) is part of its segment, not the end of it."""
    path: str = scope["path"]
    raw: bytes = scope.get("raw_path") or b""
    if b"%" in raw:
        path = raw.partition(b"?")[0].decode("latin-1")
        return [unquote(one, errors="replace") for one in _below(path, prefix)]
    return _below(path, prefix)


def _below(path: str, prefix: str) -> list[str]:
    return path[len(prefix) :].split("/") if path.startswith(prefix) else []
