"""The server: the one place that knows uvicorn. A socket and an application in, answers until it is told to stop."""

from __future__ import annotations

import logging
import socket
from typing import TYPE_CHECKING, Final

import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from emulator.http.app import Headers

    Application = Callable[..., Awaitable[None]]
    Unread = Callable[[], tuple[bytes, Headers]]
    """The body and the headers of an answer."""

_MOST_HEAD: Final = 1 << 17
"""How many bytes the head of a request may have."""
_KEEP_ALIVE: Final = 75
"""Seconds: longer than the pools of the usual clients keep a connection, so that none is closed under a request."""
_BACKLOG: Final = 2048


def listen(host: str, port: int) -> socket.socket:
    """A socket that listens on an address; port 0 picks a free one. `OSError` when it cannot be had."""
    family, kind, proto, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    found = socket.socket(family, kind, proto)
    try:
        found.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        found.bind(address)
        found.listen(_BACKLOG)
    except OSError:
        found.close()
        raise
    return found


def run(app: Application, listener: socket.socket, *, started: Callable[[], None], unread: Unread) -> None:
    """Serve an application until SIGINT or SIGTERM; `started` is called once requests are taken.

    `unread` makes the answer to what cannot be read as a request.

    Raises `KeyboardInterrupt` when it was SIGINT that ended it.
    """
    logging.getLogger("uvicorn.error").setLevel(logging.ERROR)  # what cannot be read is answered, and no news
    config = uvicorn.Config(
        app,
        http=_protocol(unread),
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,  # its own headers follow the system's clock, ours the world's
        date_header=False,
        proxy_headers=False,
        timeout_keep_alive=_KEEP_ALIVE,
        timeout_graceful_shutdown=1,
    )
    _Server(config, started).run(sockets=[listener])


class _Server(uvicorn.Server):
    """Uvicorn's server, that says when it has started and ends without a word."""

    def __init__(self, config: uvicorn.Config, started: Callable[[], None]) -> None:
        super().__init__(config)
        self._tell_started = started

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Open for requests, and say so."""
        await super().startup(sockets)
        self._tell_started()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Close; a client that is cut off is no news to whoever asked for the end."""
        logging.getLogger("uvicorn.error").setLevel(logging.CRITICAL + 1)
        await super().shutdown(sockets)


def _protocol(unread: Unread) -> type[HttpToolsProtocol]:
    """Uvicorn's protocol, with an end to the head of a request, and our answer to what cannot be read."""

    class Protocol(HttpToolsProtocol):
        _in_head = False
        _head = 0

        def on_message_begin(self) -> None:
            super().on_message_begin()
            self._in_head, self._head = True, 0

        def on_headers_complete(self) -> None:
            self._in_head = False
            super().on_headers_complete()

        def data_received(self, data: bytes) -> None:
            super().data_received(data)
            if self._in_head:
                self._head += len(data)
                if self._head > _MOST_HEAD and not self.transport.is_closing():
                    self.send_400_response("")

        def send_400_response(self, msg: str) -> None:  # noqa: ARG002  uvicorn's text is not JSON
            content, headers = unread()
            lines = [b"%s: %s\r\n" % header for header in headers]
            head = b"HTTP/1.1 400 Bad Request\r\n" + b"".join(lines) + b"connection: close\r\n\r\n"
            self.transport.write(head + content)
            self.transport.close()

    return Protocol
