"""Bad input below HTTP's surface: methods, targets, floods, framing, clients that go away, anything at all.

Whatever comes over the wire, a client gets an answer that it can read, nobody waits for ever, and no run is lost.
"""

from __future__ import annotations

import json
from itertools import repeat
from typing import TYPE_CHECKING, Final

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.served import BAD, LIST, MIB, START, Answer, Wire, World, ask, request
from tests.zof import CI, STAGING

if TYPE_CHECKING:
    from collections.abc import Sequence

CHUNKED: Final = b"Transfer-Encoding: chunked"
CLOSE: Final = b"Connection: close"


# --- methods and targets


@pytest.mark.parametrize("method", ["PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "PROPFIND", "CONNECT"])
def test_a_method_that_the_path_does_not_take(world: World, method: str) -> None:
    """A method that HTTP knows and the path does not is 405, with those that it takes."""
    answer = ask(world.port, request(method, "/v1/runs"))
    assert (answer.refusal, answer["allow"]) == ((405, "method_not_allowed", None), "GET, POST")


def test_head(world: World) -> None:
    """HEAD is 405 like any other method that is not documented, and has no body."""
    with Wire(world.port) as wire:
        wire.send(request("HEAD", "/v1/runs", b"", CLOSE))
        answer = wire.answer("HEAD")
        assert (answer.status, answer["allow"], wire.rest()) == (405, "GET, POST", b"")


@pytest.mark.parametrize(
    "method", ["BREW", "PRI", "get", "GETT", "G", "\x00", "GET/", "É", "X" * 60_000], ids=lambda m: m[:8]
)
def test_an_unknown_method(world: World, method: str) -> None:
    """A method that HTTP does not know makes it no request: 400."""
    assert world.refusal(request(method, "/v1/runs")) == BAD


@pytest.mark.parametrize(
    "content",
    [
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"\0" * 64,
        b"SSH-2.0-OpenSSH_9\r\n",
        b"CONNECT zof.test:80 HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"GET /v1/runs HTTP/1.2\r\n\r\n",
        b"GET /v1/runs HTTP/x\r\n\r\n",
    ],
    ids=["HTTP/2", "TLS", "NUL", "SSH", "a proxy's", "HTTP/1.2", "HTTP/x"],
)
def test_another_protocol(world: World, content: bytes) -> None:
    """What is no HTTP/1 is 400, and the connection ends."""
    with Wire(world.port) as wire:
        wire.send(content)
        assert wire.answer().refusal == BAD
        assert wire.rest() == b""


@pytest.mark.parametrize(
    "target",
    ["http://zof.test/v1/runs", "http://elsewhere.test:1/v1/runs", "/v1/runs#top", "/%76%31/runs", "/v1/%72uns"],
)
def test_another_form_of_a_target(world: World, target: str) -> None:
    """A target may be absolute, and any of its characters encoded."""
    assert ask(world.port, request("GET", target)).status == 200


@pytest.mark.parametrize(
    "target",
    [
        "/_emulator",
        "/_emulator/",
        "/_emulator/nothing",
        "/_emulator/runs//advance",
        "//v1/runs",
        "/v1//runs",
        "/v1/../v1/runs",
        "/v1/./runs",
        "/v1/runs/",
        "/v1/runs/..",
        "/v1",
        "/v1/",
        "/V1/runs",
        "/v1/RUNS",
        "/v1\\runs",
        "/v1/runs;x=1",
        "/v1%2Fruns",
        "/v1/runs%2F",
        "/v1/runs%3Flimit=1",
        "/v1/runs%00",
        "*",
        "/" * 5000,
    ],
    ids=lambda target: target[:20],
)
def test_a_target_that_is_no_path_of_ours(world: World, target: str) -> None:
    """A path is taken as it stands: what only resembles one of ours is 404."""
    assert world.refusal(request("GET", target)) == (404, "not_found", None)


@pytest.mark.parametrize(
    "target",
    ["v1/runs", "", "?limit=1", "http://zof.test", "zof.test/v1/runs", "/" + "a" * 100_000],
    ids=lambda target: target[:20],
)
def test_a_target_that_is_none(world: World, target: str) -> None:
    """A target in no form that HTTP has, or of more than 64 KiB, makes it no request: 400."""
    assert world.refusal(request("GET", target)) == BAD


@pytest.mark.parametrize("name", ["run_sample_failed%2Flogs", "%2F", "a%2Fb%2Fc", "..%2Fruns"])
def test_an_encoded_slash_in_an_id(world: World, name: str) -> None:
    """An encoded slash is part of an ID, which then names nothing."""
    assert world.refusal(request("GET", f"/v1/runs/{name}")) == (404, "not_found", None)
    assert world.refusal(request("POST", f"/v1/runs/{name}/cancel")) == (404, "not_found", None)


# --- floods


def test_ten_thousand_headers(world: World) -> None:
    """10,000 small headers are answered, in order or with 400."""
    answer = ask(world.port, request("GET", "/v1/runs", b"", *(b"X-%d: a" % number for number in range(10_000))))
    assert answer.status == 200 or answer.refusal == BAD


def test_a_huge_header(world: World) -> None:
    """A head of far more than 128 KiB is 400."""
    with Wire(world.port) as wire:
        wire.pour([b"GET /v1/runs HTTP/1.1\r\nX: ", b"a" * MIB, b"\r\n\r\n"])
        assert wire.answer().refusal == BAD


def test_a_huge_header_that_ends_with_the_segment(world: World) -> None:
    """A head of more than 128 KiB is 400 however its bytes fall into segments: the same request, the same answer."""
    with Wire(world.port) as wire:
        wire.send(b"GET /v1/runs HTTP/1.1\r\nX: " + b"a" * 131_000)
        world.start()  # meanwhile the server has read that
        wire.pour([b"a" * 60_000 + b"\r\n\r\n"])
        assert wire.answer().refusal == BAD


BODY: Final = request("POST", "/v1/runs", b"", CHUNKED, b"Content-Type: application/json")
ENDLESS: Final = {
    "headers": (b"GET /v1/runs HTTP/1.1\r\n", b"X: a\r\n" * 10_000),
    "a header": (b"GET /v1/runs HTTP/1.1\r\nX: ", b"a" * 60_000),
    "a header's name": (b"GET /v1/runs HTTP/1.1\r\n", b"a" * 60_000),
    "a target": (b"GET /v1/runs?x=", b"a" * 60_000),
    "trailers": (BODY + b"0\r\n", b"X: a\r\n" * 10_000),
    "a trailer": (BODY + b"0\r\nX: ", b"a" * 60_000),
}


@pytest.mark.parametrize(("head", "piece"), ENDLESS.values(), ids=ENDLESS.keys())
def test_an_endless_stream(world: World, head: bytes, piece: bytes) -> None:
    """Headers and trailers that never end are cut off before they fill the memory: within 32 MiB."""
    with Wire(world.port) as wire:
        assert wire.pour([head, *repeat(piece, 32 * MIB // len(piece))])


def test_an_endless_body(world: World) -> None:
    """A body that never ends is answered once it is too large, and what follows is not kept."""
    with Wire(world.port) as wire:
        wire.pour([BODY, *repeat(b"%x\r\n%s\r\n" % (60_000, b" " * 60_000), 100)])
        assert wire.answer().refusal == (413, "payload_too_large", None)


def test_empty_lines_without_end(world: World) -> None:
    """Empty lines before a request are skipped, as RFC 9112 advises, and cost nothing."""
    with Wire(world.port) as wire:
        wire.pour([b"\r\n" * 100_000, LIST])
        assert wire.answer().status == 200


# --- clients that go away


GONE: Final = {
    "before a byte": b"",
    "in the method": b"PO",
    "in the target": b"POST /v1/ru",
    "in a header": request("POST", "/v1/runs", START)[:60],
    "before the body": request("POST", "/v1/runs", START).partition(b"{")[0],
    "in the body": request("POST", "/v1/runs", START)[:-1],
    "after the JSON": request("POST", "/v1/runs", json.dumps(START).encode() + b" " * 9)[:-1],
    "in a chunk": request("POST", "/v1/runs", b"", CHUNKED) + b"5\r\nab",
    "before the last chunk": request("POST", "/v1/runs", b"", CHUNKED, b"Content-Type: application/json")
    + b"%x\r\n%s\r\n" % (100, json.dumps(START).encode().ljust(100)),
}


@pytest.mark.parametrize("how", ["finish", "drop"])
@pytest.mark.parametrize("content", GONE.values(), ids=GONE.keys())
def test_a_client_that_goes_away_in_its_request(world: World, content: bytes, how: str) -> None:
    """A request that never became complete does nothing; the connection is closed and no more is said."""
    with Wire(world.port) as wire:
        wire.send(content)
        if how == "drop":
            wire.drop()
        else:
            wire.finish()
            assert wire.rest() == b""


def test_a_client_that_goes_away_before_its_answer(world: World) -> None:
    """A client that never saw its answer asks again with its key: all that makes one run."""
    content = request("POST", "/v1/runs", START, b"Idempotency-Key: lost")
    for _ in range(20):
        with Wire(world.port) as wire:
            wire.send(content)
            wire.drop()
    world.accepted(ask(world.port, content))


def test_a_client_that_closes_its_side_is_answered(world: World) -> None:
    """A client that sends no more than its request, and says so, gets its answer."""
    with Wire(world.port) as wire:
        wire.send(request("POST", "/v1/runs", START))
        wire.finish()
        world.accepted(wire.answer())


@pytest.fixture
def large(world: World) -> World:
    """A world with 20,000 results, whose export no pair of sockets can hold."""
    with Wire(world.port) as wire:
        runs = []
        for number in range(40):
            cases = [f"tc_{number}_{case}" for case in range(500)]
            wire.send(request("POST", "/v1/runs", {**STAGING, "test_case_ids": cases}))
            runs.append(world.accepted(wire.answer()))
        wire.send(request("POST", f"/_emulator/runs/{runs[-1]}/advance", {"to": "end"}))
        assert wire.answer().json["status"] == "passed"
    return world


EXPORT: Final = request("POST", "/v1/results/export", {"format": "json"})


def test_a_client_that_goes_away_in_its_answer(large: World) -> None:
    """A client that stops reading holds up nobody else; when it goes away, the rest of its answer is dropped."""
    with Wire(large.port, most_waiting=4096) as stalled, Wire(large.port, most_waiting=4096) as gone:
        for wire in (stalled, gone):
            wire.send(EXPORT)
        large.start()
        gone.drop()
        large.start()
        export = stalled.answer().json
    assert len(export["data"]) == sum(large.listed().values()) - 2


def test_a_client_that_closes_its_side_gets_all_of_a_long_answer(large: World) -> None:
    """A client that sends no more than its request, and says so, gets all of its answer, however long."""
    with Wire(large.port) as wire:
        wire.send(EXPORT)
        wire.finish()
        assert len(wire.answer().json["data"]) == sum(large.runs.values())


# --- how a request is sent


def test_byte_by_byte(world: World) -> None:
    """A request may come one byte at a time."""
    with Wire(world.port) as wire:
        for byte in request("POST", "/v1/runs", START):
            wire.send(bytes((byte,)))
        world.accepted(wire.answer())


def test_pipelined(world: World) -> None:
    """Requests that are sent without waiting are answered each in its turn."""
    with Wire(world.port) as wire:
        wire.send((request("POST", "/v1/runs", START) + LIST) * 20)
        for count in range(len(world.runs) + 1, len(world.runs) + 21):
            world.accepted(wire.answer())
            assert len(wire.answer().json["data"]) == min(count, 20)


@pytest.mark.parametrize("behind", [b"GARBAGE\r\n\r\n", b"\0", b"}"], ids=["a line", "a NUL", "a longer body"])
def test_garbage_behind_a_request(world: World, behind: bytes) -> None:
    """What follows a request does not take its answer away: the run is told of, then the rest is refused."""
    with Wire(world.port) as wire:
        wire.send(request("POST", "/v1/runs", START) + behind)
        world.accepted(wire.answer())
        assert wire.answer().refusal == BAD


def test_more_requests_than_the_client_reads_answers_to(world: World) -> None:
    """A client that sends and never reads is held back by the server, which does not keep all that it is sent."""
    with Wire(world.port, most_waiting=4096) as wire:
        wire.send(LIST * 2000)
        world.start()
        assert [wire.answer().status for _ in range(2000)] == [200] * 2000


@pytest.mark.parametrize("lines", [(), (b"Connection: keep-alive",)], ids=["plain", "keep-alive"])
def test_http_1_0(world: World, lines: Sequence[bytes]) -> None:
    """A request in HTTP/1.0 is answered, and the connection ends."""
    with Wire(world.port) as wire:
        wire.send(request("POST", "/v1/runs", START, *lines, version=b"HTTP/1.0"))
        world.accepted(wire.answer())
        assert wire.rest() == b""


def test_a_stream_in_http_1_0(world: World) -> None:
    """An answer of unknown length to HTTP/1.0 ends with the connection: that client knows no chunks (RFC 9112, 6.1)."""
    with Wire(world.port) as wire:
        wire.send(request("POST", "/v1/results/export", {"format": "csv"}, version=b"HTTP/1.0"))
        answer = wire.answer()
        assert answer["transfer-encoding"] is None
        assert answer.content.startswith(b"id,run_id,")


# --- bodies in pieces


def chunks(*pieces: bytes, end: bytes = b"0\r\n\r\n") -> bytes:
    """A body in chunks."""
    return b"".join(b"%x\r\n%s\r\n" % (len(piece), piece) for piece in pieces) + end


def in_chunks(body: bytes) -> bytes:
    """A start whose body is sent as it is, declared to be in chunks."""
    return request("POST", "/v1/runs", b"", CHUNKED, b"Content-Type: application/json") + body


def test_chunks(world: World) -> None:
    """A body may come in chunks."""
    body = json.dumps(START).encode()
    world.accepted(ask(world.port, in_chunks(chunks(*(body[place : place + 1] for place in range(len(body)))))))


def test_no_chunk(world: World) -> None:
    """A body of no chunks is a missing one."""
    assert world.refusal(in_chunks(chunks())) == BAD


def test_two_mib_in_chunks(world: World) -> None:
    """A body of over 1 MiB is 413 though nobody announced its length, and the connection goes on."""
    with Wire(world.port) as wire:
        wire.send(in_chunks(chunks(*repeat(b" " * 65_536, 32))))
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
    """A chunk whose size is none, or not its own, makes it no request: 400."""
    assert world.refusal(in_chunks(body)) == BAD


def test_a_huge_chunk_is_not_waited_for(world: World) -> None:
    """A chunk that is announced with 8 exabytes is cut off at 1 MiB."""
    with Wire(world.port) as wire:
        wire.pour([in_chunks(b"7fffffffffffffff\r\n"), *repeat(b" " * 65_536, 17)])
        assert wire.answer().refusal == (413, "payload_too_large", None)


def test_trailers_are_no_headers(world: World) -> None:
    """What stands behind a body cannot authenticate it, however the bytes fall into segments."""
    body = chunks(json.dumps(START).encode(), end=b"0\r\nAuthorization: Bearer zof_test_admin\r\n\r\n")
    content = request("POST", "/v1/runs", b"", CHUNKED, b"Content-Type: application/json", key=None) + body
    assert world.refusal(content) == (401, "unauthorized", None)


# --- announcements


def test_expect_continue(world: World) -> None:
    """A client that asks before it sends its body is told to go on, then answered."""
    head, _, body = request("POST", "/v1/runs", START, b"Expect: 100-continue").partition(b"{")
    with Wire(world.port) as wire:
        wire.send(head)
        assert wire.answer().raw == b"HTTP/1.1 100 Continue\r\n\r\n"
        wire.send(b"{" + body)
        world.accepted(wire.answer())


def test_expect_continue_with_too_much(world: World) -> None:
    """A client that announces over 1 MiB is refused before it sends it."""
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
        (b"Transfer-Encoding : chunked",),
        (b"Content-Length : 2",),
    ],
    ids=lambda lines: " + ".join(line.decode() for line in lines)[:50],
)
def test_a_length_that_is_none(world: World, lines: Sequence[bytes]) -> None:
    """A request whose end cannot be told, or can be told in two ways, is 400, and the connection ends."""
    with Wire(world.port) as wire:
        wire.send(request("POST", "/v1/runs", b"", *lines) + b"{}" + LIST)
        assert wire.answer().refusal == BAD
        assert wire.rest() == b""


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
    """A client that offers another protocol is answered in this one, its body read, and its connection goes on.

    Java's HttpClient offers HTTP/2 with the first request of every connection.
    """
    with Wire(world.port) as wire:
        wire.send(request("GET", "/v1/runs", b"", *lines))
        assert wire.answer().status == 200
        wire.send(request("POST", "/v1/runs", START, *lines))
        world.accepted(wire.answer())
        wire.send(LIST)
        assert wire.answer().status == 200


def test_a_body_where_none_belongs(world: World) -> None:
    """A body where none belongs is read over and ignored, whatever it is."""
    with Wire(world.port) as wire:
        wire.send(request("GET", "/v1/runs", b"\0" * MIB, kind=b"\xff") + LIST)
        assert [wire.answer().status for _ in range(2)] == [200, 200]


# --- anything at all


def answers(content: bytes, port: int) -> list[Answer]:
    """What a server answers to these bytes and then nothing more, until it closes the connection."""
    with Wire(port) as wire:
        wire.pour([content])
        wire.finish()
        rest = wire.rest()
    found = []
    with Replay(rest) as replay:
        while replay.left:
            found.append(replay.answer())
    return found


class Replay(Wire):
    """Bytes that were read before, to be told apart into answers."""

    def __init__(self, content: bytes) -> None:
        self._read = content

    def __exit__(self, *_: object) -> None:
        """There is no connection to end."""

    @property
    def left(self) -> bool:
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
            world.accepted(answer)
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
    """Whatever bytes come, what goes back is the API's answers or nothing; never a 5xx, a hang or a lost run."""
    assert_answered(answers(content, world.port), world)


@THROWN
@given(content=from_mutation())
def test_a_request_with_some_bytes_changed(world: World, content: bytes) -> None:
    """Whatever happened to a request on its way, the answers tell of each run that it made."""
    assert_answered(answers(content, world.port), world)
    assert world.listed() == world.runs
