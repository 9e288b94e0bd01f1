"""The dispatcher: finds the world and the document of a request by its path and the header `X-Zof-World`."""

from __future__ import annotations

import asyncio
import logging
from enum import Enum, auto
from typing import TYPE_CHECKING, Final
from urllib.parse import unquote

from zof_emulator.core.refusal import Refused
from zof_emulator.handlers import views
from zof_emulator.http.control_access import PREFIX
from zof_emulator.http.decode import REPEATED, is_host, read_headers
from zof_emulator.http.world_registry import is_world_name

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Mapping

    from starlette.types import ASGIApp, Receive, Scope, Send

    from zof_emulator.http.api import OpenApiApp
    from zof_emulator.http.control_access import ControlGuard
    from zof_emulator.http.hosted_world import HostedWorld
    from zof_emulator.http.world_registry import WorldRegistry

_LOG: Final = logging.getLogger("zof_emulator")
_WORLD: Final = b"x-zof-world"
HOSTED_WORLD: Final = "zof_emulator.hosted_world"
"""The key of the hosted world in the ASGI scope of a page."""
_WORLD_PREFIX: Final = len("/w/")
_CONTROL: Final = PREFIX + "/"
_API: Final = views.PREFIX + "/"


_READING: Final = frozenset({"GET", "HEAD"})
_SAFE: Final = _READING | {"OPTIONS"}
_PROBES: Final = frozenset({f"{PREFIX}/health", f"{PREFIX}/ready"})
"""The paths that health checks of containers may use from anywhere and without a token."""


class _Target(Enum):
    """The part of the emulator that answers a request."""

    API = auto()
    CONTROL = auto()
    PAGES = auto()


class Dispatcher:
    """The emulator as an ASGI application: the API, the control operations, and the pages. It can be mounted."""

    def __init__(
        self,
        pages: ASGIApp,
        *,
        worlds: WorldRegistry,
        api: OpenApiApp,
        control: OpenApiApp,
        control_guard: ControlGuard,
    ) -> None:
        """`control_guard` decides who may use the control operations and the pages."""
        self.worlds = worlds
        self.hosted = worlds.default
        self.api = api
        self.control = control
        self._pages = pages
        self._control_guard = control_guard
        self.deliveries = api.deliveries
        """The service that sends webhooks."""

    def close(self) -> None:
        """Send no more webhooks, and say how many deliveries were not completed."""
        self.deliveries.close()
        left = sum(hosted.world.outbox.open_count for hosted in self.worlds)
        if left:
            counted = "1 webhook delivery was" if left == 1 else f"{left} webhook deliveries were"
            _LOG.warning("%s neither delivered nor given up", counted)

    def answer_unreadable(self, refused: Refused) -> tuple[bytes, tuple[tuple[bytes, bytes], ...]]:
        """The body and the headers of the answer to what cannot be read as an HTTP request."""
        return self.api.answer_unreadable(self.hosted, refused)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Dispatch a request."""
        if scope["type"] != "http":
            await self._pages(scope, receive, send)
            return
        root = scope.get("root_path", "")
        if root:
            scope = _strip_root(scope, root)
        headers = read_headers(scope)
        if scope["path"].startswith(_API) and _WORLD not in headers and not _find_host_fault(scope, headers):
            await self.api(scope, receive, send, headers, self.hosted)  # most requests; the long way finds the same
            return
        try:
            name, inner, target = self._find_target(scope, headers)
            hosted = self.hosted if name is None else await self._find_world(name, inner, headers, target)
        except Refused as refused:
            await self.control.refuse(scope, send, refused, self.hosted)
            return
        if target is _Target.CONTROL:
            await self.control(inner, receive, send, headers, hosted)
        elif target is _Target.PAGES:
            path = root + inner["path"]
            await self._pages({**scope, "path": path, "root_path": root, HOSTED_WORLD: hosted}, receive, send)
        else:
            await self.api(inner, receive, send, headers, hosted)

    def _find_target(self, scope: Scope, headers: Mapping[bytes, bytes]) -> tuple[str | None, Scope, _Target]:
        """The world that a request names, the request without that name, and what answers it. Raises `Refused`."""
        fault = _find_host_fault(scope, headers)
        if fault:
            raise Refused(fault, "Host")
        name, inner, path = None, scope, scope["path"]
        if path.startswith("/w/") or _WORLD in headers:
            name, inner = _find_world(scope, headers.get(_WORLD))
            path = inner["path"]
        target = _Target.API
        if path.startswith(_CONTROL):
            target = _Target.CONTROL
            if path not in _PROBES or scope["method"] not in _READING:
                self._control_guard.check(scope, headers)  # before a world is created
        elif _is_run_page(path) and scope["method"] in _READING:
            target = _Target.PAGES
        elif path == "/" and scope["method"] in _READING and self._control_guard.is_local(scope):
            target = _Target.PAGES
            self._control_guard.check_page(scope, headers)
        return name, inner, target

    async def _find_world(
        self, name: str, inner: Scope, headers: Mapping[bytes, bytes], target: _Target
    ) -> HostedWorld:
        """The world of a request; it is created if the request is admitted and may change it."""
        found = self.worlds.get(name)
        if found is not None:
            return found
        is_change = target is _Target.CONTROL and inner["method"] not in _SAFE
        if target is _Target.API or is_change:
            stand_in = self.worlds.stand_in(name)
            if not (self.control if is_change else self.api).admits(inner, headers, stand_in):
                return stand_in
        while self.worlds.is_busy:  # noqa: ASYNC110  an event belongs to one event loop, and there may be none
            await asyncio.sleep(0)
        found = self.worlds.get(name)  # another request may have created it
        if found is not None:
            return found
        if target is _Target.API or is_change:
            return await _carry_out(self.worlds.create_in_slices(name, self.worlds.default.config))
        return await _carry_out(self.worlds.preview_in_slices(name))


async def _carry_out(steps: Generator[None, None, HostedWorld]) -> HostedWorld:
    """Make a world in slices, between which other requests are served."""
    while True:
        try:
            next(steps)
        except StopIteration as finished:
            hosted: HostedWorld = finished.value
            return hosted
        await asyncio.sleep(0)


class WrappedDispatcher(Dispatcher):
    """A dispatcher whose requests pass other ASGI applications first."""

    _outermost: ASGIApp

    def wrap(self, *layers: Callable[[ASGIApp], ASGIApp]) -> None:
        """Put ASGI applications around this one, the innermost first."""
        self._outermost = super().__call__
        for layer in layers:
            self._outermost = layer(self._outermost)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Dispatch a request that has passed the applications around this one."""
        await self._outermost(scope, receive, send)


def _find_host_fault(scope: Scope, headers: Mapping[bytes, bytes]) -> str:
    """The reason why the header `Host` is refused, which HTTP/1.1 requires exactly once; empty if it is not."""
    host = headers.get(b"host", REPEATED)
    if host == REPEATED:
        return "host_missing" if scope.get("http_version") == "1.1" else ""
    return "" if is_host(host) else "host_invalid"


def _strip_root(scope: Scope, root: str) -> Scope:
    """The request without the path at which the emulator is mounted; ASGI keeps that path in front."""
    path, raw = scope["path"], scope.get("raw_path") or b""
    if not path.startswith(root + "/"):
        return scope if path != root else {**scope, "path": "/", "raw_path": b"/"}
    segments = raw.split(b"/", root.count("/") + 1)
    return {**scope, "path": path[len(root) :], "raw_path": b"/" + segments[-1] if raw else b""}


def _find_world(scope: Scope, given: bytes | None) -> tuple[str | None, Scope]:
    """The world that a request names, None without one, and the request without the prefix `/w/NAME` of its path.

    Raises:
        Refused: the header (`given`) names no world, or another one than the path.
    """
    in_path, path, raw = _split_path(scope)
    in_header = None if given is None else given.decode("latin-1")
    if in_header is not None and not is_world_name(in_header):
        raise Refused("invalid_world", "X-Zof-World")
    if in_path is None:
        return in_header, scope
    if in_header not in {None, in_path}:
        raise Refused("conflicting_world", "X-Zof-World")
    return in_path, {**scope, "path": path, "raw_path": raw}


def _split_path(scope: Scope) -> tuple[str | None, str, bytes]:
    """The world in a path, None if it names none, and the path and the raw path after it."""
    path, raw = scope["path"], scope.get("raw_path") or b""
    if not path.startswith("/w/"):
        return None, path, raw
    if b"%" not in raw:
        name, _, rest = path[_WORLD_PREFIX:].partition("/")
        return name, "/" + rest, b"/" + raw[_WORLD_PREFIX + len(name) + 1 :]
    # An encoded slash (%2F) is part of its segment, not the end of it.
    _, first, *more = raw.split(b"/", 3)
    if not more or unquote(first.decode("latin-1")) != "w":
        return None, path, raw
    raw_rest = b"/" + b"".join(more[1:])
    return unquote(more[0].decode("latin-1")), unquote(raw_rest.decode("latin-1")), raw_rest


def _is_run_page(path: str) -> bool:
    folder, _, name = path[1:].partition("/")
    return folder == "runs" and name != "" and "/" not in name
