"""Export: the complete list, as CSV or JSON, in the order of the list."""

from __future__ import annotations

import csv
import re
from io import StringIO
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.http.histories import TERMINAL, Bound, Step, bounds, format_instant, histories, perform, reset_emulator
from tests.zof import OTHER, VIEWER, Answer, Zof

COLUMNS = [
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
    "failure_category",
    "failure_message",
]


def export(zof: Zof, body: dict[str, Any], **given_key: str) -> Answer:
    """The content of an export that must succeed."""
    answer = zof.post("/results/export", body, **given_key)
    assert answer.status == 200, answer.content
    return answer


def records(answer: Answer) -> list[list[str]]:
    """The records of a CSV export, as the standard library reads them."""
    return list(csv.reader(StringIO(answer.content.decode(), newline=""), strict=True))


def record(result: Any) -> list[str]:  # noqa: ANN401  a JSON value
    """The expected record of a result."""
    failure = result["failure_summary"] or {"category": None, "message": None}
    flat = {**result, "failure_category": failure["category"], "failure_message": failure["message"]}
    return ["" if flat[name] is None else str(flat[name]) for name in COLUMNS]


maybe_bounds = st.none() | bounds()


@given(
    history=histories,
    nth=st.none() | st.integers(0, 9),
    status=st.none() | st.sampled_from(sorted(TERMINAL)),
    after=maybe_bounds,
    before=maybe_bounds,
)
def test_equals_the_list(
    history: list[Step], nth: int | None, status: str | None, after: Bound | None, before: Bound | None
) -> None:
    """In both formats, an export equals the list under the same filters, in the same order."""
    zof = reset_emulator(capacity=2)
    runs = perform(zof, history)
    asked = {
        "run_id": None if nth is None else runs[nth % len(runs)] if runs else "run_none",
        "status": status,
        "created_after": after and after.text,
        "created_before": before and before.text,
    }
    filters = {name: str(value) for name, value in asked.items() if value is not None}
    listed = zof.walk("/results", limit=100, **filters)
    assert export(zof, {"format": "json", **filters}).json == {"data": listed}
    assert records(export(zof, {"format": "csv", **filters})) == [COLUMNS, *map(record, listed)]


@pytest.mark.parametrize("name", ["run_id", "status", "created_after", "created_before"])
def test_each_filter(name: str) -> None:
    """Each single filter excludes the same items from an export as from the list."""
    zof = reset_emulator()
    run = zof.complete_run("tc_login", "tc_pay_fail")
    zof.advance(5_000)
    zof.complete_run("tc_login", "tc_load_error")
    then = format_instant(5_000)
    value = {"run_id": run["id"], "status": "passed", "created_after": then, "created_before": then}[name]
    listed = zof.walk("/results", **{name: value})
    assert len(listed) == 2
    assert export(zof, {"format": "json", name: value}).json["data"] == listed
    assert records(export(zof, {"format": "csv", name: value}))[1:] == [record(one) for one in listed]


@pytest.fixture(scope="module")
def thousands() -> Zof:
    """An emulator with 2,600 results, of runs of up to 500 cases."""
    zof = Zof(scenario="empty", capacity=9)
    for count in (500, 500, 1, 500, 499, 500, 100):
        zof.start(*(f"tc_fail_{number}" if number % 3 else f"tc_{number}" for number in range(count)))
    zof.advance(3_600_000)
    return zof


@pytest.mark.parametrize(
    "filters", [{}, {"status": "failed"}, {"status": "passed"}, {"created_after": format_instant(0)}]
)
def test_complete(thousands: Zof, filters: dict[str, str]) -> None:
    """An export of any size has each result exactly once."""
    listed = thousands.walk("/results", limit=100, **filters)
    assert len(listed) > 800
    assert export(thousands, {"format": "json", **filters}).json["data"] == listed
    assert records(export(thousands, {"format": "csv", **filters}))[1:] == [record(one) for one in listed]


@pytest.mark.parametrize(("form", "media"), [("csv", "text/csv"), ("json", "application/json")])
def test_attachment(form: str, media: str) -> None:
    """An export is an attachment with the name and the type of its format."""
    headers = export(reset_emulator(), {"format": form}).headers
    assert headers["content-type"].partition(";")[0] == media
    assert headers["content-disposition"] == f'attachment; filename="results.{form}"'


def test_empty() -> None:
    """An export without results is the header line, or an empty list."""
    assert export(reset_emulator(), {"format": "csv"}).content == ",".join(COLUMNS).encode() + b"\r\n"
    assert export(reset_emulator(), {"format": "json"}).json == {"data": []}


def test_lines() -> None:
    """Lines of a CSV export end in CRLF, and times are those of the wire."""
    zof = reset_emulator()
    zof.complete_run("tc_login", "tc_pay_fail", "tc_load_error")
    text = export(zof, {"format": "csv"}).content.decode()
    assert text.count("\r\n") == text.count("\n") == 4
    assert text.endswith("\r\n")
    assert len(re.findall(r",2026-01-01T00:00:0\dZ", text)) == 9


def test_running_runs_are_left_out() -> None:
    """An export holds visible results only, none of unfinished runs."""
    zof = reset_emulator()
    run = zof.start("tc_login")["id"]
    assert export(zof, {"format": "json"}).json["data"] == []
    zof.control(f"/runs/{run}/advance", {"to": "end"})
    assert len(export(zof, {"format": "json"}).json["data"]) == 1


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({}, "format"),
        ({"format": "xml"}, "format"),
        ({"format": None}, "format"),
        ({"format": "csv", "run_id": "x"}, "run_id"),
        ({"format": "csv", "run_id": None}, "run_id"),
        ({"format": "csv", "status": "queued"}, "status"),
        ({"format": "csv", "created_after": "today"}, "created_after"),
        ({"format": "csv", "created_before": 0}, "created_before"),
        ({"format": "csv", "limit": 5}, "limit"),
    ],
)
def test_refused(body: dict[str, object], param: str) -> None:
    """An unknown format or a wrong or unknown filter is refused, and `param` names it."""
    assert reset_emulator().post("/results/export", body).error == (400, "invalid_request", param)


def test_who() -> None:
    """An export needs any key of the organization and holds only its results."""
    zof = reset_emulator()
    run = zof.complete_run("tc_mine")["id"]
    assert len(export(zof, {"format": "json"}, key=VIEWER).json["data"]) == 1
    assert export(zof, {"format": "json"}, key=OTHER).json["data"] == []
    assert export(zof, {"format": "json", "run_id": run}, key=OTHER).json["data"] == []
    assert zof.post("/results/export", {"format": "json"}, key=None).error == (401, "unauthorized", None)


def test_no_cell_is_a_formula() -> None:
    """No cell of an export begins like a formula, whatever its IDs."""
    zof = reset_emulator(environments=("0-1",))
    zof.complete_run("tc_-1", "tc_--fail", environment="0-1", project_id="proj_-")
    assert not [cell for line in records(export(zof, {"format": "csv"})) for cell in line if cell[:1] in set("=+-@")]


@pytest.mark.parametrize("form", ["csv", "json"])
def test_a_kept_export_outlives_its_runs(form: str) -> None:
    """A replayed export has the bytes of the first one, even if its runs have been deleted since."""
    zof = Zof(max_runs=1)
    zof.complete_run("tc_a")
    first, again = (zof.post("/results/export", {"format": form}, idempotency_key="once") for _ in range(2))
    for _ in range(3):
        zof.complete_run("tc_b")
    last = zof.post("/results/export", {"format": form}, idempotency_key="once")
    assert first.content == again.content == last.content
    assert b"tc_a" in last.content
    assert b"tc_a" not in zof.post("/results/export", {"format": form}).content
