"""Default data, open and strict references, and outcomes chosen by words in IDs (contract, section 12)."""

from __future__ import annotations

import string
from typing import TYPE_CHECKING, Any, Final

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from tests.http.exchanges import prepare_emulator
from tests.zof import ADMIN, OTHER, STAGING, VIEWER, Zof

if TYPE_CHECKING:
    from tests.zof import Answer

STRICT: Final = Zof(references="strict")
WORDS: Final = ["error", "fail", "flaky", "slow", "missing"]
OUTCOMES: Final = {"error": "error", "fail": "failed", "flaky": "failed", "": "passed"}
"""How the first run of a case ends, by the first of these words that its ID contains."""
plain: Final = st.text(string.ascii_letters + string.digits + "_-", min_size=1, max_size=40).filter(
    lambda name: not any(word in name for word in WORDS)
)
"""The name in an ID that has no meaning of its own."""
worded: Final = st.lists(
    st.sampled_from(["error", "fail", "flaky", "slow", "_", "x", "Error", "FAIL", "passed", "-"]),
    min_size=1,
    max_size=8,
).map("".join)
"""The name in an ID that may have several."""


def new(name: str) -> dict[str, Any]:
    """A start in which the project and the case are named after `name`."""
    return {"project_id": f"proj_{name}", "environment": "staging", "test_case_ids": [f"tc_{name}"]}


def projects(zof: Zof, key: str = ADMIN) -> list[str]:
    """The IDs of an organization's projects, newest first."""
    return [one["id"] for one in zof.walk("/projects", key=key)]


def reset(zof: Zof) -> Zof:
    """A reset emulator."""
    assert zof.control("/reset").status == 200
    return zof


# --- default data


@pytest.mark.parametrize(
    "body",
    [
        {"project_id": "proj_abc123", "environment": "staging", "test_case_ids": ["tc_login_001", "tc_checkout_014"]},
        {"project_id": "proj_abc", "environment": "production", "test_suite_id": "suite_pr_smoke"},
    ],
)
def test_what_the_pages_name_exists(body: dict[str, object]) -> None:
    """Every project, case and suite that the vendor's pages name is in the default data, in `org_abc`."""
    answer = reset(STRICT).post("/runs", body)
    assert answer.status == 201
    assert answer.json["organization_id"] == "org_abc"
    assert STRICT.post("/runs", body, key=OTHER).error == (404, "not_found", "project_id")


def test_environments() -> None:
    """The default environments are staging and production, and no others."""
    zof = prepare_emulator()
    labels = ["staging", "production", "development", "Staging", "test", ""]
    answers = [zof.post("/runs", {**new("a"), "environment": label}).status for label in labels]
    assert answers == [201, 201, 400, 400, 400, 400]


# --- open references


@given(plain)
def test_what_is_named_comes_into_being(name: str) -> None:
    """A start creates a well-formed unknown project or case in its organization."""
    assume(f"proj_{name}" not in {"proj_abc", "proj_abc123"})
    zof = prepare_emulator()
    assert zof.post("/runs", new(name)).status == 201
    assert projects(zof)[0] == f"proj_{name}"
    assert zof.post("/runs", new(name)).status == 201
    assert projects(zof).count(f"proj_{name}") == 1


@given(plain, st.sampled_from([(ADMIN, OTHER), (OTHER, ADMIN)]))
def test_what_is_named_belongs_to_who_named_it_first(name: str, keys: tuple[str, str]) -> None:
    """A created object belongs to the organization that named it first, and does not exist in another."""
    assume(name not in {"abc", "abc123"})
    zof = prepare_emulator()
    first, second = keys
    assert zof.post("/runs", new(name), key=first).status == 201
    assert zof.post("/runs", new(name), key=second).error == (404, "not_found", "project_id")
    case = {**new(name), "project_id": "proj_none_of_theirs"}
    assert zof.post("/runs", case, key=second).error == (404, "not_found", "test_case_ids[0]")
    assert zof.post("/runs", new(name), key=first).status == 201


def start_suite(zof: Zof, suite: str, key: str = ADMIN) -> Answer:
    """Start a run of a suite."""
    body = {"project_id": f"proj_of_{key}", "environment": "staging", "test_suite_id": suite}
    return zof.post("/runs", body, key=key)


@given(plain)
def test_a_suite_that_comes_into_being(name: str) -> None:
    """A created suite holds three cases named after it, and keeps them."""
    zof = prepare_emulator()
    assume(name != "pr_smoke")
    for _ in range(2):
        run = start_suite(zof, f"suite_{name}").json
        assert run["test_suite_id"] == f"suite_{name}"
        assert [one["test_case_id"] for one in run["case_outcomes"]] == [f"tc_{name}_00{place}" for place in (1, 2, 3)]
    assert start_suite(zof, f"suite_{name}", OTHER).error == (404, "not_found", "test_suite_id")


def test_a_suite_with_the_longest_name() -> None:
    """A suite whose name leaves no room for a number still holds three cases with well-formed IDs of their own."""
    zof = prepare_emulator()
    run = start_suite(zof, "suite_" + "x" * 64).json
    cases = [one["test_case_id"] for one in run["case_outcomes"]]
    assert len(set(cases)) == 3
    assert zof.post("/runs", {**STAGING, "test_case_ids": cases}).status == 201


@pytest.mark.parametrize(
    ("word", "status"), [("error", "error"), ("fail", "failed"), ("flaky", "failed"), ("x", "passed")]
)
def test_words_of_a_suite_reach_its_cases(word: str, status: str) -> None:
    """The words in a suite's ID are also in the IDs of its created cases."""
    run = prepare_emulator().complete_run(suite=f"suite_{word}")
    assert run["status"] == status
    assert [one["status"] for one in run["case_outcomes"]] == [status] * 3


@pytest.mark.parametrize("zof", [Zof(), STRICT], ids=["open", "strict"])
@pytest.mark.parametrize(("place", "param"), [(0, "project_id"), (1, "test_case_ids[1]"), (2, "test_suite_id")])
@pytest.mark.parametrize("name", ["missing", "missing_1", "is-missing"])
def test_missing_never_exists(zof: Zof, place: int, param: str, name: str) -> None:
    """An ID that contains `missing` never exists, whatever its kind."""
    bodies: list[dict[str, Any]] = [
        {**STAGING, "project_id": f"proj_{name}", "test_case_ids": ["tc_login_001"]},
        {**STAGING, "test_case_ids": ["tc_login_001", f"tc_{name}"]},
        {**STAGING, "test_suite_id": f"suite_{name}"},
    ]
    assert zof.post("/runs", bodies[place]).error == (404, "not_found", param)


REFUSALS: Final[dict[str, dict[str, Any]]] = {
    "wrong environment": {"environment": "moon"},
    "unknown field": {"name": "x"},
    "missing project": {"project_id": "proj_missing"},
    "missing case": {"test_case_ids": ["tc_new", "tc_missing"]},
    "malformed case": {"test_case_ids": ["tc_new", "new"]},
    "both": {"test_suite_id": "suite_new"},
}


@pytest.mark.parametrize("why", REFUSALS)
def test_a_refused_start_brings_nothing_into_being(why: str) -> None:
    """A refused start creates nothing, so its IDs are free for other organizations."""
    zof = prepare_emulator()
    before = projects(zof)
    assert zof.post("/runs", new("new") | REFUSALS[why]).status in {400, 404}
    assert projects(zof) == before
    assert zof.post("/runs", new("new"), key=OTHER).status == 201
    assert start_suite(zof, "suite_new", OTHER).status == 201


def test_a_refused_suite_brings_nothing_into_being() -> None:
    """A start with a refused suite creates neither its project nor its cases."""
    zof = prepare_emulator()
    body = {"project_id": "proj_new", "environment": "staging", "test_suite_id": "suite_new_missing"}
    assert zof.post("/runs", body).status == 404
    assert "proj_new" not in projects(zof)
    assert zof.post("/runs", {**new("new"), "test_case_ids": ["tc_new_001"]}, key=OTHER).status == 201


def test_a_start_that_is_not_permitted_brings_nothing_into_being() -> None:
    """A start by a key without the permission creates nothing."""
    zof = prepare_emulator()
    assert zof.post("/runs", new("new"), key=VIEWER).status == 403
    assert zof.post("/runs", new("new"), key=OTHER).status == 201


def test_a_filter_brings_nothing_into_being() -> None:
    """Only a start creates objects; a filter that names a project does not."""
    zof = prepare_emulator()
    assert zof.get("/runs", project_id="proj_new").json["data"] == []
    assert "proj_new" not in projects(zof)
    assert zof.post("/runs", new("new"), key=OTHER).status == 201


# --- strict references


@given(plain, st.sampled_from([ADMIN, OTHER]))
def test_strict_references(name: str, key: str) -> None:
    """With strict references an ID outside the data is 404, and `param` names it."""
    assume(name not in {"abc", "abc123", "login_001", "checkout_014", "pr_smoke"})
    before = projects(STRICT, key)
    assert STRICT.post("/runs", new(name), key=key).error == (404, "not_found", "project_id")
    assert projects(STRICT, key) == before


@given(plain)
def test_strict_references_of_cases_and_suites(name: str) -> None:
    """With strict references a case or a suite that the data does not hold is 404 in a project that it does hold."""
    assume(name not in {"login_001", "checkout_014", "pr_smoke"})
    case = {**STAGING, "test_case_ids": ["tc_login_001", f"tc_{name}"]}
    assert STRICT.post("/runs", case).error == (404, "not_found", "test_case_ids[1]")
    suite = {**STAGING, "test_suite_id": f"suite_{name}"}
    assert STRICT.post("/runs", suite).error == (404, "not_found", "test_suite_id")


# --- outcomes


@given(worded)
def test_words_tell_the_outcome(name: str) -> None:
    """A case whose ID contains `error` is in error, else `fail` fails, else `flaky` fails at first, else it passes."""
    run = prepare_emulator().complete_run(f"tc_{name}")
    expected = next(status for word, status in OUTCOMES.items() if word in name)
    assert run["case_outcomes"][0]["status"] == expected
    assert run["status"] == expected


@given(st.integers(1, 6), st.sampled_from(["tc_flaky", "tc_slow-flaky_1", "tc_xflakyx"]))
def test_flaky(times: int, case: str) -> None:
    """A flaky case fails on every odd-numbered run of it, and passes on the others, whatever else runs."""
    zof = prepare_emulator()
    statuses = [zof.complete_run("tc_flaky_other", case, "tc_a")["case_outcomes"][1]["status"] for _ in range(times)]
    assert statuses == ["passed" if number % 2 else "failed" for number in range(times)]


def test_flaky_is_counted_for_each_case() -> None:
    """Each flaky case counts its own runs."""
    zof = prepare_emulator()
    statuses = [zof.complete_run(case)["status"] for case in ("tc_flaky_1", "tc_flaky_2", "tc_flaky_1", "tc_flaky_2")]
    assert statuses == ["failed", "failed", "passed", "passed"]


@given(plain)
def test_a_case_takes_its_time(name: str) -> None:
    """A case takes 200 to 1,500 ms, the same each time that it runs."""
    zof = prepare_emulator()
    first, second = (zof.complete_run(f"tc_{name}")["case_outcomes"][0]["duration_ms"] for _ in range(2))
    assert 200 <= first <= 1_500
    assert first == second


@given(plain, st.sampled_from(["", "fail", "error"]))
def test_slow(name: str, word: str) -> None:
    """A case whose ID contains `slow` takes 10 times as long, however it ends."""
    duration = prepare_emulator().complete_run(f"tc_{name}slow{word}")["case_outcomes"][0]["duration_ms"]
    assert 2_000 <= duration <= 15_000
    assert duration % 10 == 0
