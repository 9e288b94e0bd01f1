"""A bare connection: requests as bytes, many in flight on one connection, and the bytes of their answers."""

from __future__ import annotations

import socket
from itertools import islice
from typing import TYPE_CHECKING, Final, NamedTuple, Self

import orjson

from bench.machine import CannotMeasure

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

KEY: Final = "zof_test_admin"
TWO_CASES: Final = orjson.dumps(
    {"project_id": "proj_abc123", "environment": "staging", "test_case_ids": ["tc_login_001", "tc_checkout_014"]}
)
"""The body that starts a run of two cases."""

_AT_ONCE: Final = 64
_PIECE: Final = 1 << 18
_PATIENCE: Final = 60.0
_REFUSED: Final = 400


class Reply(NamedTuple):
    """An answer: its parts, and its bytes."""

    status: int
    headers: tuple[tuple[bytes, bytes], ...]
    content: bytes
    raw: bytes


def build_request(method: str, path: str, body: bytes = b"") -> bytes:
    """The bytes of a request with the administrator's key."""
    lines = [f"{method} {path} HTTP/1.1", "host: 127.0.0.1", f"authorization: Bearer {KEY}"]
    if body:
        lines += ["content-type: application/json", f"content-length: {len(body)}"]
    return "\r\n".join((*lines, "", "")).encode() + body


class Wire:
    """A connection to a loopback server whose answers all have a Content-Length."""

    def __init__(self, port: int) -> None:
        self._socket = socket.create_connection(("127.0.0.1", port), _PATIENCE)
        self._buffer = b""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.close()

    def ask(self, method: str, path: str, body: bytes = b"") -> Reply:
        """Send one request and return its answer; `CannotMeasure` if it is refused."""
        self._socket.sendall(build_request(method, path, body))
        return self._read_reply()

    def flood(self, requests: Iterable[bytes]) -> Iterator[Reply]:
        """Send many requests, up to 64 at a time, and yield their answers in order."""
        waiting = iter(requests)
        while batch := list(islice(waiting, _AT_ONCE)):
            self._socket.sendall(b"".join(batch))
            for _ in batch:
                yield self._read_reply()

    def _read_reply(self) -> Reply:
        while (end := self._buffer.find(b"\r\n\r\n")) < 0:
            self._receive()
        first, *lines = self._buffer[:end].split(b"\r\n")
        headers = tuple((name.lower(), value) for name, _, value in (line.partition(b": ") for line in lines))
        size = end + 4 + int(dict(headers)[b"content-length"])
        while len(self._buffer) < size:
            self._receive()
        raw, self._buffer = self._buffer[:size], self._buffer[size:]
        status = int(first.split()[1])
        if status >= _REFUSED:
            raise CannotMeasure(f"the emulator refused a request: {raw[end + 4 :].decode()}")
        return Reply(status, headers, raw[end + 4 :], raw)

    def _receive(self) -> None:
        piece = self._socket.recv(_PIECE)
        if not piece:
            raise CannotMeasure("the emulator closed a connection in the middle of an answer")
        self._buffer += piece
