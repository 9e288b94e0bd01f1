"""Bad requests at the level of HTTP: methods, targets, floods, and clients that disconnect.

For any bytes, the client gets a readable answer in finite time, and no run is lost.
"""

from __future__ import annotations

import json
from itertools import repeat
from typing import Final

import pytest

from tests.served import BAD, CHUNKED, CLOSE, LIST, MIB, START, Wire, World, ask, request
from tests.zof import STAGING

# --- methods and targets


@pytest.mark.parametrize("method", ["PUT", "DELETE", "PATCH", "TRACE", "PROPFIND", "CONNECT"])
def test_a_method_that_the_path_does_not_take(world: World, method: str) -> None:
    """A method that the path does not support is 405, and `Allow` lists the supported ones."""
    answer = ask(world.port, request(method, "/v1/runs"))
    assert (answer.refusal, answer["allow"]) == ((405, "method_not_allowed", None), "GET, HEAD, OPTIONS, POST")


def test_head(world: World) -> None:
    """HEAD is answered with the length that a GET has, and without a body."""
    length = ask(world.port, request("GET", "/v1/runs"))["content-length"]
    with Wire(world.port) as wire:
        wire.send(request("HEAD", "/v1/runs", b"", CLOSE))
        answer = wire.answer("HEAD")
        assert (answer.status, answer["content-length"], wire.rest()) == (200, length, b"")


def test_options(world: World) -> None:
    """OPTIONS is answered with the methods that the path takes, and with neither a body nor a length."""
    with Wire(world.port) as wire:
        wire.send(request("OPTIONS", "/v1/runs", b"", CLOSE))
        answer = wire.answer("OPTIONS")
        assert (answer.status, answer["allow"], wire.rest()) == (204, "GET, HEAD, OPTIONS, POST", b"")
        assert answer["content-length"] is None


@pytest.mark.parametrize(
    "method", ["BREW", "PRI", "get", "GETT", "G", "\x00", "GET/", "É", "X" * 60_000], ids=lambda m: m[:8]
)
def test_an_unknown_method(world: World, method: str) -> None:
    """An unknown method is 400."""
    assert world.refusal(request(method, "/v1/runs")) == BAD


@pytest.mark.parametrize("method", ["BREW", "get", "Get", "GETT"])
def test_an_unknown_method_is_named_as_such(world: World, method: str) -> None:
    """The error about a method that is unknown, or not written in capitals, says so."""
    with Wire(world.port) as wire:
        wire.send(request(method, "/v1/runs"))
        answer = wire.answer()
        assert answer.refusal == BAD
        assert answer.json["error"]["message"].startswith("The method of the request is unknown")


@pytest.mark.parametrize(("length", "expected"), [(65_535, "limit must be"), (65_536, "is longer than 65535 bytes")])
def test_a_long_target(world: World, length: int, expected: str) -> None:
    """A target of up to 65,535 bytes is read, and the error about a longer one names the limit."""
    with Wire(world.port) as wire:
        wire.send(request("GET", "/v1/runs?limit=".ljust(length, "x")))
        answer = wire.answer()
        assert answer.refusal[:2] == BAD[:2]
        assert expected in answer.json["error"]["message"]


@pytest.mark.parametrize("blank", [b" ", b"\t", b" \t "])
def test_blanks_after_a_value(world: World, blank: bytes) -> None:
    """Blanks at the end of a header are no part of its value."""
    named = (b"X-Zof-World: default" + blank, b"Idempotency-Key: blanks-" + blank.hex().encode() + blank)
    sent = request("POST", "/v1/runs", START, *named)
    world.record_accepted(ask(world.port, sent))
    replayed = ask(world.port, sent.replace(blank + b"\r\n", b"\r\n"))
    assert replayed["idempotency-replayed"] == "true"


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
        request("GET", "/v1/runs", version=b"HTTP/2.0"),
        request("GET", "/v1/runs", version=b"HTTP/0.9"),
        b"GET /v1/runs\r\n\r\n",
    ],
    ids=["HTTP/2", "TLS", "NUL", "SSH", "a proxy's", "HTTP/1.2", "HTTP/x", "HTTP/2.0", "HTTP/0.9", "no version"],
)
def test_another_protocol(world: World, content: bytes) -> None:
    """Bytes that are not HTTP/1 are 400, and the connection ends."""
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
    ("authority", "status"),
    [
        ("127.0.0.1", 200),
        ("localhost:1", 200),
        ("[::1]:1", 200),
        ("me@localhost", 200),
        ("elsewhere.test", 403),
        ("localhost@elsewhere.test", 403),
        ("[::1].test", 400),
        ("elsewhere.test?@localhost", 400),
        ("elsewhere.test#@localhost", 400),
    ],
)
def test_the_host_of_an_absolute_target(world: World, authority: str, status: int) -> None:
    """The host of an absolute target counts, and not the header `Host` (RFC 9112, 3.2.2)."""
    assert ask(world.port, request("GET", f"http://{authority}/_emulator/clock")).status == status


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
    """A path is not normalized: a path that only resembles one of the API is 404."""
    assert world.refusal(request("GET", target)) == (404, "not_found", None)


@pytest.mark.parametrize(
    "target",
    ["v1/runs", "", "?limit=1", "http://zof.test", "zof.test/v1/runs", "/" + "a" * 100_000],
    ids=lambda target: target[:20],
)
def test_a_target_that_is_none(world: World, target: str) -> None:
    """A target of an invalid form, or of more than 64 KiB, is 400."""
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
        answer = wire.answer()
        assert answer.refusal == BAD
        assert "longer than 131072 bytes" in answer.json["error"]["message"]


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
    """An incomplete request has no effect, and the connection is closed without an answer."""
    with Wire(world.port) as wire:
        wire.send(content)
        if how == "drop":
            wire.drop()
        else:
            wire.finish()
            assert wire.rest() == b""


def test_a_client_that_goes_away_before_its_answer(world: World) -> None:
    """A client that lost its answer repeats the request with its key, and one run is started."""
    content = request("POST", "/v1/runs", START, b"Idempotency-Key: lost")
    for _ in range(20):
        with Wire(world.port) as wire:
            wire.send(content)
            wire.drop()
    world.record_accepted(ask(world.port, content))


def test_a_client_that_closes_its_side_is_answered(world: World) -> None:
    """A client that closes its sending side after the request gets its answer."""
    with Wire(world.port) as wire:
        wire.send(request("POST", "/v1/runs", START))
        wire.finish()
        world.record_accepted(wire.answer())


@pytest.fixture
def large(world: World) -> World:
    """A world with 20,000 results, whose export no pair of sockets can hold."""
    with Wire(world.port) as wire:
        runs = []
        for number in range(40):
            cases = [f"tc_{number}_{case}" for case in range(500)]
            wire.send(request("POST", "/v1/runs", {**STAGING, "test_case_ids": cases}))
            runs.append(world.record_accepted(wire.answer()))
        wire.send(request("POST", f"/_emulator/runs/{runs[-1]}/advance", {"to": "end"}))
        assert wire.answer().json["status"] == "passed"
    return world


EXPORT: Final = request("POST", "/v1/results/export", {"format": "json"})


def test_a_client_that_goes_away_in_its_answer(large: World) -> None:
    """A client that stops reading does not block others, and its disconnect ends its answer."""
    with Wire(large.port, most_waiting=4096) as stalled, Wire(large.port, most_waiting=4096) as gone:
        for wire in (stalled, gone):
            wire.send(EXPORT)
        large.start()
        gone.drop()
        large.start()
        export = stalled.answer().json
    assert len(export["data"]) == sum(large.list_runs().values()) - 2


def test_a_client_that_closes_its_side_gets_all_of_a_long_answer(large: World) -> None:
    """A client that closes its sending side gets its whole answer, however long."""
    with Wire(large.port) as wire:
        wire.send(EXPORT)
        wire.finish()
        assert len(wire.answer().json["data"]) == sum(large.runs.values())
