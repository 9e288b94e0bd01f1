"""Routes: the operations of each path in the document."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final
from urllib.parse import unquote

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from starlette.types import Scope

    from zof_emulator.spec.operation import Operation

_NONE: Final[Mapping[str, str]] = {}


@dataclass(frozen=True, slots=True)
class Route:
    """A path of the document, and its operations by method."""

    segments: tuple[str, ...]
    methods: dict[str, Operation] = field(default_factory=dict)

    @property
    def allow_header(self) -> str:
        """The methods of the path, as the value of the header `Allow`."""
        return ", ".join(sorted({*self.methods, "OPTIONS"}))

    def match(self, segments: list[str]) -> Mapping[str, str] | None:
        """The path parameters by name; None if the segments do not match the path."""
        parameters: dict[str, str] = {}
        for pattern, segment in zip(self.segments, segments, strict=True):
            if pattern.startswith("{") and segment:
                parameters[pattern[1:-1]] = segment
            elif pattern != segment:
                return None
        return parameters


class Routes:
    """All paths of a document, under a prefix such as `/v1`."""

    __slots__ = ("_by_length", "_exact", "_prefix")

    def __init__(self, prefix: str, operations: Iterable[Operation]) -> None:
        self._prefix = prefix.split("/")
        routes: dict[str, Route] = {}
        for operation in operations:
            route = routes.setdefault(operation.path, Route(tuple(operation.path[1:].split("/"))))
            route.methods[operation.method] = operation
            if operation.method == "GET":  # HEAD is answered wherever GET is (RFC 9110, 9.3.2)
                route.methods["HEAD"] = operation
        self._exact = {prefix + path: route for path, route in routes.items() if "{" not in path}
        self._by_length: dict[int, list[Route]] = {}
        for _, route in sorted(routes.items(), key=lambda one: "{" in one[0]):
            self._by_length.setdefault(len(route.segments), []).append(route)

    def find(self, scope: Scope) -> tuple[Route | None, Mapping[str, str]]:
        """The route and the path parameters of a request; the route is None if the document lacks the path."""
        path: str = scope["path"]
        raw: bytes = scope.get("raw_path") or b""
        if b"%" in raw:
            path = raw.partition(b"?")[0].decode("latin-1")
        else:
            exact = self._exact.get(path)
            if exact is not None:
                return exact, _NONE
        # An encoded slash (%2F) is part of its segment, not the end of it.
        segments = path.split("/")
        if b"%" in raw:
            segments = [unquote(segment, errors="replace") for segment in segments]
        depth = len(self._prefix)
        if segments[:depth] != self._prefix:
            return None, _NONE
        segments = segments[depth:]
        for route in self._by_length.get(len(segments), ()):
            parameters = route.match(segments)
            if parameters is not None:
                return route, parameters
        return None, _NONE
