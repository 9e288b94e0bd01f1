"""A server with bad habits, on plain sockets: it drips, stalls, resets, says 103 first, compresses, and never ends.

`with HostileServer(script) as server:` runs `script(request, connection)` for every request, in a thread of its own.
A script writes bytes, waits for `connection.released`, or closes. Run this file to have one for your own client:
`python tests/hostile.py drip --port 8080`.
"""

from __future__ import annotations

import argparse
import gzip
import json
import socket
import struct
import threading
import zlib
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, Self

import brotli  # type: ignore[import-untyped] # it has no stubs

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

PAGE: Final = json.dumps({"data": [], "has_more": False, "next_cursor": None}).encode()
"""An empty list."""
_DRIP: Final = 0.02
"""Seconds between two bytes of a dripping answer."""


@dataclass(frozen=True, slots=True)
class Received:
    """A request as it came."""

    method: str
    target: str
    headers: Mapping[str, str]
    """Names are in lower case."""
    body: bytes


@dataclass(slots=True)
class Connection:
    """One connection, as a script sees it."""

    socket: socket.socket
    released: threading.Event
    """Is set when the server ends; what stalls waits for it, and for nothing else."""
    index: int
    """Counted from 1."""
    buffer: bytes = b""

    def write(self, data: bytes) -> None:
        """Send bytes."""
        self.socket.sendall(data)

    def answer(self, body: bytes = PAGE, status: str = "200 OK", *headers: str) -> None:
        """Send a whole answer."""
        lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", "Content-Type: application/json", *headers]
        self.write("\r\n".join([*lines, "", ""]).encode("latin-1") + body)

    def reset(self) -> None:
        """Close the connection with a reset."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.close()

    def close(self) -> None:
        """Close the connection."""
        with suppress(OSError):
            self.socket.shutdown(socket.SHUT_RD)
        self.socket.close()


@dataclass(slots=True)
class HostileServer:
    """Runs a script for every request."""

    script: Callable[[Received, Connection], None]
    port: int = 0
    requests: list[Received] = field(default_factory=list)
    """The requests that came, in order."""
    connections: int = 0
    """How many connections were opened."""
    _listener: socket.socket | None = None
    _released: threading.Event = field(default_factory=threading.Event)
    _threads: list[threading.Thread] = field(default_factory=list)
    _sockets: list[socket.socket] = field(default_factory=list)

    @property
    def url(self) -> str:
        """Its address."""
        return f"http://127.0.0.1:{self.port}"

    def __enter__(self) -> Self:
        self._listener = socket.create_server(("127.0.0.1", self.port))
        self.port = self._listener.getsockname()[1]
        self._start(self._accept)
        return self

    def __exit__(self, *_: object) -> None:
        self._released.set()
        if self._listener is not None:
            with suppress(OSError):
                self._listener.shutdown(socket.SHUT_RDWR)
            self._listener.close()
        for each in list(self._sockets):
            with suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join()
        for each in self._sockets:
            each.close()

    def _start(self, work: Callable[[], None]) -> None:
        thread = threading.Thread(target=work, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        assert self._listener is not None
        while not self._released.is_set():
            try:
                opened, _ = self._listener.accept()
            except OSError:
                return
            self.connections += 1
            self._sockets.append(opened)
            connection = Connection(opened, self._released, self.connections)
            self._start(lambda connection=connection: self._serve(connection))  # type: ignore[misc]

    def _serve(self, connection: Connection) -> None:
        with suppress(OSError):
            while (request := _read(connection)) is not None:
                self.requests.append(request)
                self.script(request, connection)


def _read(connection: Connection) -> Received | None:
    """The next request; None at the end."""
    data = connection.buffer
    while b"\r\n\r\n" not in data:
        more = connection.socket.recv(1 << 16)
        if not more:
            return None
        data += more
    head, _, rest = data.partition(b"\r\n\r\n")
    first, *lines = head.decode("latin-1").split("\r\n")
    method, target, _ = first.split(" ", 2)
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    length = int(headers.get("content-length", "0"))
    while len(rest) < length:
        rest += connection.socket.recv(1 << 16)
    connection.buffer = rest[length:]
    return Received(method, target, headers, rest[:length])


# --- habits


def drip(request: Received, connection: Connection) -> None:
    """Send an answer byte by byte, and never finish it."""
    del request
    for byte in b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n" + b" " * 1_000_000:
        connection.write(bytes([byte]))
        if connection.released.wait(_DRIP):
            return


def drip_headers(request: Received, connection: Connection) -> None:
    """Send header lines for ever."""
    del request
    connection.write(b"HTTP/1.1 200 OK\r\n")
    while not connection.released.wait(_DRIP):
        connection.write(b"X: y\r\n")


def stall(request: Received, connection: Connection) -> None:
    """Say nothing."""
    del request
    connection.released.wait()


def reset(request: Received, connection: Connection) -> None:
    """Reset the connection."""
    del request
    connection.reset()


def close(request: Received, connection: Connection) -> None:
    """Close the connection without an answer."""
    del request
    connection.close()


def cut(request: Received, connection: Connection) -> None:
    """Close the connection in the middle of the body."""
    del request
    connection.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{")
    connection.close()


def babble(request: Received, connection: Connection) -> None:
    """Send what is not HTTP."""
    del request
    connection.write(b"220 mail.example ESMTP\r\n\r\n")
    connection.close()


def hint_early(request: Received, connection: Connection) -> None:
    """Send a 100 and a 103 before the answer."""
    del request
    connection.write(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </x>; rel=preload\r\n\r\n")
    connection.answer()


def redirect(request: Received, connection: Connection) -> None:
    """Redirect to another host."""
    del request
    connection.answer(b"", "302 Found", "Location: http://elsewhere.test/v1/runs")


def chunk(request: Received, connection: Connection) -> None:
    """Send chunks with extensions, and trailers."""
    del request
    half, rest = PAGE[:10], PAGE[10:]
    connection.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X-Sum\r\n\r\n")
    connection.write(b'%x;name="value"\r\n%b\r\n%x\r\n%b\r\n0\r\nX-Sum: 1\r\n\r\n' % (len(half), half, len(rest), rest))


def compress_gzip(request: Received, connection: Connection) -> None:
    """Send gzip, in two members."""
    del request
    connection.answer(gzip.compress(PAGE[:9]) + gzip.compress(PAGE[9:]), "200 OK", "Content-Encoding: gzip")


def compress_deflate(request: Received, connection: Connection) -> None:
    """Send deflate with zlib's header."""
    del request
    connection.answer(zlib.compress(PAGE), "200 OK", "Content-Encoding: deflate")


def compress_deflate_raw(request: Received, connection: Connection) -> None:
    """Send deflate without zlib's header, as some servers do."""
    del request
    packer = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    connection.answer(packer.compress(PAGE) + packer.flush(), "200 OK", "Content-Encoding: deflate")


def compress_br(request: Received, connection: Connection) -> None:
    """Send brotli."""
    del request
    connection.answer(brotli.compress(PAGE), "200 OK", "Content-Encoding: br")


def compress_twice(request: Received, connection: Connection) -> None:
    """Send brotli in gzip."""
    del request
    connection.answer(gzip.compress(brotli.compress(PAGE)), "200 OK", "Content-Encoding: br, gzip")


def miscode(request: Received, connection: Connection) -> None:
    """Call gzip what is not gzip."""
    del request
    connection.answer(PAGE, "200 OK", "Content-Encoding: gzip")


def cut_gzip(request: Received, connection: Connection) -> None:
    """Send half of a gzip body as if it were whole."""
    del request
    whole = gzip.compress(PAGE)
    connection.answer(whole[: len(whole) // 2], "200 OK", "Content-Encoding: gzip")


def bomb(request: Received, connection: Connection) -> None:
    """Send a few kilobytes of brotli that stand for a gigabyte."""
    del request
    packer = brotli.Compressor(quality=5)
    packed = b"".join(packer.process(bytes(1 << 20)) for _ in range(1 << 10)) + packer.finish()
    connection.answer(packed, "200 OK", "Content-Encoding: br")


def flood(request: Received, connection: Connection) -> None:
    """Send a body without an end."""
    del request
    connection.write(b"HTTP/1.1 200 OK\r\n\r\n")
    while not connection.released.is_set():
        connection.write(b" " * (1 << 16))


HABITS: Final = {
    habit.__name__.replace("_", "-"): habit
    for habit in (
        drip,
        drip_headers,
        stall,
        reset,
        close,
        cut,
        babble,
        hint_early,
        redirect,
        chunk,
        compress_gzip,
        compress_deflate,
        compress_deflate_raw,
        compress_br,
        compress_twice,
        miscode,
        cut_gzip,
        bomb,
        flood,
    )
}
"""The habits by name."""


def main() -> None:
    """Serve with a habit until interrupted."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("habit", choices=HABITS)
    parser.add_argument("--port", type=int, default=0, help="port on 127.0.0.1; 0 takes a free one")
    arguments = parser.parse_args()
    with HostileServer(HABITS[arguments.habit], arguments.port) as server, suppress(KeyboardInterrupt):
        print(server.url, flush=True)  # noqa: T201  its only output
        threading.Event().wait()


if __name__ == "__main__":
    main()
