"""The JUnit report of a run: XML 1.0 that CI systems read, one suite with a test case for each result."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from zof_emulator.core.instants import SECOND, format_rfc3339

if TYPE_CHECKING:
    from collections.abc import Sequence

    from zof_emulator.core.results import Result
    from zof_emulator.core.runs import Run

_VERDICTS: Final = {"passed": None, "failed": "failure", "error": "error", "canceled": "skipped"}
_COUNTED: Final = {"failures": "failed", "errors": "error", "skipped": "canceled"}
_FORBIDDEN: Final = dict.fromkeys([*range(0xD800, 0xE000), 0xFFFE, 0xFFFF], "\N{REPLACEMENT CHARACTER}")
_CONTROLS: Final = {code: chr(0x2400 + code) for code in range(0x20) if code not in b"\t\n\r"}
"""A control character that XML 1.0 cannot hold, even escaped, is shown by its picture: ␛ for escape."""
_TEXT: Final = _FORBIDDEN | _CONTROLS | str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;", "\r": "&#13;"})
_ATTRIBUTE: Final = _TEXT | str.maketrans({'"': "&quot;", "\t": "&#9;", "\n": "&#10;"})


def render_report(run_id: str, run: Run, results: Sequence[Result]) -> bytes:
    """The report of an ended run with this ID and these results, XML in UTF-8.

    Raises:
        KeyError: a status is not terminal; a case without a verdict must not look passed.
    """
    ended = run.completed_at or 0
    began = ended if run.started_at is None else run.started_at
    when = {"time": _format_seconds(ended - began), "timestamp": format_rfc3339(began)}
    counts = _count_statuses(results)
    lines = [
        '<?xml version="1.0" encoding="UTF-8"?>',
        f"<testsuites{_render_attributes({'name': run_id, **counts, **when})}>",
        f"<testsuite{_render_attributes({'name': f'{run.project_id} ({run.environment})', **counts, **when})}>",
        f"<properties>\n<property{_render_attributes({'name': 'run_id', 'value': run_id})}/>",
        f"<property{_render_attributes({'name': 'project_id', 'value': run.project_id})}/>",
        f"<property{_render_attributes({'name': 'environment', 'value': run.environment})}/>\n</properties>",
        *map(_render_case, results),
        "</testsuite>\n</testsuites>\n",
    ]
    return "\n".join(lines).encode()


def _count_statuses(results: Sequence[Result]) -> dict[str, str]:
    statuses = [result.status for result in results]
    return {"tests": str(len(statuses))} | {name: str(statuses.count(status)) for name, status in _COUNTED.items()}


def _render_case(result: Result) -> str:
    case = {
        "name": result.test_case_id,
        "classname": f"{result.project_id}.{result.environment}",
        "time": _format_seconds(result.duration_ms or 0),
    }
    return f"<testcase{_render_attributes(case)}>{_render_verdict(result)}</testcase>"


def _render_verdict(result: Result) -> str:
    """The content of a case's element; empty if the case passed."""
    element = _VERDICTS[result.status]
    if element is None:
        return ""
    if result.failure is None:
        return f"<{element}{_render_attributes({'message': result.status})}/>"
    why = _render_attributes({"message": result.failure.message, "type": result.failure.category})
    return f"<{element}{why}>{result.failure.message.translate(_TEXT)}</{element}>"


def _format_seconds(millis: int) -> str:
    return f"{millis // SECOND}.{millis % SECOND:03d}"


def _render_attributes(named: dict[str, str]) -> str:
    return "".join(f' {name}="{value.translate(_ATTRIBUTE)}"' for name, value in named.items())
