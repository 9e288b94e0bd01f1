"""Logs: the lines of a run, and following them."""

from __future__ import annotations

import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.http.histories import TERMINAL, Step, case_lists, histories, perform, read_instant, reset_emulator
from tests.zof import OTHER, VIEWER, Zof

MOMENT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")


def follow(zof: Zof, run: str, waits: list[int], limits: list[int], cancel_after: int | None = None) -> list[Any]:
    """The lines that a client gets when it follows a run until `next_cursor` is null, with waits."""
    lines: list[Any] = []
    cursor, turn = None, 0
    while turn == 0 or cursor is not None:
        page = zof.get(f"/runs/{run}/logs", limit=limits[turn % len(limits)], starting_after=cursor).json
        lines += page["data"]
        assert turn < 1_000, "the log of a run ends"
        cursor = page["next_cursor"]
        assert page["has_more"] is False or cursor is not None
        zof.advance(waits[turn % len(waits)])
        turn += 1
        if turn == cancel_after:
            zof.post(f"/runs/{run}/cancel")
    return lines


@given(
    cases=case_lists,
    waits=st.lists(st.integers(100, 3_000), min_size=1, max_size=5),
    limits=st.lists(st.integers(1, 5), min_size=1, max_size=5),
    cancel_after=st.none() | st.integers(1, 9),
    ahead=st.integers(0, 2),
)
def test_following(cases: list[str], waits: list[int], limits: list[int], cancel_after: int | None, ahead: int) -> None:
    """A client that follows a run to its end at any speed gets every line once, in order, and then null."""
    zof = reset_emulator(capacity=1)
    for _ in range(ahead):
        zof.start("tc_login")
    run = zof.start(*cases)["id"]
    lines = follow(zof, run, waits, limits, cancel_after)
    assert zof.run(run)["status"] in TERMINAL
    assert lines == zof.walk(f"/runs/{run}/logs", limit=100)
    assert len({line["id"] for line in lines}) == len(lines)


@given(history=histories)
def test_cursor(history: list[Step]) -> None:
    """An unfinished run always has a cursor; a terminal run has none after its last line."""
    zof = reset_emulator(capacity=1)
    for run in perform(zof, history):
        page = zof.get(f"/runs/{run}/logs", limit=100).json
        assert page["has_more"] is False
        assert (page["next_cursor"] is None) is (zof.run(run)["status"] in TERMINAL)
        first = zof.get(f"/runs/{run}/logs", limit=1).json
        assert first["has_more"] is (len(page["data"]) > 1)
        assert first["next_cursor"] is not None or len(page["data"]) == 1


@pytest.mark.parametrize("capacity", [1, 2])
def test_nothing_new(capacity: int) -> None:
    """A client that has read all lines gets an empty page and a cursor for the next line."""
    zof = reset_emulator(capacity=capacity)
    zof.start("tc_login")
    run = zof.start("tc_a")["id"]
    page = zof.get(f"/runs/{run}/logs").json
    again = zof.get(f"/runs/{run}/logs", starting_after=page["next_cursor"]).json
    assert (again["data"], again["has_more"]) == ([], False)
    zof.advance(20_000)
    rest = zof.get(f"/runs/{run}/logs", starting_after=again["next_cursor"]).json
    assert page["data"] + rest["data"] == zof.walk(f"/runs/{run}/logs")
    assert (len(rest["data"]) > 0, rest["next_cursor"]) == (True, None)


@given(history=histories, more=histories)
def test_growing(history: list[Step], more: list[Step]) -> None:
    """A written line does not change; new lines follow it."""
    zof = reset_emulator(capacity=2)
    runs = perform(zof, history)
    before = {run: zof.walk(f"/runs/{run}/logs") for run in runs}
    for step in more:
        step.take(zof, runs)
    for run, lines in before.items():
        assert zof.walk(f"/runs/{run}/logs")[: len(lines)] == lines


@given(history=histories)
def test_lines(history: list[Step]) -> None:
    """A line has an instant in ms, a level, a message and a case; the oldest is first."""
    zof = reset_emulator(capacity=2)
    for run in perform(zof, history):
        cases = {one["test_case_id"] for one in zof.run(run)["case_outcomes"]}
        lines = zof.walk(f"/runs/{run}/logs", limit=3)
        for line in lines:
            assert list(line) == ["id", "timestamp", "level", "message", "test_case_id"]
            assert MOMENT.fullmatch(line["timestamp"])
            assert line["level"] in {"info", "warning", "error"}
            assert line["message"]
            assert line["test_case_id"] is None or line["test_case_id"] in cases
        times = [read_instant(line) for line in lines]
        assert times == sorted(times)


@given(history=histories)
def test_story(history: list[Step]) -> None:
    """The log agrees with the run's creation, end and case durations."""
    zof = reset_emulator(capacity=2)
    for name in perform(zof, history):
        run = zof.run(name)
        lines = zof.walk(f"/runs/{name}/logs")
        assert lines[0]["timestamp"][:19] == run["created_at"][:19]
        if run["completed_at"]:
            assert lines[-1]["timestamp"][:19] == run["completed_at"][:19]
        for one in run["case_outcomes"]:
            times = [read_instant(line) for line in lines if line["test_case_id"] == one["test_case_id"]]
            expected = 0 if one["status"] == "queued" else 1 if one["status"] == "running" else 2
            if one["status"] == "canceled" and one["duration_ms"] is None:
                expected = 0
            assert len(times) == expected
            if expected == 2:
                assert times[1] - times[0] == one["duration_ms"]


@pytest.mark.parametrize(
    ("case", "level"), [("tc_login", "info"), ("tc_pay_fail", "error"), ("tc_load_error", "error")]
)
def test_levels(case: str, level: str) -> None:
    """The level of an end line follows the outcome."""
    zof = reset_emulator()
    lines = zof.walk(f"/runs/{zof.complete_run(case)['id']}/logs")
    assert [line["level"] for line in lines] == ["info", "info", "info", level, level]


def test_canceled_level() -> None:
    """A cancel has the level warning."""
    zof = reset_emulator()
    run = zof.start("tc_a")["id"]
    zof.post(f"/runs/{run}/cancel")
    assert [line["level"] for line in zof.walk(f"/runs/{run}/logs")] == ["info"] * 3 + ["warning"] * 2


def test_logs_url() -> None:
    """The logs reference of a result leads to the logs of its run, with the same key."""
    zof = reset_emulator()
    run = zof.complete_run("tc_a", "tc_pay_fail")
    for result in zof.walk("/results"):
        assert zof.follow(result["logs_url"]).json == zof.get(f"/runs/{run['id']}/logs").json


def test_who() -> None:
    """Logs can be read with any key of the organization, and with no other organization's."""
    zof = reset_emulator()
    run = zof.start("tc_a")["id"]
    assert zof.get(f"/runs/{run}/logs", key=VIEWER).status == 200
    assert zof.get(f"/runs/{run}/logs", key=OTHER).error == (404, "not_found", None)
    assert zof.get("/runs/run_none/logs").error == (404, "not_found", None)
