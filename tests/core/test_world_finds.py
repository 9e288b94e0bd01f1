"""Lookups by ID: an object is found by its organization alone, from its creation until its deletion."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st
from zof_emulator.core.artifacts import list_slots
from zof_emulator.core.catalogue import Order
from zof_emulator.core.config import LARGEST_SEED, ClockMode, WorldConfig
from zof_emulator.core.index import NO_END, Period
from zof_emulator.core.refusal import Refused
from zof_emulator.core.scenario import Scenario
from zof_emulator.core.tenants import DEFAULT
from zof_emulator.core.world import Retention, World

from tests.core.worlds import BEGAN, ORGANIZATIONS, WORDS, case_lists, make_world, move_run, order

if TYPE_CHECKING:
    from collections.abc import Callable

KEPT_MS = 5_000
EMPTY = WorldConfig(clock=ClockMode.MANUAL, scenario=Scenario.EMPTY)


def reason(act: Callable[[], object]) -> str:
    """The reason of the refusal."""
    with pytest.raises(Refused) as refused:
        act()
    assert refused.value.param is None
    return refused.value.reason


@given(case_lists, st.integers(0, 5_000))
def test_a_run_is_found_by_its_owner_alone(cases: tuple[str, ...], wait: int) -> None:
    """A run is found by its ID in its organization, and does not exist in another one."""
    world = make_world()
    name = world.names.run(world.start("org_a", order("org_a", cases)).number)
    world.settle(BEGAN + wait)
    run = world.runs[0]
    assert world.run("org_a", name) is world.find_run("org_a", name) is world.any_run(name) is run
    assert world.find_run("org_b", name) is None
    assert reason(lambda: world.run("org_b", name)) == "run_not_found"


@given(st.text(max_size=30) | st.integers(1, 2**64 - 1).map(make_world().names.run))
def test_an_id_that_names_nothing_is_not_found(name: str) -> None:
    """An ID of any form that names nothing is not found."""
    world = make_world()
    world.start("org_a", order("org_a", ("login",)))
    assert world.find_run("org_a", name) is None
    assert reason(lambda: world.run("org_a", name)) == "run_not_found"
    assert reason(lambda: world.any_run(name)) == "run_not_found"
    assert reason(lambda: world.result_run("org_a", name)) == "result_not_found"
    assert reason(lambda: world.artifact("org_a", name)) == "artifact_not_found"


@given(case_lists, st.booleans())
def test_a_result_is_visible_from_the_end_of_its_run_on(cases: tuple[str, ...], cancel: bool) -> None:  # noqa: FBT001  drawn
    """A result exists once its run is terminal, for its organization alone."""
    world = make_world()
    run = world.start("org_a", order("org_a", cases))
    names = [world.names.result(run.number, place) for place in range(len(cases))]
    while not run.has_ended:
        assert {reason(lambda name=name: world.result_run("org_a", name)) for name in names} == {"result_not_found"}  # type: ignore[misc]
        run = world.cancel(run) if cancel and run.outcomes else move_run(world, run, to_end=False)
    assert [world.result_run("org_a", name) for name in names] == [(run, place) for place in range(len(cases))]
    assert {reason(lambda name=name: world.result_run("org_b", name)) for name in names} == {"result_not_found"}  # type: ignore[misc]
    beyond = world.names.result(run.number, len(cases))
    assert reason(lambda: world.result_run("org_a", beyond)) == "result_not_found"


@given(case_lists)
def test_a_result_says_what_its_case_came_to(cases: tuple[str, ...]) -> None:
    """A result has the labels and times of its run and case, and a failure only if the case failed."""
    world = make_world()
    run = move_run(world, world.start("org_a", order("org_a", cases)), to_end=True)
    for place, case in enumerate(run.cases):
        result = world.result(run, place)
        assert (result.id, result.run_id) == (world.names.result(0, place), world.names.run(0))
        assert (result.project_id, result.environment, result.test_case_id) == (run.project_id, "staging", case)
        assert (result.status, result.created_at) == (run.outcomes[place].value, run.completed_at)
        assert result.duration_ms == run.case_duration_ms(place)
        assert (result.failure is not None) is (result.status in {"failed", "error"})


def test_a_result_that_never_started_has_no_duration() -> None:
    """The result of a case that never started because of a cancel has an end, no start and no duration."""
    world = make_world()
    result = world.result(world.cancel(world.start("org_a", order("org_a", ("login",)))), 0)
    assert (result.started_at, result.completed_at, result.duration_ms) == (None, BEGAN, None)
    assert (result.status, result.failure) == ("canceled", None)


@given(case_lists)
def test_an_artifact_is_found_until_it_expires_to_the_millisecond(cases: tuple[str, ...]) -> None:
    """An artifact is found and listed until its own expiry, and not afterwards."""
    world = World(EMPTY, DEFAULT, BEGAN, Retention(artifacts_ms=KEPT_MS))
    run = move_run(
        world, world.start("org_abc", Order("proj_abc", "staging", tuple(f"tc_{one}" for one in cases))), to_end=True
    )
    filled = list_slots(run)
    for slot in filled:
        name = world.names.artifact(0, slot)
        gone = run.ends[slot // 2] + KEPT_MS if slot // 2 < len(cases) else (run.completed_at or 0) + KEPT_MS
        for at in (gone - 1, gone):
            if at < world.now:
                continue
            world.settle(at)
            assert (slot in world.filter_unexpired(run, filled)) is (at < gone)
            if at < gone:
                assert world.artifact("org_abc", name)[1].slot == slot
                assert reason(lambda name=name: world.artifact("org_other", name)) == "artifact_not_found"  # type: ignore[misc]
            else:
                assert reason(lambda name=name: world.artifact("org_abc", name)) == "artifact_not_found"  # type: ignore[misc]
    assert world.filter_unexpired(run, filled) == []


def test_an_empty_slot_is_not_found() -> None:
    """The ID of an artifact that a run did not produce names nothing."""
    world = make_world()
    run = move_run(world, world.start("org_a", order("org_a", ("login",))), to_end=True)
    found = [slot for slot in range(12) if slot not in list_slots(run)]
    assert found
    assert {reason(lambda slot=slot: world.artifact("org_a", world.names.artifact(0, slot))) for slot in found} == {  # type: ignore[misc]
        "artifact_not_found"
    }


@pytest.mark.parametrize("organization", ORGANIZATIONS)
def test_a_run_that_has_ended_is_not_moved(organization: str) -> None:
    """Moving to the end of an ended run is refused, and the clock does not move."""
    world = make_world()
    run = move_run(world, world.start(organization, order(organization, WORDS)), to_end=True)
    now = world.now
    assert reason(lambda: move_run(world, run, to_end=True)) == "run_ended"
    assert world.now == now


@given(st.integers(0, LARGEST_SEED))
def test_the_samples_have_lived(seed: int) -> None:
    """Under every seed the sample runs ended before the world begins, with the outcomes in their names."""
    world = World(WorldConfig(seed=seed, clock=ClockMode.MANUAL), DEFAULT, BEGAN)
    assert world.now == BEGAN
    found = [world.run("org_abc", f"run_sample_{word}") for word in ("passed", "failed")]
    assert [run.status.value for run in found] == ["passed", "failed"]
    for run, sample in zip(found, DEFAULT.samples, strict=True):
        assert run.created_at == run.started_at == BEGAN - sample.age_ms
        assert (run.completed_at or LATE) < BEGAN


@given(st.lists(st.integers(1, 90), min_size=1, max_size=6, unique=True), st.booleans())
def test_the_newest_sample_is_listed_first(ages: list[int], other: bool) -> None:  # noqa: FBT001  drawn
    """Sample runs are ordered by their ages, whatever their order in the data."""
    hour = 3_600_000
    samples = [replace(DEFAULT.samples[0], word=f"age_{age:02d}", age_ms=age * hour) for age in ages]
    world = World(WorldConfig(clock=ClockMode.MANUAL), replace(DEFAULT, samples=tuple(samples)), BEGAN)
    index = world.tenancies["org_abc"].runs
    numbers, _ = index.page(None, None, Period(after=BEGAN - 45 * hour if other else None), NO_END, 100)
    listed = [world.names.run(number) for number in numbers]
    assert listed == [f"run_age_{age:02d}" for age in sorted(ages) if not other or age < 45]


LATE = 2**60
"""Later than anything."""
