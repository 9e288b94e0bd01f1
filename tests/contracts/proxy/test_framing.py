"""Messages are found in the bytes of a connection, and no byte is changed."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st
from zof_contracts.proxy.framing import MAX_HEAD, MessageReader

if TYPE_CHECKING:
    from collections.abc import Iterable

    from zof_contracts.proxy.framing import Piece

GET = b"GET /v1/runs HTTP/1.1\r\nHost: x\r\n\r\n"
POST = b"POST /v1/runs HTTP/1.1\r\nContent-Length: 5\r\n\r\nhello"
CHUNKED = b"POST /v1/runs HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n3;x=1\r\nabc\r\n2\r\nde\r\n0\r\nT: 1\r\n\r\n"
EMPTY = b"POST /v1/runs HTTP/1.1\r\nContent-Length: 0\r\n\r\n"


def read(reader: MessageReader, pieces: Iterable[bytes]) -> list[Piece]:
    """The messages that a reader finds in bytes."""
    found = [piece for data in pieces for piece in reader.feed(data)]
    return [*found, *reader.end()]


def list_messages(pieces: list[Piece]) -> list[tuple[str, bytes]]:
    """First line and body of each complete message."""
    found: list[tuple[str, bytes]] = []
    line, body = "", b""
    for piece in pieces:
        line, body = (piece.head.line, b"") if piece.head else (line, body)
        body += piece.content
        if piece.is_end:
            found.append((line, body))
    return found


@given(st.lists(st.sampled_from([GET, POST, CHUNKED, EMPTY])), st.data(), st.booleans())
def test_requests_are_found_however_they_are_cut(messages: list[bytes], data: st.DataObject, hold: bool) -> None:  # noqa: FBT001
    """Requests are found wherever the bytes are cut, and the raw bytes of all pieces are those that came."""
    whole = b"".join(messages)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(whole)))))
    parts = [whole[start:end] for start, end in zip([0, *cuts], [*cuts, len(whole)], strict=True)]
    pieces = read(MessageReader(is_answer=False, must_hold=lambda _: hold), parts)
    assert b"".join(piece.raw for piece in pieces) == whole
    bodies = {GET: b"", POST: b"hello", CHUNKED: b"abcde", EMPTY: b""}
    assert [body for _, body in list_messages(pieces)] == [bodies[each] for each in messages]


BAD_CHUNKS = [
    b"zz\r\n",
    b"-5\r\nhello\r\n",
    b"f" * 20 + b"\r\n",
    b"5\r\nhelloXX\r\n",
    b"5\nhello\n",
    b"\r\n",
    b"x" * 9000,
]


@pytest.mark.parametrize("bad", BAD_CHUNKS, ids=range(len(BAD_CHUNKS)))
@pytest.mark.parametrize("step", [1, 7, 20_000])
def test_a_bad_chunk_passes_unchanged(bad: bytes, step: int) -> None:
    """A chunked body that is broken is passed on to its last byte, and at once."""
    whole = CHUNKED.partition(b"3;x")[0] + bad
    reader = MessageReader(is_answer=False, must_hold=lambda _: False)
    parts = [whole[start : start + step] for start in range(0, len(whole), step)]
    assert b"".join(piece.raw for part in parts for piece in reader.feed(part)) == whole


@given(st.lists(st.binary()), st.booleans())
def test_no_byte_is_lost_whatever_comes(parts: list[bytes], is_answer: bool) -> None:  # noqa: FBT001
    """Bytes that are not HTTP pass unchanged, in both directions."""
    pieces = read(MessageReader(is_answer=is_answer), parts)
    assert b"".join(piece.raw for piece in pieces) == b"".join(parts)


@pytest.mark.parametrize(
    ("method", "answer", "body"),
    [
        ("GET", b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}", b"{}"),
        ("GET", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n", b"{}"),
        ("GET", b"HTTP/1.1 200 OK\r\n\r\n{}", b"{}"),
        ("HEAD", b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n", b""),
        ("GET", b"HTTP/1.1 204 No Content\r\n\r\n", b""),
        ("POST", b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 201 Created\r\nContent-Length: 1\r\n\r\n1", b"1"),
        ("GET", b"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", b""),
    ],
)
def test_the_body_of_an_answer_is_delimited(method: str, answer: bytes, body: bytes) -> None:
    """The end of an answer follows from the method of its request, its status and its headers."""
    reader = MessageReader(is_answer=True)
    reader.expect(method)
    pieces = read(reader, [answer])
    assert b"".join(piece.raw for piece in pieces) == answer
    assert [each for _, each in list_messages(pieces)] == [body]


@pytest.mark.parametrize(
    "answer", [b"HTTP/1.1 200 OK\r\n\r\n", b"HTTP/1.1 101 Switching Protocols\r\n\r\n\x81\x05hello", b"hello\r\n\r\n"]
)
def test_what_was_not_asked_for_makes_a_reader_opaque(answer: bytes) -> None:
    """An answer without a request, a switch of protocols and what is not HTTP end the recognition."""
    reader = MessageReader(is_answer=True)
    pieces = read(reader, [answer, GET])
    assert b"".join(piece.raw for piece in pieces) == answer + GET
    assert reader.is_opaque
    assert list_messages(pieces) == []


def test_a_head_without_end_makes_a_reader_opaque() -> None:
    """The memory for a head has a bound."""
    reader = MessageReader(is_answer=False)
    pieces = read(reader, [b"GET / HTTP/1.1\r\n"] + [b"x" * 1000] * (MAX_HEAD // 1000 + 1))
    assert sum(len(piece.raw) for piece in pieces) == 16 + 1000 * (MAX_HEAD // 1000 + 1)
    assert reader.is_opaque
