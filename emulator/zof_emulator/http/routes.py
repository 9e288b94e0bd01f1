"""Routes: which operations a path has, looked up in what the spec says of paths."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from urllib.parse import unquote

if TYPE_CHECKING:
    from collections.abc import Iterable

    from starlette.types import Scope

    from zof_emulator.spec.operation import Operation


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

    __slots__ = ("_by_length", "_exact", "_prefix")

    def __init__(self, prefix: str, operations: Iterable[Operation]) -> None:
        self._prefix = prefix.split("/")
        routes: dict[str, Route] = {}
        for operation in operations:
            route = routes.setdefault(operation.path, Route(tuple(operation.path[1:].split("/"))))
            route.methods[operation.method] = operation
        self._exact = {prefix + path: route for path, route in routes.items() if "{" not in path}
        self._by_length: dict[int, list[Route]] = {}
        for _, route in sorted(routes.items(), key=lambda one: "{" in one[0]):
            self._by_length.setdefault(len(route.segments), []).append(route)

    def find(self, scope: Scope) -> tuple[Route | None, str]:
        """The route of a request's path, and the ID in the path; None when there is no such path."""
        path: str = scope["path"]
        raw: bytes = scope.get("raw_path") or b""
        if b"%" in raw:
            path = raw.partition(b"?")[0].decode("latin-1")
        else:
            exact = self._exact.get(path)
            if exact is not None:
                return exact, ""
        # An encoded slash (%2F) is part of its segment, not the end of it.
        segments = path.split("/")
        if b"%" in raw:
            segments = [unquote(one, errors="replace") for one in segments]
        depth = len(self._prefix)
        if segments[:depth] != self._prefix:
            return None, ""
        segments = segments[depth:]
        for route in self._by_length.get(len(segments), ()):
            name = route.match(segments)
            if name is not None:
                return route, name
        return None, ""
