"""Filters: filtered lists of runs and results equal those of a naive filter."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.http.histories import (
    PROJECTS,
    STATUSES,
    TERMINAL,
    Bound,
    Step,
    bounds,
    format_instant,
    histories,
    is_within,
    perform,
    reset_emulator,
)
from tests.zof import OTHER, Zof

maybe_bounds = st.none() | bounds()


@settings(max_examples=50)
@given(history=histories, more=histories, limit=st.integers(1, 5))
def test_project_and_status(history: list[Step], more: list[Step], limit: int) -> None:
    """Lists under every project, every status, both and neither equal those of a naive filter."""
    zof = reset_emulator(capacity=2)
    perform(zof, [*history, *more])
    runs = zof.walk("/runs", limit=100)
    for project in (None, *PROJECTS, "proj_none"):
        for status in (None, *STATUSES):
            expected = [one for one in runs if project in {None, one["project_id"]} and status in {None, one["status"]}]
            assert zof.walk("/runs", project_id=project, status=status, limit=limit) == expected


@settings(max_examples=50)
@given(history=histories, limit=st.integers(1, 5))
def test_run_and_status(history: list[Step], limit: int) -> None:
    """Lists under every run, every status, both and neither equal those of a naive filter."""
    zof = reset_emulator(capacity=2)
    names = perform(zof, history)
    results = zof.walk("/results", limit=100)
    for run in (None, *names, "run_none"):
        for status in (None, *sorted(TERMINAL)):
            expected = [one for one in results if run in {None, one["run_id"]} and status in {None, one["status"]}]
            assert zof.walk("/results", run_id=run, status=status, limit=limit) == expected


@given(
    history=histories,
    project=st.none() | st.sampled_from((*PROJECTS, "proj_none")),
    status=st.none() | st.sampled_from(STATUSES),
    after=maybe_bounds,
    before=maybe_bounds,
    limit=st.integers(1, 5),
)
def test_runs(  # noqa: PLR0913, PLR0917  every filter there is
    history: list[Step], project: str | None, status: str | None, after: Bound | None, before: Bound | None, limit: int
) -> None:
    """Runs are filtered by project, status, date and all together, as their objects show them."""
    zof = reset_emulator(capacity=2)
    perform(zof, history)
    expected = [
        run
        for run in zof.walk("/runs", limit=100)
        if project in {None, run["project_id"]} and status in {None, run["status"]} and is_within(run, after, before)
    ]
    dates: dict[str, Any] = {"created_after": after and after.text, "created_before": before and before.text}
    assert zof.walk("/runs", project_id=project, status=status, **dates, limit=limit) == expected


@given(
    history=histories,
    nth=st.none() | st.integers(0, 9),
    status=st.none() | st.sampled_from(sorted(TERMINAL)),
    after=maybe_bounds,
    before=maybe_bounds,
    limit=st.integers(1, 5),
)
def test_results(  # noqa: PLR0913, PLR0917  every filter there is
    history: list[Step], nth: int | None, status: str | None, after: Bound | None, before: Bound | None, limit: int
) -> None:
    """Results are filtered by run, status, date and all together, as their objects show them."""
    zof = reset_emulator(capacity=2)
    runs = perform(zof, history)
    run = None if nth is None else runs[nth % len(runs)] if runs else "run_none"
    expected = [
        result
        for result in zof.walk("/results", limit=100)
        if run in {None, result["run_id"]} and status in {None, result["status"]} and is_within(result, after, before)
    ]
    dates: dict[str, Any] = {"created_after": after and after.text, "created_before": before and before.text}
    assert zof.walk("/results", run_id=run, status=status, **dates, limit=limit) == expected


@pytest.fixture(scope="module", params=["/runs", "/results"])
def half_past(request: pytest.FixtureRequest) -> tuple[Zof, str]:
    """An emulator with a list of one item, created (or made visible) half a second after a whole one, and the list."""
    zof = Zof(scenario="empty")
    run = zof.complete_run("tc_login")
    if request.param == "/results":
        return zof, request.param
    zof = Zof(scenario="empty")
    zof.advance(run["duration_ms"])
    zof.start("tc_login")
    return zof, request.param


def is_listed(half_past: tuple[Zof, str], **query: str) -> bool:
    """Whether the item is listed under these filters."""
    zof, path = half_past
    return len(zof.get(path, **query).json["data"]) == 1


def at(half_past: tuple[Zof, str]) -> int:
    """The second at which the item shows that it was created, in ms after the clock began."""
    zof, path = half_past
    created = zof.get(path).json["data"][0]["created_at"]
    (ms,) = [ms for ms in range(0, 3_000, 1_000) if format_instant(ms) == created]
    return ms


def test_created_after_is_inclusive(half_past: tuple[Zof, str]) -> None:
    """`created_after` includes items that show its second, and excludes earlier ones."""
    assert is_listed(half_past, created_after=format_instant(at(half_past)))
    assert not is_listed(half_past, created_after=format_instant(at(half_past) + 1_000))


def test_created_before_is_exclusive(half_past: tuple[Zof, str]) -> None:
    """`created_before` excludes items that show its second, and includes earlier ones."""
    assert not is_listed(half_past, created_before=format_instant(at(half_past)))
    assert is_listed(half_past, created_before=format_instant(at(half_past) + 1_000))


@pytest.mark.parametrize("fraction", ["001", "5", "999999999", "0" * 8 + "1", "0" * 19 + "1"])
def test_fraction(half_past: tuple[Zof, str], fraction: str) -> None:
    """A bound with any fraction lies after an item that shows the same second."""
    bound = format_instant(at(half_past)).replace("Z", f".{fraction}Z")
    assert not is_listed(half_past, created_after=bound)
    assert is_listed(half_past, created_before=bound)


@pytest.mark.parametrize("path", ["/runs", "/results"])
@pytest.mark.parametrize("param", ["created_after", "created_before"])
@pytest.mark.parametrize(
    "text",
    ["", "today", "2026-01-01", "2026-01-01T00:00:00", "1767225600", "2026-13-01T00:00:00Z", "2026-02-30T00:00:00Z"],
)
def test_date_refused(path: str, param: str, text: str) -> None:
    """A date that is no RFC 3339 timestamp is refused, and `param` names it."""
    assert reset_emulator().get(path, **{param: text}).error == (400, "invalid_request", param)


@pytest.mark.parametrize(
    ("path", "status"), [("/runs", "done"), ("/runs", ""), ("/results", "queued"), ("/results", "x")]
)
def test_status_refused(path: str, status: str) -> None:
    """A status that the list's items never have is refused, and `param` names it."""
    assert reset_emulator().get(path, status=status).error == (400, "invalid_request", "status")


@pytest.mark.parametrize(("path", "param"), [("/runs", "project_id"), ("/results", "run_id")])
@pytest.mark.parametrize("name", ["", "x", "tc_login", "proj_", "run_", "proj_a/b", "run_é", "run_" + "a" * 65])
def test_malformed_id_refused(path: str, param: str, name: str) -> None:
    """A malformed ID is refused, and `param` names it."""
    assert reset_emulator().get(path, **{param: name}).error == (400, "invalid_request", param)


def test_own_organization_alone() -> None:
    """A list holds the organization's items only."""
    zof = reset_emulator()
    mine, theirs = zof.start("tc_mine"), zof.start("tc_theirs", key=OTHER, project_id="proj_theirs")
    zof.advance(20_000)
    for key, run in (("", mine), (OTHER, theirs)):
        assert [one["id"] for one in zof.get("/runs", key=key).json["data"]] == [run["id"]]
        assert {one["run_id"] for one in zof.get("/results", key=key).json["data"]} == {run["id"]}
