"""A connection: uvicorn's protocol, made to answer what it would drop, to bound what it would not, and to waste less.

Each method says what uvicorn does without it.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import unquote

import httptools
from uvicorn.protocols.http.flow_control import HIGH_WATER_LIMIT
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol, RequestResponseCycle

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from zof_emulator.http.api import Headers

    UnreadableAnswer = Callable[[], tuple[bytes, Headers]]
    """The body and the headers of the answer to what cannot be read as a request."""

_MOST_HEAD: Final = 1 << 17
"""How many bytes the head of a request may have; its trailers count with it."""
_SLICE: Final = 1 << 10
"""How many bytes are parsed at once, so that few requests come of them before the first is answered."""
_MOST_WAITING: Final = 1 << 25
"""How many bytes of pipelined requests all connections together may hold."""
_MOST_CONNECTIONS: Final = 1_000
"""How many connections there may be, below the number of files that a process may usually open."""
_REQUEST_SECONDS: Final = 120
"""How long a request may take to be complete."""
_OFFERS: Final = frozenset({b"connection", b"upgrade", b"http2-settings"})


class Cycle(RequestResponseCycle):
    """A request and its answer."""

    _head: bytes | None = None
    """The head of the answer, while its body is awaited."""
    _is_read = False
    """Whether the whole request has been handed over."""

    async def receive(self) -> Any:  # noqa: ANN401  one of ASGI's
        """Hand over the request's body; uvicorn would wait for one that is there."""
        if self._is_read or self.more_body or self.disconnected or self.waiting_for_100_continue:
            return await super().receive()
        self._is_read = True
        self.message_event.clear()
        return {"type": "http.request", "body": bytes(self.body), "more_body": False}

    async def send(self, message: Any) -> None:  # noqa: ANN401  one of ASGI's
        """Take a part of the answer; uvicorn would search each header for what none of ours holds, and write twice."""
        head, self._head = self._head, None
        if head is None:
            if not self.response_started and self._take_head(message):
                return
        elif not self.disconnected:
            content = message.get("body", b"")
            if len(content) == self.expected_content_length and not message.get("more_body", False):
                self.transport.write(head + content)
                self.response_complete = True
                self.message_event.set()
                self.on_response()
                return
            self.transport.write(head)
        await super().send(message)

    def _take_head(self, message: Any) -> bool:  # noqa: ANN401
        """Keep the head of an answer whose length is known, until its body comes; whether it is one."""
        if self.disconnected or not self.keep_alive or self.flow.write_paused or self.scope["method"] == "HEAD":
            return False
        for name, value in message["headers"]:
            if name == b"content-length":
                self.expected_content_length = int(value)
                self.chunked_encoding = False
                self.response_started = True
                self.waiting_for_100_continue = False
                self._head = STATUS_LINE[message["status"]] + _lines(message["headers"]) + b"\r\n"
                return True
        return False


class Load:
    """What all connections of a server hold together."""

    __slots__ = ("waiting",)

    def __init__(self) -> None:
        self.waiting = 0
        """How many bytes have been received and wait to be parsed."""


class Connection(HttpToolsProtocol):
    """One connection. `answer_unreadable` and `load` are set by `connection_type`."""

    answer_unreadable: UnreadableAnswer
    load: Load

    _rest = b""
    """What has been received and is not parsed before the requests in front of it are answered."""
    _in_head = False
    """Whether the head of a request is not yet complete."""
    _pending = False
    """Whether a request is not yet complete."""
    _size = 0
    """How many bytes its headers have so far, and its trailers."""
    _fruitless = 0
    """How many bytes have come since something came of them: a line without end, say."""
    _other = False
    """Whether it offers to go on in another protocol."""
    _unreadable = False
    _at_end = False
    _active: RequestResponseCycle | None = None
    """The request that is being answered; uvicorn itself remembers only the newest."""
    _idle_since: float | None = None
    """Since when the client has been awaited, in the event loop's time; None while it is not."""
    _begun_at = 0.0
    """When the newest request began, or became the next one to be answered."""
    _unread_since: float | None = None
    """Since when the client has read too little of what was written; None while it reads."""
    _closing_since: float | None = None
    """When the connection was first seen to be closing."""

    # --- what comes in

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """A client is there; uvicorn would wait for its first request without end, and for the rest of any."""
        super().connection_made(transport)
        if len(self.connections) > _MOST_CONNECTIONS:
            transport.abort()
            return
        self._await_client()

    def data_received(self, data: bytes) -> None:
        """Take bytes; uvicorn would parse any number of requests before it answers the first."""
        self._idle_since = None
        if self._rest:
            self._keep_rest(self._rest + data)
        elif len(data) <= _SLICE and not self.pipeline:
            self._parse(data)
        else:
            self._keep_rest(data)
            self._parse_rest()

    def _parse_rest(self) -> None:
        """Parse what waits, slice by slice, until a request must wait for the answer to another."""
        rest, place = self._rest, 0
        while place < len(rest) and not self.pipeline and not self._unreadable:
            piece = rest[place : place + _SLICE]
            place += len(piece)
            self._parse(piece)
        self._keep_rest(b"" if self._unreadable else rest[place:])
        if self._rest:
            self.flow.pause_reading()

    def _keep_rest(self, rest: bytes) -> None:
        """Keep bytes for later, unless all connections together keep too many."""
        self.load.waiting += len(rest) - len(self._rest)
        self._rest = rest
        if rest and self.load.waiting > _MOST_WAITING:
            self.load.waiting -= len(rest)
            self._rest = b""
            self.transport.abort()

    def _parse(self, data: bytes) -> None:
        """Parse bytes; uvicorn would lose the body of a request that offers an upgrade, and take a head without end."""
        if self._unreadable:
            return
        self._fruitless += len(data)
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserUpgrade as offer:
            self._decline_upgrade(data[offer.args[0] :])
        except httptools.HttpParserError:
            self.send_400_response("")
        else:
            if self._pending:
                if self._fruitless > _MOST_HEAD:
                    self.send_400_response("")
                self._await_client()

    def _decline_upgrade(self, rest: bytes) -> None:
        """Read the request as if it had offered none (RFC 9110, 7.8 lets a server do so)."""
        if not self._offers_upgrade():
            return
        method, version = self.parser.get_method(), self.parser.get_http_version().encode()
        lines = _lines(header for header in self.headers if header[0] not in _OFFERS)
        self.parser = httptools.HttpRequestParser(self)
        self._parse(b"%s %s HTTP/%s\r\n%s\r\n" % (method, self.url, version, lines) + rest)

    def on_message_begin(self) -> None:
        """A request begins."""
        super().on_message_begin()
        self._in_head = self._pending = True
        self._size = self._fruitless = 0
        self._begun_at = self.loop.time()

    def on_url(self, url: bytes) -> None:
        """More of the request's target; uvicorn would take one without end."""
        super().on_url(url)
        self._count(len(url))

    def on_header(self, name: bytes, value: bytes) -> None:
        """A header; uvicorn would take headers without end, and a trailer for a header."""
        self._size += len(name) + len(value)
        if self._size > _MOST_HEAD:
            raise ValueError("the head is too long")
        if self._in_head:
            name = name.lower()
            if name == b"expect" and value.lower() == b"100-continue":
                self.expect_100_continue = True
            self.headers.append((name, value))

    def on_headers_complete(self) -> None:
        """The head is complete; uvicorn would answer one that offers an upgrade before its body is there."""
        self._in_head = False
        self._other = self._offers_upgrade()
        if self._other:
            return
        parser, scope = self.parser, self.scope
        version = parser.get_http_version()
        target = httptools.parse_url(self.url)
        path = target.path.decode("ascii")
        scope["method"] = parser.get_method().decode("ascii")
        scope["http_version"] = version
        scope["path"] = unquote(path) if "%" in path else path
        scope["raw_path"] = target.path
        scope["query_string"] = target.query or b""
        before = self.cycle
        self.cycle = cycle = Cycle(
            scope=scope,
            transport=self.transport,
            flow=self.flow,
            logger=self.logger,
            access_logger=self.access_logger,
            access_log=False,
            default_headers=[],
            message_event=asyncio.Event(),
            expect_100_continue=self.expect_100_continue,
            keep_alive=version != "1.0" and parser.should_keep_alive(),
            on_response=self.on_response_complete,
        )
        if getattr(before, "response_complete", True):
            self._start_asgi_task(cycle, self.app)
        else:  # it is answered when those before it are
            self.flow.pause_reading()
            self.pipeline.appendleft((cycle, self.app))

    def on_body(self, body: bytes) -> None:
        """More of a body."""
        self._fruitless = 0
        cycle = self.cycle
        if not self._other and not cycle.response_complete:
            cycle.body += body
            if len(cycle.body) > HIGH_WATER_LIMIT:
                self.flow.pause_reading()
            cycle.message_event.set()

    def on_message_complete(self) -> None:
        """A request is complete."""
        self._pending = False
        cycle = self.cycle
        if not self._other and not cycle.response_complete:
            cycle.more_body = False
            cycle.message_event.set()

    def eof_received(self) -> bool:  # type: ignore[override]
        """The client sends no more, but may still read; uvicorn would cut off the answers that it waits for."""
        self._at_end = True
        return any(not cycle.more_body for cycle in self._list_unanswered())

    def _offers_upgrade(self) -> bool:
        """Whether the request would go on in another protocol; CONNECT would too, but has nothing after its head."""
        return bool(self.parser.should_upgrade()) and self.parser.get_method() != b"CONNECT"

    def _count(self, more: int) -> None:
        self._size += more
        if self._size > _MOST_HEAD:
            raise ValueError("the head is too long")

    def _list_unanswered(self) -> list[RequestResponseCycle]:
        known = [self._active, *(cycle for cycle, _ in self.pipeline)]
        return [cycle for cycle in known if cycle is not None and not cycle.response_complete]

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: object) -> None:
        self._active = cycle
        task = self.loop.create_task(cycle.run_asgi(app))  # type: ignore[arg-type]
        task.add_done_callback(self.tasks.discard)
        self.tasks.add(task)

    # --- what goes out

    def on_response_complete(self) -> None:
        """An answer is out; what could not be read after its request is answered when all before it are."""
        if self._rest and not self.pipeline and not self.transport.is_closing():
            self._parse_rest()
            if self._active is not None and not self._active.response_complete:
                self._resume_reading()
                return
        if (not self._unreadable and not self._at_end) or any(not cycle.more_body for cycle in self._list_unanswered()):
            self._go_on()
        elif self._unreadable:
            self._refuse()
        else:
            self.transport.close()

    def _go_on(self) -> None:
        """Answer the next request, or wait for one; uvicorn would set a new timer after every answer."""
        if self.transport.is_closing():
            return
        if self.pipeline:
            cycle, app = self.pipeline.pop()
            self._begun_at = self.loop.time()
            self._start_asgi_task(cycle, app)
            self._resume_reading()
            return
        self._resume_reading()
        self._await_client()

    def _resume_reading(self) -> None:
        """Read on, unless requests wait; uvicorn would read on with every answer, and hold more and more requests."""
        if not self.pipeline and not self._rest:
            self.flow.resume_reading()

    def pause_writing(self) -> None:
        """The client reads too slowly; uvicorn would wait for it without end."""
        super().pause_writing()
        self._unread_since = self.loop.time()

    def resume_writing(self) -> None:
        """The client reads again."""
        super().resume_writing()
        self._unread_since = None

    def _await_client(self) -> None:
        self._idle_since = self.loop.time()
        if self.timeout_keep_alive_task is None:
            self._set_timer(self.timeout_keep_alive)

    def _set_timer(self, seconds: float) -> None:
        self.timeout_keep_alive_task = self.loop.call_later(seconds, self.timeout_keep_alive_handler)

    def timeout_keep_alive_handler(self) -> None:
        """End the connection if the client has been awaited for long enough; otherwise set the timer again."""
        now = self.loop.time()
        if self._closing_since is None and self.transport.is_closing():
            self._closing_since = now
        left = self._find_deadline(now) - now
        if left <= 0:
            if self._unread_since is None and self._closing_since is None:
                self.transport.close()
                self._closing_since = now
                left = self.timeout_keep_alive
            else:  # what was written is not read, and a close would wait for that
                self.transport.abort()
                return
        self._set_timer(left)

    def _find_deadline(self, now: float) -> float:
        """Until when the client has time, in the event loop's time, for what it is to do next."""
        if self._closing_since is not None:
            return self._closing_since + self.timeout_keep_alive
        if self._unread_since is not None:
            return self._unread_since + self.timeout_keep_alive
        if any(not cycle.more_body for cycle in self._list_unanswered()):
            return now + self.timeout_keep_alive  # the client waits for us
        idle = (now if self._idle_since is None else self._idle_since) + self.timeout_keep_alive
        return min(idle, self._begun_at + _REQUEST_SECONDS) if self._pending else idle

    def connection_lost(self, exc: Exception | None) -> None:
        """The connection is gone; uvicorn would leave the timer running after an error."""
        self._keep_rest(b"")
        self._unset_keepalive_if_required()
        super().connection_lost(exc)

    def send_400_response(self, msg: str) -> None:  # noqa: ARG002  uvicorn's text is not JSON
        """Answer what cannot be read; uvicorn would drop the answers to the requests before it."""
        self._unreadable = True
        if all(cycle.more_body for cycle in self._list_unanswered()):
            self._refuse()

    def _refuse(self) -> None:
        if self.transport.is_closing():
            return
        content, headers = self.answer_unreadable()
        head = b"HTTP/1.1 400 Bad Request\r\n" + _lines(headers) + b"connection: close\r\n\r\n"
        self.transport.write(head + content)
        self.transport.close()


def connection_type(answer_unreadable: UnreadableAnswer) -> type[Connection]:
    """The type of connections that answer what they cannot read in this way."""
    return type("Connection", (Connection,), {"answer_unreadable": staticmethod(answer_unreadable), "load": Load()})


def _lines(headers: Iterable[tuple[bytes, bytes]]) -> bytes:
    """Headers as HTTP writes them; `RuntimeError` when one would be taken for two."""
    lines = [b"%s: %s\r\n" % header for header in headers]
    found = b"".join(lines)
    if found.count(b"\n") != len(lines) or found.count(b"\r") != len(lines):
        raise RuntimeError("a header holds the end of a line")
    return found
