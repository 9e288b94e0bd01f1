"""A streamed export: it covers what there was when it began, and the journal keeps the bytes that were sent."""

from __future__ import annotations

import csv
import json
from hashlib import sha256
from io import StringIO
from typing import TYPE_CHECKING, Any, Final

import pytest
from zof_emulator.cli.replay import replay

from tests.zof import ADMIN, Zof, make_scope

if TYPE_CHECKING:
    from collections.abc import Callable

FORMATS: Final = ("json", "csv")
CASES: Final = tuple(f"tc_case_{number:03d}_of_a_long_name_that_fills_the_first_piece" for number in range(400))
RUNS: Final = 8
"""As many runs as the world keeps: each further one makes room by forgetting the oldest."""


def make_full(**settings: Any) -> Zof:  # noqa: ANN401  a setting
    """An emulator that holds as many ended runs as it may."""
    zof = Zof(scenario="empty", max_runs=RUNS, capacity=RUNS, **settings)
    for _ in range(RUNS):
        zof.start(*CASES)
    zof.advance(3_600_000)
    return zof


def export(zof: Zof, asked: dict[str, str], on_first_piece: Callable[[], object]) -> bytes:
    """The bytes of an export; `on_first_piece` is called when the first of several pieces has been sent."""
    body, pieces = json.dumps(asked).encode(), list[bytes]()
    headers = [("host", "localhost"), ("authorization", f"Bearer {ADMIN}"), ("content-type", "application/json")]
    scope = make_scope("POST", "/v1/results/export", headers)

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": body, "more_body": False}

    async def send(message: Any) -> None:  # noqa: ANN401  one of ASGI's
        if message["type"] == "http.response.body":
            pieces.append(message["body"])
            if len(pieces) == 1:
                on_first_piece()

    coroutine = zof.app(scope, receive, send)
    try:
        while True:
            coroutine.send(None)
    except StopIteration:
        pass
    assert len(pieces) > 3, "the answer is sent in several pieces"
    return b"".join(pieces)


def forget_all(zof: Zof) -> None:
    """Let so many further runs end that the world forgets those that it held."""
    before = set(zof.world.runs)
    for _ in range(RUNS):
        zof.complete_run("tc_later")
    assert not before & set(zof.world.runs)


def count(content: bytes, form: str) -> int:
    """How many results an export holds."""
    if form == "json":
        return len(json.loads(content)["data"])
    return len(list(csv.reader(StringIO(content.decode(), newline=""), strict=True))) - 1


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize("status", [None, "passed"])
@pytest.mark.parametrize("change", [forget_all, lambda zof: zof.control("/reset")], ids=["forget", "reset"])
def test_covers_what_there_was(form: str, status: str | None, change: Callable[[Zof], object]) -> None:
    """An export is the same bytes, whether or not its runs are forgotten or the world is reset while it is sent."""
    asked = {"format": form} | ({"status": status} if status else {})
    expected = export(make_full(), asked, lambda: None)
    zof = make_full()
    assert export(zof, asked, lambda: change(zof)) == expected
    assert count(expected, form) == RUNS * len(CASES)


@pytest.mark.parametrize("form", FORMATS)
def test_the_journal_keeps_what_was_sent(form: str) -> None:
    """The journal shows the beginning, the size and the digest of the bytes that were sent, whatever came after."""
    zof = make_full()
    content = export(zof, {"format": form}, lambda: forget_all(zof))
    found = zof.tell("GET", "/journal?operation=exportResults").json["data"][0]["response"]
    assert (found["size"], found["sha256"]) == (len(content), sha256(content).hexdigest())
    assert (found["body"].encode(), found["truncated"]) == (content[:65_536], True)
    zof.control("/clock/advance", {"by_ms": 5})
    assert zof.tell("GET", "/journal?operation=exportResults").json["data"][0]["response"] == found


@pytest.mark.parametrize("form", FORMATS)
def test_a_replay_finds_no_difference(form: str) -> None:
    """A journal with an export during which runs were forgotten replays without a difference."""
    zof = make_full()
    export(zof, {"format": form}, lambda: forget_all(zof))
    assert replay(zof.tell("GET", "/journal.ndjson").content).differing == ()


@pytest.mark.parametrize("form", FORMATS)
def test_a_journal_that_is_read_meanwhile(form: str) -> None:
    """While an answer is sent the journal shows what has been sent, without a digest; it replays all the same."""
    zof, read = make_full(), list[bytes]()
    content = export(zof, {"format": form}, lambda: read.append(zof.tell("GET", "/journal.ndjson").content))
    newest = json.loads(read[0].splitlines()[-1])["response"]
    assert (newest["sha256"], newest["truncated"]) == ("", True)
    assert newest["size"] < len(content)
    assert replay(read[0]).differing == ()
