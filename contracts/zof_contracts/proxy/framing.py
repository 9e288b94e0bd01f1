"""Finds the messages in the bytes of one direction of an HTTP/1.1 connection, without changing a byte.

`MessageReader.feed` cuts what came into pieces whose `raw` bytes, one after another, are what was fed. A piece may
begin a message (`head`), hold a part of its body (`content`) or end it (`is_end`). When the bytes are not HTTP/1.1 as
this module reads it, the reader becomes opaque: everything that follows is passed on and nothing is recognized.
"""

from __future__ import annotations

import re
from collections import deque
from dataclasses import dataclass
from enum import Enum, auto
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from zof_contracts.evidence.exchange import Headers

MAX_HEAD: Final = 1 << 18
"""Bytes of a head; a longer one makes the reader opaque."""
_HEX: Final = re.compile(rb"[0-9A-Fa-f]{1,16}")
_MAX_CHUNK_LINE: Final = 1 << 12
_END_OF_HEAD: Final = b"\r\n\r\n"
_INTERIM: Final = range(100, 200)
_SWITCHING: Final = 101
_WITHOUT_BODY: Final = frozenset({204, 304})
_SUCCESS: Final = range(200, 300)
_STATUS_LINE_PARTS: Final = 2
_REQUEST_LINE_PARTS: Final = 3


@dataclass(frozen=True, slots=True)
class Head:
    """The start of a message."""

    line: str
    """The request line or the status line."""
    headers: Headers

    @property
    def method(self) -> str:
        """The method of a request."""
        return self.line.partition(" ")[0]

    @property
    def target(self) -> str:
        """The target of a request, as it was sent."""
        return self.line.split(" ")[1]

    @property
    def status(self) -> int:
        """The status of an answer."""
        return int(self.line.split(" ")[1])

    def header(self, name: str) -> str:
        """The values of a header, joined by commas; empty without one. `name` is in lower case."""
        return ",".join(value for key, value in self.headers if key.lower() == name)


@dataclass(frozen=True, slots=True)
class Piece:
    """A part of what was fed."""

    raw: bytes
    head: Head | None = None
    """The head that is complete with this piece."""
    content: bytes = b""
    is_end: bool = False
    is_early: bool = False
    """Whether it is a part of a head, or of a line of the chunked coding, that is not complete yet."""


class _State(Enum):
    HEAD = auto()
    LENGTH = auto()
    CHUNK_LINE = auto()
    CHUNK = auto()
    CHUNK_END = auto()
    TRAILER = auto()
    UNTIL_CLOSE = auto()
    OPAQUE = auto()


class NotHttpError(ValueError):
    """The bytes are not HTTP/1.1 as this module reads it."""


class MessageReader:
    """Reads the messages of one direction: requests, or the answers to requests whose methods are given."""

    def __init__(self, *, is_answer: bool, must_hold: Callable[[bytes], bool] = lambda _: True) -> None:
        """`must_hold` says of the beginning of a head whether it must be held back until the head is complete."""
        self._is_answer = is_answer
        self._must_hold = must_hold
        self._passed = 0
        """The bytes of an incomplete head or line that were passed on."""
        self._state = _State.HEAD
        self._buffer = b""
        self._left = 0
        self._methods: deque[str] = deque()

    @property
    def is_opaque(self) -> bool:
        """Whether nothing more is recognized."""
        return self._state is _State.OPAQUE

    def expect(self, method: str) -> None:
        """Note the method of a request whose answer will come."""
        self._methods.append(method)

    def give_up(self) -> bytes:
        """Become opaque; the bytes that were held back."""
        held, self._buffer = self._buffer[self._passed :], b""
        self._passed = 0
        self._state = _State.OPAQUE
        return held

    def feed(self, data: bytes) -> Iterator[Piece]:
        """Cut bytes into pieces. An incomplete head is held back."""
        self._buffer += data
        while self._buffer:
            if self._state is _State.OPAQUE:
                yield Piece(self._take(len(self._buffer)))
                return
            try:
                piece = self._step()
            except (NotHttpError, ValueError, IndexError):
                yield Piece(self.give_up())
                return
            if piece is None:
                return
            yield piece
            if piece.is_early:
                return

    def end(self) -> Iterator[Piece]:
        """Note that the connection ends: what was held back, and the end of a message that lasts until then."""
        if self._state is _State.UNTIL_CLOSE:
            self._state = _State.HEAD
            yield Piece(b"", is_end=True)
        elif self._buffer:
            yield Piece(self.give_up())

    def _take(self, count: int) -> bytes:
        taken, self._buffer = self._buffer[:count], self._buffer[count:]
        return taken

    def _step(self) -> Piece | None:
        """The next piece; None if more bytes are needed."""
        match self._state:
            case _State.HEAD:
                return self._read_head()
            case _State.LENGTH:
                return self._read_content(_State.HEAD)
            case _State.CHUNK:
                return self._read_content(_State.CHUNK_END)
            case _State.UNTIL_CLOSE:
                content = self._take(len(self._buffer))
                return Piece(content, content=content)
            case _State.CHUNK_LINE | _State.CHUNK_END | _State.TRAILER:
                return self._read_line()
            case _State.OPAQUE:
                return Piece(self._take(len(self._buffer)))

    def _read_content(self, after: _State) -> Piece:
        content = self._take(min(self._left, len(self._buffer)))
        self._left -= len(content)
        if self._left == 0:
            self._state = after
        return Piece(content, content=content, is_end=self._left == 0 and after is _State.HEAD)

    def _read_line(self) -> Piece | None:
        """A line of the chunked coding."""
        line, end, _ = self._buffer.partition(b"\r\n")
        if not end:
            if len(self._buffer) > _MAX_CHUNK_LINE:
                raise NotHttpError
            return self._pass_early()
        after, size = self._judge_line(line)
        raw = self._take(len(line) + len(end))[self._passed :]
        self._passed = 0
        self._state, self._left = after, size
        return Piece(raw, is_end=after is _State.HEAD)

    def _judge_line(self, line: bytes) -> tuple[_State, int]:
        """The state after a line of the chunked coding, and the size of the chunk if a chunk follows."""
        if self._state is _State.CHUNK_END:
            if line:
                raise NotHttpError
            return _State.CHUNK_LINE, 0
        if self._state is _State.CHUNK_LINE:
            size = _parse_size(line)
            return (_State.CHUNK if size else _State.TRAILER), size
        return (_State.TRAILER if line else _State.HEAD), 0

    def _read_head(self) -> Piece | None:
        text, end, _ = self._buffer.partition(_END_OF_HEAD)
        if not end:
            if len(self._buffer) > MAX_HEAD:
                raise NotHttpError
            return None if self._must_hold(self._buffer) else self._pass_early()
        head = _parse_head(text)
        self._choose_body(head)
        raw = self._take(len(text) + len(end))[self._passed :]
        self._passed = 0
        is_end = self._state is _State.HEAD and not (self._is_answer and head.status in _INTERIM)
        return Piece(raw, head, is_end=is_end)

    def _pass_early(self) -> Piece | None:
        """The new bytes of an incomplete head or line; None if there are none."""
        early = self._buffer[self._passed :]
        if not early:
            return None
        self._passed = len(self._buffer)
        return Piece(early, is_early=True)

    def _choose_body(self, head: Head) -> None:
        """Decide how the body of a message is delimited, as RFC 9112 section 6.3 does."""
        if self._is_answer and not self._choose_for_answer(head):
            return
        coding, length = head.header("transfer-encoding").strip().lower(), head.header("content-length").strip()
        if coding:
            if coding.rpartition(",")[2].strip() == "chunked":
                self._state = _State.CHUNK_LINE
                return
            if not self._is_answer:
                raise NotHttpError
        elif length:
            if not length.isascii() or not length.isdigit():
                raise NotHttpError
            self._left = int(length)
            self._state = _State.LENGTH if self._left else _State.HEAD
            return
        self._state = _State.UNTIL_CLOSE if self._is_answer else _State.HEAD

    def _choose_for_answer(self, head: Head) -> bool:
        """Whether an answer may have a body."""
        status = head.status
        if status in _INTERIM:
            self._state = _State.OPAQUE if status == _SWITCHING else _State.HEAD
            return False
        if not self._methods:
            raise NotHttpError
        method = self._methods.popleft()
        if method == "CONNECT" and status in _SUCCESS:
            self._state = _State.OPAQUE
            return False
        if method == "HEAD" or status in _WITHOUT_BODY:
            self._state = _State.HEAD
            return False
        return True


def _parse_size(line: bytes) -> int:
    """The size in the first line of a chunk."""
    size = line.partition(b";")[0].rstrip(b" \t")
    if not _HEX.fullmatch(size):
        raise NotHttpError
    return int(size, 16)


def _parse_head(text: bytes) -> Head:
    line, *fields = text.decode("latin-1").split("\r\n")
    parts = line.split(" ", _REQUEST_LINE_PARTS - 1)
    if len(parts) < _STATUS_LINE_PARTS or "HTTP/1." not in line or "\n" in line:
        raise NotHttpError
    headers = []
    for field in fields:
        name, colon, value = field.partition(":")
        if not colon or not name or name != name.strip() or "\n" in field:
            raise NotHttpError
        headers.append((name, value.strip()))
    return Head(line, tuple(headers))
