"""The trace of a case: a ZIP with a Trace Event file, for Perfetto and chrome://tracing, and a file of metadata."""

from __future__ import annotations

import json
from io import BytesIO
from typing import TYPE_CHECKING, Final
from zipfile import ZIP_STORED, ZipFile, ZipInfo

from zof_emulator.core.instants import format_rfc3339_ms
from zof_emulator.render import case_steps

if TYPE_CHECKING:
    from zof_emulator.core.results import Result

    TraceEvent = dict[str, object]

_EPOCH: Final = (1980, 1, 1, 0, 0, 0)
"""The earliest timestamp that a ZIP can hold; all members have it."""
_UNIX: Final = 3
_READABLE: Final = 0o100644 << 16
_MICROSECONDS: Final = 1_000
_THREAD: Final = {"pid": 1, "tid": 1}


def render_archive(result: Result) -> bytes:
    """The trace of a case as a ZIP of `trace.json` and `metadata.json`, both JSON in UTF-8.

    In `trace.json` times are in µs since the case started. The bytes do not depend on the result's ID or `created_at`.
    """
    members = {"trace.json": _build_trace(result), "metadata.json": _build_metadata(result)}
    output = BytesIO()
    with ZipFile(output, "w", ZIP_STORED) as package:
        for name, content in members.items():
            package.writestr(_make_member(name), json.dumps(content))
    return output.getvalue()


def _make_member(name: str) -> ZipInfo:
    """The entry of a file; it is the same on every system and with every version of Python."""
    info = ZipInfo(name, date_time=_EPOCH)
    info.compress_type, info.create_system, info.external_attr = ZIP_STORED, _UNIX, _READABLE
    return info


def _build_trace(result: Result) -> dict[str, object]:
    events = [_build_name("process_name", f"run {result.run_id}"), _build_name("thread_name", result.test_case_id)]
    if result.started_at is not None:
        case = _build_span("case", result.test_case_id, 0, result.duration_ms or 0, {"status": result.status})
        events += [case, *(_build_step(step) for step in case_steps.plan_steps(result)), *_build_failure(result)]
    return {"displayTimeUnit": "ms", "traceEvents": events}


def _build_name(kind: str, name: str) -> TraceEvent:
    return {"ph": "M", "name": kind, **_THREAD, "args": {"name": name}}


def _build_span(category: str, name: str, begin: int, end: int, args: dict[str, str]) -> TraceEvent:
    times = {"ts": begin * _MICROSECONDS, "dur": (end - begin) * _MICROSECONDS}
    return {"ph": "X", "cat": category, "name": name, **_THREAD, **times, "args": args}


def _build_step(step: case_steps.Step) -> TraceEvent:
    return _build_span("step", step.title, step.begin, step.end, {"method": step.method, "url": step.url})


def _build_failure(result: Result) -> list[TraceEvent]:
    """The failure of a case as an instant event at its end."""
    if result.failure is None:
        return []
    args = {"message": result.failure.message, "category": result.failure.category}
    at = (result.duration_ms or 0) * _MICROSECONDS
    return [{"ph": "i", "s": "t", "cat": "failure", "name": "Failure", **_THREAD, "ts": at, "args": args}]


def _build_metadata(result: Result) -> dict[str, object]:
    return {
        "run_id": result.run_id,
        "project_id": result.project_id,
        "test_case_id": result.test_case_id,
        "environment": result.environment,
        "status": result.status,
        "started_at": _format_instant(result.started_at),
        "completed_at": _format_instant(result.completed_at),
        "duration_ms": result.duration_ms,
    }


def _format_instant(instant: int | None) -> str | None:
    return None if instant is None else format_rfc3339_ms(instant)
