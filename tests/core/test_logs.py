"""Logs: in any state of any run the line count is right, lines are in order, and none disappears."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

from hypothesis import given
from zof_emulator.core.lifecycle import Status
from zof_emulator.core.logs import Line, count_lines, make_line

from tests.core.worlds import lives

if TYPE_CHECKING:
    from zof_emulator.core.runs import Run


def list_lines(run: Run) -> list[Line]:
    """All lines that a run has written."""
    return [make_line(run, place) for place in range(count_lines(run))]


@given(lives)
def test_lines_are_in_order_of_time(life: tuple[Run, ...]) -> None:
    """Lines are in the order of time, none before the run's creation or after its end."""
    for run in life:
        times = [one.at for one in list_lines(run)]
        assert times[0] == run.created_at
        assert times == sorted(times)
        assert not run.has_ended or times[-1] == run.completed_at


@given(lives)
def test_a_log_only_grows(life: tuple[Run, ...]) -> None:
    """Written lines do not change, and every change of a run adds at least one line."""
    for before, after in pairwise(life):
        assert list_lines(after)[: count_lines(before)] == list_lines(before)
        assert count_lines(after) > count_lines(before)


@given(lives)
def test_the_lines_tell_the_story(life: tuple[Run, ...]) -> None:
    """The lines are: run queued, run started, each case started and ended in turn, run ended."""
    run = life[-1]
    told = [(one.test_case_id, one.message.split(" ")[:2]) for one in list_lines(run)]
    expected: list[tuple[str | None, list[str]]] = [(None, ["Run", "queued:"])]
    if run.started_at is not None:
        expected.append((None, ["Run", "started."]))
    for index, case in enumerate(run.cases):
        if run.case_started_at(index) is not None:
            expected.append((case, [case, "started."]))
            if run.case_status(index) is not Status.RUNNING:
                expected.append((case, [case, run.case_status(index).value]))
    if run.has_ended:
        expected.append((None, ["Run", run.status.value]))
    assert told == expected


@given(lives)
def test_a_level_is_as_grave_as_what_happened(life: tuple[Run, ...]) -> None:
    """A failure or error has level error, a cancel has level warning, every other line has level info."""
    run = life[-1]
    for one in list_lines(run):
        word = one.message.split(" ")[1]
        assert one.level == {"failed": "error", "error": "error", "canceled": "warning"}.get(word, "info")


@given(lives)
def test_a_line_says_how_long_it_took(life: tuple[Run, ...]) -> None:
    """The last line of a case or run names its duration in ms, or says that the run never started."""
    run = life[-1]
    ends = [one for one in list_lines(run) if one.test_case_id and not one.message.endswith("started.")]
    assert [one.message.split(" ")[3] for one in ends] == [
        str(run.case_duration_ms(run.cases.index(one.test_case_id or ""))) for one in ends
    ]
    if run.has_ended:
        took = "before it started." if run.started_at is None else f"after {run.duration_ms} ms."
        assert list_lines(run)[-1].message == f"Run {run.status} {took}"
