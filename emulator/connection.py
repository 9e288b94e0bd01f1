"""A connection: uvicorn's protocol, made to answer what it would drop, and to bound what it would not.

Each method says what uvicorn does without it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import httptools
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

if TYPE_CHECKING:
    from collections.abc import Callable

    from emulator.http.app import Headers

    Unread = Callable[[], tuple[bytes, Headers]]
    """The body and the headers of the answer to what cannot be read as a request."""

_MOST_HEAD: Final = 1 << 17
"""How many bytes the head of a request may have; its trailers count with it."""
_OFFERS: Final = frozenset({b"connection", b"upgrade", b"http2-settings"})


class Connection(HttpToolsProtocol):
    """One connection. `unread` is set by `connection_type`."""

    unread: Unread

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

    # --- what comes in

    def data_received(self, data: bytes) -> None:
        """Take bytes; uvicorn would lose the body of a request that offers an upgrade, and take a head without end."""
        self._unset_keepalive_if_required()
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
            if self._pending and self._fruitless > _MOST_HEAD:
                self.send_400_response("")

    def _decline_upgrade(self, rest: bytes) -> None:
        """Read the request as if it had offered none (RFC 9110, 7.8 lets a server do so)."""
        if not self._offers_upgrade():
            return
        method, version = self.parser.get_method(), self.parser.get_http_version().encode()
        lines = [b"%s: %s\r\n" % header for header in self.headers if header[0] not in _OFFERS]
        self.parser = httptools.HttpRequestParser(self)
        self.data_received(b"%s %s HTTP/%s\r\n%s\r\n" % (method, self.url, version, b"".join(lines)) + rest)

    def on_message_begin(self) -> None:
        """A request begins."""
        super().on_message_begin()
        self._in_head = self._pending = True
        self._size = self._fruitless = 0

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
        if not self._other:
            super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        """More of a body."""
        self._fruitless = 0
        if not self._other:
            super().on_body(body)

    def on_message_complete(self) -> None:
        """A request is complete."""
        self._pending = False
        if not self._other:
            super().on_message_complete()

    def eof_received(self) -> bool:  # type: ignore[override]
        """The client sends no more, but may still read; uvicorn would cut off the answers that it waits for."""
        self._at_end = True
        return any(not cycle.more_body for cycle in self._unanswered())

    def _offers_upgrade(self) -> bool:
        """Whether the request would go on in another protocol; CONNECT would too, but has nothing after its head."""
        return bool(self.parser.should_upgrade()) and self.parser.get_method() != b"CONNECT"

    def _count(self, more: int) -> None:
        self._size += more
        if self._size > _MOST_HEAD:
            raise ValueError("the head is too long")

    def _unanswered(self) -> list[RequestResponseCycle]:
        known = [self._active, *(cycle for cycle, _ in self.pipeline)]
        return [cycle for cycle in known if cycle is not None and not cycle.response_complete]

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: object) -> None:
        self._active = cycle
        super()._start_asgi_task(cycle, app)  # type: ignore[arg-type]

    # --- what goes out

    def on_response_complete(self) -> None:
        """An answer is out; what could not be read after its request is answered when all before it are."""
        if not self._unreadable and not self._at_end:
            super().on_response_complete()
            return
        if any(not cycle.more_body for cycle in self._unanswered()):
            super().on_response_complete()
        elif self._unreadable:
            self._refuse()
        else:
            self.transport.close()

    def send_400_response(self, msg: str) -> None:  # noqa: ARG002  uvicorn's text is not JSON
        """Answer what cannot be read; uvicorn would drop the answers to the requests before it."""
        self._unreadable = True
        if all(cycle.more_body for cycle in self._unanswered()):
            self._refuse()

    def _refuse(self) -> None:
        if self.transport.is_closing():
            return
        content, headers = self.unread()
        lines = [b"%s: %s\r\n" % header for header in headers]
        head = b"HTTP/1.1 400 Bad Request\r\n" + b"".join(lines) + b"connection: close\r\n\r\n"
        self.transport.write(head + content)
        self.transport.close()


def connection_type(unread: Unread) -> type[Connection]:
    """The type of connections that answer what they cannot read in this way."""
    return type("Connection", (Connection,), {"unread": staticmethod(unread)})
