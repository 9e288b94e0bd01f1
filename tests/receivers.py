"""Receivers for tests: loopback servers that take webhooks and answer as they are told, honestly or badly."""

from __future__ import annotations

import socket
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from threading import Condition, Event, Thread
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

PATIENCE: Final = 10.0
"""Seconds that a test waits for what must come."""
NO_CONTENT: Final = b"HTTP/1.1 204 No Content\r\n\r\n"


def answer(status: int, body: bytes = b"", *headers: str) -> bytes:
    """An HTTP answer in bytes."""
    head = "".join(f"{one}\r\n" for one in headers)
    return f"HTTP/1.1 {status} Answer\r\n{head}Content-Length: {len(body)}\r\n\r\n".encode() + body


@dataclass(frozen=True)
class Received:
    """A request as it came."""

    target: str
    headers: dict[str, str]
    body: bytes


@dataclass
class Receiver:
    """A server on a loopback port; `respond` gives the bytes of each answer, in one piece or in many."""

    respond: Callable[[Received], bytes | Iterator[bytes]]
    host: str = "127.0.0.1"
    port: int = 0
    requests: list[Received] = field(default_factory=list)

    def __post_init__(self) -> None:
        family = socket.AF_INET6 if ":" in self.host else socket.AF_INET
        self._socket = socket.socket(family, socket.SOCK_STREAM)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self._socket.bind((self.host, self.port))
        self._socket.listen(128)
        self.port = self._socket.getsockname()[1]
        self._came = Condition()
        self._is_open = True
        self._connections: list[socket.socket] = []
        Thread(target=self._accept, daemon=True).start()

    @property
    def url(self) -> str:
        """Where it listens."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"http://{host}:{self.port}/hook"

    @property
    def connection_count(self) -> int:
        """The number of connections that it has accepted."""
        return len(self._connections)

    def wait_for(self, count: int) -> list[Received]:
        """The first `count` requests, as soon as they have come."""
        with self._came:
            if not self._came.wait_for(lambda: len(self.requests) >= count, PATIENCE):
                raise AssertionError(f"{len(self.requests)} of {count} requests came")
            return self.requests[:count]

    def close(self) -> None:
        """Stop listening, and cut all connections."""
        self._is_open = False
        with suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()
        for one in self._connections:
            with suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)

    def _accept(self) -> None:
        while self._is_open:
            try:
                connection, _ = self._socket.accept()
            except OSError:
                return
            self._connections.append(connection)
            Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        with connection, suppress(OSError), connection.makefile("rb") as stream:
            while first := stream.readline():
                headers = dict[str, str]()
                while (line := stream.readline().strip()) != b"":
                    name, _, value = line.decode("latin-1").partition(":")
                    headers[name.strip().lower()] = value.strip()
                body = stream.read(int(headers.get("content-length", "0")))
                received = Received(first.split()[1].decode(), headers, body)
                with self._came:
                    self.requests.append(received)
                    self._came.notify_all()
                found = self.respond(received)
                for piece in (found,) if isinstance(found, bytes) else found:
                    connection.sendall(piece)


@contextmanager
def receiving(
    respond: Callable[[Received], bytes | Iterator[bytes]] = lambda _: NO_CONTENT,
    host: str = "127.0.0.1",
    port: int = 0,
) -> Iterator[Receiver]:
    """A receiver for the time of a `with`."""
    receiver = Receiver(respond, host, port)
    try:
        yield receiver
    finally:
        receiver.close()


@contextmanager
def silent() -> Iterator[Receiver]:
    """A receiver that takes requests and never answers, until the `with` ends."""
    ended = Event()

    def hang(_: Received) -> Iterator[bytes]:
        ended.wait(PATIENCE)
        yield from ()

    with receiving(hang) as receiver:
        try:
            yield receiver
        finally:
            ended.set()
