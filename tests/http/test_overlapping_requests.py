"""Requests that faults delay and that overlap: the journal lists them as they were carried out, and replays."""

from __future__ import annotations

import json
from types import coroutine
from typing import TYPE_CHECKING, Any, Final

from hypothesis import given
from hypothesis import strategies as st
from zof_emulator.cli.replay import replay
from zof_emulator.http.pauses import Pauses

from tests.http.faults import START
from tests.zof import ADMIN, Zof, make_scope

if TYPE_CHECKING:
    from collections.abc import Generator

PAUSED: Final = object()
ERROR: Final = {"error": "internal_error", "latency_ms": 50}
EFFECTS: Final = (
    ERROR,
    {"latency_ms": 50},
    {"status": 503, "undocumented": True, "latency_ms": [10, 90]},
    {"reset": True},
)
SCHEDULES: Final = ({"first": 1}, {"nth": 2}, {"every": 2}, {"percent": 50}, None)


@coroutine
def stop() -> Generator[object, None, None]:
    """Stop until the request is resumed."""
    yield PAUSED


class HeldPauses(Pauses):
    """Pauses that end when the test resumes the request."""

    __slots__ = ()

    async def pause(self, name: str, ms: int, receive: object = None) -> bool:  # noqa: ARG002  as the real one has it
        """Stop until the request is resumed."""
        await stop()
        return True


class Overlap:
    """A world whose requests a test begins and resumes one by one."""

    def __init__(self) -> None:
        self.zof = Zof(seed=5)
        self.zof.app.hosted.pauses = HeldPauses()
        self.waiting: list[Any] = []

    def begin(self, method: str, path: str, body: object = None, prefer: str = "") -> None:
        """Begin a request; it goes on until it is delayed or answered."""
        content = b"" if body is None else json.dumps(body).encode()
        headers = [
            ("host", "127.0.0.1:9630"),
            ("authorization", f"Bearer {ADMIN}"),
            ("content-type", "application/json"),
        ]
        if prefer:
            headers.append(("prefer", prefer))
        scope = make_scope(method, path, headers)

        async def receive() -> dict[str, Any]:
            return {"type": "http.request", "body": content, "more_body": False}

        async def send(_message: object) -> None:
            pass

        self.go_on(self.zof.app(scope, receive, send))

    def go_on(self, request: Any) -> None:  # noqa: ANN401  a coroutine
        """Carry a request out until it is delayed or answered."""
        try:
            while request.send(None) is not PAUSED:
                pass
        except (StopIteration, ConnectionError):
            return
        self.waiting.append(request)

    def resume(self, place: int) -> None:
        """Go on with a request that waits."""
        if self.waiting:
            self.go_on(self.waiting.pop(place % len(self.waiting)))

    def export(self) -> bytes:
        """The journal, when no request waits any more."""
        while self.waiting:
            self.resume(0)
        return self.zof.tell("GET", "/journal.ndjson").content


def test_an_error_that_is_delayed() -> None:
    """A delayed request that gets an error after another one is carried out gets the error in a replay too."""
    overlap = Overlap()
    overlap.zof.tell("POST", "/faults", {"match": {"operation": "startRun"}, "schedule": {"first": 1}, "effect": ERROR})
    overlap.begin("POST", "/v1/runs", START)
    overlap.begin("POST", "/v1/runs", START)
    journal = overlap.export()
    starts = [json.loads(line) for line in journal.splitlines()[2:]]
    assert [one["response"]["status"] for one in starts] == [201, 500]
    assert [one["delayed"] for one in starts] == [None, {"after": 1, "order": 1}]
    assert replay(journal).differing == ()


RULES: Final = st.fixed_dictionaries(
    {"effect": st.sampled_from(EFFECTS)},
    optional={
        "schedule": st.sampled_from([one for one in SCHEDULES if one]),
        "match": st.sampled_from([{"operation": "startRun"}, {"operation": "listRuns"}]),
        "place": st.sampled_from(["before", "after"]),
    },
)
STEPS: Final = st.one_of(
    st.tuples(st.just("resume"), st.integers(0, 5)),
    st.tuples(st.just("start"), st.sampled_from(["", "wait=1"])),
    st.tuples(st.just("list"), st.sampled_from(["", "wait=1", "code=500, wait=1"])),
    st.tuples(st.just("rules"), st.lists(RULES, max_size=3)),
    st.tuples(st.just("count"), st.none()),
)


@given(st.lists(RULES, min_size=1, max_size=4), st.lists(STEPS, min_size=2, max_size=12))
def test_any_overlap_replays(rules: list[dict[str, Any]], steps: list[tuple[str, Any]]) -> None:
    """However requests overlap, their journal replays byte for byte, with rules that change meanwhile."""
    overlap = Overlap()
    overlap.begin("PATCH", "/_emulator/config", {"faults": rules})
    for kind, value in steps:
        if kind == "resume":
            overlap.resume(value)
        elif kind == "start":
            overlap.begin("POST", "/v1/runs", START, value)
        elif kind == "list":
            overlap.begin("GET", "/v1/runs", prefer=value)
        elif kind == "rules":
            overlap.begin("PATCH", "/_emulator/config", {"faults": value})
        else:
            overlap.begin("POST", "/_emulator/faults", {"effect": ERROR, "match": {"operation": "listProjects"}})
    assert replay(overlap.export()).differing == ()
