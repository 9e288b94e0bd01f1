"""Runs: the value, its transitions, and what follows from it. A run does not depend on other runs."""

from __future__ import annotations

from typing import NamedTuple

from zof_emulator.core.lifecycle import TERMINAL, Status, Trigger, choose_end_trigger, find_next_status


class _Fields(NamedTuple):
    number: int
    """Its number among all runs of its world, counted from 0."""
    organization: str
    project_id: str
    environment: str
    test_suite_id: str | None
    cases: tuple[str, ...]
    created_at: int
    status: Status = Status.QUEUED
    started_at: int | None = None
    completed_at: int | None = None
    outcomes: tuple[Status, ...] = ()
    """The outcomes of the cases that have ended, in order."""
    ends: tuple[int, ...] = ()
    """When these cases ended, in ms."""
    rank: int = -1
    """The lowest rank of its results among those of its organization; -1 until the run has ended."""
    nth: int = 0
    """How many runs of its suite had begun when it began, itself included; 0 if they are not counted."""
    rules: tuple[int, ...] = ()
    """The indexes of the outcome rules that decided on its ended cases, -1 for none; empty if none decided on any."""


class Run(_Fields):
    """A run at one instant. The value is frozen; every change makes a new one. Instants are in ms.

    Runs are compared by identity, because caches use them as keys.
    """

    __slots__ = ()
    __eq__ = object.__eq__
    __hash__ = object.__hash__

    @property
    def has_ended(self) -> bool:
        """Whether its status is terminal."""
        return self.status in TERMINAL

    @property
    def duration_ms(self) -> int | None:
        """The time from its start to its end, in ms; None if one of them is missing."""
        if self.started_at is None or self.completed_at is None:
            return None
        return self.completed_at - self.started_at

    def case_status(self, index: int) -> Status:
        """The status of the case at `index`."""
        if index < len(self.outcomes):
            return self.outcomes[index]
        if self.status is Status.RUNNING:
            return Status.RUNNING if index == len(self.outcomes) else Status.QUEUED
        return self.status

    def case_statuses(self) -> tuple[Status, ...]:
        """The statuses of all its cases, in order."""
        left = len(self.cases) - len(self.outcomes)
        if self.status is not Status.RUNNING:
            return self.outcomes + (self.status,) * left
        return (*self.outcomes, Status.RUNNING, *(Status.QUEUED,) * (left - 1))

    def case_started_at(self, index: int) -> int | None:
        """When the case at `index` started, in ms; None if it has not started."""
        if self.started_at is None or index > len(self.ends):
            return None
        return self.ends[index - 1] if index else self.started_at

    def case_ended_at(self, index: int) -> int | None:
        """When the case at `index` ended, in ms; for a canceled case, the time of the cancellation."""
        return self.ends[index] if index < len(self.ends) else self.completed_at

    def case_duration_ms(self, index: int) -> int | None:
        """How long the case at `index` ran, in ms; None if it is running or never started."""
        start, end = self.case_started_at(index), self.case_ended_at(index)
        return None if start is None or end is None else end - start


def begin(run: Run, now: int, nth: int = 0) -> Run:
    """The run with the status `running`; `nth` says how many runs of its suite have begun, if that is counted."""
    return run._replace(status=find_next_status(run.status, Trigger.BEGIN), started_at=now, nth=nth)


def end_case(run: Run, outcome: Status, now: int, rule: int = -1) -> Run:
    """The run after its running case has ended with `outcome`; the last case ends the run.

    `rule` is the index of the outcome rule that decided, or -1.
    """
    outcomes = (*run.outcomes, outcome)
    ends = (*run.ends, now)
    rules = add_rule(run.rules, len(run.outcomes), rule) if rule >= 0 or run.rules else ()
    if len(outcomes) < len(run.cases):
        return run._replace(outcomes=outcomes, ends=ends, rules=rules)
    status = find_next_status(run.status, choose_end_trigger(outcomes))
    return run._replace(outcomes=outcomes, ends=ends, rules=rules, status=status, completed_at=now)


def add_rule(rules: tuple[int, ...], index: int, rule: int) -> tuple[int, ...]:
    """The rules of a run after its case at `index` has ended; they stay empty as long as no rule has decided."""
    if rules or rule >= 0:
        return (*(rules or (-1,) * index), rule)
    return rules


def cancel(run: Run, now: int) -> Run:
    """The run with the status `canceled`.

    Raises:
        Refused: `run_ended`, if the run has ended before.
    """
    return run._replace(status=find_next_status(run.status, Trigger.CANCEL), completed_at=now)
