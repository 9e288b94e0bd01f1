"""Two answers to the same request: permitted deviations, and differences."""

from __future__ import annotations

import json

import pytest
from zof_contracts.comparison.matching import Matching
from zof_contracts.evidence.exchange import Exchange, Request, Response


def answer(body: object, *, status: int = 200, operation: str = "getRun", **headers: str) -> Exchange:
    """An exchange with a JSON answer."""
    pairs = {"content-type": "application/json", "x-request-id": "req_1", **headers}
    named = tuple((name.replace("_", "-"), value) for name, value in pairs.items())
    response = Response(status, named, json.dumps(body).encode())
    return Exchange(1, Request("GET", "/v1/runs/run_x"), response, operation, 0.0, 0.0)


def list_places(ours: object, theirs: object, *, references: frozenset[str] = frozenset()) -> list[str]:
    """The places at which two bodies differ."""
    return [each.place for each in Matching(references).compare(answer(ours), answer(theirs))]


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        ({"id": "run_a", "url": "/runs/run_a"}, {"id": "run_b", "url": "/runs/run_b"}),
        ({"created_at": "2026-01-01T00:00:00Z"}, {"created_at": "2025-12-31T23:59:59Z"}),
        ({"duration_ms": 1, "next_cursor": "x", "sha256": "a"}, {"duration_ms": 2, "next_cursor": "y", "sha256": "b"}),
        ({"message": "tc_a passed after 10 ms."}, {"message": "tc_a passed after 12 ms."}),
    ],
)
def test_names_times_and_durations_may_differ(ours: object, theirs: object) -> None:
    """IDs, times, cursors, hashes and durations are compared by what they mean."""
    assert list_places(ours, theirs) == []


@pytest.mark.parametrize(
    ("ours", "theirs", "place"),
    [
        ({"status": "passed"}, {"status": "failed"}, "status"),
        ({"started_at": None}, {"started_at": "2026-01-01T00:00:00Z"}, "started_at"),
        ({"started_at": "2026-01-01T00:00:00.5Z"}, {"started_at": "2026-01-01T00:00:00Z"}, "started_at"),
        ({"duration_ms": "1"}, {"duration_ms": 1}, "duration_ms"),
        ({"total": True}, {"total": 1}, "total"),
        ({}, {"url": "x"}, "url"),
        ({"extra": 1}, {}, "extra"),
        ({"data": [1]}, {"data": [1, 2]}, "data/length"),
        ([{"id": "run_a"}, {"id": "run_a"}], [{"id": "run_b"}, {"id": "run_c"}], "*/id"),
        ({"test_case_id": "tc_1"}, {"test_case_id": "tc_2"}, "test_case_id"),
    ],
)
def test_other_values_are_differences(ours: object, theirs: object, place: str) -> None:
    """A value, type, form, field, length or meaning that differs is reported with its place."""
    assert list_places(ours, theirs, references=frozenset({"tc_1", "tc_2"})) == [f"200/body/{place}"]


def test_headers_that_the_document_names_are_compared() -> None:
    """A documented header must be on both or on neither; others may differ."""
    compare = Matching(frozenset()).compare
    assert compare(answer({}, server="a"), answer({}, server="b")) == ()
    (missing,) = compare(answer({}), answer({}, x_ratelimit_limit="1"))
    assert (missing.place, missing.url) == ("200/headers/x-ratelimit-limit", "nothing")
    assert compare(answer({}, x_ratelimit_limit="2"), answer({}, x_ratelimit_limit="1")) == ()


def test_a_status_that_differs_is_the_only_difference() -> None:
    """Where the statuses differ, nothing else is compared."""
    (only,) = Matching(frozenset()).compare(answer({"a": 1}, status=409), answer({}))
    assert (only.place, only.url, only.against) == ("200/status", "409", "200")
