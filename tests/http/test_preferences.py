"""The header `Prefer`: one request asks for an error, a delay, or the name of its fault."""

from __future__ import annotations

import pytest

from tests.http.faults import RESET, RecordedPauses, add, prefer
from tests.zof import Zof


def test_prefer_code() -> None:
    """`Prefer: code=429` gets the documented error, says so, and changes nothing; rules do not count it."""
    zof = Zof()
    name = add(zof, RESET)
    answer = prefer(zof, 'foo, code="429"; x=1, bar=2')
    assert (answer.error, answer.headers["preference-applied"]) == ((429, "rate_limit_exceeded", None), "code=429")
    assert answer.headers["x-ratelimit-remaining"] == "0"
    assert zof.tell("GET", f"/faults/{name}").json["calls"] == 0
    mark = zof.tell("GET", "/journal?fault=prefer").json["data"][0]["fault"]
    assert mark == {"id": "prefer", "place": "before", "effect": "error"}


def test_prefer_wait() -> None:
    """`Prefer: wait=2` delays the answer by two real seconds, and a rule applies after that."""
    zof = Zof()
    zof.app.hosted.pauses = recorder = RecordedPauses()  # type: ignore[assignment]
    answer = prefer(zof, "wait=2")
    assert (answer.status, answer.headers["preference-applied"]) == (200, "wait=2")
    assert prefer(zof, "code=500, wait=3").status == 500
    name = add(zof, {"latency_ms": 5}, place="after")
    assert prefer(zof, "wait=1").status == 200
    assert recorder.pauses == [("prefer", 2_000), ("prefer", 3_000), (name, 1_000), (name, 5)]


@pytest.mark.parametrize(
    "text",
    [
        "code=503",
        "code=200",
        "code",
        "code=",
        "wait=-1",
        "wait=1.5",
        "wait=601",
        "wait=x",
        "=1",
        "code=429 x",
        '"a"',
        "a;=b",
    ],
)
def test_a_malformed_preference(text: str) -> None:
    """A malformed preference is 400 and names the header."""
    zof = Zof()
    answer = prefer(zof, text)
    assert answer.error == (400, "invalid_request", "Prefer")
    assert zof.tell("GET", "/journal?refused=invalid_preference").json["data"][0]["response"]["status"] == 400


def test_a_status_without_documented_error() -> None:
    """The refusal of a status that the operation does not document says which it has, and what gives any other."""
    error = prefer(Zof(), "code=503").json["error"]
    assert error["message"].endswith("400, 401, 429, 500; a fault rule gives any other status")


@pytest.mark.parametrize("text", ["", " , ,", "return=minimal", "respond-async, handling=lenient", 'a="b,c"; d'])
def test_other_preferences_are_ignored(text: str) -> None:
    """A preference that the emulator does not know changes nothing (RFC 7240, section 2)."""
    zof = Zof()
    plain, answer = zof.get("/runs"), prefer(zof, text)
    assert (answer.status, answer.content, answer.headers.keys()) == (200, plain.content, plain.headers.keys())


def test_preferences_can_be_turned_off() -> None:
    """With `--no-prefer` the header has no meaning."""
    zof = Zof(prefer=False)
    assert prefer(zof, "code=429, wait=x").status == 200
