"""Results: their visibility, content and order."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.http.histories import (
    TERMINAL,
    Step,
    case_lists,
    format_instant,
    histories,
    perform,
    read_instant,
    reset_emulator,
)
from tests.zof import OTHER, VIEWER, Zof

FIELDS = [
    "id",
    "run_id",
    "project_id",
    "test_case_id",
    "environment",
    "status",
    "duration_ms",
    "created_at",
    "started_at",
    "completed_at",
    "logs_url",
    "failure_summary",
]
ABSENT = (404, "not_found", None)


def read_end(zof: Zof, run: str) -> int:
    """When an ended run ended, in ms after the clock began."""
    return read_instant(zof.walk(f"/runs/{run}/logs")[-1])


@given(history=histories)
def test_visible(history: list[Step]) -> None:
    """Every ended run has one result per case, and no other run has results."""
    zof = reset_emulator(capacity=2)
    runs = [zof.run(name) for name in perform(zof, history)]
    expected = {
        one["result_id"]: (run["id"], one["test_case_id"], one["status"], one["duration_ms"])
        for run in runs
        if run["status"] in TERMINAL
        for one in run["case_outcomes"]
    }
    found = zof.walk("/results")
    assert {
        one["id"]: (one["run_id"], one["test_case_id"], one["status"], one["duration_ms"]) for one in found
    } == expected
    assert len(found) == len(expected)


@given(cases=case_lists)
def test_from_the_end(cases: list[str]) -> None:
    """Results are visible from the millisecond at which their run becomes terminal."""
    zof = reset_emulator()
    done = zof.complete_run(*cases)
    zof = reset_emulator()
    run = zof.start(*cases)["id"]
    zof.advance(done["duration_ms"] - 1)
    assert zof.walk("/results") == []
    for one in done["case_outcomes"]:
        assert zof.get(f"/results/{one['result_id']}").error == ABSENT
        assert zof.get(f"/results/{one['result_id']}/artifacts").error == ABSENT
    zof.advance(1)
    assert [one["id"] for one in zof.walk("/results", run_id=run)] == [
        one["result_id"] for one in done["case_outcomes"]
    ]
    assert {one["created_at"] for one in zof.walk("/results")} == {format_instant(done["duration_ms"])}


@given(history=histories)
def test_order(history: list[Step]) -> None:
    """Results of the run that ended last come first, and those of one run in the run's order."""
    zof = reset_emulator(capacity=2)
    runs = [run for run in perform(zof, history) if zof.run(run)["status"] in TERMINAL]
    found = zof.walk("/results")
    order = list(dict.fromkeys(one["run_id"] for one in found))
    ends = [read_end(zof, run) for run in order]
    assert (sorted(order), ends) == (sorted(runs), sorted(ends, reverse=True))
    assert [one["id"] for one in found] == [
        one["result_id"] for run in order for one in zof.run(run)["case_outcomes"]
    ], "together, run by run"


@given(history=histories)
def test_retrieve(history: list[Step]) -> None:
    """A retrieved result equals the one in the list."""
    zof = reset_emulator(capacity=2)
    perform(zof, history)
    for one in zof.walk("/results"):
        assert zof.get(f"/results/{one['id']}").json == one
        assert list(one) == FIELDS


@given(cases=case_lists, begin=st.integers(0, 3_000))
def test_content(cases: list[str], begin: int) -> None:
    """A result has its case, environment, times, duration and logs URL."""
    zof = reset_emulator()
    zof.advance(begin)
    run = zof.complete_run(*cases, environment="production", project_id="proj_abc")
    now = begin
    for case, result in zip(cases, zof.walk("/results"), strict=True):
        end = now + result["duration_ms"]
        assert result | {"id": "", "status": "", "failure_summary": None} == {
            "id": "",
            "run_id": run["id"],
            "project_id": "proj_abc",
            "test_case_id": case,
            "environment": "production",
            "status": "",
            "duration_ms": end - now,
            "created_at": run["completed_at"],
            "started_at": format_instant(now),
            "completed_at": format_instant(end),
            "logs_url": f"http://127.0.0.1:9630/v1/runs/{run['id']}/logs",
            "failure_summary": None,
        }
        now = end


@pytest.mark.parametrize(
    ("case", "category"),
    [
        ("tc_login", None),
        ("tc_pay_fail", "assertion"),
        ("tc_cart_flaky", "assertion"),
        ("tc_load_error", "platform"),
        ("tc_import_slow", None),
        ("tc_import_slow_fail", "timeout"),
        ("tc_import_slow_error", "platform"),
    ],
)
def test_failure(case: str, category: str | None) -> None:
    """Only a failed case or one in error has a failure summary, with a sentence and a category."""
    zof = reset_emulator()
    zof.complete_run(case)
    (result,) = zof.walk("/results")
    failure: Any = result["failure_summary"]
    assert (failure is None) is (category is None)
    if failure is not None:
        assert list(failure) == ["message", "category"]
        assert (failure["category"], case in failure["message"]) == (category, True)


@pytest.mark.parametrize("name", ["res_none", "res_", "x", "run_x", "res_x_001", "res_" + "9" * 90])
def test_unknown(name: str) -> None:
    """An ID that names no result is 404, whatever its form."""
    assert reset_emulator().get(f"/results/{name}").error == ABSENT


def test_near_names() -> None:
    """An ID that only resembles a result's is 404."""
    zof = reset_emulator()
    (outcome,) = zof.complete_run("tc_a")["case_outcomes"]
    name = outcome["result_id"]
    for other in (name[:-3] + "002", name[:-3] + "000", name + "0", name[:-1], name.upper(), "art_" + name[4:]):
        assert zof.get(f"/results/{other}").error == ABSENT


def test_who() -> None:
    """Results can be read with any key of the organization, and are 404 for another one."""
    zof = reset_emulator()
    run = zof.complete_run("tc_a")
    path = f"/results/{run['case_outcomes'][0]['result_id']}"
    assert (zof.get(path, key=VIEWER).status, zof.get("/results", key=VIEWER).status) == (200, 200)
    assert zof.get(path, key=OTHER).error == ABSENT
    assert zof.get("/results", key=OTHER, run_id=run["id"]).json["data"] == []


def test_run_that_has_not_ended() -> None:
    """A filter by an unfinished run gives an empty list of results."""
    zof = reset_emulator()
    zof.complete_run("tc_a", "tc_b")
    run = zof.start("tc_a", "tc_b", "tc_c")["id"]
    assert zof.get("/results", run_id=run).json == {"data": [], "has_more": False, "next_cursor": None}
