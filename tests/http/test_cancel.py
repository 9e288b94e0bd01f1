"""Cancel: from every state, at every instant, and its results and artifacts."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.http.histories import case_lists, format_instant, read_instant, reset_emulator
from tests.zof import ADMIN, CI, OTHER, VIEWER, Zof

ENDINGS = {"passed": "tc_login", "failed": "tc_pay_fail", "error": "tc_load_error"}
TOO_LATE = (409, "conflict", None)


def everything(zof: Zof, run: str) -> list[Any]:
    """All that can be read about a run, without the headers of the answers."""
    lists = [zof.walk(f"/runs/{run}/{kind}") for kind in ("logs", "artifacts")]
    return [zof.run(run), *lists, zof.walk("/results", run_id=run)]


def test_queued() -> None:
    """A queued run can be canceled: all its cases are, none ever started, and each has its result."""
    zof = reset_emulator(capacity=1)
    zof.start("tc_login")
    run = zof.start("tc_a", "tc_b")["id"]
    zof.advance(150)
    answer = zof.post(f"/runs/{run}/cancel")
    canceled = answer.json
    assert (answer.status, canceled["status"], canceled["summary"]["canceled"]) == (200, "canceled", 2)
    assert (canceled["started_at"], canceled["completed_at"], canceled["duration_ms"]) == (
        None,
        format_instant(150),
        None,
    )
    for one in canceled["case_outcomes"]:
        result = zof.get(f"/results/{one['result_id']}").json
        assert (one["status"], one["duration_ms"]) == (result["status"], result["duration_ms"]) == ("canceled", None)
        assert (result["started_at"], result["completed_at"]) == (None, format_instant(150))
    assert zof.run(run) == canceled


@given(cases=case_lists, wait=st.integers(0, 20_000))
def test_running(cases: list[str], wait: int) -> None:
    """Finished cases of a canceled run keep their outcome; the others are canceled."""
    zof = reset_emulator()
    run = zof.start(*cases)["id"]
    zof.advance(wait)
    before = zof.run(run)
    if before["status"] != "running":
        return
    after = zof.post(f"/runs/{run}/cancel").json
    done = [one["status"] for one in before["case_outcomes"]].index("running")
    assert after["status"] == "canceled"
    assert (after["started_at"], after["completed_at"], after["duration_ms"]) == (
        format_instant(0),
        format_instant(wait),
        wait,
    )
    kept = [{**one, "result_id": None} for one in after["case_outcomes"][:done]]
    assert kept == before["case_outcomes"][:done]
    cut_off, *rest = after["case_outcomes"][done:]
    spent = sum(one["duration_ms"] for one in kept)
    assert (cut_off["status"], cut_off["duration_ms"]) == ("canceled", wait - spent)
    assert [(one["status"], one["duration_ms"]) for one in rest] == [("canceled", None)] * len(rest)
    results = zof.walk("/results", run_id=run)
    assert [(one["status"], one["duration_ms"]) for one in results] == [
        (one["status"], one["duration_ms"]) for one in after["case_outcomes"]
    ]
    assert [one["started_at"] is None for one in results] == [False] * (done + 1) + [True] * len(rest)
    assert {one["completed_at"] for one in results[done:]} == {format_instant(wait)}
    assert {one["failure_summary"] for one in results[done:]} == {None}


@given(cases=case_lists, wait=st.integers(0, 20_000))
def test_no_trace(cases: list[str], wait: int) -> None:
    """A canceled case has no trace and no screenshot; the canceled run has its HAR and JUnit file."""
    zof = reset_emulator()
    run = zof.start(*cases)["id"]
    zof.advance(wait)
    zof.post(f"/runs/{run}/cancel")
    outcomes = {one["result_id"]: one["status"] for one in zof.run(run)["case_outcomes"]}
    kept = zof.walk(f"/runs/{run}/artifacts")
    assert [one["type"] for one in kept if one["result_id"] is None] == ["export", "export"]
    traced = {one["result_id"] for one in kept if one["type"] == "trace"}
    assert traced == {name for name, status in outcomes.items() if status != "canceled"}
    assert all(outcomes[one["result_id"]] != "canceled" for one in kept if one["result_id"])


@pytest.mark.parametrize("status", ENDINGS)
def test_terminal(status: str) -> None:
    """The cancel of an ended run is refused, and nothing changes."""
    zof = reset_emulator()
    run = zof.complete_run(ENDINGS[status])["id"]
    before = everything(zof, run)
    assert before[0]["status"] == status
    answer = zof.post(f"/runs/{run}/cancel")
    assert answer.error == TOO_LATE
    assert status in answer.json["error"]["message"]
    assert everything(zof, run) == before


@pytest.mark.parametrize("capacity", [1, 2])
def test_canceled(capacity: int) -> None:
    """The cancel of a canceled run is refused, whether it ever ran or not, and nothing changes."""
    zof = reset_emulator(capacity=capacity)
    zof.start("tc_login")
    run = zof.start("tc_a")["id"]
    zof.post(f"/runs/{run}/cancel")
    before = everything(zof, run)
    zof.advance(5_000)
    assert zof.post(f"/runs/{run}/cancel").error == TOO_LATE
    assert everything(zof, run) == before


@pytest.mark.parametrize(("early", "story"), [(1, "canceled"), (0, "passed"), (-1, "passed")])
def test_at_the_end(early: int, story: str) -> None:
    """Either a cancel or a completion wins, to the millisecond, and all answers agree on which."""
    took = reset_emulator().complete_run("tc_a", "tc_b")["duration_ms"]
    zof = reset_emulator()
    run = zof.start("tc_a", "tc_b")["id"]
    zof.advance(took - early)
    answer = zof.post(f"/runs/{run}/cancel")
    zof.advance(10_000)
    seen, logs, artifacts, results = everything(zof, run)
    assert (answer.status, seen["status"]) == (200 if story == "canceled" else 409, story)
    assert [one["status"] for one in results] == ["passed", story]
    assert [one["status"] for one in seen["case_outcomes"]] == ["passed", story]
    assert ("canceled" in logs[-1]["message"]) is (story == "canceled")
    assert read_instant(logs[-1]) == seen["duration_ms"] == took - max(0, early)
    assert sum(one["type"] == "trace" for one in artifacts) == (1 if story == "canceled" else 2)


@given(cases=case_lists, wait=st.integers(0, 20_000))
def test_one_story(cases: list[str], wait: int) -> None:
    """An accepted cancel is final; a refused one has no effect on the ended run."""
    zof = reset_emulator()
    undisturbed = zof.complete_run(*cases)["status"]
    zof = reset_emulator()
    run = zof.start(*cases)["id"]
    zof.advance(wait)
    accepted = zof.post(f"/runs/{run}/cancel").status == 200
    soon = everything(zof, run)
    zof.advance(60_000)
    assert everything(zof, run) == soon
    assert soon[0]["status"] == ("canceled" if accepted else undisturbed)


def test_as_soon_as_started() -> None:
    """A run canceled at the instant of its start has started if capacity was free, with a duration of 0 ms."""
    zof = reset_emulator()
    run = zof.start("tc_a", "tc_b")["id"]
    canceled = zof.post(f"/runs/{run}/cancel").json
    assert (canceled["started_at"], canceled["duration_ms"]) == (format_instant(0), 0)
    assert [one["duration_ms"] for one in canceled["case_outcomes"]] == [0, None]


@pytest.mark.parametrize(("key", "status"), [(ADMIN, 200), (CI, 200), (VIEWER, 403), (OTHER, 404)])
def test_permission(key: str, status: int) -> None:
    """Cancelling needs the permission to start runs; to another organization the run does not exist."""
    zof = reset_emulator()
    run = zof.start("tc_a")["id"]
    assert zof.post(f"/runs/{run}/cancel", key=key).status == status
    assert zof.run(run)["status"] == ("canceled" if status == 200 else "running")


@pytest.mark.parametrize("name", ["run_none", "x", "run_", "res_x_001"])
def test_unknown(name: str) -> None:
    """The cancel of an ID that names no run is 404."""
    assert reset_emulator().post(f"/runs/{name}/cancel").error == (404, "not_found", None)


@pytest.mark.parametrize("body", [b"{}", b'{"reason": 1}', b"not JSON", b"x" * (1 << 21)])
def test_body(body: bytes) -> None:
    """A cancel ignores its body, whatever it is."""
    zof = reset_emulator()
    run = zof.start("tc_a")["id"]
    assert zof.send("POST", f"/v1/runs/{run}/cancel", body=body).status == 200
