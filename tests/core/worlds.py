"""Worlds for the tests of the core: small data, the words that tell outcomes, and strategies for runs in any state."""

from __future__ import annotations

from typing import Final

from hypothesis import strategies as st
from zof_emulator.core import runs
from zof_emulator.core.catalogue import Order
from zof_emulator.core.config import ClockMode, References, WorldConfig
from zof_emulator.core.index import NO_END, Period
from zof_emulator.core.lifecycle import Status
from zof_emulator.core.runs import Run
from zof_emulator.core.tenants import Organization, SeedData
from zof_emulator.core.world import World

BEGAN: Final = 1_767_225_600_123
"""2026-01-01T00:00:00.123Z: no whole second, so that rounding shows."""
ORGANIZATIONS: Final = ("org_a", "org_b")
PROJECTS: Final = ("proj_one", "proj_two")
ENDINGS: Final = (Status.PASSED, Status.FAILED, Status.ERROR)
"""The outcomes of a case that ran to its end."""
WORDS: Final = ("login", "search", "cart", "pay_fail", "load_error", "sync_flaky", "import_slow", "sort_fail_slow")
DATA: Final = SeedData(organizations=tuple(Organization(one) for one in ORGANIZATIONS), keys=())

case_lists: Final = st.lists(st.sampled_from(WORDS), min_size=1, max_size=4, unique=True).map(tuple)
"""The cases of a run, without an organization: an open reference belongs to whoever names it first."""


def make_world(
    *,
    seed: int = 0,
    capacity: int = 4,
    now: int = BEGAN,
    data: SeedData = DATA,
    references: References = References.OPEN,
) -> World:
    """A world with a manual clock and, by default, nothing in it."""
    return World(WorldConfig(seed=seed, clock=ClockMode.MANUAL, capacity=capacity, references=references), data, now)


def order(organization: str, cases: tuple[str, ...], project: str = PROJECTS[0]) -> Order:
    """An order of cases and a project that belong to this organization alone."""
    return Order(f"{project}_{organization}", "staging", tuple(f"tc_{organization}_{case}" for case in cases))


@st.composite
def from_life(draw: st.DrawFn, *, most_cases: int = 6) -> tuple[Run, ...]:
    """The states of one run, from its creation to any state that a run can be in."""
    cases = tuple(f"tc_{place}" for place in range(draw(st.integers(1, most_cases))))
    now = BEGAN + draw(st.integers(0, 5_000))
    states = [Run(draw(st.integers(0, 9)), ORGANIZATIONS[0], PROJECTS[0], "staging", None, cases, now)]
    for _ in range(draw(st.integers(0, len(cases) + 2))):
        run = states[-1]
        now += draw(st.integers(0, 5_000))
        if run.has_ended:
            break
        if draw(st.integers(0, 5)) == 0:
            states.append(runs.cancel(run, now))
        elif run.status is Status.QUEUED:
            states.append(runs.begin(run, now))
        else:
            states.append(runs.end_case(run, draw(st.sampled_from(ENDINGS)), now))
    return tuple(states)


lives: Final = from_life()


def snapshot(world: World) -> object:
    """All public state of a world: runs, lists under every filter, results and projects."""
    lists = []
    for organization, tenancy in world.tenancies.items():
        for status in (None, *Status):
            projects = (None, *(f"{one}_{organization}" for one in PROJECTS))
            lists += [tenancy.runs.page(project, status, Period(), NO_END, 1_000) for project in projects]
            lists.append(tenancy.results.page(None, status, Period(), NO_END, 1_000))
        lists.append(([tenancy.running, *tenancy.waiting], False))
    ranked = [
        world.result(*world.result_at_rank(organization, rank))
        for organization, tenancy in world.tenancies.items()
        for rank in range(tenancy.results.start, tenancy.results.end)
    ]
    named = [list(world.catalogue.projects(organization)) for organization in world.tenancies]
    return world.now, [(world.names.run(run.number), repr(run)) for run in world.runs.values()], lists, ranked, named


def move_run(world: World, run: Run, *, to_end: bool) -> Run:
    """Move the clock until the run, or without `to_end` its next case, has ended; return the changed run."""
    has_ended = world.watch_progress(run, to_end=to_end)
    world.check_moving()
    while not has_ended():
        world.move_to(max(world.now, world.agenda.first))
    return world.runs[run.number]


def list_started(run: Run) -> range:
    """The indexes of the cases that have started."""
    return range(len(run.ends) + (run.started_at is not None and len(run.ends) < len(run.cases)))
