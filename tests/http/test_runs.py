"""Runs: their start, their object, the durations of their cases and their outcome."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from zof_emulator.app import EPOCH

from tests.http.histories import (
    WORDS,
    Step,
    case_lists,
    format_instant,
    histories,
    instant,
    perform,
    read_instant,
    reset_emulator,
)
from tests.zof import ADMIN, CI, OTHER, STAGING, VIEWER, Zof

LISTED = [
    "id",
    "organization_id",
    "project_id",
    "environment",
    "status",
    "test_suite_id",
    "summary",
    "created_at",
    "started_at",
    "completed_at",
    "duration_ms",
    "url",
]
COUNTED = ["queued", "running", "passed", "failed", "error", "canceled"]
UNHAPPENED = {"started_at": None, "completed_at": None, "duration_ms": None}


def statuses(run: Any) -> list[str]:  # noqa: ANN401  a JSON value
    """The case outcomes of a run."""
    return [one["status"] for one in run["case_outcomes"]]


def test_start() -> None:
    """A start answers 201 with the queued run and its `Location`."""
    zof = reset_emulator()
    answer = zof.post("/runs", {**STAGING, "test_case_ids": ["tc_b", "tc_a"]})
    run = answer.json
    assert (answer.status, answer.headers["location"]) == (201, f"http://127.0.0.1:9630/v1/runs/{run['id']}")
    assert run == {
        "id": run["id"],
        "organization_id": "org_abc",
        "project_id": "proj_abc123",
        "environment": "staging",
        "status": "queued",
        "test_suite_id": None,
        "summary": {"total": 2, **dict.fromkeys(COUNTED, 0), "queued": 2},
        "created_at": format_instant(0),
        **UNHAPPENED,
        "url": f"http://127.0.0.1:9630/runs/{run['id']}",
        "case_outcomes": [
            {"test_case_id": case, "status": "queued", "result_id": None, "duration_ms": None}
            for case in ("tc_b", "tc_a")
        ],
    }
    assert zof.follow(answer.headers["location"]).json["id"] == run["id"]


def test_suite() -> None:
    """A run of a suite has the suite's cases and its ID."""
    run = reset_emulator().start(suite="suite_pr_smoke")
    assert run["test_suite_id"] == "suite_pr_smoke"
    assert [one["test_case_id"] for one in run["case_outcomes"]] == ["tc_login_001", "tc_checkout_014"]


def test_both() -> None:
    """Cases and a suite exclude each other."""
    body = {**STAGING, "test_case_ids": ["tc_a"], "test_suite_id": "suite_pr_smoke"}
    assert reset_emulator().post("/runs", body).error == (400, "invalid_request", "test_suite_id")


def test_neither() -> None:
    """A start requires cases or a suite."""
    assert reset_emulator().post("/runs", STAGING).error == (400, "invalid_request", "test_case_ids")


@pytest.mark.parametrize("field", ["project_id", "environment"])
def test_required(field: str) -> None:
    """A start requires an environment and a project."""
    body = {**STAGING, "test_case_ids": ["tc_a"]}
    del body[field]
    assert reset_emulator().post("/runs", body).error == (400, "invalid_request", field)


@pytest.mark.parametrize("count", [1, 2, 499, 500])
def test_case_count(count: int) -> None:
    """A run has 1 to 500 cases, in the order of the request."""
    cases = [f"tc_{number * 7 % count}" for number in range(count)]
    run = reset_emulator().start(*dict.fromkeys(cases))
    assert [one["test_case_id"] for one in run["case_outcomes"]] == list(dict.fromkeys(cases))
    assert run["summary"]["total"] == len(run["case_outcomes"])


@pytest.mark.parametrize("cases", [[], [f"tc_{number}" for number in range(501)], ["tc_a", "tc_b", "tc_a"]])
def test_case_count_refused(cases: list[str]) -> None:
    """A start with no cases, more than 500, or a repeated one is refused."""
    answer = reset_emulator().post("/runs", {**STAGING, "test_case_ids": cases})
    assert answer.error == (400, "invalid_request", "test_case_ids")


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"project_id": "proj_missing", "test_case_ids": ["tc_a"]}, "project_id"),
        ({"test_case_ids": ["tc_a", "tc_missing", "tc_b"]}, "test_case_ids[1]"),
        ({"test_suite_id": "suite_missing"}, "test_suite_id"),
        ({"project_id": "proj_of_another", "test_case_ids": ["tc_a"]}, "project_id"),
        ({"test_case_ids": ["tc_of_another"]}, "test_case_ids[0]"),
        ({"test_suite_id": "suite_of_another"}, "test_suite_id"),
    ],
)
def test_unknown_reference(fields: dict[str, object], param: str) -> None:
    """An unknown or foreign ID in the body is 404, `param` names it, and no run starts."""
    zof = reset_emulator()
    zof.start("tc_of_another", key=OTHER, project_id="proj_of_another")
    zof.start(suite="suite_of_another", key=OTHER, project_id="proj_of_another")
    assert zof.post("/runs", {**STAGING, **fields}).error == (404, "not_found", param)
    assert zof.walk("/runs") == []
    assert [one["id"] for one in zof.walk("/projects")] == ["proj_abc123", "proj_abc"]


@pytest.mark.parametrize("environment", ["staging", "production", "qa-eu_1.2"])
def test_environment(environment: str) -> None:
    """The environment of a run is staging, production or a label of the organization."""
    assert reset_emulator(environments=("qa-eu_1.2",)).start(environment=environment)["environment"] == environment


@pytest.mark.parametrize("environment", ["qa-eu_1.2", "Staging", "staging ", "", 1, None, ["staging"]])
def test_environment_refused(environment: object) -> None:
    """Another environment is refused with the documented message."""
    answer = reset_emulator().post("/runs", {**STAGING, "test_case_ids": ["tc_a"], "environment": environment})
    assert answer.error == (400, "invalid_request", "environment")
    assert answer.json["error"]["message"] == "environment must be one of: staging, production"


@pytest.mark.parametrize(("key", "status"), [(ADMIN, 201), (CI, 201), (VIEWER, 403)])
def test_permission(key: str, status: int) -> None:
    """A start needs the permission `runs:create`."""
    zof = reset_emulator()
    assert zof.post("/runs", {**STAGING, "test_case_ids": ["tc_a"]}, key=key).status == status
    assert len(zof.walk("/runs")) == (status == 201)


@given(history=histories)
def test_shapes(history: list[Step]) -> None:
    """A list shows a run like its own answer, without the case outcomes."""
    zof = reset_emulator()
    perform(zof, history)
    for listed in zof.walk("/runs"):
        run = zof.run(listed["id"])
        assert (list(listed), list(run)) == (LISTED, [*LISTED, "case_outcomes"])
        assert {name: run[name] for name in LISTED} == listed


@given(history=histories)
def test_summary(history: list[Step]) -> None:
    """The summary of a run adds up to its total and agrees with the outcomes."""
    zof = reset_emulator(capacity=2)
    for name in perform(zof, history):
        run = zof.run(name)
        total, *counts = run["summary"].values()
        assert list(run["summary"]) == ["total", *COUNTED]
        assert total == sum(counts) == len(run["case_outcomes"])
        assert counts == [statuses(run).count(status) for status in COUNTED]


@given(history=histories)
def test_what_has_not_happened(history: list[Step]) -> None:
    """Times and durations are null exactly if the event has not happened; a result has an ID once visible."""
    zof = reset_emulator(capacity=2)
    for name in perform(zof, history):
        run = zof.run(name)
        waits, ended = run["status"] == "queued", run["status"] not in {"queued", "running"}
        never = ended and all(one["duration_ms"] is None for one in run["case_outcomes"])
        assert (run["started_at"] is None) is (waits or never)
        assert (run["completed_at"] is not None) is ended
        assert (run["duration_ms"] is not None) is (ended and run["started_at"] is not None)
        for one in run["case_outcomes"]:
            assert (one["result_id"] is not None) is ended
            if one["status"] in {"passed", "failed", "error"}:
                assert one["duration_ms"] is not None
            elif one["status"] in {"queued", "running"}:
                assert one["duration_ms"] is None


OUTCOMES = {"tc_login": "passed", "tc_pay_fail": "failed", "tc_load_error": "error", "tc_import_slow": "passed"}


@given(cases=st.lists(st.sampled_from(sorted(OUTCOMES)), min_size=1, unique=True))
def test_end(cases: list[str]) -> None:
    """A run is error if a case is, else failed if a case is, else passed."""
    run = reset_emulator().complete_run(*cases)
    found = [OUTCOMES[case] for case in cases]
    assert statuses(run) == found
    assert run["status"] == ("error" if "error" in found else "failed" if "failed" in found else "passed")


NAMES = st.text("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-", min_size=1, max_size=30)
CASES = NAMES.filter(lambda name: "missing" not in name).map("tc_{}".format)


@given(case=CASES, seed=st.integers(0, 3))
def test_duration(case: str, seed: int) -> None:
    """A case takes 200 to 1,500 ms, and ten times as long when it is slow."""
    quick = reset_emulator(seed=seed).complete_run(case)["duration_ms"]
    slow = reset_emulator(seed=seed).complete_run(f"{case}-slow"[:66])["duration_ms"]
    assert 200 <= quick // (10 if "slow" in case else 1) <= 1_500
    assert 2_000 <= slow <= 15_000
    assert slow % 10 == 0


@given(case=CASES, others=case_lists, environment=st.sampled_from(["staging", "production"]))
def test_duration_is_the_case_s_own(case: str, others: list[str], environment: str) -> None:
    """A case has the same duration in every run, environment and organization."""
    zof = reset_emulator()
    alone = zof.complete_run(case)["case_outcomes"][0]["duration_ms"]
    cases = dict.fromkeys([*others, case])
    beside = zof.complete_run(*cases, environment=environment, project_id="proj_abc")
    found = {one["test_case_id"]: one["duration_ms"] for one in beside["case_outcomes"]}
    assert found[case] == alone


def test_duration_is_the_seed_s() -> None:
    """Durations follow from the seed."""
    took = [[reset_emulator(seed=seed).complete_run(case)["duration_ms"] for case in WORDS] for seed in (1, 1, 2)]
    assert took[0] == took[1]
    assert took[0] != took[2]


@settings(max_examples=50)
@given(cases=case_lists)
def test_one_after_another(cases: list[str]) -> None:
    """The cases of a run follow one another in the order of the request, without a pause."""
    zof = reset_emulator()
    run = zof.complete_run(*cases)
    lines = zof.walk(f"/runs/{run['id']}/logs")[2:-1]
    assert [line["test_case_id"] for line in lines] == [case for case in cases for _ in range(2)]
    assert all(read_instant(one) == read_instant(other) for one, other in list(pairwise(lines))[1::2])
    took = [read_instant(end) - read_instant(start) for start, end in zip(lines[::2], lines[1::2], strict=True)]
    assert took == [one["duration_ms"] for one in run["case_outcomes"]]
    assert sum(took) == run["duration_ms"]


@settings(max_examples=50)
@given(cases=case_lists, begin=st.integers(0, 3_000))
def test_each_instant(cases: list[str], begin: int) -> None:
    """A case is running from the end of the one before it to its own end, and the run until the last one's."""
    zof = reset_emulator()
    zof.advance(begin)
    run = zof.start(*cases)["id"]
    for place in range(len(cases)):
        assert statuses(zof.run(run))[place:] == ["running"] + ["queued"] * (len(cases) - place - 1)
        ends = zof.control(f"/runs/{run}/advance", {"to": "case"}).json["case_outcomes"][place]["duration_ms"]
        assert ends > 0
    done = zof.run(run)
    assert (done["started_at"], done["completed_at"]) == (
        format_instant(begin),
        format_instant(begin + done["duration_ms"]),
    )


def test_last_millisecond() -> None:
    """A case ends exactly after its duration."""
    took = reset_emulator().complete_run("tc_login")["duration_ms"]
    zof = reset_emulator()
    run = zof.start("tc_login")["id"]
    zof.advance(took - 1)
    assert zof.run(run)["status"] == "running"
    zof.advance(1)
    assert zof.run(run)["status"] == "passed"


def test_flaky() -> None:
    """A flaky case fails on every odd-numbered run of it, the first one included; each flaky case counts for itself."""
    zof = reset_emulator()
    assert [zof.complete_run("tc_flaky_a")["status"] for _ in range(5)] == [
        "failed",
        "passed",
        "failed",
        "passed",
        "failed",
    ]
    assert statuses(zof.complete_run("tc_flaky_b", "tc_flaky_a")) == ["failed", "passed"]


@pytest.mark.parametrize("name", ["run_none", "run_", "x", "res_x_001", "run_é", "run_" + "9" * 90])
def test_unknown_run(name: str) -> None:
    """An ID that names no run is 404, whatever its form."""
    zof: Zof = reset_emulator()
    run = zof.start("tc_x", key=OTHER, project_id="proj_x")
    for unknown in (name.encode().decode("latin-1"), run["id"]):
        assert zof.get(f"/runs/{unknown}").error == (404, "not_found", None)


def test_created_in_order() -> None:
    """Times are those of the clock, in whole seconds."""
    zof = reset_emulator()
    zof.advance(1_999)
    run = zof.start()
    assert instant(run["created_at"]) == EPOCH // 1_000 + 1
