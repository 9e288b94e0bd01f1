"""The state of a world in one value: the rules of the core act on it, and a snapshot saves it."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Final, NamedTuple
from weakref import ref

from zof_emulator.core.catalogue import Catalogue
from zof_emulator.core.endpoints import Registration
from zof_emulator.core.fault_store import FaultStore
from zof_emulator.core.idempotency import IdempotencyStore
from zof_emulator.core.ids import IdScheme
from zof_emulator.core.index import ResultIndex, RunIndex
from zof_emulator.core.instants import DAY
from zof_emulator.core.limits import Limiter
from zof_emulator.core.outbox import Outbox
from zof_emulator.core.timeline import DELIVER, Agenda, Clock

if TYPE_CHECKING:
    from collections.abc import Callable

    from zof_emulator.core.config import WorldConfig
    from zof_emulator.core.lifecycle import Status
    from zof_emulator.core.runs import Run
    from zof_emulator.core.tenants import Key, Organization, Sample, SeedData

_MIB: Final = 1 << 20


class EventKind(StrEnum):
    """The events that time causes in a world."""

    RUN_STARTED = "run_started"
    CASE_ENDED = "case_ended"
    RUN_ENDED = "run_ended"


class Event(NamedTuple):
    """An event of a run or of one of its cases, at an instant in ms."""

    at: int
    event: EventKind
    run_id: str
    test_case_id: str | None
    """The case that ended; None if the run started or ended."""
    status: str
    """The status of the run or the case after the event."""


@dataclass(frozen=True, slots=True)
class Retention:
    """The retention periods of a world, in ms, and its limit in bytes. The contract fixes them."""

    answers_ms: int = DAY
    answers_bytes: int = 64 * _MIB
    artifacts_ms: int = 90 * DAY


class Tenancy:
    """The runs of an organization: their indexes, the queue of waiting runs, and the number of running ones."""

    __slots__ = ("results", "running", "runs", "waiting")

    def __init__(self) -> None:
        self.runs = RunIndex()
        self.results = ResultIndex()
        self.waiting: OrderedDict[int, None] = OrderedDict()
        """The numbers of the queued runs, in the order in which they start."""
        self.running = 0


def sort_samples(data: SeedData, config: WorldConfig) -> list[Sample]:
    """The sample runs of a new world with this configuration, the oldest first."""
    samples = data.samples if config.scenario.has_samples else ()
    return sorted(samples, key=lambda sample: -sample.age_ms)


class WorldState:
    """The organizations, their runs and everything else that a world stores, at the instant `now` (ms)."""

    __slots__ = (
        "__weakref__",
        "agenda",
        "answered",
        "answers",
        "catalogue",
        "clock",
        "config",
        "faults",
        "forgotten",
        "keys",
        "limiter",
        "names",
        "now",
        "on_event",
        "organizations",
        "outbox",
        "outcome_rules",
        "retention",
        "run_counts",
        "runs",
        "seed",
        "seen",
        "started",
        "tenancies",
    )

    def __init__(self, config: WorldConfig, data: SeedData, now: int, retention: Retention | None = None) -> None:
        """Make the state of a world that holds the data of its scenario, or `data`, at `now` (ms), without runs."""
        data = config.scenario.data or data
        self.config = config
        self.retention = retention = retention or Retention()
        self.seed = seed = config.seed
        self.clock = Clock(config.clock)
        self.now = now
        self.names = IdScheme(seed, tuple(sample.word for sample in sort_samples(data, config)))
        self.organizations: dict[str, Organization] = {
            one.id: one.add_environments(config.environments) for one in data.organizations
        }
        self.keys: dict[str, Key] = {key.name: key.start_at(now) for key in data.keys}
        """The keys by their secrets, or by their digests if the secrets are not known."""
        self.catalogue = Catalogue(data, now, references=config.references)
        self.limiter = Limiter(config.rate)
        self.answers: IdempotencyStore[Any] = IdempotencyStore(retention.answers_ms, retention.answers_bytes)
        self.answered = 0
        """The number of requests that this world has answered."""
        self.runs: dict[int, Run] = {}
        """All runs that are not deleted, by number."""
        self.started = 0
        """The number of runs that have been started, which is the number of the next run."""
        self.forgotten = 0
        """The number of ended runs that have been deleted to make room for others."""
        self.tenancies = {one.id: Tenancy() for one in data.organizations}
        self.agenda = Agenda()
        self.outbox = self._sample_outbox(data)
        """The webhooks of the organizations, and the deliveries to them."""
        self.outcome_rules = config.scenario.rules
        """The rules that decide the outcomes of cases."""
        self.run_counts: dict[tuple[str, str], int] = {}
        """How often each case and suite of an organization has begun, as far as an outcome depends on it."""
        self.seen: dict[int, Status] = {}
        """In the clock mode `auto`: the status that a client last saw of each run that has not ended."""
        self.faults = FaultStore(seed)
        for rule in config.scenario.faults:
            self.faults.add(rule)
        """The rules by which requests fail on purpose."""
        self.on_event: Callable[[Event], None] | None = None
        """Called with every event; None if nobody listens."""

    def _sample_outbox(self, data: SeedData) -> Outbox:
        """The outbox with the sample endpoints, each registered in its own past."""
        webhooks = data.webhooks if self.config.scenario.has_samples else ()
        outbox = Outbox(self.seed, _make_scheduler(self), tuple(one.word for one in webhooks))
        outbox.evolves = self.config.evolve
        for one in webhooks:
            outbox.register(one.organization, Registration(one.url, one.events, one.secret), self.now - one.age_ms)
        return outbox


def _make_scheduler(world: WorldState) -> Callable[[int, int], None]:
    """The function that puts the instant (ms) of an endpoint's next delivery on the agenda of a world.

    The outbox holds it. It does not hold the world, so that the memory of a world is free as soon as nothing uses it.
    """
    find_world = ref(world)

    def schedule(at: int, endpoint: int) -> None:
        found = find_world()
        if found is not None:
            organization = found.outbox.endpoints.get(endpoint).organization
            found.agenda.put(at, organization, endpoint, DELIVER)

    return schedule
