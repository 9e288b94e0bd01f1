"""Ranges of a file: the answer to a request for a part of it (RFC 9110, section 14)."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from zof_emulator.core.refusal import Refused
from zof_emulator.handlers.messages import Encoded

if TYPE_CHECKING:
    from collections.abc import Mapping

_OK: Final = 200
_PARTIAL_CONTENT: Final = 206
_RANGE: Final = re.compile(rb"bytes=(?:([0-9]+)-([0-9]*)|-([0-9]+))", re.IGNORECASE)
_ACCEPT_RANGES: Final = (b"accept-ranges", b"bytes")
_MOST_DIGITS: Final = 18
"""The digits of a position that are read; no file is that long."""


def select_range(encoded: Encoded, method: str, headers: Mapping[bytes, bytes]) -> Encoded:
    """The part of a file that the header `Range` asks for; the whole file if the header is to be ignored.

    Ignored are several ranges, another unit, a malformed range, a range of a method other than GET, and a range with a
    condition (`If-Range`), which no file fulfills because files have no validators.

    Raises:
        Refused: no byte of the file is in the range.
    """
    if encoded.status != _OK:
        return encoded
    encoded = encoded._replace(headers=(*encoded.headers, _ACCEPT_RANGES))
    match = _RANGE.fullmatch(headers.get(b"range", b""))
    if match is None or method != "GET" or b"if-range" in headers:
        return encoded
    content = b"".join(encoded.pieces())
    span = _find_span(match, len(content))
    if span is None:
        return encoded
    if not span:
        raise Refused("range_not_satisfiable", "Range", size=len(content))
    part = content[span.start : span.stop]
    kept = tuple(pair for pair in encoded.headers if pair[0] != b"content-length")
    position = b"bytes %d-%d/%d" % (span.start, span.stop - 1, len(content))
    own = ((b"content-length", b"%d" % len(part)), (b"content-range", position))
    return Encoded(_PARTIAL_CONTENT, (*kept, *own), lambda: (part,))


def _find_span(match: re.Match[bytes], size: int) -> range | None:
    """The positions of the requested bytes that exist; None if the range ends before it begins."""
    first, last, suffix = match.groups()
    if suffix is not None:
        return range(max(0, size - _read_position(suffix)), size)
    start = _read_position(first)
    stop = _read_position(last) + 1 if last else size
    return None if last and stop <= start else range(start, min(stop, size))


def _read_position(digits: bytes) -> int:
    """A position; one of too many digits is beyond the end of every file."""
    digits = digits.lstrip(b"0") or b"0"
    return int(digits) if len(digits) <= _MOST_DIGITS else 10**_MOST_DIGITS
