"""The trace archive, opened by the standard library's ZIP reader."""

from __future__ import annotations

import json
from dataclasses import replace
from io import BytesIO
from typing import TYPE_CHECKING, Any
from zipfile import ZIP_STORED, ZipFile

from hypothesis import given
from hypothesis import strategies as st
from zof_emulator.render.trace import render_archive

from tests.render.strategies import SAMPLE, from_statuses, instants

if TYPE_CHECKING:
    from zof_emulator.core.results import Result


def read_member(result: Result, name: str) -> Any:  # noqa: ANN401  a JSON value
    """A member of a result's archive, parsed as JSON."""
    with ZipFile(BytesIO(render_archive(result))) as package:
        return json.loads(package.read(name))


def spans(result: Result, category: str) -> list[dict[str, Any]]:
    """The complete events of one category."""
    events = read_member(result, "trace.json")["traceEvents"]
    return [event for event in events if event["ph"] == "X" and event["cat"] == category]


@given(from_statuses())
def test_sound_zip(result: Result) -> None:
    """The archive is a valid ZIP of two stored members without time, system or mode of the machine."""
    with ZipFile(BytesIO(render_archive(result))) as package:
        assert package.testzip() is None
        assert package.namelist() == ["trace.json", "metadata.json"]
        for info in package.infolist():
            assert (info.compress_type, info.create_system) == (ZIP_STORED, 3)
            assert info.date_time == (1980, 1, 1, 0, 0, 0)
            assert info.external_attr >> 16 == 0o100644


@given(from_statuses("passed", "failed", "error"))
def test_spans_fill_the_case(result: Result) -> None:
    """In µs, one span lasts as long as the case, and its steps follow one another from its start to its end."""
    (case,) = spans(result, "case")
    assert (case["ts"], case["dur"], case["name"]) == (0, (result.duration_ms or 0) * 1_000, result.test_case_id)
    clock = 0
    for step in spans(result, "step"):
        assert step["ts"] == clock
        clock += step["dur"]
    assert clock == case["dur"]


@given(from_statuses())
def test_events_are_of_the_format(result: Result) -> None:
    """Each event has the fields that the Trace Event Format requires of its phase."""
    document = read_member(result, "trace.json")
    assert document["displayTimeUnit"] in {"ms", "ns"}
    needed = {"M": {"name", "args"}, "X": {"name", "cat", "ts", "dur"}, "i": {"name", "ts", "s"}}
    for event in document["traceEvents"]:
        assert event.keys() >= needed[event["ph"]] | {"pid", "tid"}


def test_failure_is_marked() -> None:
    """The moment of the failure is in the trace, with its message; a case that passed has none."""
    marks = [event for event in read_member(SAMPLE, "trace.json")["traceEvents"] if event["ph"] == "i"]
    assert SAMPLE.failure is not None
    assert [(mark["ts"], mark["args"]["message"]) for mark in marks] == [(847_000, SAMPLE.failure.message)]
    passed = read_member(replace(SAMPLE, status="passed", failure=None), "trace.json")["traceEvents"]
    assert [event for event in passed if event["ph"] == "i"] == []


def test_never_started() -> None:
    """A case that never started has no span, and null for the times that it does not have."""
    never = replace(SAMPLE, status="canceled", started_at=None, failure=None)
    assert spans(never, "case") + spans(never, "step") == []
    assert read_member(never, "metadata.json")["started_at"] is None
    assert read_member(never, "metadata.json")["duration_ms"] is None


def test_metadata() -> None:
    """The other member describes the case of the trace."""
    assert read_member(SAMPLE, "metadata.json") == {
        "run_id": "run_4f9ac2",
        "project_id": "proj_web",
        "test_case_id": "tc_checkout_fail",
        "environment": "staging",
        "status": "failed",
        "started_at": "2026-01-01T00:00:00.123Z",
        "completed_at": "2026-01-01T00:00:00.970Z",
        "duration_ms": 847,
    }


@given(from_statuses(), st.none() | instants)
def test_known_before_visible(result: Result, created_at: int | None) -> None:
    """The bytes do not change when the result becomes visible."""
    assert render_archive(result) == render_archive(replace(result, id="res_other", created_at=created_at))
