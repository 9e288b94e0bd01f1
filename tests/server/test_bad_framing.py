"""Bad framing: split, pipelined, with no length or two lengths, with wrong announcements, and random bytes.

For any bytes, the client gets a readable answer in finite time, and no run is lost.
"""

from __future__ import annotations

import json
from itertools import repeat
from typing import TYPE_CHECKING, Final

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.served import BAD, CHUNKED, LIST, MIB, START, Answer, Wire, World, ask, request
from tests.zof import CI, STAGING

if TYPE_CHECKING:
    from collections.abc import Sequence


# --- how a request is sent


def test_byte_by_byte(world: World) -> None:
    """A request may come one byte at a time."""
    with Wire(world.port) as wire:
        for byte in request("POST", "/v1/runs", START):
            wire.send(bytes((byte,)))
        world.record_accepted(wire.answer())


def test_pipelined(world: World) -> None:
    """Pipelined requests are answered in order."""
    with Wire(world.port) as wire:
        wire.send((request("POST", "/v1/runs", START) + LIST) * 20)
        for count in range(len(world.runs) + 1, len(world.runs) + 21):
            world.record_accepted(wire.answer())
            assert len(wire.answer().json["data"]) == min(count, 20)


@pytest.mark.parametrize("behind", [b"GARBAGE\r\n\r\n", b"\0", b"}"], ids=["a line", "a NUL", "a longer body"])
def test_garbage_behind_a_request(world: World, behind: bytes) -> None:
    """Invalid bytes after a request are refused after the answer to that request."""
    with Wire(world.port) as wire:
        wire.send(request("POST", "/v1/runs", START) + behind)
        world.record_accepted(wire.answer())
        assert wire.answer().refusal == BAD


def test_more_requests_than_the_client_reads_answers_to(world: World) -> None:
    """The server stops reading from a client that sends and never reads, so memory is bounded."""
    with Wire(world.port, most_waiting=4096) as wire:
        wire.send(LIST * 2000)
        world.start()
        assert [wire.answer().status for _ in range(2000)] == [200] * 2000


@pytest.mark.parametrize("lines", [(), (b"Connection: keep-alive",)], ids=["plain", "keep-alive"])
def test_http_1_0(world: World, lines: Sequence[bytes]) -> None:
    """A request in HTTP/1.0 is answered, and the connection ends."""
    with Wire(world.port) as wire:
        wire.send(request("POST", "/v1/runs", START, *lines, version=b"HTTP/1.0"))
        world.record_accepted(wire.answer())
        assert wire.rest() == b""


def test_a_stream_in_http_1_0(world: World) -> None:
    """An HTTP/1.0 answer of unknown length ends with the connection, without chunks (RFC 9112, 6.1)."""
    with Wire(world.port) as wire:
        wire.send(request("POST", "/v1/results/export", {"format": "csv"}, version=b"HTTP/1.0"))
        answer = wire.answer()
        assert answer["transfer-encoding"] is None
        assert answer.content.startswith(b"id,run_id,")


# --- bodies in pieces


def chunks(*pieces: bytes, end: bytes = b"0\r\n\r\n") -> bytes:
    """A body in chunks."""
    return b"".join(b"%x\r\n%s\r\n" % (len(piece), piece) for piece in pieces) + end


def send_in_chunks(body: bytes) -> bytes:
    """A start whose body is sent as it is, declared to be in chunks."""
    return request("POST", "/v1/runs", b"", CHUNKED, b"Content-Type: application/json") + body


def test_chunks(world: World) -> None:
    """A body may come in chunks."""
    body = json.dumps(START).encode()
    world.record_accepted(
        ask(world.port, send_in_chunks(chunks(*(body[place : place + 1] for place in range(len(body))))))
    )


def test_no_chunk(world: World) -> None:
    """A chunked body without chunks is a missing body."""
    assert world.refusal(send_in_chunks(chunks())) == BAD


def test_two_mib_in_chunks(world: World) -> None:
    """A chunked body of over 1 MiB is 413, and the connection stays usable."""
    with Wire(world.port) as wire:
        wire.send(send_in_chunks(chunks(*repeat(b" " * 65_536, 32))))
        assert wire.answer().refusal == (413, "payload_too_large", None)
        wire.send(LIST)
        assert wire.answer().status == 200


BAD_CHUNKS: Final = {
    "no hex": b"zz\r\n{}\r\n0\r\n\r\n",
    "empty": b"\r\n{}\r\n0\r\n\r\n",
    "negative": b"-2\r\n{}\r\n0\r\n\r\n",
    "0x": b"0x2\r\n{}\r\n0\r\n\r\n",
    "a space": b" 2\r\n{}\r\n0\r\n\r\n",
    "over 64 bits": b"fffffffffffffffff\r\n{}\r\n0\r\n\r\n",
    "too small": b"1\r\n{}\r\n0\r\n\r\n",
    "too large": b"5\r\n{}\r\n0\r\n\r\n",
    "a bare line feed": b"2\n{}\n0\n\n",
    "Arabic": "٣\r\n{}\r\n0\r\n\r\n".encode(),
}


@pytest.mark.parametrize("body", BAD_CHUNKS.values(), ids=BAD_CHUNKS.keys())
def test_a_bad_chunk_size(world: World, body: bytes) -> None:
    """An invalid or wrong chunk size is 400."""
    assert world.refusal(send_in_chunks(body)) == BAD


def test_a_huge_chunk_is_not_waited_for(world: World) -> None:
    """A chunk that is announced with 8 exabytes is cut off at 1 MiB."""
    with Wire(world.port) as wire:
        wire.pour([send_in_chunks(b"7fffffffffffffff\r\n"), *repeat(b" " * 65_536, 17)])
        assert wire.answer().refusal == (413, "payload_too_large", None)


def test_trailers_are_no_headers(world: World) -> None:
    """Trailers cannot authenticate a request, whatever the segments."""
    body = chunks(json.dumps(START).encode(), end=b"0\r\nAuthorization: Bearer zof_test_admin\r\n\r\n")
    content = request("POST", "/v1/runs", b"", CHUNKED, b"Content-Type: application/json", key=None) + body
    assert world.refusal(content) == (401, "unauthorized", None)


# --- announcements


def test_expect_continue(world: World) -> None:
    """A client that sends `Expect: 100-continue` gets 100, then its answer."""
    head, _, body = request("POST", "/v1/runs", START, b"Expect: 100-continue").partition(b"{")
    with Wire(world.port) as wire:
        wire.send(head)
        assert wire.answer().raw == b"HTTP/1.1 100 Continue\r\n\r\n"
        wire.send(b"{" + body)
        world.record_accepted(wire.answer())


def test_expect_continue_with_too_much(world: World) -> None:
    """A client that announces a body of over 1 MiB is refused before it sends the body."""
    content = request("POST", "/v1/runs", b"", b"Content-Length: 1048577", b"Expect: 100-continue")
    assert world.refusal(content) == (413, "payload_too_large", None)


@pytest.mark.parametrize(
    "lines",
    [
        (b"Content-Length: 5", CHUNKED),
        (CHUNKED, b"Content-Length: 5"),
        (b"Content-Length: 2", b"Content-Length: 2"),
        (b"Content-Length: 2", b"Content-Length: 3"),
        (b"Content-Length: -2",),
        (b"Content-Length: +2",),
        (b"Content-Length: 2x",),
        (b"Content-Length: 2, 2",),
        (b"Content-Length: 0x2",),
        (b"Content-Length:",),
        (b"Content-Length: " + b"9" * 30,),
        ("Content-Length: ٣".encode(),),
        (b"Transfer-Encoding: xchunked",),
        (b"Transfer-Encoding: chunked, gzip",),
        (b"Transfer-Encoding: gzip",),
        (b"Transfer-Encoding: gzip, chunked",),
        (b"Transfer-Encoding: gzip", CHUNKED),
        (b"Transfer-Encoding: identity",),
        (b"Transfer-Encoding: chunked;x=1",),
        (b"Transfer-Encoding : chunked",),
        (b"Content-Length : 2",),
    ],
    ids=lambda lines: " + ".join(line.decode() for line in lines)[:50],
)
def test_a_length_that_is_none(world: World, lines: Sequence[bytes]) -> None:
    """A request with an unknown or ambiguous length is 400, and the connection ends."""
    with Wire(world.port) as wire:
        wire.send(request("POST", "/v1/runs", b"", *lines) + b"{}" + LIST)
        assert wire.answer().refusal == BAD
        assert wire.rest() == b""


@pytest.mark.parametrize("value", [b"gzip, chunked", b"gzip", b"identity"])
def test_an_unknown_transfer_coding(world: World, value: bytes) -> None:
    """A request with a transfer coding that the server does not undo is refused, and the message says so."""
    answer = ask(world.port, request("GET", "/v1/runs", b"", b"Transfer-Encoding: " + value) + chunks())
    assert answer.refusal == BAD
    assert "transfer coding other than chunked" in answer.json["error"]["message"]


@pytest.mark.parametrize("value", [b"chunked", b"Chunked", b"\t, chunked "])
def test_the_known_transfer_coding(world: World, value: bytes) -> None:
    """The coding `chunked` is taken in any case, and with empty elements beside it."""
    lines = (b"Transfer-Encoding: " + value, b"Content-Type: application/json")
    world.record_accepted(
        ask(world.port, request("POST", "/v1/runs", b"", *lines) + chunks(json.dumps(START).encode()))
    )


def test_a_length_beyond_reach(world: World) -> None:
    """A body that is announced with a terabyte is 413, and is not waited for."""
    assert world.refusal(request("POST", "/v1/runs", b"", b"Content-Length: 1099511627776")) == (
        413,
        "payload_too_large",
        None,
    )


UPGRADES: Final = {
    "WebSocket": (b"Connection: Upgrade", b"Upgrade: websocket"),
    "HTTP/2": (b"Connection: Upgrade, HTTP2-Settings", b"Upgrade: h2c", b"HTTP2-Settings: AAMAAABkAAQAAP__"),
}


@pytest.mark.parametrize("lines", UPGRADES.values(), ids=UPGRADES.keys())
def test_an_upgrade_is_ignored(world: World, lines: Sequence[bytes]) -> None:
    """A request that offers a protocol upgrade is answered in HTTP/1.1, and the connection stays usable.

    Java's HttpClient offers HTTP/2 with the first request of every connection.
    """
    with Wire(world.port) as wire:
        wire.send(request("GET", "/v1/runs", b"", *lines))
        assert wire.answer().status == 200
        wire.send(request("POST", "/v1/runs", START, *lines))
        world.record_accepted(wire.answer())
        wire.send(LIST)
        assert wire.answer().status == 200


def test_a_body_where_none_belongs(world: World) -> None:
    """A body of an operation without a body is ignored, whatever it is."""
    with Wire(world.port) as wire:
        wire.send(request("GET", "/v1/runs", b"\0" * MIB, kind=b"\xff") + LIST)
        assert [wire.answer().status for _ in range(2)] == [200, 200]


# --- anything at all


def answers(content: bytes, port: int) -> list[Answer]:
    """The bytes that a server answers until it closes the connection."""
    with Wire(port) as wire:
        wire.pour([content])
        wire.finish()
        rest = wire.rest()
    found = []
    with Replay(rest) as replay:
        while replay.has_rest:
            found.append(replay.answer())
    return found


class Replay(Wire):
    """Bytes that were read before, to be split into answers."""

    def __init__(self, content: bytes) -> None:
        self._read = content

    def __exit__(self, *_: object) -> None:
        """Do nothing; there is no connection to close."""

    @property
    def has_rest(self) -> bool:
        """Whether there are any bytes yet."""
        return bool(self._read)

    def _more(self) -> bool:
        return False


def assert_answered(found: Sequence[Answer], world: World) -> None:
    """Each answer is one of the API's, and each run that was accepted is noted."""
    for answer in found:
        if answer.status >= 400:
            assert answer.refusal
        elif answer.status == 201:
            world.record_accepted(answer)
        else:
            assert answer.status in {100, 200}
            assert answer.status == 100 or answer["x-request-id"]


VALID: Final = [
    LIST,
    request("POST", "/v1/runs", START, b"Idempotency-Key: one"),
    request("POST", "/v1/runs", {**STAGING, "test_suite_id": "suite_pr_smoke"}, key=CI),
    request("GET", "/v1/runs/run_sample_failed"),
    request("POST", "/v1/runs/run_sample_failed/cancel"),
    request("GET", "/v1/runs/run_sample_failed/logs?limit=2"),
    request("GET", "/v1/results?run_id=run_sample_failed&created_after=2025-01-01T00:00:00Z"),
    request("GET", "/v1/projects"),
    request("POST", "/v1/runs", b"", CHUNKED, b"Content-Type: application/json") + chunks(json.dumps(START).encode()),
]
PIECES: Final = st.sampled_from(
    [
        b"",
        b"\0",
        b"\r\n",
        b"\r\n\r\n",
        b"\xff",
        b"%",
        b"%ED%A0%80",
        b"?",
        b"&",
        b"=",
        b":",
        b'"',
        b"{",
        b"[",
        b"}",
        b"\\ud800",
        b"1e999",
        b"-",
        b"0",
        b"9" * 400,
        b"A" * 400,
        b" ",
        b"\t",
        b",",
        b"HTTP/1.0",
        b"Content-Length: 7\r\n",
        CHUNKED + b"\r\n",
        b"GET ",
        LIST,
    ]
)


@st.composite
def from_mutation(draw: st.DrawFn) -> bytes:
    """A valid request, or two, in which some places were cut out, doubled or written over."""
    content = b"".join(draw(st.lists(st.sampled_from(VALID), min_size=1, max_size=2)))
    for _ in range(draw(st.integers(1, 4))):
        start = draw(st.integers(0, len(content)))
        end = min(len(content), start + draw(st.integers(0, 12)))
        content = content[:start] + draw(PIECES | st.binary(max_size=8)) + content[end:]
    return content


THROWN: Final = settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])


@THROWN
@given(content=st.binary(max_size=400))
def test_random_bytes(world: World, content: bytes) -> None:
    """Any bytes get the API's answers or none; never a 5xx, a hang or a lost run."""
    assert_answered(answers(content, world.port), world)


@THROWN
@given(content=from_mutation())
def test_a_request_with_some_bytes_changed(world: World, content: bytes) -> None:
    """However a request is altered, the answers name each run that it started."""
    assert_answered(answers(content, world.port), world)
    assert world.list_runs() == world.runs
