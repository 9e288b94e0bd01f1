"""Takes a body out of its content codings, piece by piece, and never holds more of it than a bound.

A few kilobytes of a compressed body can stand for gigabytes, so each decoder is asked for a bounded piece.
"""

from __future__ import annotations

import zlib
from typing import Final, Protocol

try:
    import brotli  # type: ignore[import-untyped] # it has no stubs
except ModuleNotFoundError:  # Without the extra `contracts`, help and catalogue work, and nothing is decoded.
    brotli = None

ACCEPT_ENCODING: Final = "gzip, deflate, br"
"""The codings that are decoded, as the header names them."""
_GZIP_WINDOW: Final = 16 + zlib.MAX_WBITS
_PIECE: Final = 1 << 16


class BodyTooLong(Exception):  # noqa: N818  a bound, not a fault
    """A body exceeds the bound."""


class _Decoder(Protocol):
    def decode(self, data: bytes, room: int) -> bytes:
        """Decode a piece; at most about `room` bytes come back."""
        ...

    def is_complete(self) -> bool:
        """Whether the coded data has reached its end."""
        ...


class _Zlib:
    """gzip, or deflate with and without zlib's header."""

    def __init__(self, window: int) -> None:
        self._window = window
        self._decoder = zlib.decompressobj(window)
        self._has_begun = False

    def decode(self, data: bytes, room: int) -> bytes:
        parts: list[bytes] = []
        while data and room > 0:
            if self._decoder.eof:  # another gzip member follows
                self._decoder = zlib.decompressobj(self._window)
            try:
                part = self._decoder.decompress(data, room)
            except zlib.error:
                if self._has_begun or self._window != zlib.MAX_WBITS:
                    raise
                self._window = -zlib.MAX_WBITS  # deflate without the header that RFC 9110 asks for
                self._decoder = zlib.decompressobj(self._window)
                part = self._decoder.decompress(data, room)
            self._has_begun = True
            parts.append(part)
            room -= len(part)
            data = self._decoder.unconsumed_tail or self._decoder.unused_data
        return b"".join(parts)

    def is_complete(self) -> bool:
        return self._decoder.eof


class _Brotli:
    def __init__(self) -> None:
        self._decoder = brotli.Decompressor()

    def decode(self, data: bytes, room: int) -> bytes:
        parts: list[bytes] = []
        while room > 0:
            part: bytes = self._decoder.process(data, output_buffer_limit=min(room, _PIECE))
            parts.append(part)
            room -= len(part)
            data = b""
            if self._decoder.can_accept_more_data() or self._decoder.is_finished():
                break
        return b"".join(parts)

    def is_complete(self) -> bool:
        finished: bool = self._decoder.is_finished()
        return finished


class BodyReader:
    """Collects a body up to `limit` bytes.

    Raises:
        ValueError: a coding is not one of gzip, deflate and br, or the body is not in that coding.
        BodyTooLong: the body has more than `limit` bytes; `body` holds those that were read.
    """

    def __init__(self, codings: str, limit: int) -> None:
        names = [name.strip().lower() for name in codings.split(",") if name.strip()]
        self._decoders = [_make_decoder(name) for name in reversed(names) if name != "identity"]
        self._codings = ", ".join(names)
        self._limit = limit
        self._parts: list[bytes] = []
        self._size = 0
        self._is_empty = True

    @property
    def body(self) -> bytes:
        """The bytes that were read."""
        return b"".join(self._parts)

    def feed(self, data: bytes) -> None:
        """Take the next bytes of the message."""
        if data:
            self._is_empty = False
        room = self._limit - self._size + 1
        for decoder in self._decoders:
            try:
                data = decoder.decode(data, room)
            except (zlib.error, brotli.error) as error:
                raise ValueError(f"the body is not in its content coding {self._codings}") from error
        self._parts.append(data[:room])
        self._size += len(self._parts[-1])
        if self._size > self._limit:
            raise BodyTooLong

    def finish(self) -> None:
        """State that the message has ended."""
        if not self._is_empty and not all(decoder.is_complete() for decoder in self._decoders):
            raise ValueError(f"the body ends in the middle of its content coding {self._codings}")


def _make_decoder(coding: str) -> _Decoder:
    match coding:
        case "gzip" | "x-gzip":
            return _Zlib(_GZIP_WINDOW)
        case "deflate":
            return _Zlib(zlib.MAX_WBITS)
        case "br":
            return _Brotli()
    raise ValueError("the body has a content coding that was not asked for")
