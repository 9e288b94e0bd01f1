"""The world: the rules that change its state. The caller supplies the system's time."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from zof_emulator.core import runs
from zof_emulator.core.catalogue import Order
from zof_emulator.core.deliveries import EventFacts
from zof_emulator.core.endpoints import EventType
from zof_emulator.core.history import add_history
from zof_emulator.core.instants import DAY, LAST, format_rfc3339_ms
from zof_emulator.core.lifecycle import Status
from zof_emulator.core.limits import Limiter
from zof_emulator.core.outcomes import LONGEST_MS
from zof_emulator.core.refusal import Refused
from zof_emulator.core.runs import Run
from zof_emulator.core.timeline import DELIVER, NEVER, Clock, SliceEnded
from zof_emulator.core.world_queries import WorldQueries
from zof_emulator.core.world_state import Event, EventKind, Retention, sort_samples

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Sequence

    from zof_emulator.core.config import WorldConfig
    from zof_emulator.core.outcome_rules import Plan
    from zof_emulator.core.tenants import Sample, SeedData

__all__ = ["Event", "EventKind", "Retention", "World"]

_CENTURY: Final = 100 * 365 * DAY


class World(WorldQueries):
    """A world whose runs start, progress with its time, and are canceled."""

    __slots__ = ()

    def __init__(self, config: WorldConfig, data: SeedData, now: int, retention: Retention | None = None) -> None:
        """Make a world that holds the data of its scenario at `now` (ms), or `data` if the scenario has none."""
        super().__init__(config, data, now, retention)
        for _ in self.begin(sort_samples(config.scenario.data or data, config), now):
            pass  # nobody else is served

    @classmethod
    def make_in_slices(cls, config: WorldConfig, data: SeedData, now: int) -> Generator[None, None, World]:
        """Make the same world as the constructor; yields between slices of work."""
        world = cls.__new__(cls)
        super(cls, world).__init__(config, data, now)
        yield from world.begin(sort_samples(config.scenario.data or data, config), now)
        return world

    def begin(self, samples: Sequence[Sample], now: int) -> Generator[None, None, None]:
        """Add the runs with which a world without runs begins; yields between slices of work."""
        if self.config.scenario.runs:
            yield from add_history(self, samples)
            return
        for sample in samples:  # each runs in its own past, like any other run
            self.now = now - sample.age_ms
            self.start(sample.organization, Order(sample.project_id, sample.environment, sample.test_case_ids))
            while self.agenda.first < NEVER:
                self.settle(self.agenda.first)
        self.now = now

    # --- time

    def reach(self, system: int, most: int) -> int:
        """Settle the world at the current instant, given the system's time (ms), with at most `most` actions.

        Returns:
            How many more actions there could have been.

        Raises:
            SliceEnded: more actions are due than one slice has.
        """
        now = self.clock.read(system, self.now)
        if now < self.agenda.first:
            self.now = now
            return most
        left = self.settle(now, most)
        if not left and self.agenda.first <= now:
            raise SliceEnded
        return left

    def settle(self, now: int, most: int = NEVER) -> int:
        """Carry out all actions that are due at `now` (ms) or before, in order. Time never runs backwards.

        Carries out at most `most` actions, and returns how many more there could have been. When it returns 0, actions
        may be left, and the world is not yet at `now`.
        """
        while most and self.agenda.first <= now and (due := self.agenda.take(now)) is not None:
            most -= 1
            self.now = max(self.now, due.at)
            if due.outcome == DELIVER:
                self.outbox.wake(due.number)
            elif due.number < 0:
                self._fill(due.organization)
            else:
                run = self.runs.get(due.number)
                if run is not None:
                    self._end_case(run, Status(due.outcome), due.rule)
        if self.agenda.first > now:
            self.now = max(self.now, now)
        return most

    def move_to(self, instant: int, param: str | None = None, most: int = NEVER) -> int:
        """Move the clock to an instant (ms), and carry out what is due until then, as `settle` does.

        Raises:
            Refused: the instant is in the past or after the year 9999; `param` names the input.
        """
        self.check_reachable(instant, param)
        self.clock = self.clock.move_by(instant - self.now)
        return self.settle(instant, most)

    def change_config(self, config: WorldConfig, system: int) -> None:
        """Apply what a running world can change of its configuration, from now on.

        A changed rate begins with new windows. A clock that becomes real moves to the system's time (`system`, ms)
        when it is read next; if it is ahead of that, it continues from its own time.
        """
        if config.rate != self.config.rate:
            self.limiter = Limiter(config.rate)
        if config.clock is not self.config.clock:
            self.clock = Clock(config.clock).catch_up(system, self.now)
        self.config = config
        self.catalogue.references = config.references
        self.outbox.evolves = config.evolve
        for name, tenancy in self.tenancies.items():
            if tenancy.waiting and tenancy.running < config.capacity:
                self.agenda.put(self.now, name)

    def check_reachable(self, instant: int, param: str | None = None) -> None:
        """Check that the clock can move to an instant (ms).

        Raises:
            Refused: the instant is in the past or after the year 9999; `param` names the input.
        """
        if not self.now <= instant <= LAST:
            raise Refused("time_out_of_range", param, now=format_rfc3339_ms(self.now))

    def check_moving(self, param: str | None = None) -> None:
        """Check that the clock can move until a run has ended.

        Raises:
            Refused: no run is left to end, or the clock could pass the year 9999 before; `param` names the input.
        """
        if self.now + self.most_work_ms() > LAST:
            raise Refused("time_out_of_range", param, now=format_rfc3339_ms(self.now))
        # Actions on the agenda may be those of canceled runs, so only the runs decide.
        if all(run.has_ended for run in reversed(self.runs.values())):
            raise Refused("nothing_due")

    def watch_progress(self, run: Run, *, to_end: bool) -> Callable[[], bool]:
        """Return a function that says whether the run, or without `to_end` its next case, has ended since now.

        Raises:
            Refused: the run has ended already.
        """
        if run.has_ended:
            raise Refused("run_ended", status=run.status.value)
        done, number = len(run.outcomes), run.number
        return lambda: self.runs[number].has_ended or (not to_end and len(self.runs[number].outcomes) > done)

    def most_work_ms(self) -> int:
        """The longest time, in ms, that all unfinished runs could take one after another."""
        longest = self.outcome_rules.longest_ms
        if self.now < LAST - _CENTURY * max(1, longest // LONGEST_MS):
            return 0  # no world has a century of work, or more if its cases last longer, so the count is not needed
        return sum(len(run.cases) - len(run.outcomes) for run in self.runs.values() if not run.has_ended) * longest

    # --- runs

    def start(self, organization: str, order: Order) -> Run:
        """Accept a run. It is queued, and begins as soon as the capacity allows it.

        Raises:
            Refused: the order names an ID that does not exist.
        """
        cases = self.catalogue.resolve(organization, order, self.now)
        suite = order.test_suite_id
        number = self.started
        run = Run(number, organization, order.project_id, order.environment, suite, cases, self.now)
        self.runs[number] = run
        self.started += 1
        tenancy = self.tenancies[organization]
        tenancy.runs.add(run)
        tenancy.waiting[number] = None
        self.catalogue.use(order.project_id, suite, cases)
        if tenancy.running < self.config.capacity:
            self.agenda.put(self.now, organization)
        return run

    def cancel(self, run: Run) -> Run:
        """Cancel a run; return the changed run.

        Raises:
            Refused: the run has ended.
        """
        now = runs.cancel(run, self.now)
        if run.status is Status.RUNNING:
            self.tenancies[run.organization].running -= 1
            self.agenda.withdraw(run.number)
            self.agenda.put(self.now, run.organization)
        else:
            self.tenancies[run.organization].waiting.pop(run.number, None)
        return self._end_run(run, now)

    # --- due actions

    def _fill(self, organization: str) -> None:
        tenancy = self.tenancies[organization]
        while tenancy.waiting and tenancy.running < self.config.capacity:
            run = self.runs.get(tenancy.waiting.popitem(last=False)[0])
            if run is not None and run.status is Status.QUEUED:
                tenancy.running += 1
                nth = self.count_suite(run) if self.outcome_rules.rules else 0
                begun = self._replace_run(run, runs.begin(run, self.now, nth))
                self._report(EventKind.RUN_STARTED, begun)
                self._publish(EventType.RUN_STARTED, begun)
                self._begin_case(begun)

    def _begin_case(self, run: Run) -> None:
        status, took, rule = self.plan_case(run, run.cases[len(run.outcomes)])
        self.agenda.put(self.now + took, run.organization, run.number, status.value, rule)

    def plan_case(self, run: Run, case: str) -> Plan:
        """Plan a case that begins. The beginning is counted if an outcome depends on the number of runs."""
        rules, nth = self.outcome_rules, 1
        if rules.counts_case(run, case):
            nth = self.run_counts[run.organization, case] = self.run_counts.get((run.organization, case), 0) + 1
        return rules.plan(self.seed, run, case, nth)

    def count_suite(self, run: Run) -> int:
        """Count a run of a suite that begins; return how many have begun, or 0 if no outcome depends on it."""
        suite = run.test_suite_id
        if suite is None or not self.outcome_rules.counts_suite(suite):
            return 0
        nth = self.run_counts[run.organization, suite] = self.run_counts.get((run.organization, suite), 0) + 1
        return nth

    def _end_case(self, run: Run, result: Status, rule: int) -> None:
        if run.has_ended:
            return  # it was canceled while this case ran
        after = runs.end_case(run, result, self.now, rule)
        self._report(EventKind.CASE_ENDED, run, run.cases[len(run.outcomes)], result)
        if not after.has_ended:
            self.runs[run.number] = after
            self._begin_case(after)
            return
        self.tenancies[run.organization].running -= 1
        self._end_run(run, after)
        self._fill(run.organization)

    def _end_run(self, before: Run, now: Run) -> Run:
        results = self.tenancies[now.organization].results
        self.seen.pop(now.number, None)
        self._report(EventKind.RUN_ENDED, now)
        ended = self._replace_run(before, now._replace(rank=results.add(now)))
        self._publish(EventType.RUN_COMPLETED, now)
        if now.status is Status.FAILED:
            self._publish(EventType.RUN_FAILED, now)
        if len(results) > self.config.max_runs:
            self._forget(now.organization)
        return ended

    def _forget(self, organization: str) -> None:
        """Delete an eighth of the ended runs at once, because the cost grows with the number of runs that stay.

        The projects, cases and suites that only these runs named are deleted too, and so is how often cases and suites
        have run.
        """
        tenancy = self.tenancies[organization]
        gone = frozenset(tenancy.results.forget(max(1, self.config.max_runs // 8)))
        tenancy.runs.forget(gone)
        for number in gone:
            run = self.runs.pop(number)
            for name in self.catalogue.release(run.project_id, run.test_suite_id, run.cases):
                self.run_counts.pop((run.organization, name), None)
        self.catalogue.unlist_projects(organization)
        self.forgotten += len(gone)

    def _replace_run(self, before: Run, now: Run) -> Run:
        self.tenancies[now.organization].runs.move(before, now)
        self.runs[now.number] = now
        return now

    def _publish(self, event: EventType, run: Run) -> None:
        """Send an event of a run to whom it concerns; what it is about is gathered only if somebody subscribes."""
        subscribers = self.outbox.endpoints.subscribers(run.organization, event)
        if subscribers:
            name = self.names.run(run.number)
            facts = EventFacts(name, name, run.project_id, run.environment, run.status.value, run.duration_ms)
            if event is EventType.RUN_STARTED and self.config.evolve:
                provisioned = EventType.RUN_PROVISIONED  # no endpoint can name the type
                self.outbox.publish_to(subscribers, provisioned, run.organization, facts, self.now)
            self.outbox.publish(event, run.organization, facts, self.now)

    def _report(self, event: EventKind, run: Run, case: str | None = None, status: Status | None = None) -> None:
        if self.on_event is not None:
            self.on_event(Event(self.now, event, self.names.run(run.number), case, (status or run.status).value))
