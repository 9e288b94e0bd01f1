"""The world against a model of the contract, under starts, cancels and time in any order."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule
from zof_emulator.core.lifecycle import Status
from zof_emulator.core.outcomes import choose_duration
from zof_emulator.core.refusal import Refused
from zof_emulator.handlers.views import build_run_detail

from tests.core import model
from tests.core.worlds import BEGAN, ORGANIZATIONS, PROJECTS, case_lists, make_world, move_run, order, snapshot

if TYPE_CHECKING:
    from zof_emulator.core.runs import Run

organizations = st.sampled_from(ORGANIZATIONS)
picks = st.integers(0, 99)


class Stories(RuleBasedStateMachine):
    """A world, and for each organization a model of its runs by the contract."""

    @initialize(seed=st.integers(0, 50), capacity=st.integers(1, 3))
    def begin(self, seed: int, capacity: int) -> None:
        """A fresh world."""
        self.world = make_world(seed=seed, capacity=capacity)
        self.models = {one: model.Tenant(capacity, partial(choose_duration, seed), BEGAN) for one in ORGANIZATIONS}
        self.numbers: dict[str, list[int]] = {one: [] for one in ORGANIZATIONS}

    @rule(organization=organizations, cases=case_lists, project=st.sampled_from(PROJECTS), count=st.integers(1, 3))
    def start(self, organization: str, cases: tuple[str, ...], project: str, count: int) -> None:
        """Runs above the capacity are accepted and queued."""
        asked = order(organization, cases, project)
        for _ in range(count):
            run = self.world.start(organization, asked)
            self.models[organization].start(asked.test_case_ids, asked.project_id)
            self.numbers[organization].append(run.number)
            assert run.status is Status.QUEUED

    @rule(organization=organizations, pick=picks)
    def cancel(self, organization: str, pick: int) -> None:
        """Cancel a queued or running run."""
        modelled = self.models[organization]
        alive = [place for place, run in enumerate(modelled.runs) if run.status not in model.DONE]
        if alive:
            place = alive[pick % len(alive)]
            modelled.cancel(modelled.runs[place])
            run = self.world.runs[self.numbers[organization][place]]
            assert self.world.cancel(run) is self.world.runs[run.number]

    @rule(pick=picks)
    def cancel_too_late(self, pick: int) -> None:
        """The cancel of a run that has ended is refused, and nothing changes."""
        ended = [run for run in self.world.runs.values() if run.has_ended]
        if not ended:
            return
        run, before = ended[pick % len(ended)], snapshot(self.world)
        with pytest.raises(Refused, match="run_ended"):
            self.world.cancel(run)
        assert snapshot(self.world) == before

    @rule(by=st.integers(0, 2_000) | st.sampled_from([0, 0, 1, 200, 60_000]))
    def wait(self, by: int) -> None:
        """Advance the time of the world and all models."""
        self.world.settle(self.world.now + by)
        for one in self.models.values():
            one.settle(one.now + by)

    @rule(organization=organizations, pick=picks, to_end=st.booleans())
    def move(self, organization: str, pick: int, *, to_end: bool) -> None:
        """The clock moves until one more case of a run has ended, or the run has, and not further."""
        modelled = self.models[organization]
        waiting = [place for place, run in enumerate(modelled.runs) if run.status not in model.DONE]
        if not waiting:
            return
        place = waiting[pick % len(waiting)]
        run = modelled.runs[place]
        done = sum(case.status in model.DONE for case in run.cases)
        while run.status not in model.DONE and (to_end or sum(case.status in model.DONE for case in run.cases) == done):
            modelled.settle(modelled.next_end() or 0)
        moved = move_run(self.world, self.world.runs[self.numbers[organization][place]], to_end=to_end)
        assert moved is self.world.runs[moved.number]
        for one in self.models.values():
            one.settle(modelled.now)

    @invariant()
    def the_time_is_the_models(self) -> None:
        """The world and its models show the same instant."""
        assert {one.now for one in self.models.values()} == {self.world.now}

    @invariant()
    def each_run_stands_as_its_model_does(self) -> None:
        """Status, times and outcomes of every run are those of the model."""
        for organization, modelled in self.models.items():
            for number, expected in zip(self.numbers[organization], modelled.runs, strict=True):
                run = self.world.runs[number]
                assert (run.organization, run.project_id) == (organization, expected.project)
                assert (run.status.value, run.created_at) == (expected.status, expected.created_at)
                assert (run.started_at, run.completed_at) == (expected.started_at, expected.completed_at)
                assert describe_cases(run) == [
                    (one.id, one.status, one.started_at, one.completed_at) for one in expected.cases
                ]

    @invariant()
    def no_more_run_at_once_than_there_are_places(self) -> None:
        """The capacity holds per organization, and running runs were created before queued ones."""
        for organization, modelled in self.models.items():
            of = [self.world.runs[number] for number in self.numbers[organization]]
            running = [run.number for run in of if run.status is Status.RUNNING]
            waiting = [run.number for run in of if run.status is Status.QUEUED]
            assert len(running) <= modelled.capacity
            assert not running or not waiting or max(running) < min(waiting)

    @invariant()
    def the_summary_adds_up(self) -> None:
        """The counts of a summary add up to the total and agree with the outcomes."""
        for run in self.world.runs.values():
            shown = build_run_detail(self.world, run, "")
            counts, statuses = dict(shown["summary"]), [one["status"] for one in shown["case_outcomes"]]
            assert counts.pop("total") == sum(counts.values()) == len(run.cases)
            assert counts == {status.value: statuses.count(status.value) for status in Status}

    @invariant()
    def results_are_ranked_as_they_became_visible(self) -> None:
        """An organization's results are those of its ended runs, in the order of their ends."""
        for organization, modelled in self.models.items():
            found = [self.world.result_at_rank(organization, rank) for rank in range(len(modelled.results))]
            assert self.world.tenancies[organization].results.end == len(modelled.results)
            shown = [self.world.result(*one) for one in found]
            assert [(one.test_case_id, one.status, one.started_at, one.completed_at) for one in shown] == [
                (one.id, one.status, one.started_at, one.completed_at) for one in modelled.results
            ]
            assert [one.created_at for one in shown] == sorted(run.completed_at or 0 for run, _ in found)


def describe_cases(run: Run) -> list[tuple[str, str, int | None, int | None]]:
    """The case properties of a run."""
    return [
        (case, run.case_status(place).value, run.case_started_at(place), run.case_ended_at(place))
        for place, case in enumerate(run.cases)
    ]


TestStories = Stories.TestCase
"""The world keeps the contract for any sequence of starts, cancels and waits."""
TestStories.settings = settings(max_examples=120, stateful_step_count=30)
