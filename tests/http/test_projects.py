"""Projects: their visibility and creation."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from zof_emulator.core.tenants import DEFAULT, Project

from tests.http.histories import format_instant, reset_emulator
from tests.zof import ADMIN, CI, OTHER, VIEWER, Zof

HOUR = 3_600_000


def test_default() -> None:
    """The projects of the documentation are listed, newest first, with their names."""
    assert reset_emulator().get("/projects").json["data"] == [
        {"id": "proj_abc123", "name": "Storefront", "created_at": format_instant(-24 * HOUR)},
        {"id": "proj_abc", "name": "Checkout Service", "created_at": format_instant(-48 * HOUR)},
    ]


@pytest.mark.parametrize("key", [ADMIN, CI, VIEWER])
def test_permission(key: str) -> None:
    """Every key with the permission gets the organization's projects."""
    assert len(reset_emulator().get("/projects", key=key).json["data"]) == 2


def test_without_permission() -> None:
    """A key without the permission to read projects is refused."""
    bare = tuple(replace(key, permissions=frozenset({"runs:create"})) for key in DEFAULT.keys)
    zof = Zof(data=replace(DEFAULT, keys=bare))
    assert zof.get("/projects").error == (403, "forbidden", None)


def test_named() -> None:
    """The first start that names a project creates it in the start's organization."""
    zof = reset_emulator()
    zof.advance(5_000)
    zof.start("tc_a", project_id="proj_new")
    first = zof.get("/projects").json["data"][0]
    assert (first["id"], first["created_at"]) == ("proj_new", format_instant(5_000))
    assert first["name"]
    assert zof.get("/projects", key=OTHER).json["data"] == []
    zof.start("tc_a", project_id="proj_new")
    assert len(zof.walk("/projects")) == 3


@given(names=st.lists(st.text("abcdefXYZ019_-", min_size=1, max_size=64), unique=True, max_size=30))
def test_paged(names: list[str]) -> None:
    """Projects are listed newest first, each once, whatever the page size."""
    zof = reset_emulator()
    before = [one["id"] for one in zof.walk("/projects")]
    for name in names:
        zof.start("tc_a", project_id=f"proj_{name}")
        zof.advance(700)
    found = zof.walk("/projects", limit=3)
    made = [f"proj_{name}" for name in names if f"proj_{name}" not in before]
    assert [one["id"] for one in found] == made[::-1] + before


@pytest.mark.parametrize("ages", [(9, 5, 1), (1, 5, 9), (5, 9, 1)])
def test_order_of_the_data(ages: tuple[int, ...]) -> None:
    """Projects are listed newest first, whatever the order of the world's data."""
    projects = tuple(Project(f"proj_{age}", "org_abc", "P", age * HOUR) for age in ages)
    zof = Zof(data=replace(DEFAULT, projects=projects, samples=()))
    assert [one["id"] for one in zof.walk("/projects")] == ["proj_1", "proj_5", "proj_9"]


def test_a_project_is_forgotten_with_its_last_run() -> None:
    """A project that a request created is listed as long as a run names it; those of the data stay."""
    zof = Zof(max_runs=8)
    given = [one["id"] for one in zof.walk("/projects")]
    for number in range(40):
        zof.complete_run("tc_a", project_id=f"proj_{number}")
    kept = [one["project_id"] for one in zof.walk("/runs")]
    assert [one["id"] for one in zof.walk("/projects")] == [one for one in kept if one not in given] + given
    zof.start("tc_a", project_id="proj_0")
    assert zof.get("/projects").json["data"][0]["id"] == "proj_0"


@given(limit=st.integers(1, 5), more=st.integers(0, 30), restores=st.booleans())
def test_a_walk_goes_on_while_projects_are_forgotten(limit: int, more: int, *, restores: bool) -> None:
    """A walk shows each project once, in order, and all that stay, also when some are forgotten meanwhile."""
    zof = Zof(max_runs=8)
    for number in range(8):
        zof.complete_run("tc_a", project_id=f"proj_{number}")
    before = [one["id"] for one in zof.walk("/projects")]
    first = zof.get("/projects", limit=limit).json
    for number in range(more):
        zof.complete_run("tc_a", project_id=f"proj_new_{number}")
    if restores:
        assert zof.tell("PUT", "/snapshot", zof.control("/snapshot").json).status == 200
    found, page = list(first["data"]), first
    while page["has_more"]:
        page = zof.get("/projects", limit=limit, starting_after=page["next_cursor"]).json
        found += page["data"]
    shown_ids = [one["id"] for one in found]
    stay = {one["id"] for one in zof.walk("/projects")}
    assert shown_ids == [one for one in before if one in shown_ids]
    assert set(shown_ids) >= stay & set(before)
