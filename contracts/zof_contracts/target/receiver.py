"""The receiver: an HTTP server on a free loopback port that takes the webhooks which a target sends.

It is the standard library's threading server. It keeps every request as it came, byte for byte, and answers as it is
told. Where the target is not on this machine, a tunnel leads to it.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Condition, Thread
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

LONGEST_BODY: Final = 1 << 20
"""The bytes of a body that are read; a webhook is far shorter."""
MOST_KEPT: Final = 10_000
"""The requests that are kept."""
_NO_CONTENT: Final = 204


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
        self._server = ThreadingHTTPServer(("127.0.0.1", port), _make_handler(self))
        self._server.daemon_threads = True
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
        """Wait until the requests that came are as wanted, for so many seconds at most; whether they are."""
        end = time.monotonic() + seconds
        with self._came:
            return self._came.wait_for(lambda: has_come(self._received), max(0.0, end - time.monotonic()))

    def close(self) -> None:
        """Stop listening."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(1)


def _make_handler(receiver: Receiver) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        """Hands requests to the receiver."""

        protocol_version = "HTTP/1.1"
        timeout = 30

        def do_POST(self) -> None:
            """Take a webhook."""
            length = self.headers.get("Content-Length", "0")
            size = int(length) if length.isascii() and length.isdigit() else 0
            body = self.rfile.read(min(size, LONGEST_BODY))
            status = receiver.take(self.path, self.headers.items(), body)
            self.send_response(status)
            self.send_header("Content-Length", "0")
            self.end_headers()
            self.close_connection = size > LONGEST_BODY

        def log_message(self, *_: Any) -> None:  # noqa: ANN401
            """Print nothing."""

    return Handler
