"""A world that keeps few ended runs: it deletes the oldest, and nothing else changes."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st
from zof_emulator.core.config import ClockMode, WorldConfig
from zof_emulator.core.world import World

from tests.core.worlds import BEGAN, DATA, ORGANIZATIONS, case_lists, order

deeds = st.lists(
    st.tuples(
        st.sampled_from(["start", "start", "cancel"]), st.sampled_from(ORGANIZATIONS), case_lists, st.integers(0, 4_000)
    ),
    min_size=4,
    max_size=30,
)


def keeping(count: int) -> World:
    """A world that keeps this many ended runs of an organization."""
    return World(WorldConfig(clock=ClockMode.MANUAL, capacity=2, max_runs=count), DATA, BEGAN)


@settings(max_examples=60)
@given(deeds, st.integers(1, 9))
def test_what_is_kept_is_as_if_nothing_had_been_forgotten(
    history: list[tuple[str, str, tuple[str, ...], int]], most: int
) -> None:
    """Ended runs above the bound are deleted, those that ended first, and all other runs are unaffected."""
    few, all_of_them = keeping(most), keeping(10_000)
    for what, organization, named, wait in history:
        cases = tuple(case for case in named if "flaky" not in case) or ("login",)  # those start again when forgotten
        for world in (few, all_of_them):
            world.settle(world.now + wait)
            if what == "start":
                world.start(organization, order(organization, cases))
            elif alive := [
                one for one in world.runs.values() if not one.has_ended and one.organization == organization
            ]:
                world.cancel(alive[0])
    for organization in ORGANIZATIONS:
        there = [one for one in all_of_them.runs.values() if one.organization == organization]
        here = [one for one in few.runs.values() if one.organization == organization]
        ended = sorted((one for one in there if one.has_ended), key=lambda one: one.rank)
        kept = sum(one.has_ended for one in here)
        assert min(most, len(ended)) >= kept >= min(len(ended), most - most // 8)
        assert {tuple(one) for one in here} == {
            tuple(one) for one in there if not one.has_ended or one in ended[-kept:]
        }
    assert few.forgotten == few.started - len(few.runs) == all_of_them.started - len(few.runs)


@given(st.integers(1, 12), st.integers(1, 20))
def test_what_is_forgotten_is_not_found(most: int, count: int) -> None:
    """The IDs of a deleted run, its results and its artifacts name nothing."""
    world = keeping(most)
    for _ in range(count):
        world.start(ORGANIZATIONS[0], order(ORGANIZATIONS[0], ("login",)))
    world.settle(BEGAN + 1_000_000)
    for number in range(count):
        name = world.names.run(number)
        assert (world.find_run(ORGANIZATIONS[0], name) is None) == (number not in world.runs)
    assert len(world.runs) <= most


def live_objects(world: World) -> int:
    """How many runs, names, counts and due actions a world holds."""
    names = world.catalogue.to_json()["owners"]
    waiting = sum(len(one.waiting) for one in world.tenancies.values())
    projects = sum(len(world.catalogue.projects(one)) for one in world.tenancies)
    lists = sum(one.runs.list_count for one in world.tenancies.values())
    names_and_actions = len(names) + len(world.run_counts) + len(world.agenda) + len(world.seen)
    return len(world.runs) + names_and_actions + waiting + projects + lists


@given(st.integers(1, 20), st.lists(st.booleans(), min_size=1, max_size=4))
@settings(deadline=None, max_examples=20)
def test_what_is_forgotten_leaves_nothing(most: int, pattern: list[bool]) -> None:
    """The memory of a world is bounded by its stored runs, however many runs were canceled or ended."""
    world = keeping(most)
    for number in range(300):
        cases = (f"new_{number}_flaky", f"new_{number}")
        new = order(ORGANIZATIONS[0], cases)._replace(project_id=f"proj_new_{number}")
        run = world.start(ORGANIZATIONS[0], new)
        world.settle(world.now)  # as the next request does
        if pattern[number % len(pattern)]:
            world.cancel(world.runs[run.number])
        else:
            world.settle(world.now + 10_000)
    assert live_objects(world) <= 16 * (most + 8)


def test_starts_and_cancels_on_a_standing_clock_leave_no_actions() -> None:
    """60,000 starts and cancels leave no action behind, whether the runs were queued or running."""
    world = keeping(100)
    for number in range(6_000):
        started = [world.start(ORGANIZATIONS[0], order(ORGANIZATIONS[0], (f"new_{number}",))) for _ in range(10)]
        world.settle(world.now)
        for run in started:
            world.cancel(world.runs[run.number])
    world.settle(world.now)
    assert len(world.agenda) == 0
    assert live_objects(world) <= 500


def test_a_flaky_case_that_is_forgotten_begins_anew() -> None:
    """A flaky case counts its runs as long as one of them is kept, and begins with a failure again after that."""
    world = keeping(1)
    ends = []
    for case in ("a_flaky", "a_flaky", "b", "a_flaky"):
        run = world.start(ORGANIZATIONS[0], order(ORGANIZATIONS[0], (case,)))
        world.settle(world.now + 10_000)
        ends.append(world.runs[run.number].status)
    assert ends == ["failed", "passed", "passed", "failed"]
