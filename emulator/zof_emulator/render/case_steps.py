"""The simulated steps of a case, which its screenshot, its trace and its HAR share."""

from __future__ import annotations

import re
import zlib
from dataclasses import dataclass
from itertools import accumulate, pairwise
from typing import TYPE_CHECKING, Final
from urllib.parse import quote

if TYPE_CHECKING:
    from zof_emulator.core.results import Result

_ACTS: Final = (
    ("Open the page", "GET", "/", "text/html; charset=utf-8"),
    ("Submit the form", "POST", "/api/checks", "application/json"),
    ("Check the outcome", "GET", "/api/checks/latest", "application/json"),
)
_LABEL: Final = 63
"""The most characters that one part of a host name may have (RFC 1035)."""


@dataclass(frozen=True, slots=True)
class Step:
    """A step of a case and its request. `case` is the case's ID; `begin` and `end` are in ms since the case started."""

    title: str
    case: str
    method: str
    url: str
    media_type: str
    begin: int
    end: int


def make_origin(environment: str) -> str:
    """The origin of the simulated application, such as `https://staging.app.example`; valid for any label."""
    words = "-".join(re.findall(r"[A-Za-z0-9]+", environment)).lower()
    return f"https://{words[:_LABEL].rstrip('-') or 'unnamed'}.app.example"


def make_url(result: Result, path: str = "/") -> str:
    """The URL that a case requests, with the case's ID in its query."""
    case = quote(result.test_case_id, safe="", errors="replace")
    return f"{make_origin(result.environment)}{path}?case={case}"


def plan_steps(result: Result) -> tuple[Step, ...]:
    """The steps of a case, which follow one another and together last as long as the case; empty if it never started.

    Only the case's ID decides how the time is divided.
    """
    if result.started_at is None:
        return ()
    case = result.test_case_id
    return tuple(
        Step(title, case, method, make_url(result, path), media_type, begin, end)
        for (title, method, path, media_type), (begin, end) in zip(
            _ACTS, pairwise(_divide_duration(result)), strict=True
        )
    )


def _divide_duration(result: Result) -> list[int]:
    """The ms at which steps meet, from 0 to the case's duration."""
    draw = zlib.crc32(result.test_case_id.encode(errors="replace"))
    weights = [4 + (draw >> 8 * place & 7) for place in range(len(_ACTS))]
    duration, total = result.duration_ms or 0, sum(weights)
    return [duration * share // total for share in accumulate(weights, initial=0)]
