"""Verifying: the number of matching exchanges, and the nearest exchange if too few match."""

from __future__ import annotations

from typing import Any, Final

import pytest
from hypothesis import given
from hypothesis import strategies as st
from zof_emulator.core.limits import Rate

from tests.http.histories import reset_emulator
from tests.http.stories import answer_story, stories
from tests.http.test_journal import FILTERS, exchanges
from tests.zof import Zof

asked_for: Final = st.fixed_dictionaries(
    {},
    optional={
        "operation": st.sampled_from(["startRun", "listRuns", "cancelRun", "advanceClock", "getRun"]),
        "organization": st.sampled_from(["org_abc", "org_other"]),
        "method": st.sampled_from(["GET", "POST", "PUT"]),
        "path": st.sampled_from(["/v1/runs", "/v1/nothing"]),
        "status": st.sampled_from([200, 201, 404, 429]),
        "refused": st.sampled_from(["rate_limited", "key_missing"]),
    },
)
counts: Final = st.fixed_dictionaries(
    {}, optional={name: st.integers(0, 4) for name in ("exactly", "at_least", "at_most")}
)


def verify(zof: Zof, **asked: object) -> Any:  # noqa: ANN401  a JSON value
    """The answer of the journal."""
    answer = zof.tell("POST", "/journal/verify", asked)
    assert answer.status == (200 if answer.json.get("verified") else 409), answer.content
    if answer.status == 409:
        assert answer.json["error"] == {"code": "conflict", "message": answer.json["message"]}
    return answer.json


def amiss(one: Any, asked: dict[str, Any]) -> dict[str, tuple[Any, Any]]:  # noqa: ANN401  a JSON value
    """The differences between an exchange and the expected fields."""
    return {name: (value, FILTERS[name](one)) for name, value in asked.items() if FILTERS[name](one) != value}


@given(story=stories, asked=asked_for, given_counts=counts)
def test_count_and_nearest(story: list[str], asked: dict[str, Any], given_counts: dict[str, int]) -> None:
    """The count is that of matches, all bounds must hold, and the nearest has the fewest differences.

    Requests to `/_emulator` do not count where the operation is one of the API.
    """
    zof = reset_emulator(scenario="default", rate=Rate(limit=12))
    answer_story(zof, story)
    everything = exchanges(zof, limit=1000)
    if asked.get("operation", "advanceClock") != "advanceClock":
        everything = [one for one in everything if one["request"]["path"].startswith("/v1")]
    faults = [amiss(one, asked) for one in everything]
    count = faults.count({})
    found = verify(zof, **asked, **given_counts)
    wanted = given_counts or {"at_least": 1}
    holds = {
        "exactly": lambda number: count == number,
        "at_least": lambda number: count >= number,
        "at_most": lambda number: count <= number,
    }
    assert found["count"] == count
    assert found["verified"] == all(holds[name](number) for name, number in wanted.items())
    few = count < max(wanted.get("exactly", 0), wanted.get("at_least", 0))
    others = [fault for fault in faults if fault]
    assert (found["nearest"] is not None) == (few and bool(others))
    assert found["message"].startswith(f"{count} of {len(everything)} exchanges match")
    if found["nearest"] is not None:
        nearest, differences = found["nearest"]["exchange"], found["nearest"]["differences"]
        assert nearest in everything
        told_of = {one["what"]: (one["expected"], one["got"]) for one in differences}
        assert told_of == amiss(nearest, asked)
        assert len(told_of) == min(map(len, others))
        assert f"number {nearest['number']}" in found["message"]
        assert all(what in found["message"] for what in told_of)


def test_canceled_exactly_once() -> None:
    """A check for exactly one cancel of a run passes; for another run it shows the difference."""
    zof = reset_emulator()
    one, other = zof.start()["id"], zof.start()["id"]
    zof.post(f"/runs/{one}/cancel")
    assert verify(zof, operation="cancelRun", run_id=one, exactly=1)["verified"] is True
    missed = verify(zof, operation="cancelRun", run_id=other, exactly=1)
    assert (missed["verified"], missed["count"]) == (False, 0)
    (difference,) = missed["nearest"]["differences"]
    assert difference == {"what": "run_id", "expected": other, "got": [one]}
    zof.post(f"/runs/{one}/cancel")
    assert verify(zof, operation="cancelRun", run_id=one, exactly=1)["nearest"] is None


def test_fields_of_a_body() -> None:
    """Fields of a request's body are compared one by one."""
    zof = reset_emulator()
    zof.start("tc_a", "tc_b")
    answer_story(zof, ["nonsense"])
    assert verify(zof, body={"environment": "staging", "test_case_ids": ["tc_a", "tc_b"]})["count"] == 1
    missed = verify(zof, operation="startRun", status=201, body={"environment": "production"})
    (difference,) = missed["nearest"]["differences"]
    assert difference == {"what": "body.environment", "expected": "production", "got": "staging"}


def test_when() -> None:
    """`after` is inclusive, and `before` is exclusive."""
    zof = reset_emulator()
    zof.get("/runs")
    zof.advance(5_000)
    zof.get("/runs")
    at = "2026-01-01T00:00:05Z"
    assert [verify(zof, operation="listRuns", **{name: at})["count"] for name in ("after", "before")] == [1, 1]
    missed = verify(zof, operation="listRuns", after="2027-01-01T01:00:00+01:00")
    assert missed["nearest"]["differences"] == [
        {"what": "after", "expected": "2027-01-01T00:00:00.000Z", "got": "2026-01-01T00:00:05.000Z"}
    ]


def test_what_is_gone() -> None:
    """Dropped exchanges are not counted, and the answer has their number."""
    zof = reset_emulator(journal=2)
    for _ in range(5):
        zof.get("/runs")
    found = verify(zof, operation="listRuns", exactly=2)
    assert (found["verified"], found["dropped"]) == (True, 3)


def test_an_empty_journal() -> None:
    """An empty journal has no nearest exchange and the count 0."""
    zof = reset_emulator()
    assert verify(zof, operation="listRuns", exactly=0)["verified"] is True
    found = verify(zof)
    assert (found["verified"], found["nearest"], found["count"]) == (False, None, 0)


def test_of_another_world() -> None:
    """A world's journal has no exchanges of other worlds."""
    zof = Zof()
    zof.select_world("a").get("/runs")
    assert [verify(one, operation="listRuns")["count"] for one in (zof, zof.select_world("a"))] == [0, 1]


@pytest.mark.parametrize(
    ("body", "param"),
    [({"exactly": -1}, "exactly"), ({"exactly": 1.5}, "exactly"), ({"status": "200"}, "status"), ({"x": 1}, "x"),
     ({"operation": 5}, "operation"), ({"body": []}, "body"), ({"after": "now"}, "after"), ([], None)],
    ids=str,
)  # fmt: skip
def test_refused(body: object, param: str | None) -> None:
    """An invalid check is refused, and `param` names the field."""
    assert reset_emulator().tell("POST", "/journal/verify", body).error == (400, "invalid_request", param)


def test_a_body_that_is_no_json_matches_no_field() -> None:
    """A body that was refused as malformed, such as one with a lone surrogate, has no fields to compare."""
    zof = reset_emulator()
    header = [("content-type", "application/json")]
    assert zof.send("POST", "/v1/runs", headers=header, body=rb'{"environment":"\ud800"}').status == 400
    found = verify(zof, body={"environment": "staging"})
    assert (found["verified"], found["count"]) == (False, 0)
    (difference,) = found["nearest"]["differences"]
    assert difference == {"what": "body.environment", "expected": "staging", "got": None}
