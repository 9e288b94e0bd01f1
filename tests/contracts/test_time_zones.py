"""Times do not depend on the time zone of the machine, with and without summer time."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Final

import pytest
from zof_contracts.evidence.exchange import Exchange, Request, Response
from zof_contracts.evidence.header_values import read_server_time
from zof_contracts.report import render

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from zof_contracts.evidence.verification import Verification

JULY: Final = 1_783_080_000
"""2026-07-03T12:00:00Z: summer time in Berlin, winter time in Sydney."""
JANUARY: Final = 1_767_441_600
"""2026-01-03T12:00:00Z: winter time in Berlin, summer time in Sydney."""


@pytest.fixture(params=["UTC", "Europe/Berlin", "Australia/Sydney"], autouse=True)
def _zone(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("TZ", request.param)
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


@pytest.mark.parametrize(
    ("date", "seconds"), [("Fri, 03 Jul 2026 12:00:00 GMT", JULY), ("Sat, 03 Jan 2026 12:00:00 GMT", JANUARY)]
)
def test_the_date_header_is_read_as_gmt(date: str, seconds: int) -> None:
    """The server's time is the Date header in GMT, in every zone and season."""
    response = Response(200, (("date", date),), b"")
    assert read_server_time(Exchange(1, Request("GET", "/v1/runs"), response, "listRuns", 0.0, 0.0)) == seconds


@pytest.mark.parametrize(
    ("began", "start", "end"),
    [
        (JULY, "2026-07-03T12:00:00Z", "2026-07-03T12:00:02Z"),
        (JANUARY, "2026-01-03T12:00:00Z", "2026-01-03T12:00:02Z"),
    ],
)
def test_reports_give_utc(make: Callable[..., Verification], began: int, start: str, end: str) -> None:
    """SARIF, JSON and HAR give start and end in UTC, and the end is after the start."""
    verification = make(began=began, seconds=2.0)
    (invocation,) = json.loads(render(verification, "sarif"))["runs"][0]["invocations"]
    assert (invocation["startTimeUtc"], invocation["endTimeUtc"]) == (start, end)
    assert json.loads(render(verification, "json"))["summary"]["began"] == start
    assert json.loads(render(verification, "har"))["log"]["entries"][0]["startedDateTime"].startswith("2026-01-01T")
