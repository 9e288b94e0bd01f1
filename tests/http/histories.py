"""Histories: actions of clients on a new emulator, and timestamps, as Hypothesis strategies."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from functools import cache
from typing import TYPE_CHECKING, Any

from hypothesis import strategies as st
from zof_emulator.app import EPOCH

from tests.zof import ADMIN, Zof

if TYPE_CHECKING:
    from collections.abc import Sequence

WORDS = ("tc_login", "tc_search", "tc_pay_fail", "tc_load_error", "tc_cart_flaky", "tc_import_slow")
PROJECTS = ("proj_abc", "proj_abc123", "proj_new")
TERMINAL = frozenset({"passed", "failed", "error", "canceled"})
STATUSES = ("queued", "running", *sorted(TERMINAL))

case_lists = st.lists(st.sampled_from(WORDS), min_size=1, max_size=4, unique=True)
"""The cases of a run."""


@cache
def _make_emulator(settings: tuple[tuple[str, Any], ...]) -> Zof:
    return Zof(**dict(settings))


def reset_emulator(**settings: Any) -> Zof:  # noqa: ANN401  a setting
    """A reset emulator, by default without sample runs; it is created once."""
    zof = _make_emulator(tuple(sorted({"scenario": "empty", **settings}.items())))
    zof.key = ADMIN
    assert zof.control("/reset").status == 200
    return zof


@dataclass(frozen=True)
class Step:
    """An action: a start, a cancel of an earlier run, or a move of the clock."""

    what: str
    project: str = PROJECTS[0]
    cases: tuple[str, ...] = ()
    number: int = 0

    def take(self, zof: Zof, runs: list[str]) -> None:
        """Perform the action; a cancel that comes too late may be refused."""
        if self.what == "start":
            runs.append(zof.start(*self.cases, project_id=self.project)["id"])
        elif self.what == "advance":
            zof.advance(self.number)
        elif runs:
            assert zof.post(f"/runs/{runs[self.number % len(runs)]}/cancel").status in {200, 409}


starts = st.builds(lambda project, cases: Step("start", project, tuple(cases)), st.sampled_from(PROJECTS), case_lists)
cancels = st.builds(lambda number: Step("cancel", number=number), st.integers(0, 99))
waits = st.builds(lambda number: Step("advance", number=number), st.integers(0, 4_000))
histories = st.lists(starts | starts | cancels | waits, max_size=12)
"""The actions of a history; starts are more frequent, so that most histories have runs."""


def perform(zof: Zof, history: Sequence[Step]) -> list[str]:
    """Perform a history; return the IDs of its runs, oldest first."""
    runs: list[str] = []
    for step in history:
        step.take(zof, runs)
    return runs


def instant(text: str) -> Fraction:
    """A timestamp of the wire, in seconds since the Unix epoch."""
    at = datetime.fromisoformat(text)
    return Fraction(int(at.replace(microsecond=0).timestamp()) * 1_000_000 + at.microsecond, 1_000_000)


def format_instant(ms: int) -> str:
    """The instant this many ms after the start of a manual clock, as a timestamp of the API."""
    return datetime.fromtimestamp((EPOCH + ms) // 1000, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def read_instant(line: Any) -> int:  # noqa: ANN401  a JSON value
    """The instant of a log line, in ms after the start of a manual clock."""
    return int(instant(line["timestamp"]) * 1000) - EPOCH


@dataclass(frozen=True)
class Bound:
    """A date filter: its text, and its instant in seconds since the Unix epoch."""

    text: str
    at: Fraction


@st.composite
def bounds(draw: st.DrawFn, least: int = -2, most: int = 12) -> Bound:
    """A bound some seconds from the start of a manual clock, with any fraction and offset."""
    seconds = EPOCH // 1000 + draw(st.integers(least, most))
    digits = draw(st.sampled_from(("", "0", "5", "000", "001", "999", "0001")) | st.text("0123456789", max_size=9))
    offset = draw(st.just(0) | st.integers(-23 * 60 - 59, 23 * 60 + 59))
    local = datetime.fromtimestamp(seconds, UTC) + timedelta(minutes=offset)
    zone = f"{'-' if offset < 0 else '+'}{abs(offset) // 60:02d}:{abs(offset) % 60:02d}" if offset else "Z"
    text = f"{local:%Y-%m-%dT%H:%M:%S}{'.' + digits if digits else ''}{zone}"
    return Bound(text, Fraction(int(f"{seconds}{digits}"), 10 ** len(digits)))


def is_within(item: Any, after: Bound | None, before: Bound | None) -> bool:  # noqa: ANN401  a JSON value
    """Whether the shown creation time of an item lies from one bound (inclusive) to the other (exclusive)."""
    at = instant(item["created_at"])
    return (after is None or at >= after.at) and (before is None or at < before.at)
