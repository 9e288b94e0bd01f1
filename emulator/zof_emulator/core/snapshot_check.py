"""The whole of a saved world, checked: its numbers lie in their ranges, and its parts agree with one another.

The shape of the JSON value has been checked before: types, and the patterns of IDs. What is checked here holds in every
world at every instant, so that a world that passes it behaves like one that requests have produced.
"""

from __future__ import annotations

from collections import Counter
from contextlib import contextmanager
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Final

from zof_emulator.core.deliveries import DeliveryStatus
from zof_emulator.core.endpoints import MOST_ENDPOINTS, parse_authority
from zof_emulator.core.ids import Permutation
from zof_emulator.core.instants import DAY, LAST
from zof_emulator.core.lifecycle import TERMINAL, Status, choose_end_trigger, find_next_status
from zof_emulator.core.refusal import Refused
from zof_emulator.core.scenario_reader import read_scenario
from zof_emulator.core.timeline import DELIVER

if TYPE_CHECKING:
    from collections.abc import Generator, Iterable, Iterator, Mapping, Sequence

    from zof_emulator.core.outcome_rules import OutcomeRules
    from zof_emulator.core.runs import Run

    State = Mapping[str, Any]
    Runs = Mapping[int, Run]
    Row = Sequence[Any]

MOST_NUMBER: Final = 1 << 46
"""More runs, results or requests than a world can have in its time; all numbers of a world stay below it."""
_RUN_WORD_LENGTH: Final = 16
_SLICE: Final = 10_000
"""The number of runs in a slice of work."""
_OUTCOMES: Final = frozenset({Status.PASSED, Status.FAILED, Status.ERROR})


class InvalidPart(ValueError):  # noqa: N818  it reads as the error that it is
    """A part of a saved world does not agree with the other parts.

    Attributes:
        part: where the part is in the world, such as `catalogue.owners`.
    """

    def __init__(self, part: str) -> None:
        super().__init__(f"world.{part} does not agree with the other parts of the world")
        self.part = part


@contextmanager
def blame_part(part: str) -> Iterator[None]:
    """Raise `InvalidPart` for an error that a value causes in code which expects a valid one."""
    try:
        yield
    except InvalidPart:
        raise
    except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError, Refused) as error:
        raise InvalidPart(part) from error


def check_state(state: State, runs: Runs) -> Generator[None, None, None]:
    """Check a saved world; yields between slices of work.

    Args:
        state: all of it but the runs.
        runs: its runs, each of which `check_run` accepted.

    Raises:
        InvalidPart: it holds what no world can hold.
    """
    with blame_part("config.scenario"):
        rules = read_scenario(state["config"]["scenario"]).rules
    _check_numbers(state, len(runs))
    _check_keys(state)
    _check_catalogue(state)
    _check_suites(state, runs)
    yield
    yield from _check_tenancies(state, runs)
    yield from _check_agenda(state, runs, rules)
    yield
    _check_counts(state, runs, rules)
    yield
    _check_answers(state)
    yield
    _check_outbox(state)


def _require(holds: object, part: str) -> None:
    if not holds:
        raise InvalidPart(part)


def _is_ascending(values: Iterable[Any]) -> bool:
    return all(one <= other for one, other in pairwise(values))


def _is_unique(values: Iterable[Any]) -> bool:
    found = list(values)
    return len(found) == len(set(found))


def _check_numbers(state: State, run_count: int) -> None:
    for name in ("answered", "started", "forgotten"):
        _require(state[name] < MOST_NUMBER, name)
    _require(state["clock_offset_ms"] <= LAST, "clock_offset_ms")
    _require(max(state["retention"][0], state["retention"][2]) <= LAST, "retention")
    _require(state["retention"][1] < MOST_NUMBER, "retention")
    for labels in state["organizations"].values():
        _require(_is_unique(labels), "organizations")
    samples = state["samples"]
    word_of_run = Permutation.from_seed(state["config"]["seed"], "run", 4 * _RUN_WORD_LENGTH)
    words = [word for word in samples if word]
    _require(_is_unique(words) and len(samples) <= state["started"] and (not samples or samples[-1]), "samples")
    _require(not any(word_of_run.number(word) is not None for word in words), "samples")
    _require(state["forgotten"] + run_count == state["started"], "forgotten")


def _check_keys(state: State) -> None:
    _require(_is_unique(row[0] for row in state["keys"]), "keys")
    _require(all(row[1] in state["organizations"] for row in state["keys"]), "keys")


def _check_catalogue(state: State) -> None:
    catalogue, organizations = state["catalogue"], state["organizations"]
    owners = catalogue["owners"]
    _require(set(owners.values()) <= organizations.keys(), "catalogue.owners")
    _require(catalogue["projects"].keys() == organizations.keys(), "catalogue.projects")
    for suite, cases in catalogue["suites"].items():
        _require(suite in owners and _is_unique(cases), "catalogue.suites")
        _require({owners.get(case) for case in cases} == {owners[suite]}, "catalogue.suites")
    listed = dict[str, str]()
    for organization, rows in catalogue["projects"].items():
        listed |= dict.fromkeys((row[1] for row in rows), organization)
        _require(_is_unique(row[1] for row in rows) and _is_ascending(row[3] for row in rows), "catalogue.projects")
        _require(all(one[0] < other[0] for one, other in pairwise(rows)), "catalogue.projects")
        _require(all(row[0] < MOST_NUMBER and row[3] <= state["now"] for row in rows), "catalogue.projects")
    owned = {name: owner for name, owner in owners.items() if name.startswith("proj_")}
    _require(listed == owned, "catalogue.projects")


def _check_suites(state: State, runs: Runs) -> None:
    """Check that a suite is given with its cases, or is the suite of a run."""
    catalogue = state["catalogue"]
    given, suites = set(catalogue["given"]), catalogue["suites"]
    _require(given <= catalogue["owners"].keys(), "catalogue.given")
    _require(suites.keys() <= given | {run.test_suite_id for run in runs.values()}, "catalogue.suites")
    _require(all(given.issuperset(suites[name]) for name in given & suites.keys()), "catalogue.given")


# --- runs


def check_run(run: Run, state: State, before: Run | None) -> None:
    """Check a run of a saved world; `before` is the one that started before it, if there is one.

    Raises:
        InvalidPart: no world with the parts of this state can hold the run.
    """
    number, organization, project, environment, suite, cases, created, status, began, ended = run[:10]
    outcomes, ends, rank, nth, rules = run[10:]
    scenario, part = state["config"]["scenario"], "runs"
    rule_count = 0 if isinstance(scenario, str) else len(scenario.get("outcomes", ()))
    _require(nth < MOST_NUMBER and (not nth or suite is not None), part)
    _require(len(rules) in {0, len(outcomes)} and all(rule < rule_count for rule in rules), part)
    owners = state["catalogue"]["owners"]
    labels = state["organizations"].get(organization)
    _require(number < state["started"] and labels is not None and environment in labels, part)
    named = {project, *cases} | (set() if suite is None else {suite})
    _require({owners.get(name) for name in named} == {organization} and _is_unique(cases), part)
    _require(suite is None or state["catalogue"]["suites"].get(suite) == list(cases), part)
    instants = [created, *(one for one in (began,) if one is not None), *ends]
    instants += [state["now"] if ended is None else ended]
    _require(_is_ascending(instants) and instants[-1] <= state["now"], part)
    _require(len(outcomes) == len(ends) <= len(cases) and set(outcomes) <= _OUTCOMES, part)
    has_ended = status in TERMINAL
    _require(has_ended == (ended is not None) and has_ended == (rank >= 0), part)
    _require(began is not None or not outcomes, part)
    _require(_has_possible_status(run), part)
    _require(before is None or (before.number < number and before.created_at <= created), part)


def _has_possible_status(run: Run) -> bool:
    """Whether the outcomes of a run's cases lead to its status."""
    if run.status is Status.QUEUED:
        return run.started_at is None
    if run.status in {Status.RUNNING, Status.CANCELED}:
        return len(run.outcomes) < len(run.cases) and (run.started_at is not None or run.status is Status.CANCELED)
    if run.started_at is None or len(run.outcomes) != len(run.cases) or run.completed_at != run.ends[-1]:
        return False
    return find_next_status(Status.RUNNING, choose_end_trigger(run.outcomes)) is run.status


def _check_tenancies(state: State, runs: Runs) -> Generator[None, None, None]:
    tenancies = state["tenancies"]
    _require(tenancies.keys() == state["organizations"].keys(), "tenancies")
    running, queued = Counter[str](), dict[str, set[int]]()
    ended: dict[str, list[Run]] = {}
    for place, run in enumerate(runs.values(), 1):
        if run.status is Status.RUNNING:
            running[run.organization] += 1
        elif run.status is Status.QUEUED:
            queued.setdefault(run.organization, set()).add(run.number)
        else:
            ended.setdefault(run.organization, []).append(run)
        if not place % _SLICE:
            yield
    for name, (running_count, waiting, start) in tenancies.items():
        part = f"tenancies.{name}"
        _require(running_count == running[name], part)
        _require(all(one < other for one, other in pairwise(waiting)), part)
        _require(not waiting or waiting[-1] < state["started"], part)
        _require(all(number not in runs or runs[number].organization == name for number in waiting), part)
        _require(queued.get(name, set()) <= set(waiting), part)
        yield
        yield from _check_ranks(ended.get(name, []), start, part)


def _check_ranks(ended: list[Run], start: int, part: str) -> Generator[None, None, None]:
    """Check that the results of the ended runs of an organization follow on one another, from the rank `start` on."""
    rank, ended_at = start, 0
    for place, run in enumerate(sorted(ended, key=lambda run: run.rank), 1):
        _require(run.rank == rank and (run.completed_at or 0) >= ended_at, part)
        rank, ended_at = rank + len(run.cases), run.completed_at or 0
        if not place % _SLICE:
            yield
    _require(rank < MOST_NUMBER, part)


# --- what is due


def _check_agenda(state: State, runs: Runs, rules: OutcomeRules) -> Generator[None, None, None]:
    due, sequence, now = state["agenda"]["due"], state["agenda"]["sequence"], state["now"]
    _require(sequence < MOST_NUMBER and _is_unique(row[1] for row in due), "agenda")
    _require(all(0 < row[1] <= sequence for row in due), "agenda")
    _require(all(due[(place - 1) // 2][:2] < due[place][:2] for place in range(1, len(due))), "agenda")
    _require(all(now <= row[0] and row[2] in state["organizations"] for row in due), "agenda")
    yield
    endpoints = state["outbox"]["endpoints"]
    awaited, filled = set[int](), set[str]()
    for at, _, organization, number, outcome, rule in due:
        _require(rule < (len(rules.rules) if outcome in _OUTCOMES else 0), "agenda")
        if outcome == DELIVER:
            _require(0 <= number < len(endpoints) and endpoints[number][1] == organization, "agenda")
        elif number < 0:
            _require(not outcome and at == now, "agenda")
            filled.add(organization)
        else:
            _require(outcome in _OUTCOMES and number < state["started"] and number not in awaited, "agenda")
            _require(at <= LAST + DAY, "agenda")
            run = runs.get(number)
            _require(run is None or _can_be_due(run, at, organization, rules.longest_ms), "agenda")
            if run is not None and run.status is Status.RUNNING:
                awaited.add(number)
    yield
    _require(awaited == {run.number for run in runs.values() if run.status is Status.RUNNING}, "agenda")
    capacity = state["config"]["capacity"]
    for name, (running, waiting, _) in state["tenancies"].items():
        waits = any(number in runs and runs[number].status is Status.QUEUED for number in waiting)
        _require(not waits or running >= capacity or name in filled, "agenda")
    _check_schedule(state)


def _can_be_due(run: Run, at: int, organization: str, longest_ms: int) -> bool:
    """Whether the end of a run's case can be due at an instant (ms)."""
    if run.organization != organization or run.status is Status.QUEUED or run.started_at is None:
        return False
    began = run.ends[-1] if run.ends else run.started_at
    return began <= at <= began + longest_ms or run.status is not Status.RUNNING


def _check_schedule(state: State) -> None:
    """Each queue whose first delivery is due later must have its instant on the agenda."""
    scheduled = {(row[3], row[0]) for row in state["agenda"]["due"] if row[4] == DELIVER}
    due_at = {row[0]: row[4] for row in state["outbox"]["deliveries"]}
    for endpoint, queue in state["outbox"]["queues"]:
        first = due_at.get(queue[0]) if queue else None
        _require(first is None or first <= state["now"] or (endpoint, first) in scheduled, "agenda")


# --- the rest


def _check_counts(state: State, runs: Runs, rules: OutcomeRules) -> None:
    organizations, owners, now = state["organizations"], state["catalogue"]["owners"], state["now"]
    counts = state["run_counts"]
    _require(_is_unique((row[0], row[1]) for row in counts), "run_counts")
    for organization, name, times in counts:
        _require(owners.get(name) == organization in organizations, "run_counts")
        _require(rules.can_count_case(name) or rules.counts_suite(name), "run_counts")
        _require(0 < times < MOST_NUMBER, "run_counts")
    unfinished = {run.number for run in runs.values() if not run.has_ended}
    seen = [row[0] for row in state["seen"]]
    _require(_is_unique(seen) and unfinished >= set(seen), "seen")
    _require(all(status not in TERMINAL for _, status in state["seen"]), "seen")
    limit, window_ms, _, burst = state["config"]["rate"]
    for end, used, _ in state["limits"].values():
        _require(end <= now + window_ms and used <= limit + burst, "limits")


def _check_answers(state: State) -> None:
    answers, now = state["answers"], state["now"]
    keep_ms, most_bytes, _ = state["retention"]
    _require(_is_unique(tuple(row[:4]) for row in answers), "answers")
    _require(all(row[0] in state["organizations"] for row in answers), "answers")
    _require(sum(row[6] for row in answers) <= most_bytes, "answers")
    _require(_is_ascending(row[7] for row in answers) and all(row[7] <= now + keep_ms for row in answers), "answers")


def _check_outbox(state: State) -> None:
    outbox, now = state["outbox"], state["now"]
    endpoints, organizations = outbox["endpoints"], state["organizations"]
    _require(_is_unique(outbox["samples"]), "outbox.samples")
    _require(max(outbox["counts"]) < MOST_NUMBER, "outbox.counts")
    owners = [row[1] for row in endpoints]
    _require(organizations.keys() >= set(owners), "outbox.endpoints")
    _require(all(owners.count(name) <= MOST_ENDPOINTS for name in organizations), "outbox.endpoints")
    _require(all(row[3] and _is_unique(row[3]) and row[5] <= now for row in endpoints), "outbox.endpoints")
    with blame_part("outbox.endpoints"):
        for row in endpoints:
            parse_authority(row[2])
    _require(_is_unique(row[0] for row in outbox["queues"]), "outbox.queues")
    _require(all(queue for _, queue in outbox["queues"]), "outbox.queues")
    _require(_is_unique(row[0] for row in outbox["deliveries"]), "outbox.deliveries")
    _require(_is_unique(row[0] for row in outbox["rules"]), "outbox.rules")
    _require(_is_ascending(row[0] for row in outbox["rules"]), "outbox.rules")
    for index, row in enumerate(outbox["deliveries"]):
        _check_delivery(row, state, f"outbox.deliveries[{index}]")


def _check_delivery(row: Row, state: State, part: str) -> None:
    _, endpoint, event, _, _, status, attempts, started_at, _, _, _ = row
    endpoints = state["outbox"]["endpoints"]
    _require(endpoint < len(endpoints) and event[2] == endpoints[endpoint][1], part)
    _require(event[0] < state["outbox"]["counts"][0] and event[3] <= state["now"], part)
    _require(started_at is None and status != DeliveryStatus.SENDING, part)
    _require(all(began <= ended <= state["now"] for began, ended, _ in attempts), part)
