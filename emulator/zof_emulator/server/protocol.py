"""A connection: uvicorn's protocol, with answers to invalid requests, bounds on sizes and times, and less overhead.

The docstring of an overridden method names what uvicorn does without the override.
"""

from __future__ import annotations

import asyncio
import re
import socket
import struct
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import unquote

import httptools
from uvicorn.protocols.http.flow_control import HIGH_WATER_LIMIT
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol, RequestResponseCycle

from zof_emulator.core.refusal import Refused
from zof_emulator.http.broken_answers import DISCONNECT

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from zof_emulator.http.outcome import Headers

    UnreadableAnswer = Callable[[Refused], tuple[bytes, Headers]]
    """Returns the body and the headers of the answer to input that is refused before it is a request."""

_AUTHORITY: Final = re.compile(rb"[/?#]")
"""The characters that end the authority of an absolute target."""
_MOST_HEAD: Final = 1 << 17
"""The largest size of the head of a request, in bytes; its trailers count too."""
_SLICE: Final = 1 << 10
"""The number of bytes that are parsed at once, so that few requests are parsed before the first is answered."""
_MOST_WAITING: Final = 1 << 25
"""The largest number of bytes of pipelined requests that all connections together may hold."""
_MOST_CONNECTIONS: Final = 1_000
"""The largest number of connections, below the usual limit of open files of a process."""
_REQUEST_SECONDS: Final = 120
"""The seconds within which a request must be complete."""
_NOT_HTTP: Final = Refused("not_http")
_TOO_LONG: Final = Refused("head_too_long", limit=_MOST_HEAD)
_UNKNOWN_CODING: Final = Refused("unknown_transfer_coding")
_UNKNOWN_METHOD: Final = Refused("unknown_method")
_MOST_TARGET: Final = 65_535
"""The longest target that the parser of URLs reads, in bytes."""
_TARGET_TOO_LONG: Final = Refused("target_too_long", limit=_MOST_TARGET)
_METHOD: Final = re.compile(rb"[A-Za-z!#$%&'*+.^_`|~0-9-]+ /")
"""The beginning of a request with any method (RFC 9110, 9.1)."""
_BLANKS: Final = b" \t"
"""What may follow the value of a header, and is no part of it (RFC 9110, 5.5)."""
_LIST_FILLERS: Final = b" \t,"
"""The bytes that may surround the only element of a list in a header (RFC 9110, 5.6.1)."""
_EXTENSIONS: Final[dict[str, dict[object, object]]] = {DISCONNECT: {}}
_NO_LINGER: Final = struct.pack("ii", 1, 0)
_VERSIONS: Final = frozenset({"1.0", "1.1"})
_OFFERS: Final = frozenset({b"connection", b"upgrade", b"http2-settings"})


class Cycle(RequestResponseCycle):
    """A request and its answer."""

    _head: bytes | None = None
    """The head of the answer until its body comes."""
    _is_read = False
    """Whether the application has received the whole request."""
    task: asyncio.Task[None]
    """The task that runs the application."""

    async def receive(self) -> Any:  # noqa: ANN401  one of ASGI's
        """Return the request's body. Uvicorn waits for a loop turn even if the body is complete."""
        if self._is_read or self.more_body or self.disconnected or self.waiting_for_100_continue:
            return await super().receive()
        self._is_read = True
        self.message_event.clear()
        return {"type": "http.request", "body": bytes(self.body), "more_body": False}

    async def send(self, message: Any) -> None:  # noqa: ANN401  one of ASGI's
        """Send a part of the answer. Uvicorn inspects each header and writes head and body separately."""
        if message["type"] == DISCONNECT:
            self._disconnect(reset=message["reset"])
            return
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

    def _disconnect(self, *, reset: bool) -> None:
        """End the connection in the middle of an exchange, because of a fault."""
        self.disconnected = True
        if not reset:
            self.transport.close()
            return
        sock = self.transport.get_extra_info("socket")
        if sock is not None:  # closing it then sends RST, and not FIN
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _NO_LINGER)
        self.transport.abort()

    def _take_head(self, message: Any) -> bool:  # noqa: ANN401
        """Store the head of an answer with a known length until its body comes; return whether it was stored."""
        if self.disconnected or not self.keep_alive or self.flow.write_paused or self.scope["method"] == "HEAD":
            return False
        for name, value in message["headers"]:
            if name == b"content-length":
                lines = _lines(message["headers"])
                if b"connection: " in lines:  # uvicorn decides whether the connection stays
                    return False
                self.expected_content_length = int(value)
                self.chunked_encoding = False
                self.response_started = True
                self.waiting_for_100_continue = False
                self._head = STATUS_LINE[message["status"]] + lines + b"\r\n"
                return True
        return False


class Load:
    """The resources that all connections of a server hold together."""

    __slots__ = ("waiting",)

    def __init__(self) -> None:
        self.waiting = 0
        """The number of received bytes that wait to be parsed."""


class Connection(HttpToolsProtocol):
    """A connection. `make_connection_type` sets `answer_unreadable` and `load`."""

    answer_unreadable: UnreadableAnswer
    load: Load

    _rest = b""
    """The received bytes that are parsed after the requests before them are answered."""
    _in_head = False
    """Whether the head of a request is not yet complete."""
    _pending = False
    """Whether a request is not yet complete."""
    _size = 0
    """The size of its headers and trailers so far, in bytes."""
    _unparsed_size = 0
    """The number of bytes since the parser last made progress, as in a line without end."""
    _has_offer = False
    """Whether the request offers an upgrade to another protocol."""
    _unreadable = False
    _refused: Refused | None = None
    """Why the input is refused, if it is for another reason than that it is no HTTP."""
    _at_end = False
    _active: RequestResponseCycle | None = None
    """The request that is being answered; uvicorn stores only the newest one."""
    _idle_since: float | None = None
    """Since when the server has waited for the client, in the event loop's time; None while it does not wait."""
    _begun_at = 0.0
    """When the newest request began or became the next one to be answered."""
    _unread_since: float | None = None
    """Since when the write buffer has been full because the client reads too slowly; None while it is not."""
    _closing_since: float | None = None
    """When the timer first found the connection closing; None before."""

    # --- what comes in

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Start the timer. Uvicorn waits without limit for a first request and for the rest of any request."""
        super().connection_made(transport)
        if len(self.connections) > _MOST_CONNECTIONS:
            transport.abort()
            return
        self._await_client()

    def data_received(self, data: bytes) -> None:
        """Receive bytes. Uvicorn parses any number of requests before it answers the first."""
        self._idle_since = None
        if self._rest:
            self._keep_rest(self._rest + data)
        elif len(data) <= _SLICE and not self.pipeline:
            self._parse(data)
        else:
            self._keep_rest(data)
            self._parse_rest()

    def _parse_rest(self) -> None:
        """Parse waiting bytes, slice by slice, until a request must wait for the answer to another."""
        rest, place = self._rest, 0
        while place < len(rest) and not self.pipeline and not self._unreadable:
            piece = rest[place : place + _SLICE]
            place += len(piece)
            self._parse(piece)
        self._keep_rest(b"" if self._unreadable else rest[place:])
        if self._rest:
            self.flow.pause_reading()

    def _keep_rest(self, rest: bytes) -> None:
        """Store bytes for later, unless all connections together store too many."""
        self.load.waiting += len(rest) - len(self._rest)
        self._rest = rest
        if rest and self.load.waiting > _MOST_WAITING:
            self.load.waiting -= len(rest)
            self._rest = b""
            self.transport.abort()

    def _parse(self, data: bytes) -> None:
        """Parse bytes. Uvicorn loses the body of a request that offers an upgrade, and accepts a head without end."""
        if self._unreadable:
            return
        self._unparsed_size += len(data)
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserUpgrade as offer:
            self._decline_upgrade(data[offer.args[0] :])
        except httptools.HttpParserError as error:
            if isinstance(error, httptools.HttpParserInvalidMethodError) and _METHOD.match(data):
                self._refused = _UNKNOWN_METHOD
            self.send_400_response("")
        else:
            if self._pending:
                if self._unparsed_size > _MOST_HEAD:
                    if self._in_head:
                        self._refused = _TOO_LONG
                    self.send_400_response("")
                self._await_client()

    def _decline_upgrade(self, rest: bytes) -> None:
        """Parse the request as if it offered no upgrade, which RFC 9110, 7.8 allows."""
        if not self._offers_upgrade():
            return
        method, version = self.parser.get_method(), self.parser.get_http_version().encode()
        lines = _lines(header for header in self.headers if header[0] not in _OFFERS)
        self.parser = httptools.HttpRequestParser(self)
        self._parse(b"%s %s HTTP/%s\r\n%s\r\n" % (method, self.url, version, lines) + rest)

    def on_message_begin(self) -> None:
        """Begin a request."""
        super().on_message_begin()
        self._in_head = self._pending = True
        self._size = self._unparsed_size = 0
        self._begun_at = self.loop.time()

    def on_url(self, url: bytes) -> None:
        """Add a part of the request's target. Uvicorn accepts a target without end."""
        super().on_url(url)
        self._count(len(url))
        if len(self.url) > _MOST_TARGET:
            self._refused = _TARGET_TOO_LONG
            raise ValueError("the target is too long")

    def on_header(self, name: bytes, value: bytes) -> None:
        """Add a header. Uvicorn accepts headers without end, takes a trailer for a header, and ignores codings."""
        self._count(len(name) + len(value))
        if self._in_head:
            name, value = name.lower(), value.rstrip(_BLANKS)
            if name == b"expect" and value.lower() == b"100-continue":
                self.expect_100_continue = True
            elif name == b"transfer-encoding" and value.strip(_LIST_FILLERS).lower() != b"chunked":
                self._refused = _UNKNOWN_CODING
                raise ValueError("the transfer coding is unknown")
            self.headers.append((name, value))

    def on_headers_complete(self) -> None:
        """Start the answer. Uvicorn answers a request that offers an upgrade before its body is complete."""
        self._in_head = False
        self._has_offer = self._offers_upgrade()
        if self._has_offer:
            return
        parser, scope = self.parser, self.scope
        version = parser.get_http_version()
        if version not in _VERSIONS:
            raise ValueError("the version is unknown")
        target = httptools.parse_url(self.url)
        path = target.path.decode("ascii")
        scope["method"] = parser.get_method().decode("ascii")
        scope["http_version"] = version
        scope["path"] = unquote(path) if "%" in path else path
        scope["raw_path"] = target.path
        scope["query_string"] = target.query or b""
        if target.host is not None:  # the host of an absolute target counts, whatever `Host` says (RFC 9112, 3.2.2)
            authority = _AUTHORITY.split(self.url.partition(b"//")[2], maxsplit=1)[0].rpartition(b"@")[2]
            scope["headers"] = [(name, authority if name == b"host" else value) for name, value in self.headers]
        scope["extensions"] = _EXTENSIONS
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
            self._begin_answer(cycle)
        else:  # it is answered after the requests before it
            self.flow.pause_reading()
            self.pipeline.appendleft((cycle, self.app))

    def on_body(self, body: bytes) -> None:
        """Add a part of a body."""
        self._unparsed_size = 0
        cycle = self.cycle
        if not self._has_offer and not cycle.response_complete:
            cycle.body += body
            if len(cycle.body) > HIGH_WATER_LIMIT:
                self.flow.pause_reading()
            cycle.message_event.set()

    def on_message_complete(self) -> None:
        """Complete a request."""
        self._pending = False
        cycle = self.cycle
        if not self._has_offer and not cycle.response_complete:
            cycle.more_body = False
            cycle.message_event.set()

    def eof_received(self) -> bool:  # type: ignore[override]
        """Keep the connection open for answers that are due. Uvicorn closes it when the client stops sending."""
        self._at_end = True
        return any(not cycle.more_body for cycle in self._list_unanswered())

    def _offers_upgrade(self) -> bool:
        """Whether the request offers an upgrade; CONNECT does not count, since it has no body."""
        return bool(self.parser.should_upgrade()) and self.parser.get_method() != b"CONNECT"

    def _count(self, more: int) -> None:
        self._size += more
        if self._size > _MOST_HEAD:
            self._refused = _TOO_LONG
            raise ValueError("the head is too long")

    def _list_unanswered(self) -> list[RequestResponseCycle]:
        known = [self._active, *(cycle for cycle, _ in self.pipeline)]
        return [cycle for cycle in known if cycle is not None and not cycle.response_complete]

    def _has_requests(self) -> bool:
        return bool(self._rest) or any(not cycle.more_body for cycle in self._list_unanswered())

    def _begin_answer(self, cycle: Any) -> None:  # noqa: ANN401  a `Cycle`, which uvicorn's types do not say
        self._active = cycle
        cycle.task = self.loop.create_task(self._run(cycle))
        self.tasks.add(cycle.task)

    async def _run(self, cycle: Cycle) -> None:
        """Run the application. The task removes itself; a callback would take a further turn of the event loop."""
        try:
            await cycle.run_asgi(self.app)
        finally:
            self.tasks.discard(cycle.task)

    # --- output

    def on_response_complete(self) -> None:
        """Continue after an answer. Invalid input is answered when all requests before it are answered."""
        if self._rest and not self.pipeline and not self.transport.is_closing():
            self._parse_rest()
            if self._active is not None and not self._active.response_complete:
                self._resume_reading()
                return
        if (not self._unreadable and not self._at_end) or self._has_requests():
            self._go_on()
        elif self._unreadable:
            self._refuse()
        else:
            self.transport.close()

    def _go_on(self) -> None:
        """Answer the next request, or wait for one. Uvicorn sets a new timer after every answer."""
        if self.transport.is_closing():
            return
        if self.pipeline:
            cycle, _ = self.pipeline.pop()
            self._begun_at = self.loop.time()
            self._begin_answer(cycle)
            if not self.pipeline:
                self._parse_rest()  # its body may be there
            self._resume_reading()
            return
        self._resume_reading()
        self._await_client()

    def _resume_reading(self) -> None:
        """Resume reading unless requests wait. Uvicorn resumes after every answer and holds more and more requests."""
        if not self.pipeline and not self._rest:
            self.flow.resume_reading()

    def pause_writing(self) -> None:
        """Start the time limit of a client that reads too slowly. Uvicorn waits for it without limit."""
        super().pause_writing()
        self._unread_since = self.loop.time()

    def resume_writing(self) -> None:
        """Stop the time limit of a client that reads again."""
        super().resume_writing()
        self._unread_since = None

    def _await_client(self) -> None:
        self._idle_since = self.loop.time()
        if self.timeout_keep_alive_task is None:
            self._set_timer(self.timeout_keep_alive)

    def _set_timer(self, seconds: float) -> None:
        self.timeout_keep_alive_task = self.loop.call_later(seconds, self.timeout_keep_alive_handler)

    def timeout_keep_alive_handler(self) -> None:
        """Close the connection if the client's time is up; set the timer again if it is not."""
        now = self.loop.time()
        if self._closing_since is None and self.transport.is_closing():
            self._closing_since = now
        left = self._find_deadline(now) - now
        if left <= 0:
            if self._unread_since is None and self._closing_since is None:
                self.transport.close()
                self._closing_since = now
                left = self.timeout_keep_alive
            else:  # the client does not read the written bytes, and a close would wait for that
                self.transport.abort()
                return
        self._set_timer(left)

    def _find_deadline(self, now: float) -> float:
        """The deadline for the client's next action, in the event loop's time."""
        if self._closing_since is not None:
            return self._closing_since + self.timeout_keep_alive
        if self._unread_since is not None:
            return self._unread_since + self.timeout_keep_alive
        if any(not cycle.more_body for cycle in self._list_unanswered()):
            return now + self.timeout_keep_alive  # the client waits for the server
        idle = (now if self._idle_since is None else self._idle_since) + self.timeout_keep_alive
        return min(idle, self._begun_at + _REQUEST_SECONDS) if self._pending else idle

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop the timer. Uvicorn leaves it running after an error."""
        self._keep_rest(b"")
        self._unset_keepalive_if_required()
        super().connection_lost(exc)

    def send_400_response(self, msg: str) -> None:  # noqa: ARG002  uvicorn's text is not JSON
        """Answer invalid input. Uvicorn drops the answers to the requests before it."""
        self._unreadable = True
        if all(cycle.more_body for cycle in self._list_unanswered()):
            self._refuse()

    def _refuse(self) -> None:
        if self.transport.is_closing():
            return
        content, headers = self.answer_unreadable(self._refused or _NOT_HTTP)
        head = b"HTTP/1.1 400 Bad Request\r\n" + _lines(headers) + b"connection: close\r\n\r\n"
        self.transport.write(head + content)
        self.transport.close()


def make_connection_type(answer_unreadable: UnreadableAnswer) -> type[Connection]:
    """The class of connections that answer invalid input with the result of `answer_unreadable`."""
    return type("Connection", (Connection,), {"answer_unreadable": staticmethod(answer_unreadable), "load": Load()})


def _lines(headers: Iterable[tuple[bytes, bytes]]) -> bytes:
    """Headers as lines of HTTP.

    Raises:
        RuntimeError: a header contains the end of a line.
    """
    lines = [b"%s: %s\r\n" % header for header in headers]
    joined = b"".join(lines)
    if joined.count(b"\n") != len(lines) or joined.count(b"\r") != len(lines):
        raise RuntimeError("a header contains the end of a line")
    return joined
