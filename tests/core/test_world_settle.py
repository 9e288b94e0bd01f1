"""Settling: the state at an instant does not depend on the steps towards it, and the work is finite."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from zof_emulator.core.instants import DAY, LAST
from zof_emulator.core.refusal import Refused
from zof_emulator.core.timeline import Agenda, Due

from tests.core.worlds import BEGAN, ORGANIZATIONS, WORDS, case_lists, make_world, move_run, order, snapshot

if TYPE_CHECKING:
    from zof_emulator.core.world import World

CENTURY = 36_525 * DAY
deeds = st.tuples(st.sampled_from(["start", "start", "cancel"]), st.sampled_from(ORGANIZATIONS), case_lists)
histories = st.lists(st.tuples(st.integers(0, 3_000), deeds), max_size=12)
stops = st.lists(st.integers(0, 3_000), max_size=4)


def do(world: World, deed: tuple[str, str, tuple[str, ...]]) -> None:
    """Start a run, or cancel the oldest that has not ended."""
    what, organization, cases = deed
    if what == "start":
        world.start(organization, order(organization, cases))
    elif alive := [run for run in world.runs.values() if not run.has_ended and run.organization == organization]:
        world.cancel(alive[0])


@settings(max_examples=60)
@given(histories, st.data())
def test_many_steps_come_to_what_one_step_does(
    history: list[tuple[int, tuple[str, str, tuple[str, ...]]]], data: st.DataObject
) -> None:
    """The state of a world at an instant is the same, however often it was settled before."""
    one, many = make_world(capacity=2), make_world(capacity=2)
    for gap, deed in [*history, (60_000, None)]:
        at = one.now + gap
        one.settle(at)
        for stop in sorted(data.draw(stops)):
            many.settle(min(at, many.now + stop))
        many.settle(at)
        if deed is not None:
            do(one, deed)
            do(many, deed)
        assert snapshot(one) == snapshot(many)


@given(histories, st.integers(0, 10**12))
def test_time_never_goes_back(history: list[tuple[int, tuple[str, str, tuple[str, ...]]]], back: int) -> None:
    """A world that is settled at an earlier instant keeps its own, after all due actions have happened."""
    world = make_world()
    for gap, deed in history:
        world.settle(world.now + gap)
        do(world, deed)
    world.settle(world.now)
    before = snapshot(world)
    world.settle(world.now - back)
    assert snapshot(world) == before


class Counting(Agenda):
    """An agenda that counts added and removed actions."""

    __slots__ = ("put_down", "taken")

    def __init__(self) -> None:
        super().__init__()
        self.taken = self.put_down = 0

    def put(self, at: int, organization: str, number: int = -1, outcome: str = "", rule: int = -1) -> None:
        """Add an action, and count it."""
        super().put(at, organization, number, outcome, rule)
        self.put_down += 1

    def take(self, now: int) -> Due | None:
        """Remove an action, and count it."""
        due = super().take(now)
        self.taken += due is not None
        return due


def test_a_century_with_1000_runs_is_finite_work() -> None:
    """The number of actions depends on the starts and cases, not on the elapsed time."""
    world = make_world()
    world.agenda = agenda = Counting()
    for number in range(1_000):
        world.start("org_a", order("org_a", WORDS[number % 8 :][:3]))
    cases = sum(len(run.cases) for run in world.runs.values())
    world.settle(BEGAN + CENTURY)
    assert all(run.has_ended for run in world.runs.values())
    assert agenda.put_down == agenda.taken == 1_000 + cases
    world.settle(BEGAN + 2 * CENTURY)
    assert agenda.taken == 1_000 + cases


def test_waiting_for_one_of_1000_runs_is_finite_work() -> None:
    """Moving to the end of the last run performs each earlier action once."""
    world = make_world()
    world.agenda = agenda = Counting()
    last = [world.start("org_a", order("org_a", WORDS[:2])) for _ in range(1_000)][-1]
    assert move_run(world, last, to_end=True).has_ended
    assert agenda.taken <= 3_000


def test_canceling_1000_waiting_runs_leaves_nothing_to_do() -> None:
    """A run that was canceled in the queue is skipped, and the next one starts in its place."""
    world = make_world(capacity=1)
    first = world.start("org_a", order("org_a", ("login",)))
    world.settle(world.now)
    waiting = [world.start("org_a", order("org_a", ("login",))) for _ in range(1_000)]
    for run in waiting[:-1]:
        world.cancel(run)
    first = move_run(world, first, to_end=True)
    assert world.runs[len(world.runs) - 1].started_at == first.completed_at
    assert not world.tenancies["org_a"].waiting


@given(st.integers(0, 2 * CENTURY), st.integers(0, 2 * CENTURY))
def test_a_world_is_moved_forward_alone(first: int, second: int) -> None:
    """The clock is moved to a later instant up to the year 9999; any other is refused and changes nothing."""
    world = make_world()
    world.move_to(BEGAN + first)
    assert (world.now, world.clock.offset) == (BEGAN + first, first)
    if second >= first:
        world.move_to(BEGAN + second, "to")
        assert world.now == BEGAN + second
        return
    before = snapshot(world)
    for instant in (BEGAN + second, LAST + 1):
        with pytest.raises(Refused) as refused:
            world.move_to(instant, "to")
        assert (refused.value.reason, refused.value.param) == ("time_out_of_range", "to")
        assert snapshot(world) == before


def test_a_run_that_cannot_end_in_time_is_not_moved_at_all() -> None:
    """A run that would end after the year 9999 cannot be moved to its end, and the refusal changes nothing."""
    world = make_world(now=LAST - 1_000)
    run = world.start("org_a", order("org_a", WORDS))
    before = snapshot(world)
    with pytest.raises(Refused, match="time_out_of_range"):
        move_run(world, run, to_end=True)
    assert snapshot(world) == before
