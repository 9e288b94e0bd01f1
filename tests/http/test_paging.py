"""Pages: the rules of every list."""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import pairwise, permutations
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from zof_emulator.core.tenants import DEFAULT, Sample

from tests.http.histories import Step, case_lists, histories, instant, perform, reset_emulator, starts
from tests.zof import OTHER, Zof

if TYPE_CHECKING:
    from collections.abc import Iterable

MANY = tuple(f"tc_fail_{number}" for number in range(15))


@dataclass(frozen=True)
class Lists:
    """An emulator with items in each of its lists, mostly more than a page, and the paths of the lists."""

    zof: Zof
    paths: dict[str, str]


@pytest.fixture(scope="module")
def lists() -> Lists:
    """An emulator whose organization has 27 runs, one of 15 cases, in 27 projects; the other organization has 3."""
    zof = Zof(scenario="empty")
    zof.start("tc_login", project_id="proj_first")
    zof.advance(60_000)
    for number in range(25):
        zof.start("tc_login", "tc_fail", project_id=f"proj_{number}")
    zof.advance(60_000)
    run = zof.complete_run(*MANY)
    for _ in range(3):
        zof.start("tc_of_another", project_id="proj_of_another", key=OTHER)
    zof.advance(60_000)
    paths = {
        "runs": "/runs",
        "results": "/results",
        "projects": "/projects",
        "logs": f"/runs/{run['id']}/logs",
        "artifacts of a run": f"/runs/{run['id']}/artifacts",
        "artifacts of a result": f"/results/{run['case_outcomes'][3]['result_id']}/artifacts",
    }
    return Lists(zof, paths)


NAMES = ("runs", "results", "projects", "logs", "artifacts of a run", "artifacts of a result")
LONG = NAMES[:-1]
every = pytest.mark.parametrize("name", NAMES)


def read_whole(lists: Lists, name: str) -> list[Any]:
    """A list in one page."""
    page = lists.zof.get(lists.paths[name], limit=100).json
    assert page["has_more"] is False
    items: list[Any] = page["data"]
    return items


@every
def test_shape(lists: Lists, name: str) -> None:
    """A page has exactly `data`, `has_more` and `next_cursor`."""
    answer = lists.zof.get(lists.paths[name])
    assert (answer.status, list(answer.json)) == (200, ["data", "has_more", "next_cursor"])


@pytest.mark.parametrize("name", LONG)
def test_default_limit(lists: Lists, name: str) -> None:
    """A page holds 20 items by default."""
    assert len(read_whole(lists, name)) > 20
    page = lists.zof.get(lists.paths[name]).json
    assert (page["data"], page["has_more"]) == (read_whole(lists, name)[:20], True)


@every
@settings(max_examples=20)
@given(limit=st.integers(1, 100))
def test_limit(lists: Lists, name: str, limit: int) -> None:
    """A page holds `limit` items, 1 to 100, or all if there are fewer."""
    page, items = lists.zof.get(lists.paths[name], limit=limit).json, read_whole(lists, name)
    assert (page["data"], page["has_more"]) == (items[:limit], len(items) > limit)


@every
@pytest.mark.parametrize(
    "limit", ["0", "-1", "101", "1.0", "1e1", "", "ten", " 5", "5 ", "\u0665", "1_0", "0x5", "9" * 40]
)
def test_limit_refused(lists: Lists, name: str, limit: str) -> None:
    """A limit that is no integer from 1 to 100 is refused, and `param` names it."""
    assert lists.zof.get(lists.paths[name], limit=limit).error == (400, "invalid_request", "limit")


@every
@settings(max_examples=20)
@given(limits=st.lists(st.integers(1, 9) | st.integers(1, 100), min_size=1))
def test_walk(lists: Lists, name: str, limits: list[int]) -> None:
    """Pages of any sizes give each item once, in the order of the list."""
    found: list[Any] = []
    items = read_whole(lists, name)
    cursor, more, turn = None, True, 0
    while more:
        page = lists.zof.get(lists.paths[name], limit=limits[turn % len(limits)], starting_after=cursor).json
        assert (page["next_cursor"] is None) is (page["has_more"] is False), "null exactly when no more follow"
        found += page["data"]
        assert len(found) <= len(items), "nothing comes twice, so that the walk ends"
        cursor, more, turn = page["next_cursor"], page["has_more"], turn + 1
    assert found == items


@pytest.mark.parametrize("name", [name for name in NAMES if name != "logs"])
def test_newest_first(lists: Lists, name: str) -> None:
    """A list is newest first, without duplicates."""
    items = read_whole(lists, name)
    assert all(instant(one["created_at"]) >= instant(other["created_at"]) for one, other in pairwise(items))
    assert len({one["id"] for one in items}) == len(items)


def read_cursor(lists: Lists, name: str, **query: str) -> str:
    """The cursor that a first page hands out."""
    cursor = lists.zof.get(lists.paths[name], limit=1, **query).json["next_cursor"]
    assert isinstance(cursor, str)
    return cursor


REFUSED = (400, "invalid_request", "starting_after")


@every
@settings(max_examples=20)
@given(cursor=st.text(max_size=40) | st.text("0123456789abcdef", min_size=28, max_size=28).map("cur_".__add__))
def test_malformed_cursor(lists: Lists, name: str, cursor: str) -> None:
    """A text that no page handed out is refused as a cursor."""
    text = cursor.encode(errors="replace").decode()
    assert lists.zof.get(lists.paths[name], starting_after=text).error == REFUSED


@every
@settings(max_examples=30)
@given(data=st.data())
def test_tampered_cursor(lists: Lists, name: str, data: st.DataObject) -> None:
    """A cursor with one character replaced, dropped or added is refused."""
    cursor = read_cursor(lists, name)
    place = data.draw(st.integers(0, len(cursor) - 1))
    other = data.draw(st.sampled_from("0123456789abcdefABCDEF_-./~ é").filter(lambda one: one != cursor[place]))
    kept = data.draw(st.sampled_from(["", other, other + cursor[place]]))
    tampered = cursor[:place] + kept + cursor[place + 1 :]
    assert lists.zof.get(lists.paths[name], starting_after=tampered).error == REFUSED


@pytest.mark.parametrize(("one", "other"), list(permutations(NAMES, 2)))
def test_cursor_of_another_list(lists: Lists, one: str, other: str) -> None:
    """A cursor is valid only in its own list."""
    assert lists.zof.get(lists.paths[other], starting_after=read_cursor(lists, one)).error == REFUSED


@pytest.mark.parametrize("kind", ["logs", "artifacts"])
def test_cursor_of_another_run(lists: Lists, kind: str) -> None:
    """A cursor of one run's list is refused in another run's list."""
    zof = lists.zof
    one, other = (run["id"] for run in zof.get("/runs", limit=2).json["data"])
    cursor = zof.get(f"/runs/{one}/{kind}", limit=1).json["next_cursor"]
    assert zof.get(f"/runs/{one}/{kind}", starting_after=cursor).status == 200
    assert zof.get(f"/runs/{other}/{kind}", starting_after=cursor).error == REFUSED


@pytest.mark.parametrize("name", ["runs", "results", "projects"])
def test_cursor_of_another_organization(lists: Lists, name: str) -> None:
    """A cursor of one organization's list is refused in another organization's list."""
    cursor = read_cursor(lists, name)
    assert lists.zof.get(lists.paths[name], key=OTHER, starting_after=cursor).error == REFUSED


FILTERS: dict[str, list[dict[str, str]]] = {
    "runs": [
        {},
        {"status": "failed"},
        {"created_after": "2025-01-01T00:00:00Z"},
        {"created_before": "2027-01-01T00:00:00Z"},
        {"status": "failed", "created_after": "2025-01-01T00:00:00Z"},
        {"created_after": "2025-01-01T00:00:00Z", "created_before": "2027-01-01T00:00:00Z"},
        {"created_before": "2028-01-01T00:00:00Z"},
    ],
    "results": [
        {},
        {"status": "failed"},
        {"status": "passed"},
        {"created_after": "2025-01-01T00:00:00Z"},
        {"created_before": "2027-01-01T00:00:00Z"},
        {"status": "failed", "created_before": "2027-01-01T00:00:00Z"},
    ],
}
PAIRS = [(name, one, other) for name, filters in FILTERS.items() for one, other in permutations(filters, 2)]


@pytest.mark.parametrize(("name", "one", "other"), PAIRS)
def test_cursor_of_other_filters(lists: Lists, name: str, one: dict[str, str], other: dict[str, str]) -> None:
    """A cursor is valid only under the filters that it was handed out for."""
    cursor = read_cursor(lists, name, **one)
    assert lists.zof.get(lists.paths[name], **one, starting_after=cursor).status == 200
    assert lists.zof.get(lists.paths[name], **other, starting_after=cursor).error == REFUSED


@pytest.mark.parametrize(
    ("path", "param", "name"), [("/runs", "project_id", "proj_x"), ("/results", "run_id", "run_x")]
)
def test_filter_that_names_nothing(lists: Lists, path: str, param: str, name: str) -> None:
    """A filter by a well-formed unknown or foreign ID gives an empty list."""
    zof = lists.zof
    foreign = zof.get("/runs", key=OTHER).json["data"][0]
    for unknown in (name, foreign["id"] if param == "run_id" else foreign["project_id"]):
        assert zof.get(path, **{param: unknown}).json == {"data": [], "has_more": False, "next_cursor": None}


@pytest.mark.parametrize("ages", [(3, 2, 1), (1, 2, 3), (2, 3, 1)])
def test_order_of_the_data(ages: tuple[int, ...]) -> None:
    """Lists are newest first and filters work, whatever the order of the world's data."""
    samples = tuple(
        Sample(f"sample_{age}", "org_abc", "proj_abc", "staging", ("tc_login_001",), age * 3_600_000) for age in ages
    )
    zof = Zof(data=replace(DEFAULT, samples=samples))
    newest = ["run_sample_1", "run_sample_2", "run_sample_3"]
    assert [run["id"] for run in zof.walk("/runs")] == newest
    assert [result["run_id"] for result in zof.walk("/results")] == newest
    for path, field in (("/runs", "id"), ("/results", "run_id")):
        assert [one[field] for one in zof.walk(path, created_after="2025-12-31T21:30:00Z")] == newest[:2]


def test_empty_list() -> None:
    """An empty list is one last page without items."""
    for path in ("/runs", "/results"):
        assert reset_emulator().get(path).json == {"data": [], "has_more": False, "next_cursor": None}


def read_interrupted(
    zof: Zof, path: str, limit: int, steps: Iterable[Step], runs: list[str], **query: str
) -> list[str]:
    """The IDs that paging finds while actions happen between the pages."""
    found: list[str] = []
    turns = iter(steps)
    cursor, more = None, True
    while more:
        page = zof.get(path, limit=limit, starting_after=cursor, **query).json
        found += [one["id"] for one in page["data"]]
        assert len(set(found)) == len(found), "nothing comes twice, so that the walk ends"
        cursor, more = page["next_cursor"], page["has_more"]
        for step in (next(turns, None), next(turns, None)):
            if step is not None:
                step.take(zof, runs)
    return found


@pytest.mark.parametrize("path", ["/runs", "/results", "/projects"])
@given(before=histories, during=histories, limit=st.integers(1, 3))
def test_walk_while_data_changes(path: str, before: list[Step], during: list[Step], limit: int) -> None:
    """Paging gives each initial item once, whatever is created, ended or canceled meanwhile."""
    zof = reset_emulator(capacity=2)
    runs = perform(zof, before)
    there = [one["id"] for one in zof.walk(path)]
    assert read_interrupted(zof, path, limit, during, runs) == there


@given(
    before=histories, during=histories, limit=st.integers(1, 2), status=st.sampled_from(["queued", "running", "failed"])
)
def test_filtered_walk_while_data_changes(before: list[Step], during: list[Step], limit: int, status: str) -> None:
    """Filtered paging gives no item twice, and every item that matches the whole time."""
    zof = reset_emulator(capacity=2)
    runs = perform(zof, before)
    at_first = {one["id"] for one in zof.walk("/runs", status=status)}
    found = read_interrupted(zof, "/runs", limit, during, runs, status=status)
    at_last = {one["id"] for one in zof.walk("/runs", status=status)}
    assert len(set(found)) == len(found)
    assert at_first & at_last <= set(found)


@given(
    cases=case_lists, waits=st.lists(st.integers(0, 900)), limit=st.integers(1, 3), more=st.lists(starts, max_size=3)
)
def test_walk_over_artifacts_of_a_running_run(cases: list[str], waits: list[int], limit: int, more: list[Step]) -> None:
    """Paging through artifacts gives each initial one once while the run creates more."""
    zof = reset_emulator()
    run = zof.start(*cases)["id"]
    zof.advance(1_500)
    there = [one["id"] for one in zof.walk(f"/runs/{run}/artifacts")]
    during = [*(Step("advance", number=wait) for wait in waits), *more]
    assert read_interrupted(zof, f"/runs/{run}/artifacts", limit, during, []) == there
