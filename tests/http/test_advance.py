"""Advancing the clock: until an event, the events on the way, and the bounds of a move."""

from __future__ import annotations

import json
from typing import Any, Final

import pytest
from hypothesis import given
from hypothesis import strategies as st
from zof_emulator.app import EPOCH
from zof_emulator.core.instants import format_rfc3339_ms
from zof_emulator.core.limits import Rate

from tests.http.histories import TERMINAL, Step, histories, perform, reset_emulator
from tests.http.test_clock import LAST, now, post_bytes
from tests.zof import OTHER, Answer, Zof

CENTURY: Final = 100 * 365 * 86_400_000


def until(zof: Zof, what: str, **more: str) -> Answer:
    """The answer to a move until an event."""
    return zof.control("/clock/advance", {"until": what, **more})


def capture_world(zof: Zof) -> bytes:
    """All of a world."""
    return zof.tell("GET", "/snapshot").content


@given(history=histories, by_ms=st.integers(0, 20_000), step=st.integers(200, 3_000))
def test_what_happened_in_steps(history: list[Step], by_ms: int, step: int) -> None:
    """One move lists the same events as several shorter moves, in the order of time."""
    zof, other = reset_emulator(capacity=2), Zof(scenario="empty", capacity=2)
    perform(zof, history)
    perform(other, history)
    whole = zof.control("/clock/advance", {"by_ms": by_ms}).json
    parts = [min(step, by_ms - at) for at in range(0, by_ms, step)]
    told_in_steps = [other.control("/clock/advance", {"by_ms": part}).json for part in parts]
    assert whole["happened"] == [one for part in told_in_steps for one in part["happened"]]
    assert whole["happened_count"] == len(whole["happened"])
    instants = [one["at"] for one in whole["happened"]]
    assert instants == sorted(instants)
    assert all(format_rfc3339_ms(whole["now_ms"] - by_ms) <= at <= whole["now"] for at in instants)
    assert whole["moved_ms"] == by_ms


@given(history=histories)
def test_what_happened_is_what_clients_see(history: list[Step]) -> None:
    """A move lists each start, case and end of the runs, with its instant."""
    zof = reset_emulator(capacity=1)
    runs = perform(zof, history)
    before = {run: zof.run(run) for run in runs}
    happened = zof.control("/clock/advance", {"by_ms": CENTURY}).json["happened"]
    for run in runs:
        now_is = zof.run(run)
        mine = [one for one in happened if one["run_id"] == run]
        cases = [one for one in mine if one["event"] == "case_ended"]
        came = [
            (new["test_case_id"], new["status"])
            for old, new in zip(before[run]["case_outcomes"], now_is["case_outcomes"], strict=True)
            if old["status"] != new["status"]
        ]
        assert [(one["test_case_id"], one["status"]) for one in cases] == came
        ends = [one for one in mine if one["event"] == "run_ended"]
        assert [one["status"] for one in ends] == ([] if before[run]["status"] in TERMINAL else [now_is["status"]])
        assert [one["at"][:19] + "Z" for one in ends] == [now_is["completed_at"]] * len(ends)
        begun = [one["at"][:19] + "Z" for one in mine if one["event"] == "run_started"]
        assert begun == ([now_is["started_at"]] if before[run]["started_at"] != now_is["started_at"] else [])


@given(history=histories)
def test_until_next(history: list[Step]) -> None:
    """`until: next` moves the clock exactly to the next event."""
    zof = reset_emulator(capacity=2)
    runs = perform(zof, history)
    unfinished = [run for run in runs if zof.run(run)["status"] not in TERMINAL]
    before, at = capture_world(zof), now(zof)
    answer = until(zof, "next")
    if not unfinished:
        assert answer.error == (409, "conflict", None)
        assert capture_world(zof) == before
        return
    happened = answer.json["happened"]
    assert happened
    assert {one["at"] for one in happened} == {answer.json["now"]}
    assert answer.json["moved_ms"] == now(zof) - at


@given(history=histories)
def test_until_a_run_has_ended(history: list[Step]) -> None:
    """`until: run_ended` moves the clock to the first end of a run, or of the named one."""
    zof = reset_emulator(capacity=2)
    runs = perform(zof, history)
    unfinished = [run for run in runs if zof.run(run)["status"] not in TERMINAL]
    before = capture_world(zof)
    if not unfinished:
        assert until(zof, "run_ended").error == (409, "conflict", None)
        assert capture_world(zof) == before
        return
    found = until(zof, "run_ended").json
    ends = [one for one in found["happened"] if one["event"] == "run_ended"]
    assert {one["at"] for one in ends} == {found["now"]}
    last = unfinished[-1]
    if zof.run(last)["status"] in TERMINAL:
        assert until(zof, "run_ended", run_id=last).error == (409, "conflict", None)
        return
    found = until(zof, "run_ended", run_id=last).json
    assert (zof.run(last)["status"] in TERMINAL, found["happened"][-1]["at"]) == (True, found["now"])
    assert last in {one["run_id"] for one in found["happened"] if one["event"] == "run_ended"}


def test_until_of_any_organization() -> None:
    """A move can wait for a run of any organization."""
    zof = reset_emulator()
    run = zof.start("tc_x", key=OTHER, project_id="proj_x")["id"]
    assert until(zof, "run_ended", run_id=run).json["happened"][-1]["status"] == "passed"


def test_nothing_but_what_was_canceled() -> None:
    """A canceled run has no further events, so waiting for it is refused and the clock does not move."""
    zof = reset_emulator()
    run = zof.start("tc_a")["id"]
    zof.run(run)
    zof.post(f"/runs/{run}/cancel")
    for what in ("next", "run_ended"):
        assert until(zof, what).error == (409, "conflict", None)
        assert now(zof) == 0


@given(limit=st.integers(1, 5), asked=st.integers(1, 8), earlier=st.integers(0, 59_000))
def test_until_a_window_resets(limit: int, asked: int, earlier: int) -> None:
    """`until: window_reset` moves the clock to the end of the first open window, and the key is served again."""
    zof = reset_emulator(rate=Rate(limit=limit))
    for _ in range(asked):
        zof.get("/projects")
    zof.advance(earlier)
    zof.get("/projects", key=OTHER)
    assert until(zof, "window_reset").json["moved_ms"] == 60_000 - earlier
    assert zof.get("/projects").headers["x-ratelimit-remaining"] == str(limit - 1)
    until(zof, "window_reset")
    assert now(zof) == 60_000 + earlier if earlier else 120_000


def test_no_window() -> None:
    """`until: window_reset` is refused if no window is open."""
    assert until(reset_emulator(), "window_reset").error == (409, "conflict", None)


@pytest.mark.parametrize(
    ("body", "error"),
    [
        ({"until": "later"}, (400, "invalid_request", "until")),
        ({"until": "next", "by_ms": 1}, (400, "invalid_request", "until")),
        ({"until": "next", "run_id": "run_x"}, (400, "invalid_request", "run_id")),
        ({"by_ms": 1, "run_id": "run_x"}, (400, "invalid_request", "run_id")),
        ({"run_id": "run_x"}, (400, "invalid_request", "by_ms")),
        ({"until": "run_ended", "run_id": 5}, (400, "invalid_request", "run_id")),
        ({"until": "run_ended", "run_id": "run_x"}, (404, "not_found", None)),
        ({"until": "run_ended", "run_id": ""}, (404, "not_found", None)),
    ],
    ids=str,
)
def test_until_nonsense(body: object, error: tuple[int, str, str | None]) -> None:
    """An impossible condition is refused, `param` names it, and the clock does not move."""
    zof = reset_emulator()
    zof.start()
    assert zof.control("/clock/advance", body).error == error
    assert now(zof) == 0


def test_a_thousand_are_told() -> None:
    """A move lists the first 1,000 events and counts all of them."""
    zof = reset_emulator(capacity=100)
    runs = [zof.start(*(f"tc_{number}" for number in range(40)))["id"] for _ in range(30)]
    found = zof.control("/clock/advance", {"by_ms": CENTURY}).json
    assert (len(found["happened"]), found["happened_count"]) == (1_000, 30 * 41)
    assert {one["run_id"] for one in found["happened"]} == set(runs)
    assert found["happened"] == sorted(found["happened"], key=lambda one: one["at"])


@pytest.mark.parametrize("by_ms", [10**18, 2**63, 10**30, -1, -CENTURY, -(10**18)])
def test_too_far(by_ms: int) -> None:
    """A move backwards or beyond the end of time is refused, `param` names it, and nothing changes."""
    zof = reset_emulator()
    zof.start(*(f"tc_{number}" for number in range(100)))
    before = capture_world(zof)
    assert post_bytes(zof, "/clock/advance", json.dumps({"by_ms": by_ms}).encode()).error == (
        400,
        "invalid_request",
        "by_ms",
    )
    assert capture_world(zof) == before


def test_a_century_with_a_thousand_runs() -> None:
    """A move by a century with 1,000 queued runs ends all runs, one after another."""
    zof = reset_emulator(capacity=1)
    runs = [zof.start("tc_a", "tc_pay_fail")["id"] for _ in range(1_000)]
    found = zof.control("/clock/advance", {"by_ms": CENTURY}).json
    assert (found["now_ms"], found["happened_count"]) == (EPOCH + CENTURY, 3_999)
    assert {zof.run(run)["status"] for run in runs} == {"failed"}
    assert [zof.run(run)["started_at"] for run in runs[1:]] == [zof.run(run)["completed_at"] for run in runs[:-1]]


def test_near_the_end_of_time() -> None:
    """Near the end of time, a wait that may lead beyond it is refused and changes nothing."""
    zof = reset_emulator(rate=Rate())
    zof.control("/clock/advance", {"by_ms": LAST - EPOCH - 5_000})
    zof.start(*(f"tc_{number}" for number in range(30)))
    before = capture_world(zof)
    answers: list[Any] = [until(zof, what).error[:2] for what in ("next", "run_ended", "window_reset")]
    assert answers == [(400, "invalid_request")] * 3
    assert capture_world(zof) == before
