"""The world: all state in one value, and the verbs that change it; whoever calls says what time it is."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from zof_emulator.core import artifacts, runs
from zof_emulator.core.catalogue import Catalogue, Order
from zof_emulator.core.config import ClockMode, Scenario
from zof_emulator.core.deliveries import EventFacts
from zof_emulator.core.endpoints import EventType, Registration
from zof_emulator.core.idempotency import IdempotencyStore
from zof_emulator.core.ids import IdScheme
from zof_emulator.core.index import ResultIndex, RunIndex
from zof_emulator.core.instants import DAY, LAST, rfc3339_ms
from zof_emulator.core.lifecycle import Status
from zof_emulator.core.limits import Limiter
from zof_emulator.core.outbox import Outbox
from zof_emulator.core.outcomes import LONGEST, duration, failure, is_flaky, outcome
from zof_emulator.core.refusal import Refused
from zof_emulator.core.results import Result
from zof_emulator.core.runs import Run
from zof_emulator.core.timeline import DELIVER, NEVER, Agenda, Clock

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from zof_emulator.core.artifacts import Artifact
    from zof_emulator.core.config import WorldConfig
    from zof_emulator.core.tenants import Key, Organization, Sample, SeedData

_MIB: Final = 1 << 20
_CENTURY: Final = 100 * 365 * DAY


class Event(NamedTuple):
    """Something that came due: at an instant in ms, to a run, or to a case of it."""

    at: int
    event: str
    """`run_started`, `case_ended` or `run_ended`."""
    run_id: str
    test_case_id: str | None
    status: str
    """What the run, or the case, then is."""


@dataclass(frozen=True, slots=True)
class Retention:
    """How long and how much of what a world keeps, as the contract says; no setting. Times are in ms."""

    answers_ms: int = DAY
    answers_bytes: int = 64 * _MIB
    artifacts_ms: int = 90 * DAY


class Tenancy:
    """The runs of one organization: where they are listed, who waits, how many run."""

    __slots__ = ("results", "running", "runs", "waiting")

    def __init__(self) -> None:
        self.runs = RunIndex()
        self.results = ResultIndex()
        self.waiting: deque[int] = deque()
        self.running = 0


def samples_of(data: SeedData, config: WorldConfig) -> tuple[Sample, ...]:
    """The ended runs that a new world with this configuration holds."""
    return data.samples if config.scenario is Scenario.DEFAULT else ()


class World:
    """Organizations, their runs and all that follows, at one instant (`now`, ms)."""

    __slots__ = (
        "agenda",
        "answered",
        "answers",
        "catalogue",
        "clock",
        "config",
        "flaky",
        "forgotten",
        "heard",
        "keys",
        "limiter",
        "names",
        "now",
        "organizations",
        "outbox",
        "retention",
        "runs",
        "seed",
        "seen",
        "started",
        "tenancies",
    )

    def __init__(self, config: WorldConfig, data: SeedData, now: int, retention: Retention | None = None) -> None:
        """A world that holds `data` at `now` (ms), without its samples where the scenario is empty."""
        self.config = config
        self.retention = retention = retention or Retention()
        self.seed = seed = config.seed
        self.clock = Clock(config.clock)
        self.now = now
        samples = sorted(samples_of(data, config), key=lambda sample: -sample.age_ms)
        self.names = IdScheme(seed, tuple(sample.word for sample in samples))
        self.organizations: dict[str, Organization] = {
            one.id: one.with_environments(config.environments) for one in data.organizations
        }
        self.keys: dict[str, Key] = {key.secret: key for key in data.keys}
        self.catalogue = Catalogue(data, now, references=config.references)
        self.limiter = Limiter(config.rate)
        self.answers: IdempotencyStore[Any] = IdempotencyStore(retention.answers_ms, retention.answers_bytes)
        self.answered = 0
        """How many requests this world has answered."""
        self.runs: dict[int, Run] = {}
        """All runs that are not forgotten, by number."""
        self.started = 0
        """How many runs there have been; the number of the next one."""
        self.forgotten = 0
        """How many ended runs have made room for others."""
        self.tenancies = {one.id: Tenancy() for one in data.organizations}
        self.agenda = Agenda()
        self.flaky: dict[tuple[str, str], int] = {}
        """How often each flaky case of an organization has run."""
        self.seen: dict[int, Status] = {}
        """As what a client was last shown a run that had not ended, where time jumps when it asks again."""
        self.heard: Callable[[Event], None] | None = None
        """Hears of what happens, if somebody wants to know."""
        self.outbox = self._sample_outbox(data, now)
        self._live_through(samples, now)

    def _live_through(self, samples: Iterable[Sample], now: int) -> None:
        """Let the samples happen, each in its own past, so that nothing about them is special."""
        for sample in samples:
            self.now = now - sample.age_ms
            self.start(sample.organization, Order(sample.project_id, sample.environment, sample.test_case_ids))
            while self.agenda.first < NEVER:
                self.settle(self.agenda.first)
        self.now = now

    def _sample_outbox(self, data: SeedData, now: int) -> Outbox:
        """The outbox with the sample endpoints, each registered in its own past."""
        webhooks = data.webhooks if self.config.scenario is Scenario.DEFAULT else ()
        outbox = Outbox(self.seed, self._schedule_delivery, tuple(one.word for one in webhooks))
        for one in webhooks:
            outbox.register(one.organization, Registration(one.url, one.events), now - one.age_ms)
        return outbox

    def _schedule_delivery(self, at: int, endpoint: int) -> None:
        organization = self.outbox.endpoints.get(endpoint).organization
        self.agenda.put(at, organization, endpoint, DELIVER)

    # --- time

    def reach(self, system: int) -> None:
        """Come to the instant that it is, given the system's (ms)."""
        now = self.clock.read(system, self.now)
        if now < self.agenda.first:
            self.now = now
        else:
            self.settle(now)

    def settle(self, now: int) -> None:
        """Carry out all that has come due until `now` (ms), in order. Time never runs backwards."""
        while self.agenda.first <= now and (due := self.agenda.take(now)) is not None:
            self.now = max(self.now, due.at)
            if due.outcome == DELIVER:
                self.outbox.wake(due.number)
            elif due.number < 0:
                self._fill(due.organization)
            else:
                run = self.runs.get(due.number)
                if run is not None:
                    self._end_case(run, Status(due.outcome))
        self.now = max(self.now, now)

    def move_to(self, instant: int, param: str | None = None) -> None:
        """Move the clock to an instant in ms; what comes due on the way happens. `param` is to blame if it cannot."""
        self.check_reachable(instant, param)
        self.clock = self.clock.moved(instant - self.now)
        self.settle(instant)

    def check_reachable(self, instant: int, param: str | None = None) -> None:
        """`Refused` when the clock cannot move to an instant in ms; `param` is to blame."""
        if not self.now <= instant <= LAST:
            raise Refused("time_out_of_range", param, now=rfc3339_ms(self.now))

    def check_moving(self) -> None:
        """`Refused` when no run will bring what is waited for, or the clock could reach the end of time before."""
        if self.now + self._most_work_ms() > LAST:
            raise Refused("time_out_of_range", now=rfc3339_ms(self.now))
        if all(run.ended for run in reversed(self.runs.values())):  # what is due then is for runs that were canceled
            raise Refused("nothing_due")

    def move_until(self, has_come: Callable[[], bool]) -> None:
        """Move the clock from one due thing to the next until something has come; `Refused` if it never will.

        As long as a run has not ended, something is due; what is waited for must come with the end of all runs.
        """
        self.check_moving()
        while self.agenda.first < NEVER:
            self.move_to(max(self.now, self.agenda.first))
            if has_come():
                return

    def move_run(self, run: Run, *, to_end: bool) -> Run:
        """Move the clock until one more case of the run has ended, or the run has; the run as it then stands."""
        self.move_until(self.run_progress(run, to_end=to_end))
        return self.runs[run.number]

    def run_progress(self, run: Run, *, to_end: bool) -> Callable[[], bool]:
        """Whether one more case of the run has ended by then, or the run has; `Refused` when it has ended already."""
        if run.ended:
            raise Refused("run_ended", status=run.status.value)
        done, number = len(run.outcomes), run.number
        return lambda: self.runs[number].ended or (not to_end and len(self.runs[number].outcomes) > done)

    def polled(self, runs: Sequence[Run]) -> bool:
        """Somebody is about to be shown these runs; whether time has jumped, so that they must be looked up again.

        With a clock on `auto` it jumps when each of them that has not ended was shown like this before: until the
        first of them begins or ends.
        """
        if self.clock.mode is not ClockMode.AUTO:
            return False
        waiting = {run.number: run.status for run in runs if not run.ended}
        known = all(self.seen.get(number) is status for number, status in waiting.items())
        jumps = bool(waiting) and known and self.now + self._most_work_ms() <= LAST
        if jumps:
            self.move_until(lambda: any(not self._stands(one, status) for one, status in waiting.items()))
        self.seen |= {one: self.runs[one].status for one in waiting if one in self.runs and not self.runs[one].ended}
        return jumps

    def _stands(self, number: int, status: Status) -> bool:
        run = self.runs.get(number)
        return run is not None and run.status is status

    def _most_work_ms(self) -> int:
        """How long all that has not ended could take at the most, one after another."""
        if self.now < LAST - _CENTURY:
            return 0  # so much work there cannot be, and counting it takes time
        return sum(len(run.cases) - len(run.outcomes) for run in self.runs.values() if not run.ended) * LONGEST

    # --- runs

    def start(self, organization: str, order: Order) -> Run:
        """Accept a run; it is queued, and begins as soon as there is a place for it. Raises `Refused`."""
        cases = self.catalogue.resolve(organization, order, self.now)
        suite = order.test_suite_id
        number = self.started
        run = Run(number, organization, order.project_id, order.environment, suite, cases, self.now)
        self.runs[number] = run
        self.started += 1
        tenancy = self.tenancies[organization]
        tenancy.runs.add(run)
        tenancy.waiting.append(number)
        if tenancy.running < self.config.capacity:
            self.agenda.put(self.now, organization)
        return run

    def cancel(self, run: Run) -> Run:
        """Cancel a run; `Refused` when it has ended, and then nothing changes."""
        now = runs.canceled(run, self.now)
        if run.status is Status.RUNNING:
            self.tenancies[run.organization].running -= 1
            self.agenda.put(self.now, run.organization)
        return self._ended(run, now)

    def run(self, organization: str, name: str) -> Run:
        """The organization's run with this ID; `Refused` when there is none."""
        found = self._run(organization, self.names.read_run(name))
        if found is None:
            raise Refused("run_not_found")
        return found

    def find_run(self, organization: str, name: str) -> Run | None:
        """The organization's run with this ID, if there is one."""
        return self._run(organization, self.names.read_run(name))

    def any_run(self, name: str) -> Run:
        """The run with this ID, whosesoever it is; `Refused` when there is none."""
        number = self.names.read_run(name)
        run = None if number is None else self.runs.get(number)
        if run is None:
            raise Refused("run_not_found")
        return run

    def _run(self, organization: str, number: int | None) -> Run | None:
        run = None if number is None else self.runs.get(number)
        return run if run is not None and run.organization == organization else None

    # --- results and artifacts

    def result_run(self, organization: str, name: str) -> tuple[Run, int]:
        """The run and the case's index of the visible result with this ID; `Refused` when there is none."""
        number, index = self.names.read_result(name) or (None, 0)
        run = self._run(organization, number)
        if run is None or not run.ended or index >= len(run.cases):
            raise Refused("result_not_found")
        return run, index

    def result(self, run: Run, index: int) -> Result:
        """What the case at `index` came to; it is a visible result once the run has ended."""
        case, status = run.cases[index], run.case_status(index)
        return Result(
            id=self.names.result(run.number, index),
            run_id=self.names.run(run.number),
            project_id=run.project_id,
            test_case_id=case,
            environment=run.environment,
            status=status.value,
            created_at=run.completed_at,
            started_at=run.case_started_at(index),
            completed_at=run.case_ended_at(index),
            failure=failure(case, status, run.case_duration_ms(index) or 0),
        )

    def ranked(self, organization: str, rank: int) -> tuple[Run, int]:
        """The run and the case's index of the result with this rank among the organization's."""
        number, place = self.tenancies[organization].results.find(rank)
        run = self.runs[number]
        return run, len(run.cases) - 1 - place

    def artifact(self, organization: str, name: str) -> tuple[Run, Artifact]:
        """The run and the artifact with this ID; `Refused` when there is none, or none any more."""
        number, slot = self.names.read_artifact(name) or (None, 0)
        run = self._run(organization, number)
        found = artifacts.find(run, slot) if run is not None else None
        if run is None or found is None or self.expires_at(found) <= self.now:
            raise Refused("artifact_not_found")
        return run, found

    def kept(self, run: Run, slots: list[int]) -> list[int]:
        """Those of a run's filled slots whose artifacts have not expired."""
        found = (artifacts.find(run, slot) for slot in slots)
        return [one.slot for one in found if one is not None and self.expires_at(one) > self.now]

    def expires_at(self, artifact: Artifact) -> int:
        """When an artifact is gone, in ms."""
        return min(LAST, artifact.created_at + self.retention.artifacts_ms)

    # --- what comes due

    def _fill(self, organization: str) -> None:
        tenancy = self.tenancies[organization]
        while tenancy.waiting and tenancy.running < self.config.capacity:
            run = self.runs.get(tenancy.waiting.popleft())
            if run is not None and run.status is Status.QUEUED:
                tenancy.running += 1
                begun = self._became(run, runs.begun(run, self.now))
                self._tell("run_started", begun)
                self._publish(EventType.RUN_STARTED, begun)
                self._begin_case(begun)

    def _begin_case(self, run: Run) -> None:
        case = run.cases[len(run.outcomes)]
        nth = 1
        if is_flaky(case):
            nth = self.flaky[run.organization, case] = self.flaky.get((run.organization, case), 0) + 1
        ends_at = self.now + duration(self.seed, case)
        self.agenda.put(ends_at, run.organization, run.number, outcome(case, nth).value)

    def _end_case(self, run: Run, came_to: Status) -> None:
        if run.ended:
            return  # it was canceled while this case ran
        after = runs.case_ended(run, came_to, self.now)
        self._tell("case_ended", run, run.cases[len(run.outcomes)], came_to)
        if not after.ended:
            self.runs[run.number] = after
            self._begin_case(after)
            return
        self.tenancies[run.organization].running -= 1
        self._ended(run, after)
        self._fill(run.organization)

    def _ended(self, before: Run, now: Run) -> Run:
        results = self.tenancies[now.organization].results
        self.seen.pop(now.number, None)
        self._tell("run_ended", now)
        ended = self._became(before, now._replace(rank=results.add(now)))
        self._publish(EventType.RUN_COMPLETED, now)
        if now.status is Status.FAILED:
            self._publish(EventType.RUN_FAILED, now)
        if len(results) > self.config.max_runs:
            self._forget(self.tenancies[now.organization])
        return ended

    def _forget(self, tenancy: Tenancy) -> None:
        """Make room: an eighth of the ended runs goes at once, since each time costs as much as all that stay."""
        gone = frozenset(tenancy.results.forget(max(1, self.config.max_runs // 8)))
        tenancy.runs.forget(gone)
        for number in gone:
            del self.runs[number]
        self.forgotten += len(gone)

    def _became(self, before: Run, now: Run) -> Run:
        self.tenancies[now.organization].runs.move(before, now)
        self.runs[now.number] = now
        return now

    def _publish(self, event: EventType, run: Run) -> None:
        """Send an event of a run to whom it concerns; what it is about is gathered only if somebody subscribes."""
        if self.outbox.endpoints.subscribers(run.organization, event):
            name = self.names.run(run.number)
            facts = EventFacts(name, name, run.project_id, run.environment, run.status.value, run.duration_ms)
            self.outbox.publish(event, run.organization, facts, self.now)

    def _tell(self, event: str, run: Run, case: str | None = None, status: Status | None = None) -> None:
        if self.heard is not None:
            self.heard(Event(self.now, event, self.names.run(run.number), case, (status or run.status).value))
