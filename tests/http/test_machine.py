"""Runs under any sequence of requests, against a model of the contract."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, initialize, invariant, rule

from tests.http.histories import TERMINAL, format_instant, reset_emulator

if TYPE_CHECKING:
    from tests.zof import Zof

OUTCOMES = {
    "tc_login": "passed",
    "tc_search": "passed",
    "tc_pay_fail": "failed",
    "tc_load_error": "error",
    "tc_import_slow": "passed",
}
FOLLOWS = {
    "queued": {"queued", "running", "canceled"} | TERMINAL,  # seen late, a run may have come all the way
    "running": {"running"} | TERMINAL,
}


@dataclass
class Modelled:
    """The expected state of a run; instants in ms."""

    cases: list[str]
    created: int
    status: str = "queued"
    started: int | None = None
    ended: int | None = None
    ends: list[int] = field(default_factory=list)

    @property
    def outcomes(self) -> list[str]:
        """The expected outcomes of its cases."""
        done = [OUTCOMES[case] for case in self.cases[: len(self.ends)]]
        rest = len(self.cases) - len(done)
        if self.status == "running":
            return [*done, "running", *["queued"] * (rest - 1)]
        return done + [self.status] * rest

    def next_end(self, took: dict[str, int]) -> int:
        """The expected end of its running case."""
        assert self.started is not None
        return (self.ends or [self.started])[-1] + took[self.cases[len(self.ends)]]

    def end_case(self, now: int) -> None:
        """End its running case, and the run after the last case."""
        self.ends.append(now)
        if len(self.ends) == len(self.cases):
            self.ended = now
            self.status = next((one for one in ("error", "failed") if one in map(OUTCOMES.get, self.cases)), "passed")


class Model:
    """Runs in the order of their creation, a clock, and a capacity."""

    def __init__(self, capacity: int, took: dict[str, int]) -> None:
        self.capacity = capacity
        self.took = took
        self.now = 0
        self.runs: list[Modelled] = []

    def running(self) -> list[Modelled]:
        """The runs that are expected to be running."""
        return [run for run in self.runs if run.status == "running"]

    def fill(self) -> None:
        """Start the longest queued runs up to the capacity."""
        for run in self.runs:
            if run.status == "queued" and len(self.running()) < self.capacity:
                run.status, run.started = "running", self.now

    def advance(self, until: int) -> None:
        """Perform all due events, in order."""
        self.fill()
        while (due := min((run.next_end(self.took) for run in self.running()), default=until + 1)) <= until:
            self.now = due
            for run in self.running():
                if run.next_end(self.took) == due:
                    run.end_case(due)
            self.fill()
        self.now = until


class Runs(RuleBasedStateMachine):
    """Starts, cancels and clock moves, and the reads in between."""

    runs: Bundle[int] = Bundle("runs")

    @initialize(capacity=st.integers(1, 4))
    def begin(self, capacity: int) -> None:
        """A new emulator, and the durations of its cases, measured from one run of each."""
        zof = reset_emulator()
        took = {case: zof.complete_run(case)["duration_ms"] for case in OUTCOMES}
        self.zof: Zof = reset_emulator(capacity=capacity)
        self.model = Model(capacity, took)
        self.names: list[str] = []
        self.seen: dict[str, Any] = {}

    @rule(target=runs, cases=st.lists(st.sampled_from(sorted(OUTCOMES)), min_size=1, unique=True))
    def start(self, cases: list[str]) -> int:
        """A run is accepted, queued."""
        run = self.zof.start(*cases)
        assert (run["status"], run["summary"]["queued"]) == ("queued", len(cases))
        self.names.append(run["id"])
        self.model.runs.append(Modelled(cases, self.model.now))
        return len(self.names) - 1

    @rule(place=runs)
    def cancel(self, place: int) -> None:
        """A cancel succeeds, or is refused because the run has ended."""
        self.model.advance(self.model.now)
        run = self.model.runs[place]
        answer = self.zof.post(f"/runs/{self.names[place]}/cancel")
        if run.status in TERMINAL:
            assert answer.error == (409, "conflict", None)
            return
        assert (answer.status, answer.json["status"]) == (200, "canceled")
        run.status, run.ended = "canceled", self.model.now

    @rule(by_ms=st.integers(0, 400) | st.integers(0, 20_000))
    def advance(self, by_ms: int) -> None:
        """Advance the time."""
        self.zof.advance(by_ms)
        self.model.advance(self.model.now + by_ms)

    @rule(place=runs)
    def advance_to_an_end(self, place: int) -> None:
        """Move the clock exactly to the end of a case."""
        run = self.model.runs[place]
        if run.status == "running":
            self.advance(run.next_end(self.model.took) - self.model.now)

    @rule(place=runs)
    def retrieve(self, place: int) -> None:
        """A run equals the model's, to the millisecond."""
        self.model.advance(self.model.now)
        run, found = self.model.runs[place], self.zof.run(self.names[place])
        assert found["status"] == run.status
        assert [one["status"] for one in found["case_outcomes"]] == run.outcomes
        assert found["created_at"] == format_instant(run.created)
        assert found["started_at"] == (None if run.started is None else format_instant(run.started))
        assert found["completed_at"] == (None if run.ended is None else format_instant(run.ended))
        lasted = None if run.started is None or run.ended is None else run.ended - run.started
        assert found["duration_ms"] == lasted

    @invariant()
    def check_runs(self) -> None:
        """The list shows the model's runs, newest first, and statuses change only by allowed transitions."""
        self.model.advance(self.model.now)
        found = self.zof.walk("/runs", limit=100)
        assert [run["id"] for run in found] == self.names[::-1]
        for run, modelled in zip(found, self.model.runs[::-1], strict=True):
            before = self.seen.get(run["id"], run)
            assert run["status"] in FOLLOWS.get(before["status"], {before["status"]})
            assert before["status"] not in TERMINAL or run == before, "nothing about an ended run changes"
            assert run["status"] == modelled.status
            counts = dict(run["summary"])
            assert counts.pop("total") == sum(counts.values()) == len(modelled.cases)
            assert Counter(modelled.outcomes) == Counter({name: number for name, number in counts.items() if number})
            self.seen[run["id"]] = run
        assert sum(run["status"] == "running" for run in found) <= self.model.capacity

    @invariant()
    def check_results(self) -> None:
        """Results are those of the ended runs."""
        ended = [run for run in self.model.runs if run.status in TERMINAL]
        results = self.zof.walk("/results", limit=100)
        assert Counter(one["status"] for one in results) == Counter(each for run in ended for each in run.outcomes)


TestRuns = Runs.TestCase
TestRuns.settings = settings(max_examples=60, stateful_step_count=30)
