"""The same arguments give the same bytes, on every supported Python and system, today and tomorrow."""

from __future__ import annotations

from dataclasses import replace
from hashlib import sha256

import pytest
from zof_emulator.core.results import Failure
from zof_emulator.render import csv, har, junit, png, trace

from tests.render.strategies import BEGAN, RUN, SAMPLE

AWKWARD = replace(SAMPLE, environment="=Ünïté\r\n", failure=Failure("\x1b[31m “é” \ud800 \x00 " * 40, "timeout"))
NEVER = replace(SAMPLE, status="canceled", started_at=None, failure=None)
RESULTS = (SAMPLE, AWKWARD, NEVER)
RENDERED = {
    "csv": csv.render_header() + b"".join(map(csv.render_row, RESULTS)),
    "har": har.render_log("run_1", RESULTS, BEGAN),
    "junit": junit.render_report("run_1", RUN._replace(completed_at=BEGAN + 1), RESULTS),
    "png": b"".join(map(png.render_screenshot, RESULTS)),
    "trace": b"".join(map(trace.render_archive, RESULTS)),
}


@pytest.mark.parametrize(
    ("name", "digest"),
    [
        ("csv", "5ebc789120d065a9"),
        ("har", "185edcf6f52df8c1"),
        ("junit", "a764f78f70ff67f1"),
        ("png", "294ef45ef10649da"),
        ("trace", "c59b31f20ead72fa"),
    ],
)
def test_digest(name: str, digest: str) -> None:
    """The bytes are those of the last release, because users may store their hash."""
    assert sha256(RENDERED[name]).hexdigest()[:16] == digest
