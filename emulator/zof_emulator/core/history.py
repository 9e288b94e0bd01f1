"""The history of a new world: the runs that a scenario says have ended, and those that wait when the world begins.

Runs of the past are made directly, not carried out one action after another, so that a world with 10,000 runs begins in
a fraction of a second. They keep the rules that all runs keep: an organization never had more runs at once than its
capacity, and its queue was first in, first out.
"""

from __future__ import annotations

from collections import Counter
from heapq import heappop, heappush
from typing import TYPE_CHECKING, Final, NamedTuple

from zof_emulator.core.catalogue import Order
from zof_emulator.core.ids import IdScheme
from zof_emulator.core.lifecycle import Status
from zof_emulator.core.outcome_rules import draw
from zof_emulator.core.outcomes import choose_duration
from zof_emulator.core.runs import Run, add_rule
from zof_emulator.core.scenario import PastRuns
from zof_emulator.core.timeline import SLICE

if TYPE_CHECKING:
    from collections.abc import Generator, Iterable, Sequence

    from zof_emulator.core.tenants import Sample
    from zof_emulator.core.world import World

_PERCENT: Final = 100


class _Planned(NamedTuple):
    """A run of the past before it is carried out."""

    created_at: int
    entry: int
    """The index of its entry."""
    place: int
    """Its index among the runs of its entry."""


class _Fate(NamedTuple):
    """The status of a run of the past, and the draw that chooses the case that decides it."""

    status: Status
    draw: int


class _Past(NamedTuple):
    """A run of the past after it was carried out, before it has its place among the results."""

    plan: _Planned
    nth: int
    status: Status
    started_at: int
    completed_at: int
    outcomes: tuple[Status, ...]
    ends: tuple[int, ...]
    rules: tuple[int, ...]


def add_history(world: World, samples: Iterable[Sample]) -> Generator[None, None, None]:
    """Add the runs of a scenario, and the sample runs, to a world without runs; yields between slices of work."""
    scenario = world.config.scenario
    entries = [_make_past_runs(one) for one in samples]
    entries += [one for one in scenario.runs if not one.is_queued]
    past = yield from _carry_out_all(world, entries, (yield from _plan(world, entries)))
    yield from _add_runs(world, entries, past)
    words = [entries[one.plan.entry].word for one in past]
    while words and not words[-1]:
        words.pop()
    world.names = IdScheme(world.seed, tuple(words))
    for entry in scenario.runs:
        if entry.is_queued:
            for number in range(entry.count):
                world.start(entry.organization, _make_order(entry))
                if _ends_slice(number, len(entry.cases)):
                    yield


def _ends_slice(number: int, cases: int) -> bool:
    """Whether a slice of work ends with this run, one of many with this number of cases."""
    size = max(1, SLICE // max(1, cases))
    return number % size == size - 1


def _make_order(entry: PastRuns) -> Order:
    return Order(entry.project_id, entry.environment, () if entry.suite else entry.cases, entry.suite)


def _make_past_runs(sample: Sample) -> PastRuns:
    return PastRuns(
        organization=sample.organization,
        project_id=sample.project_id,
        environment=sample.environment,
        suite=None,
        cases=sample.test_case_ids,
        age_ms=sample.age_ms,
        word=sample.word,
    )


def _plan(world: World, entries: Sequence[PastRuns]) -> Generator[None, None, list[_Planned]]:
    """All runs in the order of their creation; of an organization with too many, the last ones."""
    planned = []
    for number, entry in enumerate(entries):
        begin = world.now - entry.age_ms - entry.over_ms
        for index in range(entry.count):
            lower = entry.over_ms * index // entry.count
            width = max(1, entry.over_ms * (index + 1) // entry.count - lower)
            planned.append(_Planned(begin + lower + draw(f"{world.seed}/past/{number}/{index}") % width, number, index))
            if _ends_slice(index, 1):
                yield
    planned.sort()
    surplus = Counter(entries[one.entry].organization for one in planned)
    for organization in surplus:
        surplus[organization] -= world.config.max_runs
    kept = []
    for one in planned:
        organization = entries[one.entry].organization
        if surplus[organization] > 0:
            surplus[organization] -= 1
        else:
            kept.append(one)
    return kept


def _draw_fates(seed: int, number: int, entry: PastRuns) -> list[Status]:
    """The status of each run of an entry: exactly the shares that it names, in an order that the seed chooses."""
    count = entry.count
    fates = [Status.PASSED] * count
    shares = (
        (Status.FAILED, entry.failed_percent),
        (Status.ERROR, entry.error_percent),
        (Status.CANCELED, entry.canceled_percent),
    )
    if not entry.has_shares:
        return fates
    order = sorted(range(count), key=lambda index: draw(f"{seed}/fate/{number}/{index}"))
    begin = 0
    for status, percent in shares:
        end = min(count, begin + count * percent // _PERCENT)
        for index in order[begin:end]:
            fates[index] = status
        begin = end
    return fates


def _carry_out_all(
    world: World, entries: Sequence[PastRuns], planned: Sequence[_Planned]
) -> Generator[None, None, list[_Past]]:
    """Carry out all runs, each as soon as there is a place for it."""
    fates = [_draw_fates(world.seed, number, one) for number, one in enumerate(entries)]
    begun = [_begin_run(world, one) for one in entries]
    free = {one: [0] * min(world.config.capacity, len(planned)) for one in world.tenancies}
    past = []
    for number, plan in enumerate(planned):
        places = free[entries[plan.entry].organization]
        started_at = max(plan.created_at, heappop(places))
        if entries[plan.entry].has_shares:
            fate = _Fate(fates[plan.entry][plan.place], draw(f"{world.seed}/case/{number}"))
            one = _follow_fate(world, begun[plan.entry], plan, started_at, fate)
        else:
            one = _follow_rules(world, begun[plan.entry], plan, started_at)
        heappush(places, one.completed_at)
        past.append(one)
        if _ends_slice(number, len(begun[plan.entry].cases)):
            yield
    return past


def _begin_run(world: World, entry: PastRuns) -> Run:
    """A run of an entry, without a number or instants."""
    cases = world.catalogue.resolve(entry.organization, _make_order(entry), world.now)
    return Run(0, entry.organization, entry.project_id, entry.environment, entry.suite, cases, 0)


def _follow_rules(world: World, run: Run, plan: _Planned, started_at: int) -> _Past:
    """Carry out a run whose cases end as they would end now."""
    nth = world.count_suite(run)
    counted = run._replace(nth=nth) if nth else run
    outcomes, ends, now = list[Status](), list[int](), started_at
    rules: tuple[int, ...] = ()
    for index, case in enumerate(run.cases):
        status, took, rule = world.plan_case(counted, case)
        now += took
        rules = add_rule(rules, index, rule)
        outcomes.append(status)
        ends.append(now)
    final = next((one for one in (Status.ERROR, Status.FAILED) if one in outcomes), Status.PASSED)
    return _Past(plan, nth, final, started_at, now, tuple(outcomes), tuple(ends), rules)


def _follow_fate(world: World, run: Run, plan: _Planned, started_at: int, fate: _Fate) -> _Past:
    """Carry out a run that ends with the status of its fate, because one of its cases does."""
    timing, cases, status = world.outcome_rules.timing, run.cases, fate.status
    chosen = fate.draw % len(cases) if status is not Status.PASSED else 0
    ends, now = list[int](), started_at
    for index, case in enumerate(cases):
        took = choose_duration(world.seed, case, timing.shortest_ms, timing.longest_ms, timing.slow_factor)
        if status is Status.CANCELED and index == chosen:
            return _Past(plan, 0, status, started_at, now + took // 2, (Status.PASSED,) * index, tuple(ends), ())
        now += took
        ends.append(now)
    passed = (Status.PASSED,) * len(cases)
    return _Past(plan, 0, status, started_at, now, (*passed[:chosen], status, *passed[chosen + 1 :]), tuple(ends), ())


def _add_runs(world: World, entries: Sequence[PastRuns], past: Sequence[_Past]) -> Generator[None, None, None]:
    """Add the runs to a world, so far in the past that the last one has ended when the world begins."""
    late = max([0, *(one.completed_at - world.now for one in past)])
    begun = [_begin_run(world, one) for one in entries]
    order = sorted(range(len(past)), key=lambda number: past[number].completed_at)
    ends = dict.fromkeys(world.tenancies, 0)
    ranks = [0] * len(past)
    for number in order:
        run = begun[past[number].plan.entry]
        ranks[number] = ends[run.organization]
        ends[run.organization] += len(run.cases)
    for number, one in enumerate(past):
        usual = begun[one.plan.entry]
        run = Run(
            number,
            *usual[1:6],
            one.plan.created_at - late,
            one.status,
            one.started_at - late,
            one.completed_at - late,
            one.outcomes,
            tuple(end - late for end in one.ends) if late else one.ends,
            ranks[number],
            one.nth,
            one.rules,
        )
        world.runs[number] = run
        world.tenancies[run.organization].runs.add(run)
        world.catalogue.use(run.project_id, run.test_suite_id, run.cases)
        if _ends_slice(number, len(run.cases)):
            yield
    for place, number in enumerate(order):
        run = world.runs[number]
        world.tenancies[run.organization].results.add(run)
        if _ends_slice(place, len(run.cases)):
            yield
    world.started = len(past)
