"""A model of an organization's runs, written from the contract and from nothing else: lists, and a loop over time."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

DONE = ("passed", "failed", "error", "canceled")


@dataclass
class Case:
    """A case of a run as the model sees it."""

    id: str
    status: str = "queued"
    started_at: int | None = None
    completed_at: int | None = None


@dataclass
class Run:
    """A run as the model sees it."""

    cases: list[Case]
    created_at: int
    project: str
    status: str = "queued"
    started_at: int | None = None
    completed_at: int | None = None
    began: int = 0
    """When, among all that began, its running case did: of two that end at once the one that began first is first."""
    will: str = ""
    ends_at: int = 0


@dataclass
class Tenant:
    """An organization's runs, oldest first; its results, as they became visible; and how its flaky cases went."""

    capacity: int
    takes: Callable[[str], int]
    """How long a case takes, in ms."""
    now: int
    runs: list[Run] = field(default_factory=list)
    results: list[Case] = field(default_factory=list)
    """Newest last: of one run the last case first, since a list shows the newest first."""
    tried: dict[str, int] = field(default_factory=dict)
    begun: int = 0

    def start(self, cases: tuple[str, ...], project: str) -> None:
        """A run is accepted and stays queued, never refused."""
        self.runs.append(Run([Case(one) for one in cases], self.now, project))

    def cancel(self, run: Run) -> None:
        """Ended cases keep their outcome; all others become canceled."""
        run.status, run.completed_at = "canceled", self.now
        for case in run.cases:
            if case.status not in DONE:
                case.status, case.completed_at = "canceled", self.now
        self.results += reversed(run.cases)

    def running(self) -> list[Run]:
        """The running runs, in the order in which their cases began."""
        return sorted((run for run in self.runs if run.status == "running"), key=lambda run: run.began)

    def next_end(self) -> int | None:
        """The instant at which the next case ends."""
        self.fill()
        return min((run.ends_at for run in self.running()), default=None)

    def settle(self, now: int) -> None:
        """Advance the time: queued runs start first in, first out, and the cases of a run run one after another."""
        self.fill()
        while (at := self.next_end()) is not None and at <= now:
            self.now = at
            run = next(one for one in self.running() if one.ends_at == at)
            case = next(one for one in run.cases if one.status == "running")
            case.status, case.completed_at = run.will, at
            self.go_on(run)
            self.fill()
        self.now = now

    def fill(self) -> None:
        """Start queued runs, first in, first out, up to the capacity."""
        for run in self.runs:
            if run.status == "queued" and len(self.running()) < self.capacity:
                run.status, run.started_at = "running", self.now
                self.go_on(run)

    def go_on(self, run: Run) -> None:
        """Begin the next case of a run, or end the run after its last case."""
        case = next((one for one in run.cases if one.status == "queued"), None)
        found = [one.status for one in run.cases]
        if case is None:
            run.status = "error" if "error" in found else "failed" if "failed" in found else "passed"
            run.completed_at = self.now
            self.results += reversed(run.cases)
            return
        self.begun += 1
        case.status, case.started_at = "running", self.now
        run.began, run.ends_at, run.will = self.begun, self.now + self.takes(case.id), self.outcome(case.id)

    def outcome(self, case: str) -> str:
        """The outcome that the words in a case's ID choose; a flaky case fails on each odd-numbered run."""
        if "error" in case or "fail" in case:
            return "error" if "error" in case else "failed"
        if "flaky" not in case:
            return "passed"
        self.tried[case] = self.tried.get(case, 0) + 1
        return "failed" if self.tried[case] % 2 else "passed"
