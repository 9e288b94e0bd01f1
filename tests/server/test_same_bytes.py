"""The same bytes: same seed, manual clock, same requests; another process, another hash seed, another Python."""

from __future__ import annotations

import os
from difflib import unified_diff
from typing import Any, Final

import pytest

from tests.served import Server, Wire, request
from tests.zof import CI, EXPIRED, OTHER, STAGING, VIEWER

SETTINGS: Final = ("--clock", "manual", "--rate-limit", "40/60", "--environment", "qa", "--capacity", "2", "--quiet")
OTHER_PYTHONS: Final = os.environ.get("ZOF_OTHER_PYTHONS", "").split(os.pathsep)
"""Interpreters that have `requirements/serve.txt` installed, as in `/a/bin/python:/b/bin/python`."""

START: Final = {
    **STAGING,
    "test_case_ids": ["tc_login_001", "tc_refund_fail_002", "tc_search_error_003", "tc_cart_flaky_004"],
}


class Conversation:
    """Requests to a server, each on the connection that the last one left open, and all that came back."""

    def __init__(self, wire: Wire) -> None:
        self._wire = wire
        self.heard: list[bytes] = []

    def say(self, method: str, target: str, body: bytes | object = b"", *lines: bytes, **how: Any) -> Any:  # noqa: ANN401
        """The JSON of the answer to a request, if it is JSON."""
        self._wire.send(request(method, target, body, *lines, **how))
        answer = self._wire.answer(method)
        self.heard.append(answer.raw)
        return answer.json if answer["content-type"] == "application/json" and answer.content else None

    def hold(self) -> None:
        """Every operation, every kind of error, and what the emulator adds."""
        say = self.say
        say("GET", "/_emulator/health", key=None)
        say("GET", "/_emulator/version")
        say("GET", "/_emulator/openapi.json")
        say("GET", "/")
        say("GET", "/v1/projects")
        page = say("GET", "/v1/runs?limit=1")
        say("GET", f"/v1/runs?limit=1&starting_after={page['next_cursor']}")
        first = say("POST", "/v1/runs", START, b"Idempotency-Key: one")
        say("POST", "/v1/runs", START, b"Idempotency-Key: one")
        say("POST", "/v1/runs", {**START, "environment": "production"}, b"Idempotency-Key: one")
        suite = say("POST", "/v1/runs", {**STAGING, "test_suite_id": "suite_new_slow"}, key=CI)
        queued = say("POST", "/v1/runs", {"project_id": "proj_new", "environment": "qa", "test_case_ids": ["tc_a"]})
        for run in (first, suite, queued):
            say("GET", f"/v1/runs/{run['id']}")
        say("POST", "/_emulator/clock/advance", {"by_ms": 777})
        say("GET", f"/v1/runs/{first['id']}/logs?limit=3")
        say("GET", f"/v1/runs/{first['id']}/artifacts")
        say("POST", f"/_emulator/runs/{first['id']}/advance")
        say("POST", f"/_emulator/runs/{first['id']}/advance", {"to": "end"})
        say("POST", f"/v1/runs/{first['id']}/cancel")
        say("POST", f"/v1/runs/{suite['id']}/cancel", b"", b"Idempotency-Key: two", key=CI)
        say("POST", f"/v1/runs/{suite['id']}/cancel", b"", b"Idempotency-Key: two", key=CI)
        say("GET", f"/v1/runs/{first['id']}/logs?limit=100")
        for artifact in say("GET", f"/v1/runs/{first['id']}/artifacts?limit=100")["data"]:
            say("GET", f"/v1/artifacts/{artifact['id']}/content", key=VIEWER)
        result = say("GET", f"/v1/results?run_id={first['id']}&status=failed")["data"][0]
        say("GET", f"/v1/results/{result['id']}")
        say("GET", f"/v1/results/{result['id']}/artifacts")
        say("GET", f"/runs/{first['id']}")
        self.err(first["id"], queued["id"])
        self.move_between_worlds(queued["id"])
        say("POST", "/v1/results/export", {"format": "csv"}, key=CI)
        say("POST", "/v1/results/export", {"format": "json", "status": "passed"}, key=CI)
        say("POST", "/_emulator/clock/advance", {"to": "2026-06-01T00:00:00Z"})
        say("GET", f"/v1/artifacts/{artifact['id']}/content")
        while "error" not in say("GET", "/v1/projects", key=OTHER):  # to the rate limit
            pass
        say("POST", "/_emulator/reset")
        say("POST", "/v1/runs", START)
        say("\0", "/")

    def move_between_worlds(self, run: str) -> None:
        """Worlds, forks, snapshots, the journal, and time that jumps."""
        say = self.say
        say("POST", "/_emulator/worlds", {"name": "auto", "clock": "auto"}, key=None)
        say("POST", "/_emulator/worlds/default/fork", {"name": "fork"})
        say("POST", "/_emulator/clock/advance", {"until": "run_ended"}, b"X-Zof-World: fork")
        for world in ("auto", "fork", "new"):
            started = say("POST", f"/w/{world}/v1/runs", START, b"Idempotency-Key: one", key=CI)
            say("GET", f"/w/{world}/v1/runs/{started['id']}")
            say("GET", f"/w/{world}/v1/runs/{started['id']}")
            say("POST", f"/w/{world}/v1/results/export", {"format": "json"}, b"Idempotency-Key: two", key=CI)
        snapshot = say("GET", "/w/fork/_emulator/snapshot")
        say("PUT", "/w/new/_emulator/snapshot", snapshot)
        say("POST", "/w/new/v1/results/export", {"format": "json"}, b"Idempotency-Key: two", key=CI)
        say("GET", f"/w/new/v1/runs/{run}", key=CI)
        for world in ("default", "auto", "fork", "new"):
            say("GET", f"/w/{world}/_emulator/journal?limit=3&starting_after=1")
            say("GET", f"/w/{world}/_emulator/journal.ndjson")
            say("GET", f"/w/{world}/_emulator/journal.har")
            say("POST", f"/w/{world}/_emulator/journal/verify", {"operation": "cancelRun", "exactly": 9})
        say("GET", "/_emulator/worlds")
        say("DELETE", "/_emulator/worlds/auto")
        say("DELETE", "/_emulator/worlds/default")
        say("GET", "/w/-/v1/runs")
        for world in ("fork", "new"):
            say("DELETE", f"/_emulator/worlds/{world}")

    def err(self, ended: str, queued: str) -> None:
        """Every kind of error."""
        say = self.say
        say("GET", "/v1/nothing")
        say("DELETE", "/v1/runs")
        say("HEAD", "/v1/runs")
        say("GET", "/v1/runs", key=None)
        say("GET", "/v1/runs", key=EXPIRED)
        say("GET", "/v1/runs", key="zof_test_wrong")
        say("POST", "/v1/runs", START, key=VIEWER)
        say("GET", f"/v1/runs/{ended}", key=OTHER)
        say("GET", "/v1/runs?limit=0&status=new&zzz=1&aaa=2", key=CI)
        say("GET", "/v1/runs?starting_after=cur_1", key=CI)
        say("POST", "/v1/runs", b"{", key=CI)
        say("POST", "/v1/runs", b"{}", kind=b"text/plain", key=CI)
        say("POST", "/v1/runs", b" " * 1_048_577, key=CI)
        say("POST", "/v1/runs", {"zzz": 1, "aaa": 2, "environment": "moon", "test_case_ids": ["x", "y"]}, key=CI)
        say("POST", "/v1/runs", {**STAGING, "test_case_ids": ["tc_missing"]}, key=CI)
        say("POST", "/v1/runs", {**START, "test_suite_id": "suite_a"}, key=CI)
        say("POST", f"/v1/runs/{queued}/cancel?now=1", key=CI)
        say("DELETE", "/_emulator/clock")
        say("POST", "/_emulator/clock/advance", {"by_ms": -1})


def record_bytes(*flags: str, python: str | None = None, hash_seed: str = "0") -> list[bytes]:
    """All bytes that a new server sends in the conversation."""
    how = {} if python is None else {"python": python}
    with Server(*SETTINGS, *flags, variables={"PYTHONHASHSEED": hash_seed}, **how) as server, Wire(server.port) as wire:
        conversation = Conversation(wire)
        conversation.hold()
        conversation.heard.append(wire.rest())
        return conversation.heard


def assert_same(one: list[bytes], other: list[bytes]) -> None:
    """Both conversations are equal; the failure shows the first difference."""
    for number, (left, right) in enumerate(zip(one, other, strict=True)):
        before, after = (text.decode("latin-1").splitlines() for text in (left, right))
        assert left == right, f"answer {number}:\n" + "\n".join(unified_diff(before, after, lineterm=""))


@pytest.fixture(scope="module")
def reference() -> list[bytes]:
    """The bytes that this Python sends with hash seed 0."""
    return record_bytes()


def test_the_conversation_says_something(reference: list[bytes]) -> None:
    """The conversation contains every status of the contract except 500."""
    statuses = {int(answer[9:12]) for answer in reference if answer}
    assert statuses == {200, 201, 400, 401, 403, 404, 405, 409, 413, 415, 429}
    assert len(reference) > 60


@pytest.mark.parametrize("hash_seed", ["1", "4294967295"])
def test_another_process(reference: list[bytes], hash_seed: str) -> None:
    """Another process with another PYTHONHASHSEED sends the same bytes, all headers included."""
    assert_same(reference, record_bytes(hash_seed=hash_seed))


@pytest.mark.skipif(
    not OTHER_PYTHONS[0], reason="ZOF_OTHER_PYTHONS names no other interpreter with serve.txt installed"
)
@pytest.mark.parametrize("python", OTHER_PYTHONS)
def test_another_python(reference: list[bytes], python: str) -> None:
    """Another version of Python sends the same bytes, all headers included."""
    assert_same(reference, record_bytes(python=python, hash_seed="2"))


def test_a_second_time(reference: list[bytes]) -> None:
    """After a reset the same server sends the same bytes again."""
    with Server(*SETTINGS) as server:
        with Wire(server.port) as wire:
            wire.send(request("POST", "/v1/runs", START, key=CI) + request("POST", "/_emulator/reset"))
            assert [wire.answer().status for _ in range(2)] == [201, 200]
        with Wire(server.port) as wire:
            conversation = Conversation(wire)
            conversation.hold()
    # The answers of the emulator's own operations have IDs of their own, which go on counting.
    for one, other in zip(reference, conversation.heard, strict=False):
        assert one.count(b"\r\n") == other.count(b"\r\n")
    once, again = (
        [answer for answer in said if b"\r\nx-ratelimit-limit: " in answer] for said in (reference, conversation.heard)
    )
    assert_same(once, again)


def test_another_seed(reference: list[bytes]) -> None:
    """Another seed gives other IDs in every answer, and other durations."""
    other = record_bytes("--seed", "1")
    assert all(one != two for one, two in zip(reference, other, strict=False) if one)
