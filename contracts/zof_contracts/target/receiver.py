"""The receiver: an HTTP server on a free loopback port that takes the webhooks which a target sends.

It is the standard library's threading server, with h11 for HTTP/1.1. It keeps the headers and the body of every request
as they came, and answers with a given status. A tunnel leads to it from a target elsewhere.
"""

from __future__ import annotations

import time
from contextlib import suppress
from dataclasses import dataclass
from socketserver import BaseRequestHandler, ThreadingTCPServer
from threading import Condition, Thread
from typing import TYPE_CHECKING, Final

import h11

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable, Sequence

LONGEST_BODY: Final = 1 << 20
"""The bytes of a body that are read; a webhook is far shorter."""
MOST_KEPT: Final = 10_000
"""The requests that are kept."""
_NO_CONTENT: Final = 204
_METHOD_NOT_ALLOWED: Final = 405
_LONGEST_SILENCE: Final = 30
"""The seconds after which a connection on which nothing comes is closed."""
_PIECE: Final = 1 << 16


@dataclass(frozen=True, slots=True)
class Received:
    """A request as it came."""

    path: str
    headers: tuple[tuple[str, str], ...]
    body: bytes
    answer: int
    """The status that it was answered with."""

    def header(self, name: str) -> str:
        """The value of a header; empty when it is missing."""
        return next((value for each, value in self.headers if each.lower() == name.lower()), "")


class Receiver:
    """Takes webhooks until it is closed."""

    def __init__(self, port: int = 0) -> None:
        """Listen on a loopback port; 0 picks a free one. Raises `OSError` when it cannot."""
        self._received: list[Received] = []
        self._came = Condition()
        self.answer: Callable[[bytes], int] = lambda _: _NO_CONTENT
        """Returns the status to answer a body with."""
        self._server = _Server(("127.0.0.1", port), _make_handler(self))
        self._thread = Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
        self._thread.start()

    @property
    def url(self) -> str:
        """Scheme, host and port."""
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    @property
    def requests(self) -> Sequence[Received]:
        """The requests that came, in order."""
        with self._came:
            return tuple(self._received)

    def take(self, path: str, headers: Sequence[tuple[str, str]], body: bytes) -> int:
        """Keep a request; return the status to answer it with."""
        status = self.answer(body)
        with self._came:
            if len(self._received) < MOST_KEPT:
                self._received.append(Received(path, tuple(headers), body, status))
            self._came.notify_all()
        return status

    def wait_for(self, has_come: Callable[[Sequence[Received]], bool], seconds: float) -> bool:
        """Wait until the condition on the received requests holds, at most `seconds`; return whether it does."""
        end = time.monotonic() + seconds
        with self._came:
            return self._came.wait_for(lambda: has_come(self._received), max(0.0, end - time.monotonic()))

    def close(self) -> None:
        """Stop listening."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(1)


class _Server(ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True
    request_queue_size = 128


def _make_handler(receiver: Receiver) -> type[BaseRequestHandler]:
    class Handler(BaseRequestHandler):
        """Hands the requests of one connection to the receiver."""

        def handle(self) -> None:
            """Take requests until one side closes the connection, or until something comes that is not HTTP."""
            stream: socket.socket = self.request
            stream.settimeout(_LONGEST_SILENCE)
            connection = h11.Connection(h11.SERVER)
            with suppress(OSError, h11.ProtocolError):
                while _take_request(stream, connection, receiver):
                    connection.start_next_cycle()

    return Handler


def _take_request(stream: socket.socket, connection: h11.Connection, receiver: Receiver) -> bool:
    """Read a request and answer it; whether the connection may carry another one."""
    request: h11.Request | None = None
    event: object = None
    body = bytearray()
    while len(body) <= LONGEST_BODY and not isinstance(event, (h11.EndOfMessage, h11.ConnectionClosed)):
        event = connection.next_event()
        if event is h11.NEED_DATA:
            if connection.they_are_waiting_for_100_continue:
                stream.sendall(connection.send(h11.InformationalResponse(status_code=100, headers=[])) or b"")
            connection.receive_data(stream.recv(_PIECE))
        elif isinstance(event, h11.Request):
            request = event
        elif isinstance(event, h11.Data):
            body += event.data
    if request is None:
        return False
    status = _METHOD_NOT_ALLOWED
    if request.method == b"POST":
        headers = [(name.decode("latin-1"), value.decode("latin-1")) for name, value in request.headers.raw_items()]
        status = receiver.take(request.target.decode("latin-1"), headers, bytes(body[:LONGEST_BODY]))
    length = [] if status == _NO_CONTENT else [("Content-Length", "0")]
    head = connection.send(h11.Response(status_code=status, headers=length)) or b""
    stream.sendall(head + (connection.send(h11.EndOfMessage()) or b""))
    return connection.our_state is h11.DONE and connection.their_state is h11.DONE
