"""Slices: other requests are served during a long advance, and its result does not change."""

from __future__ import annotations

import json
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest
from zof_emulator.app import EPOCH
from zof_emulator.core.limits import Rate

from tests.http.exchanges import JSON
from tests.zof import STAGING, Answer, Zof, make_scope

if TYPE_CHECKING:
    from collections.abc import Coroutine

CASES = [f"tc_{word}_{place}" for place in range(120) for word in ("a", "b_fail", "c_flaky", "d_error")]
"""More cases than a slice has actions, in three runs."""


class Call:
    """A request that is carried out step by step."""

    def __init__(self, zof: Zof, method: str, path: str, query: str = "", *, body: bytes = b"") -> None:
        self.zof = zof
        headers = [("host", "127.0.0.1:9630"), ("authorization", f"Bearer {zof.key}"), *JSON]
        scope = make_scope(method, path, headers, query=query)
        self.messages: list[Any] = []

        async def receive() -> dict[str, Any]:
            return {"type": "http.request", "body": body, "more_body": False}

        async def send(message: Any) -> None:  # noqa: ANN401  one of ASGI's
            self.messages.append(message)

        self._coroutine: Coroutine[Any, Any, None] = zof.app(scope, receive, send)
        self.has_ended = False

    def step(self) -> bool:
        """Carry out the next step; whether the request has ended."""
        try:
            self._coroutine.send(None)
        except StopIteration:
            self.has_ended = True
        return self.has_ended

    @property
    def answer(self) -> Answer:
        """The answer."""
        head, *rest = self.messages
        content = b"".join(part.get("body", b"") for part in rest)
        return Answer(head["status"], tuple(head["headers"]), content)


def make_busy(**settings: Any) -> Zof:  # noqa: ANN401  a setting
    """An emulator with three long runs."""
    zof = Zof(capacity=2, **settings)
    for _ in range(3):
        zof.post("/runs", {**STAGING, "test_case_ids": CASES})
    return zof


LONG = b'{"by_ms": 10000000}'


def test_others_are_served_while_a_world_settles() -> None:
    """Between the slices of an advance health and other worlds answer, and requests to the same world wait."""
    zof = make_busy()
    advance = Call(zof, "POST", "/_emulator/clock/advance", body=LONG)
    assert not advance.step()
    waiting = [Call(zof, "GET", "/v1/runs"), Call(zof, "POST", "/_emulator/clock/advance", body=b'{"by_ms": 1}')]
    for path in ("/_emulator/health", "/_emulator/worlds", "/w/other/v1/runs", "/w/other/_emulator/clock"):
        served = Call(zof, "GET", path)
        assert served.step()
        assert served.answer.status == 200
    steps = 1
    while not advance.has_ended:
        for one in waiting:
            assert not one.step()
        advance.step()
        steps += 1
    assert steps > 1
    assert advance.answer.json["now_ms"] - zof.app.hosted.began == 10_000_000
    for one in waiting:
        assert one.step()
    assert {one["status"] for one in waiting[0].answer.json["data"]} >= {"error"}
    assert waiting[1].answer.json["now_ms"] == advance.answer.json["now_ms"] + 1


@pytest.mark.parametrize("body", [LONG, b'{"until": "run_ended"}', b'{"by_ms": 1}'], ids=["far", "end", "near"])
def test_slices_change_nothing(body: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    """The answer to an advance and the world after it have the same bytes, however long the slices are."""
    found = []
    for length in (1, 7, 1_000, 1 << 30):
        monkeypatch.setattr("zof_emulator.control.advance._SLICE", length)
        zof = make_busy(seed=5)
        advance = Call(zof, "POST", "/_emulator/clock/advance", body=body)
        while not advance.step():
            pass
        found.append((advance.answer, zof.control("/snapshot").content))
    assert all(one == found[0] for one in found)


def test_a_reset_ends_a_long_advance() -> None:
    """A world that is reset during an advance is in its initial state, and the advance is refused."""
    zof = make_busy()
    advance = Call(zof, "POST", "/_emulator/clock/advance", body=LONG)
    assert not advance.step()
    assert zof.control("/reset").status == 200
    assert advance.step()
    assert advance.answer.error == (409, "conflict", None)
    assert not zof.app.hosted.is_settling
    assert len(zof.get("/runs").json["data"]) == 2


def test_an_advance_that_is_given_up_leaves_the_world_free() -> None:
    """When the server drops a request between two slices, the world is served as before."""
    zof = make_busy()
    advance = Call(zof, "POST", "/_emulator/clock/advance", body=LONG)
    advance.step()
    advance._coroutine.close()  # noqa: SLF001  as a server does when it ends
    assert zof.get("/runs").status == 200


QUEUE = 400
"""How many cases are due before the run that a client waits for."""


def finish(call: Call) -> int:
    """Carry out a request to its end; between its steps others are served. The number of steps."""
    zof, steps = call.zof, 1
    while not call.step():
        steps += 1
        for path in ("/_emulator/health", "/_emulator/worlds", "/w/other/_emulator/clock"):
            served = Call(zof, "GET", path)
            assert served.step()
            assert served.answer.status == 200
        assert not Call(zof, "GET", "/v1/runs").step()
    return steps


def shorten(monkeypatch: pytest.MonkeyPatch, length: int) -> None:
    """Set the number of actions of a slice."""
    for module in ("core.auto_clock", "http.hosted_world", "control.operations"):
        monkeypatch.setattr(f"zof_emulator.{module}.SLICE", length)


@pytest.mark.parametrize("path", ["/v1/runs/{id}", "/v1/runs?limit=1", "/v1/results?run_id={id}", "/v1/runs/{id}/logs"])
def test_a_poll_is_carried_out_in_slices(path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A poll under the clock `auto` that moves the clock far is sliced; its answer and the world stay the same."""
    found = []
    for length in (7, 1 << 30):
        zof = Zof(clock="auto", capacity=3, journal=100)
        for place in range(QUEUE // 10):
            zof.start(*CASES[place : place + 10])
        target = path.format(id=zof.start("tc_last")["id"])
        zof.send("GET", target)
        shorten(monkeypatch, length)
        poll = Call(zof, "GET", *target.split("?"))
        steps = finish(poll)
        assert (steps > QUEUE // 10) == (length == 7)
        assert poll.answer.status == 200
        found.append((poll.answer, zof.control("/journal").content, zof.control("/snapshot").content))
    assert found[0] == found[1]


def test_a_wait_after_429_is_carried_out_in_slices(monkeypatch: pytest.MonkeyPatch) -> None:
    """Under the clock `auto` a repeated request after 429 is counted once, after all that is due in the window."""
    found = []
    for length in (5, 1 << 30):
        zof = Zof(clock="auto", capacity=3, rate=Rate(limit=3))
        for _ in range(3):
            zof.start(*CASES[:100])
        assert zof.get("/runs").status == 429
        shorten(monkeypatch, length)
        again = Call(zof, "GET", "/v1/runs")
        assert (finish(again) > 10) == (length == 5)
        assert again.answer.headers["x-ratelimit-remaining"] == "2"
        found.append((again.answer, zof.control("/snapshot").content))
    assert found[0] == found[1]


def test_a_long_unused_world_catches_up_in_slices(monkeypatch: pytest.MonkeyPatch) -> None:
    """A world under the clock `real` that much is due in is brought up to date in slices before it answers."""
    found = []
    for length in (5, 1 << 30):
        now = [EPOCH]
        zof = Zof(clock="real", capacity=3, system=partial(max, now))
        run = [zof.start(*CASES[:100])["id"] for _ in range(3)][-1]
        now.append(EPOCH + 24 * 3_600_000)
        shorten(monkeypatch, length)
        assert Call(zof, "GET", "/_emulator/health").step()
        late = Call(zof, "GET", f"/v1/runs/{run}")
        assert (finish(late) > 10) == (length == 5)
        assert late.answer.json["status"] == "error"
        found.append((late.answer, zof.control("/snapshot").content))
    assert found[0] == found[1]


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("GET", "/journal", b""),
        ("GET", "/journal.har", b""),
        ("GET", "/journal.ndjson", b""),
        ("POST", "/journal/verify", b'{"status": 201, "exactly": 20}'),
    ],
)
def test_a_long_journal_is_shown_in_slices(
    method: str, path: str, body: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Others are served while a journal is read, and what it says does not depend on the length of slices."""
    found = []
    for length in (10_000, 1 << 30):
        monkeypatch.setattr("zof_emulator.control.journal._SLICE", length)
        zof = Zof(journal=100, seed=5)
        for _ in range(20):
            zof.start(*CASES[:200])
        shown = Call(zof, method, f"/_emulator{path}", body=body)
        steps = 0
        while not shown.step():
            steps += not shown.messages  # it is not sent yet
            served = Call(zof, "GET", "/_emulator/health")
            assert served.step()
            assert shown.messages or not Call(zof, "GET", "/v1/runs").step()
        assert (steps > 10) == (length == 10_000)
        assert shown.answer.status == 200
        found.append(shown.answer.content)
    assert found[0] == found[1]


HISTORY = {
    "runs": [
        {"project": "proj_a", "cases": ["tc_a", "tc_b_fail"], "count": 300},
        {"project": "proj_a", "suite": "suite_x", "count": 50, "failed_percent": 20},
        {"project": "proj_a", "cases": ["tc_a", "tc_c"], "count": 60, "state": "queued"},
    ]
}


@pytest.mark.parametrize(
    ("method", "path", "body", "name"),
    [
        ("PUT", "/scenario", {"scenario": HISTORY}, ""),
        ("POST", "/reset", {}, ""),
        ("POST", "/worlds", {"name": "made", "scenario": HISTORY}, "/w/made"),
    ],
    ids=["scenario", "reset", "world"],
)
def test_a_world_with_many_runs_begins_in_slices(
    method: str, path: str, body: dict[str, Any], name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Others are served while the runs of a scenario are made; the length of slices does not change the world."""
    found = []
    for length in (20, 1 << 30):
        zof = Zof(seed=5)
        if path == "/reset":
            assert zof.tell("PUT", "/scenario", {"scenario": HISTORY}).status == 200
            assert zof.select_world("other").get("/runs").status == 200
        monkeypatch.setattr("zof_emulator.core.history.SLICE", length)
        made = Call(zof, method, f"/_emulator{path}", body=json.dumps(body).encode())
        steps = finish(made)
        assert (steps > 50) == (length == 20)
        assert made.answer.status in {200, 201}
        found.append((made.answer.content, zof.send("GET", f"{name}/_emulator/snapshot").content))
    assert found[0] == found[1]


def late_worlds(count: int) -> Zof:
    """An emulator with worlds in which 100 actions and more are due."""
    now = [EPOCH]
    zof = Zof(clock="real", system=partial(max, now))
    for place in range(count):
        zof.select_world(f"w{place}").start(*CASES[:100])
    now.append(EPOCH + 24 * 3_600_000)
    return zof


def test_a_list_of_worlds_costs_one_slice(monkeypatch: pytest.MonkeyPatch) -> None:
    """Listing worlds carries out at most one slice of due actions in all, and the next lists carry out the rest."""
    zof = late_worlds(3)
    shorten(monkeypatch, 50)
    ended = []
    for _ in range(8):
        assert zof.tell("GET", "/worlds").status == 200
        runs = [hosted.world.runs[2] for hosted in list(zof.app.worlds)[1:]]
        ended.append(sum(len(run.outcomes) for run in runs))
    assert ended == [49, 99, 148, 198, 247, 297, 300, 300]  # the start of each run is an action too


def test_a_fork_of_a_late_world_is_made_in_slices(monkeypatch: pytest.MonkeyPatch) -> None:
    """A world in which much is due is brought up to date in slices before it is forked."""
    zof = late_worlds(1)
    shorten(monkeypatch, 5)
    fork = Call(zof, "POST", "/_emulator/worlds/w0/fork", body=b'{"name": "fork"}')
    steps = 1
    while not fork.step():
        steps += 1
        assert Call(zof, "GET", "/_emulator/health").step()
    assert steps > 20
    assert zof.select_world("fork").get("/runs", limit=1).json["data"][0]["completed_at"] is not None


def test_a_world_of_a_request_begins_in_slices(monkeypatch: pytest.MonkeyPatch) -> None:
    """The first request to a world creates it in slices; one world at a time is made, and others are served."""
    found = []
    for length in (20, 1 << 30):
        zof = Zof(seed=5, max_worlds=3)
        assert zof.tell("PUT", "/scenario", {"scenario": HISTORY}).status == 200
        monkeypatch.setattr("zof_emulator.core.history.SLICE", length)
        paths = ("/w/a/v1/runs", "/w/a/v1/runs", "/w/b/v1/runs", "/w/c/_emulator/clock")
        first, *others = (Call(zof, "GET", path) for path in paths)
        steps = 1
        while not first.step():
            steps += 1
            for path, status in (("/_emulator/health", 200), ("/v1/runs", 200), ("/w/a/v1/nothing", 404)):
                served = Call(zof, "GET", path)
                assert served.step()
                assert served.answer.status == status
            assert not any(other.step() for other in others)
        assert (steps > 50) == (length == 20)
        while not all(other.has_ended for other in others):
            for other in others:
                assert other.has_ended or other.step() or steps > 1
        assert [one["name"] for one in zof.tell("GET", "/worlds").json["data"]] == ["default", "a", "b"]
        assert zof.select_world("d").get("/runs").status == 409
        content = zof.select_world("a").tell("GET", "/snapshot").content
        found.append((content, *(one.answer.content for one in (first, *others))))
    assert found[0] == found[1]


def test_a_world_that_is_given_up_is_not_there(monkeypatch: pytest.MonkeyPatch) -> None:
    """When the server drops the request that creates a world, the world does not exist, and others can be created."""
    zof = Zof(max_worlds=2)
    assert zof.tell("PUT", "/scenario", {"scenario": HISTORY}).status == 200
    monkeypatch.setattr("zof_emulator.core.history.SLICE", 20)
    call = Call(zof, "GET", "/w/a/v1/runs")
    assert not call.step()
    call._coroutine.close()  # noqa: SLF001  as a server does when it ends
    assert zof.tell("GET", "/worlds/a").status == 404
    assert zof.select_world("b").get("/runs").status == 200


def test_a_new_scenario_that_is_given_up_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """When the server drops a request for another scenario, the world and its configuration stay as they were."""
    zof = Zof()
    before = zof.control("/snapshot").content
    monkeypatch.setattr("zof_emulator.core.history.SLICE", 20)
    call = Call(zof, "PUT", "/_emulator/scenario", body=json.dumps({"scenario": HISTORY}).encode())
    assert not call.step()
    call._coroutine.close()  # noqa: SLF001  as a server does when it ends
    assert zof.control("/scenario").json["name"] == "default"
    assert zof.control("/snapshot").content == before
