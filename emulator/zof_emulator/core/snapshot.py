"""Snapshots: a world as one JSON value, and the same world restored from that value."""

from __future__ import annotations

from hashlib import sha256
from sys import intern
from typing import TYPE_CHECKING, Any, Final

from zof_emulator.core.config import WorldConfig
from zof_emulator.core.ids import IdScheme
from zof_emulator.core.index import ResultIndex
from zof_emulator.core.lifecycle import Status
from zof_emulator.core.runs import Run
from zof_emulator.core.tenants import Organization, SeedData
from zof_emulator.core.timeline import Agenda, Clock
from zof_emulator.core.world import Retention, World

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterable, Mapping

    from zof_emulator.core.tenants import Key

SLICE: Final = 2_000
"""The number of runs in a slice of work on a saved world: about ten milliseconds of work."""


def save_world(world: World, write: Callable[[Any], Any], runs: Iterable[Run] | None = None) -> dict[str, Any]:
    """All of a world as JSON, except its keys, which are secret.

    `write` writes a kept answer as JSON; `runs`, if given, are written in the place of the world's own. The runs come
    last.
    """
    keep = world.retention
    return {
        "config": world.config.to_json(),
        "clock_offset_ms": world.clock.offset,
        "now": world.now,
        "answered": world.answered,
        "retention": [keep.answers_ms, keep.answers_bytes, keep.artifacts_ms],
        "organizations": {one.id: list(one.environments) for one in world.organizations.values()},
        "samples": list(world.names.samples),
        "catalogue": world.catalogue.to_json(),
        "started": world.started,
        "forgotten": world.forgotten,
        "tenancies": {
            name: [one.running, list(one.waiting), one.results.start] for name, one in world.tenancies.items()
        },
        "agenda": world.agenda.to_json(),
        "flaky": [[*key, times] for key, times in world.flaky.items()],
        "seen": [[number, status.value] for number, status in world.seen.items()],
        "outbox": world.outbox.save(),
        "faults": world.faults.to_json(),
        "limits": world.limiter.to_json(_mark),
        "answers": world.answers.to_json(write),
        "runs": [list(run) for run in (world.runs.values() if runs is None else runs)],
    }


def restore_world(
    state: Mapping[str, Any], runs: dict[int, Run], keys: Iterable[Key], read: Callable[[Any], Any]
) -> Generator[None, None, World]:
    """Make the saved world; yields between slices of work.

    Args:
        state: a value that `save_world` returned; its runs are not read.
        runs: the runs, by number, in the order of their start; the world takes this dictionary.
        keys: the API keys of the world; those of unknown organizations are left out.
        read: the inverse of the `write` that was given to `save_world`.

    Raises:
        AttributeError, LookupError, TypeError, ValueError: `save_world` cannot have returned this value.
    """
    organizations = tuple(Organization(name, tuple(labels)) for name, labels in state["organizations"].items())
    known = tuple(key for key in keys if key.organization in state["organizations"])
    config = WorldConfig.from_json(state["config"])
    world = World(config, SeedData(organizations, known), state["now"], Retention(*state["retention"]))
    world.clock = Clock(config.clock, state["clock_offset_ms"])
    world.answered = state["answered"]
    world.names = IdScheme(world.seed, tuple(state["samples"]))
    world.catalogue.restore(state["catalogue"])
    world.started, world.forgotten = state["started"], state["forgotten"]
    world.runs = runs
    for name, (running, waiting, start) in state["tenancies"].items():
        tenancy = world.tenancies[name]
        tenancy.running, tenancy.results = running, ResultIndex(start)
        tenancy.waiting.update(dict.fromkeys(waiting))
    yield from _list(world)
    world.agenda = Agenda.from_json(state["agenda"])
    world.outbox.restore(state["outbox"])
    world.flaky = {(organization, case): times for organization, case, times in state["flaky"]}
    world.seen = {number: Status(status) for number, status in state["seen"]}
    world.faults.restore(state["faults"])
    buckets = {_mark(bucket): bucket for bucket in (*world.keys, *world.organizations)}
    world.limiter.restore(state["limits"], lambda name: buckets.get(name, name))
    world.answers.restore(state["answers"], read)
    return world


def read_run(row: Iterable[Any]) -> Run:
    """The run in a row that `save_world` wrote."""
    number, organization, project, environment, suite, cases, created, status, began, ended, outcomes, ends, rank = row
    return Run(
        number,
        intern(organization),
        intern(project),
        intern(environment),
        suite,
        tuple(map(intern, cases)),
        created,
        Status(status),
        began,
        ended,
        tuple(map(Status, outcomes)),
        tuple(ends),
        rank,
    )


def _list(world: World) -> Generator[None, None, None]:
    """Add the runs to their indexes in the order of their start, and the results in the order of their runs' end."""
    for place, run in enumerate(world.runs.values(), 1):
        world.tenancies[run.organization].runs.add(run)
        world.catalogue.use(run.project_id, run.test_suite_id, run.cases)
        if not place % SLICE:
            yield
    ended = sorted((run for run in world.runs.values() if run.has_ended), key=lambda run: run.rank)
    for place, run in enumerate(ended, 1):
        world.tenancies[run.organization].results.add(run)
        if not place % SLICE:
            yield


def _mark(bucket: str) -> str:
    """The name of a rate limit's bucket in a snapshot: a digest, because the bucket may be a secret key."""
    return sha256(bucket.encode()).hexdigest()[:24]
