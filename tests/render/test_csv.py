"""The CSV export, read back by the standard library's reader."""

from __future__ import annotations

import csv
from dataclasses import asdict, replace
from io import StringIO

import pytest
from hypothesis import given
from hypothesis import strategies as st
from zof_emulator.core.instants import format_rfc3339
from zof_emulator.core.results import Failure, Result
from zof_emulator.render.csv import render_header, render_row

from tests.render.strategies import SAMPLE, anything, from_statuses

TRIGGERS = tuple("=+-@\t\r\n\uff1d\uff0b\uff0d\uff20")


def read(content: bytes) -> list[list[str]]:
    """The records of an export."""
    return list(csv.reader(StringIO(content.decode(), newline=""), strict=True))


def defuse(text: str) -> str:
    """The expected cell for a text: no leading formula, a question mark for what UTF-8 cannot encode."""
    return ("'" if text.startswith(TRIGGERS) else "") + text.encode(errors="replace").decode()


def test_header() -> None:
    """The first line names the twelve columns of the contract in order, without a space, and ends in CRLF."""
    assert render_header() == (
        b"id,run_id,project_id,test_case_id,environment,status,duration_ms,created_at,started_at,completed_at,"
        b"failure_category,failure_message\r\n"
    )


def test_row() -> None:
    """A row is its result's values under their columns: numbers bare, times in whole seconds."""
    assert render_row(replace(SAMPLE, failure=Failure("no, never", "timeout"))) == (
        b"res_1,run_4f9ac2,proj_web,tc_checkout_fail,staging,failed,847,2026-01-01T00:00:05Z,2026-01-01T00:00:00Z,"
        b'2026-01-01T00:00:00Z,timeout,"no, never"\r\n'
    )


def test_null_is_empty() -> None:
    """A missing value is an empty cell."""
    never = replace(SAMPLE, status="canceled", created_at=None, started_at=None, completed_at=None, failure=None)
    assert render_row(never) == b"res_1,run_4f9ac2,proj_web,tc_checkout_fail,staging,canceled,,,,,,\r\n"


@given(st.lists(from_statuses(), max_size=4))
def test_round_trip(results: list[Result]) -> None:
    """A reader of RFC 4180 gets every value of any results back, each record as wide as the header."""
    names, *records = read(render_header() + b"".join(map(render_row, results)))
    for result, record in zip(results, records, strict=True):
        cells = dict(zip(names, record, strict=True))
        assert cells["id"] == result.id
        assert cells["environment"] == defuse(result.environment)
        assert cells["duration_ms"] == ("" if result.duration_ms is None else str(result.duration_ms))
        assert cells["started_at"] == ("" if result.started_at is None else format_rfc3339(result.started_at))
        assert cells["failure_category"] == (result.failure.category if result.failure else "")
        assert cells["failure_message"] == defuse(result.failure.message if result.failure else "")


@pytest.mark.parametrize("trigger", TRIGGERS)
@pytest.mark.parametrize("column", ["id", "run_id", "project_id", "test_case_id", "environment", "status"])
def test_formula_is_defused(column: str, trigger: str) -> None:
    """No text cell begins as a formula does, in whatever column it stands."""
    hostile = asdict(SAMPLE) | {"failure": None, column: f"{trigger}1+1"}
    (cells,) = read(render_row(Result(**hostile)))
    assert f"'{trigger}1+1" in cells


@given(st.sampled_from(TRIGGERS), anything)
def test_formula_in_message(trigger: str, rest: str) -> None:
    """A failure's message is escaped too, since users can influence it most."""
    content = render_row(replace(SAMPLE, failure=Failure(trigger + rest, "assertion")))
    assert read(content)[0][-1].startswith("'" + trigger)


def test_lone_surrogate() -> None:
    """A character that UTF-8 cannot encode becomes a question mark, and the row is written."""
    assert render_row(replace(SAMPLE, failure=Failure("a\ud800b", "assertion"))).endswith(b",a?b\r\n")


@given(from_statuses())
def test_one_record(result: Result) -> None:
    """A row is one record that ends in CRLF, so that rows may be streamed one by one."""
    assert render_row(result).endswith(b"\r\n")
    assert len(read(render_row(result))) == 1
