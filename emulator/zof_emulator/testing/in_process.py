"""Calls of a served emulator without a socket: a world as an ASGI application, and as a transport of httpx.

Each request is carried out in the thread that serves the emulator, so such calls and requests over HTTP can be mixed.
An answer arrives as a whole. With the transport, a fault that breaks the connection raises what it raises over HTTP.
"""

from __future__ import annotations

import asyncio
from concurrent.futures import Future
from typing import TYPE_CHECKING, Any, Final, NamedTuple
from urllib.parse import quote

import httpx

from zof_emulator.http.broken_answers import DISCONNECT

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, MutableMapping

    Scope = MutableMapping[str, Any]
    Message = MutableMapping[str, Any]
    Receive = Callable[[], Awaitable[Message]]
    Send = Callable[[Message], Awaitable[None]]
    ASGIApp = Callable[[Scope, Receive, Send], Awaitable[None]]

_CLIENT: Final = ("127.0.0.1", 0)
_DISCONNECTED: Final = "http.disconnect"
_WORLD: Final = b"x-zof-world"


class _Answered(NamedTuple):
    """The outcome of a request."""

    status: int
    headers: list[tuple[bytes, bytes]]
    content: bytes
    error: ConnectionError | None
    """How the connection ended; None if the answer is complete."""


class _Call:
    """A request on its way; its client can leave before it is answered."""

    def __init__(self, app: ASGIApp, scope: Scope, body: bytes) -> None:
        self.answered: Future[_Answered] = Future()
        self._app = app
        self._scope = scope
        self._body: bytes | None = body
        self._gone = asyncio.Event()
        self._status = 0
        self._headers: list[tuple[bytes, bytes]] = []
        self._content: list[bytes] = []
        self._error: ConnectionError | None = None

    async def run(self) -> None:
        """Carry the request out, in the thread that serves the emulator."""
        if not self.answered.set_running_or_notify_cancel():
            return  # the client has left before the request began
        try:
            await self._app(self._scope, self._receive, self._send)
        except asyncio.CancelledError:
            self._error = ConnectionAbortedError("the emulator has stopped")
        except Exception as error:  # noqa: BLE001  raised where the answer is awaited
            self.answered.set_exception(error)
            return
        self.answered.set_result(_Answered(self._status, self._headers, b"".join(self._content), self._error))

    def leave(self) -> None:
        """Report that the client has gone, in the thread that serves the emulator."""
        self._gone.set()

    async def _receive(self) -> Message:
        if self._body is None:
            await self._gone.wait()
            return {"type": _DISCONNECTED}
        body, self._body = self._body, None
        return {"type": "http.request", "body": body, "more_body": False}

    async def _send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self._status, self._headers = message["status"], list(message["headers"])
        elif message["type"] == DISCONNECT:
            kind = ConnectionResetError if message["reset"] else ConnectionAbortedError
            self._error = kind("the connection was " + ("reset" if message["reset"] else "closed"))
        else:
            self._content.append(message.get("body", b""))


class ServedApp:
    """An emulator's application, and the event loop of the thread that serves it."""

    def __init__(self, app: ASGIApp, loop: asyncio.AbstractEventLoop) -> None:
        self.app = app
        self._loop = loop
        self._calls: set[_Call] = set()

    def start(self, scope: Scope, body: bytes) -> _Call:
        """Start a request in the thread that serves the emulator.

        Raises:
            ConnectionRefusedError: the emulator has stopped.
        """
        call = _Call(self.app, {**scope, "extensions": {DISCONNECT: {}}}, body)
        running = call.run()
        try:
            asyncio.run_coroutine_threadsafe(running, self._loop)
        except RuntimeError:  # the loop is closed
            running.close()
            raise ConnectionRefusedError("the emulator has stopped") from None
        self._calls.add(call)  # an event loop keeps no task alive
        call.answered.add_done_callback(lambda _: self._calls.discard(call))
        return call

    def leave(self, call: _Call) -> None:
        """Report that the client of a request has gone."""
        self._loop.call_soon_threadsafe(call.leave)


class WorldApp:
    """A world of a served emulator as an ASGI application, in any thread and any event loop of asyncio.

    A request may name any host. A path that names no world belongs to this world, so that a client with a fixed address
    reaches it.
    """

    def __init__(self, served: ServedApp, name: str) -> None:
        """`name` is empty for the default world."""
        self._served = served
        self._mount = f"/w/{name}" if name else ""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request.

        Raises:
            ConnectionError: a fault breaks the connection.
        """
        if scope["type"] != "http":
            await self._served.app(scope, receive, send)
            return
        body, has_more = b"", True
        while has_more:
            message = await receive()
            if message["type"] == _DISCONNECTED:
                return
            body += message.get("body", b"")
            has_more = message.get("more_body", False)
        call = self.start(scope, body)
        try:
            answered = await asyncio.wrap_future(call.answered)
        except asyncio.CancelledError:
            self.leave(call)
            raise
        if answered.error is not None:
            raise answered.error
        await send({"type": "http.response.start", "status": answered.status, "headers": answered.headers})
        await send({"type": "http.response.body", "body": answered.content})

    def start(self, scope: Scope, body: bytes) -> _Call:
        """Start a request."""
        if self._mount:
            scope = _select_world(scope, self._mount)
        return self._served.start(scope, body)

    def leave(self, call: _Call) -> None:
        """Report that the client of a request has gone."""
        self._served.leave(call)


def _select_world(scope: Scope, mount: str) -> Scope:
    """The request with the prefix of a world in its path, unless it names a world itself."""
    root = scope.get("root_path", "")  # the path at which the application is mounted, with which `path` begins
    path = scope["path"]
    if not path.startswith(f"{root}/"):
        root = ""
    if path[len(root) :].startswith("/w/") or any(name == _WORLD for name, _ in scope["headers"]):
        return scope
    *before, rest = (scope.get("raw_path") or quote(path).encode()).split(b"/", root.count("/") + 1)
    raw_path = b"/".join(before) + mount.encode() + b"/" + rest
    return {**scope, "path": root + mount + path[len(root) :], "raw_path": raw_path}


class Transport(httpx.BaseTransport, httpx.AsyncBaseTransport):
    """A transport of httpx that leads to a world without a socket, for `httpx.Client` and `httpx.AsyncClient`.

    It honours the read timeout and raises the errors that httpx raises over HTTP.
    """

    def __init__(self, app: WorldApp) -> None:
        self._app = app

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Send a request."""
        call = self._start(request, request.read())
        try:
            return _build_response(call.answered.result(_find_timeout(request)))
        except TimeoutError:
            self._app.leave(call)
            raise httpx.ReadTimeout("timed out") from None

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send a request."""
        call = self._start(request, await request.aread())
        try:
            async with asyncio.timeout(_find_timeout(request)):
                return _build_response(await asyncio.wrap_future(call.answered))
        except TimeoutError:
            self._app.leave(call)
            raise httpx.ReadTimeout("timed out") from None
        except asyncio.CancelledError:
            self._app.leave(call)
            raise

    def _start(self, request: httpx.Request, body: bytes) -> _Call:
        try:
            return self._app.start(_build_scope(request), body)
        except ConnectionRefusedError as error:
            raise httpx.ConnectError(str(error)) from error


def _build_scope(request: httpx.Request) -> Scope:
    raw_path, _, query = request.url.raw_path.partition(b"?")
    return {
        "type": "http",
        "http_version": "1.1",
        "method": request.method,
        "scheme": request.url.scheme,
        "path": request.url.path,
        "raw_path": raw_path,
        "query_string": query,
        "root_path": "",
        "headers": [(name.lower(), value) for name, value in request.headers.raw],
        "client": _CLIENT,
        "server": (request.url.host, request.url.port),
    }


def _find_timeout(request: httpx.Request) -> float | None:
    seconds: float | None = request.extensions.get("timeout", {}).get("read")
    return seconds


def _build_response(answered: _Answered) -> httpx.Response:
    """The response of httpx.

    Raises:
        httpx.TransportError: the connection broke.
    """
    match answered.error:
        case None:
            stream = httpx.ByteStream(answered.content)
            return httpx.Response(answered.status, headers=answered.headers, stream=stream)
        case ConnectionResetError():
            raise httpx.ReadError(str(answered.error))
        case _:
            raise httpx.RemoteProtocolError(str(answered.error))
