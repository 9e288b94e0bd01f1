"""The HTTP archive of a run: HAR 1.2, a page for each case that started and an entry for each of its requests."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from zof_emulator.core.instants import format_rfc3339, format_rfc3339_ms
from zof_emulator.render import case_steps

if TYPE_CHECKING:
    from collections.abc import Sequence

    from zof_emulator.core.results import Result

    Object = dict[str, object]

_CREATOR: Final = {"name": "zof-emulator", "version": "1"}
_HTTP: Final = "HTTP/1.1"
_JSON: Final = "application/json"
_HTML: Final = "<!doctype html>\n<title>Application under test</title>\n"
_UNKNOWN: Final = -1
_SERVER: Final = "192.0.2.10"
"""An address that RFC 5737 keeps for documentation."""
_OK: Final = (200, "OK")
_LAST_ANSWERS: Final = {"assertion": _OK, "timeout": (504, "Gateway Timeout"), "platform": (503, "Service Unavailable")}
_ABANDONED: Final = (0, "")
"""The status and phrase that browsers write for a request that was abandoned before its answer came."""


def render_log(run_id: str, results: Sequence[Result], instant: int) -> bytes:
    """A run's HAR 1.2 document, JSON in UTF-8; `instant`, in ms since the epoch, is when the run ended.

    Cases that never started are left out. Pages and entries are ordered by the time at which they began.
    """
    pages: list[Object] = []
    entries: list[Object] = []
    for number, (started_at, result) in enumerate(_sort_started(results)):
        name = f"page_{number}"
        *before, last = case_steps.plan_steps(result)
        pages.append(_build_page(name, started_at, result, before[0].end))
        entries += [_build_entry(name, started_at, step, _OK) for step in before]
        entries.append(_build_entry(name, started_at, last, _choose_last_answer(result)))
    comment = f"Run {run_id}, ended at {format_rfc3339(instant)}"
    document = {"version": "1.2", "creator": _CREATOR, "pages": pages, "entries": entries, "comment": comment}
    return json.dumps({"log": document}, separators=(",", ":")).encode()


def _sort_started(results: Sequence[Result]) -> list[tuple[int, Result]]:
    """The cases that started, each after the instant of its start, earliest first."""
    started = [(result.started_at, result) for result in results if result.started_at is not None]
    return sorted(started, key=lambda pair: pair[0])


def _build_page(name: str, started_at: int, result: Result, loaded: int) -> Object:
    return {
        "startedDateTime": format_rfc3339_ms(started_at),
        "id": name,
        "title": result.test_case_id,
        "pageTimings": {"onContentLoad": loaded, "onLoad": loaded},
        "comment": f"{result.status} in {result.environment}",
    }


def _choose_last_answer(result: Result) -> tuple[int, str]:
    """The status and phrase of the answer to the last request of a case."""
    if result.status == "canceled":
        return _ABANDONED
    return _LAST_ANSWERS.get(result.failure.category, _OK) if result.failure else _OK


def _build_entry(page: str, started_at: int, step: case_steps.Step, answer: tuple[int, str]) -> Object:
    time = step.end - step.begin
    send = time // 20
    receive = time // 8
    return {
        "pageref": page,
        "startedDateTime": format_rfc3339_ms(started_at + step.begin),
        "time": time,
        "request": _build_request(step),
        "response": _build_response(step, *answer),
        "cache": {},
        "timings": {"send": send, "wait": time - send - receive, "receive": receive},
        "serverIPAddress": _SERVER,
        "comment": step.title,
    }


def _build_request(step: case_steps.Step) -> Object:
    body = json.dumps({"case": step.case}) if step.method == "POST" else ""
    posted: Object = {"postData": {"mimeType": _JSON, "params": [], "text": body}} if body else {}
    return {
        "method": step.method,
        "url": step.url,
        "httpVersion": _HTTP,
        "cookies": [],
        "headers": [{"name": "Host", "value": urlsplit(step.url).netloc}, {"name": "Accept", "value": step.media_type}],
        "queryString": [{"name": "case", "value": step.case}],
        **posted,
        "headersSize": _UNKNOWN,
        "bodySize": len(body),
    }


def _build_response(step: case_steps.Step, status: int, phrase: str) -> Object:
    body = _write_body(step, status)
    return {
        "status": status,
        "statusText": phrase,
        "httpVersion": _HTTP,
        "cookies": [],
        "headers": [{"name": "Content-Type", "value": step.media_type}] if status else [],
        "content": {"size": len(body), "mimeType": step.media_type, "text": body},
        "redirectURL": "",
        "headersSize": _UNKNOWN,
        "bodySize": len(body),
    }


def _write_body(step: case_steps.Step, status: int) -> str:
    if not status:
        return ""
    if step.media_type != _JSON:
        return _HTML
    return '{"ok": true}' if status == _OK[0] else '{"ok": false}'
