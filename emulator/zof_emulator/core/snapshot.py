"""Snapshots: a world as one JSON value, and the same world restored from that value."""

from __future__ import annotations

from dataclasses import replace
from hashlib import sha256
from sys import intern
from typing import TYPE_CHECKING, Any, Final

from zof_emulator.core.config import WorldConfig
from zof_emulator.core.ids import IdScheme
from zof_emulator.core.index import ResultIndex
from zof_emulator.core.lifecycle import Status
from zof_emulator.core.runs import Run
from zof_emulator.core.scenario import Scenario
from zof_emulator.core.snapshot_check import blame_part
from zof_emulator.core.tenants import Key, Organization, SeedData
from zof_emulator.core.timeline import Agenda, Clock
from zof_emulator.core.world import Retention, World

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterable, Mapping


_MARK_LENGTH: Final = 24

SLICE: Final = 2_000
"""The number of runs in a slice of work on a saved world: about ten milliseconds of work."""


def save_world(world: World, write: Callable[[Any], Any], runs: Iterable[Run] | None = None) -> dict[str, Any]:
    """All of a world as JSON, except its keys, which are secret; the keys of a scenario have digests in their place.

    `write` writes a kept answer as JSON; `runs`, if given, are written in the place of the world's own. The runs come
    last.
    """
    keep, digests = world.retention, _digest_buckets(world)
    return {
        "config": world.config.to_json(),
        "keys": [_save_key(one) for one in world.keys.values()] if world.config.scenario.data else [],
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
        "run_counts": [[*key, times] for key, times in world.run_counts.items()],
        "seen": [[number, status.value] for number, status in world.seen.items()],
        "outbox": world.outbox.save(),
        "faults": world.faults.to_json(),
        "limits": world.limiter.to_json(lambda name: digests.get(name, name)),
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
        keys: the API keys of the world; those of unknown organizations are left out. The keys of a scenario are in
            `state`, and `keys` supplies the secrets of those that are known.
        read: the inverse of the `write` that was given to `save_world`.

    Raises:
        InvalidPart: `save_world` cannot have returned this value.
    """
    with blame_part("organizations"):
        organizations = tuple(Organization(name, tuple(labels)) for name, labels in state["organizations"].items())
    with blame_part("config"):
        config = WorldConfig.from_json(state["config"])
    if config.scenario.data:
        known = _restore_keys(state["keys"], keys)
    else:
        known = tuple(key for key in keys if key.organization in state["organizations"])
    bare = replace(config, scenario=Scenario.EMPTY)
    with blame_part("keys"):
        world = World(bare, SeedData(organizations, known), state["now"], Retention(*state["retention"]))
    world.config, world.outcome_rules = config, config.scenario.rules
    world.clock = Clock(config.clock, state["clock_offset_ms"])
    world.answered = state["answered"]
    with blame_part("samples"):
        world.names = IdScheme(world.seed, tuple(state["samples"]))
    with blame_part("catalogue"):
        world.catalogue.restore(state["catalogue"])
    world.started, world.forgotten = state["started"], state["forgotten"]
    world.runs = runs
    with blame_part("tenancies"):
        _restore_tenancies(world, state["tenancies"])
    with blame_part("runs"):
        yield from _index_runs(world)
    with blame_part("agenda"):
        world.agenda = Agenda.from_json(state["agenda"])
    with blame_part("outbox"):
        world.outbox.restore(state["outbox"])
    world.run_counts = {(organization, name): times for organization, name, times in state["run_counts"]}
    world.seen = {number: Status(status) for number, status in state["seen"]}
    with blame_part("faults"):
        world.faults.restore(state["faults"])
    buckets = {mark: bucket for bucket, mark in _digest_buckets(world).items()}
    with blame_part("limits"):
        world.limiter.restore(state["limits"], lambda name: buckets.get(name, name))
    with blame_part("answers"):
        world.answers.restore(state["answers"], read)
    return world


def _restore_tenancies(world: World, saved: Mapping[str, Any]) -> None:
    for name, (running, waiting, start) in saved.items():
        tenancy = world.tenancies[name]
        tenancy.running, tenancy.results = running, ResultIndex(start)
        tenancy.waiting.update(dict.fromkeys(waiting))


def read_run(row: Iterable[Any]) -> Run:
    """The run in a row that `save_world` wrote."""
    number, organization, project, environment, suite, cases, created, status, began, ended, *rest = row
    outcomes, ends, rank, nth, rules = rest
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
        nth,
        tuple(rules),
    )


def _index_runs(world: World) -> Generator[None, None, None]:
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


def _digest_buckets(world: World) -> dict[str, str]:
    """The names of the buckets of the rate limit in a snapshot: digests, because a bucket may be a secret key."""
    marks = {name: sha256(name.encode()).hexdigest()[:_MARK_LENGTH] for name in world.organizations}
    return marks | {name: key.digest[:_MARK_LENGTH] for name, key in world.keys.items()}


def _save_key(key: Key) -> list[Any]:
    return [key.digest, key.organization, sorted(key.permissions), key.note, key.expires_at, key.revoked]


def _restore_keys(saved: Iterable[Iterable[Any]], known: Iterable[Key]) -> tuple[Key, ...]:
    """The saved keys; each has its secret if a known key has the same digest."""
    secrets = {key.digest: key.secret for key in known}
    keys = []
    for digest, organization, permissions, note, expires_at, revoked in saved:
        secret = secrets.get(digest, "")
        rest = organization, frozenset(permissions), note, expires_at, revoked
        keys.append(Key(secret, *rest, known_digest="" if secret else digest))
    return tuple(keys)
