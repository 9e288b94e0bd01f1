"""The CSV export of results: RFC 4180 in UTF-8, one line at a time, safe to open in a spreadsheet."""

from __future__ import annotations

import csv
from io import StringIO
from typing import TYPE_CHECKING, Final

from zof_emulator.core.instants import format_rfc3339_or_null

if TYPE_CHECKING:
    from collections.abc import Iterable

    from zof_emulator.core.results import Result

_COLUMNS: Final = (
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
)
_FORMULA: Final = ("=", "+", "-", "@", "\t", "\r", "\n", "\uff1d", "\uff0b", "\uff0d", "\uff20")
"""The first characters of a cell that a spreadsheet runs as a formula; the last four are the full-width = + - @."""


def render_header() -> bytes:
    """The line that names the columns, CRLF included."""
    return _render_line(_COLUMNS)


def render_row(result: Result) -> bytes:
    """The line of a result, CRLF included. None is an empty cell; timestamps are RFC 3339 in whole seconds.

    A text that a spreadsheet would run as a formula is prefixed with an apostrophe.
    """
    failure = result.failure
    return _render_line(
        (
            *(_defuse(text) for text in (result.id, result.run_id, result.project_id, result.test_case_id)),
            _defuse(result.environment),
            _defuse(result.status),
            result.duration_ms,
            format_rfc3339_or_null(result.created_at),
            format_rfc3339_or_null(result.started_at),
            format_rfc3339_or_null(result.completed_at),
            _defuse(failure.category) if failure else None,
            _defuse(failure.message) if failure else None,
        )
    )


def _render_line(cells: Iterable[str | int | None]) -> bytes:
    output = StringIO(newline="")
    csv.writer(output, lineterminator="\r\n").writerow(cells)
    return output.getvalue().encode(errors="replace")


def _defuse(text: str) -> str:
    return f"'{text}" if text.startswith(_FORMULA) else text
