"""The auto clock: it moves to the next event when a client polls an unfinished run again."""

from __future__ import annotations

from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any, Final

import pytest
from hypothesis import given
from hypothesis import strategies as st
from zof_emulator.core.limits import Rate, RateScope

from tests.http.histories import TERMINAL, Step, histories, reset_emulator
from tests.http.stories import find_newest
from tests.http.test_clock import LAST, now

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.zof import Answer, Zof

LONG: Final = tuple(f"tc_{number}_slow" for number in range(250))
"""Cases that take 2 to 15 s each, half an hour and more together."""
HALF_AN_HOUR: Final = 30 * 60_000


def run_and_status(zof: Zof, run: str) -> str:
    """The status of the run as its retrieval shows it."""
    status: str = zof.run(run)["status"]
    return status


def poll_list(zof: Zof, run: str) -> str:
    """The status of the run as the list of runs shows it."""
    found: str = next(one["status"] for one in zof.get("/runs", limit=1).json["data"] if one["id"] == run)
    return found


def poll_logs(zof: Zof, run: str) -> str:
    """The end of the run as its log shows it: the last page has no cursor."""
    page = zof.get(f"/runs/{run}/logs", limit=100).json
    return "running" if page["next_cursor"] and not page["has_more"] else "passed"


def poll_artifacts(zof: Zof, run: str) -> str:
    """The end of the run as its own artifacts show it."""
    found = zof.get(f"/runs/{run}/artifacts", limit=100).json["data"]
    return "passed" if any(one["content_type"] == "application/xml" for one in found) else "running"


def poll_results(zof: Zof, run: str) -> str:
    """The end of the run as its results show it."""
    return "passed" if zof.get("/results", run_id=run).json["data"] else "running"


WAYS: Final[dict[str, Callable[[Zof, str], str]]] = {
    "run": run_and_status,
    "list": poll_list,
    "logs": poll_logs,
    "artifacts": poll_artifacts,
    "results": poll_results,
}


def polls(zof: Zof, run: str, way: str) -> int:
    """The number of polls until a client sees the run's end."""
    for number in range(1, 10):
        if WAYS[way](zof, run) not in {"queued", "running"}:
            return number
    raise AssertionError("a client waits for ever")


@pytest.mark.parametrize("way", WAYS)
def test_half_an_hour_in_three_polls(way: str) -> None:
    """Any kind of polling sees a run of half an hour end within three polls, and it has taken half an hour."""
    zof = reset_emulator(clock="auto")
    run = zof.start(*LONG)["id"]
    assert polls(zof, run, way) <= 3
    assert zof.run(run)["duration_ms"] == now(zof) >= HALF_AN_HOUR


@pytest.mark.parametrize("way", WAYS)
def test_half_an_hour_behind_another(way: str) -> None:
    """A queued run is seen to end within three polls; it starts when the run before it ends."""
    zof = reset_emulator(clock="auto", capacity=1)
    first = zof.start(*LONG)["id"]
    run = zof.start(*LONG)["id"]
    assert polls(zof, run, way) <= 3
    assert zof.run(first)["completed_at"] == zof.run(run)["started_at"]
    assert now(zof) >= 2 * HALF_AN_HOUR


@pytest.mark.parametrize("way", WAYS)
def test_no_jump_by_hand(way: str) -> None:
    """A manual clock is not moved by any poll."""
    zof = reset_emulator()
    run = zof.start(*LONG)["id"]
    assert {WAYS[way](zof, run) for _ in range(5)} == {"running"}
    assert now(zof) == 0


def test_cancel_while_it_runs() -> None:
    """A single look at a run does not move the clock, so the run can still be canceled."""
    zof = reset_emulator(clock="auto")
    run = zof.start(*LONG)["id"]
    assert zof.run(run)["status"] == "running"
    assert zof.post(f"/runs/{run}/cancel").json["status"] == "canceled"
    assert zof.run(run)["status"] == "canceled"
    assert now(zof) == 0


@given(history=histories)
def test_time_does_not_move_otherwise(history: list[Step]) -> None:
    """Reading ended runs, projects and health never moves the clock."""
    zof = reset_emulator(clock="auto")
    ended = zof.complete_run("tc_a")["id"]
    at = now(zof)
    runs: list[str] = []
    for step in history:
        if step.what != "advance":
            step.take(zof, runs)
        for path in (f"/runs/{ended}", f"/runs/{ended}/logs", "/projects", f"/results?run_id={ended}", "/results"):
            assert zof.send("GET", f"/v1{path}").status == 200
        zof.control("/health")
    assert now(zof) == at


@given(history=histories, way=st.sampled_from(sorted(WAYS)))
def test_every_client_gets_there(history: list[Step], way: str) -> None:
    """After any history, polling a run sees its end, within three polls if no other run is running."""
    zof = reset_emulator(clock="auto", capacity=2)
    runs: list[str] = []
    for step in history:
        step.take(zof, runs)
    run = zof.start("tc_login_slow")["id"]
    least = 9 if way == "list" else 3
    assert polls(zof, run, way) <= least
    for one in runs:
        polls(zof, one, "run")
        assert zof.run(one)["status"] in TERMINAL


LISTED: Final[dict[str, Callable[[Zof], Answer]]] = {
    "projects": lambda zof: zof.get("/projects"),
    "runs": lambda zof: zof.get("/runs"),
    "a start": lambda zof: zof.post(
        "/runs", {"project_id": "proj_a", "environment": "staging", "test_case_ids": ["tc"]}
    ),
    "nothing of the kind": lambda zof: zof.get("/runs/run_none"),
}


@pytest.mark.parametrize("way", LISTED)
@pytest.mark.parametrize("scope", ["key", "organization"])
def test_retry_after(way: str, scope: str) -> None:
    """A client that gets 429 and retries is served, because the clock has moved by `Retry-After`."""
    zof = reset_emulator(clock="auto", rate=Rate(limit=2, window_ms=60_000, scope=RateScope(scope)))
    answers = [LISTED[way](zof) for _ in range(7)]
    assert [answer.status == 429 for answer in answers] == [False, False, True, False, False, True, False]
    assert [answer.headers["retry-after"] for answer in answers if answer.status == 429] == ["60", "60"]
    assert now(zof) == 120_000


def test_no_waiting_by_hand() -> None:
    """With a manual clock, a retry after 429 is refused again."""
    zof = reset_emulator(rate=Rate(limit=1))
    assert [zof.get("/projects").status for _ in range(4)] == [200, 429, 429, 429]


def test_no_waiting_beyond_the_end_of_time() -> None:
    """If time ends before the window, a retry gets 429 again."""
    zof = reset_emulator(clock="auto", rate=Rate(limit=1))
    assert zof.control("/clock/advance", {"to": "9999-12-31T23:59:59.999Z"}).json["now_ms"] == LAST
    assert [zof.get("/projects").status for _ in range(4)] == [200, 429, 429, 429]


@given(history=histories, asked=st.lists(st.sampled_from(sorted(WAYS)), max_size=8))
def test_determinism(history: list[Step], asked: list[str]) -> None:
    """The same requests move the clock by the same milliseconds, to the same bytes."""
    heard: list[Any] = []
    for _ in range(2):
        zof = reset_emulator(clock="auto", capacity=1, rate=Rate(limit=1_000))
        runs: list[str] = []
        for step in history:
            step.take(zof, runs)
        zof.start("tc_a_slow")
        heard.append([(WAYS[way](zof, find_newest(zof)), now(zof), zof.get("/runs")) for way in asked])
    assert heard[0] == heard[1]


def test_the_journal_agrees_with_the_date() -> None:
    """The journal has a retry after 429 and a poll at the instant that their `Date` shows."""
    zof = reset_emulator(clock="auto", rate=Rate(limit=2))
    run = zof.start("tc_a")["id"]
    answers = [zof.get(f"/runs/{run}") for _ in range(6)]
    assert 429 in {answer.status for answer in answers}
    dates = [parsedate_to_datetime(answer.headers["date"]) for answer in answers]
    assert len(set(dates)) > 2
    entries = zof.tell("GET", "/journal?operation=getRun").json["data"]
    assert [datetime.fromtimestamp(one["at_ms"] // 1000, UTC) for one in entries] == dates
