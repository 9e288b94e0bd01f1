"""Stories that are played at once: the same stories, rules and findings as one after another, in less time."""

from __future__ import annotations

import os
import signal
import threading
from collections import Counter
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from zof_contracts.checks.conformance import ConformanceCheck
from zof_contracts.checks.history import HistoryCheck
from zof_contracts.evidence.ledger import Ledger
from zof_contracts.search import parallel
from zof_contracts.search.parallel import count_threads, count_workers, play_stories
from zof_contracts.search.state_machine import draw_stories
from zof_contracts.target.budget import Budget, BudgetExceeded
from zof_contracts.target.client import Client
from zof_contracts.target.turns import ThreadTurns
from zof_contracts.verification.cleanup import clean_up
from zof_emulator.core.limits import Rate
from zof_emulator.settings import OFF

from tests.mutants.catalogue import HEALTHY, MUTANTS, target
from tests.simulated_turns import Delayed, SimulatedTurns

if TYPE_CHECKING:
    from zof_contracts.evidence.exchange import Exchange, Headers, Response
    from zof_contracts.search.recheck import Discovery
    from zof_contracts.search.stories import Step
    from zof_contracts.target.transport import Transport

    from tests.mutants.layer import Mutant

STORIES = 12
_LAST = 30
"""The number of the exchange at which a verification is interrupted."""
NO_LIMIT = Budget()


class Play:
    """The result of stories on a deployment whose clock moves as the client waits."""

    def __init__(
        self,
        *,
        seed: int = 1,
        workers: int = 4,
        mutant: Mutant = HEALTHY,
        budget: Budget = NO_LIMIT,
        delayed: bool = False,
        **settings: Any,  # noqa: ANN401  of the emulator
    ) -> None:
        where = target(mutant, seed=seed, **{"rate": OFF, **settings})
        self.turns = SimulatedTurns(on_advance=where.advance or (lambda _: None))
        where = replace(where, advance=None, find_clock=False, workers=workers)
        self.client = Client(where, budget=budget, timer=self.turns)
        if delayed:
            self.client.transport = Delayed(self.client.transport, self.turns, seed=seed)
        self.ledger = Ledger(where, seed=seed)
        self.client.observers = [ConformanceCheck(self.ledger), HistoryCheck(self.ledger)]
        self.stories = draw_stories(self.client, seed=seed, max_examples=STORIES)

    def play(self) -> dict[str, list[Discovery]]:
        """Play them."""
        workers = count_workers(self.client, len(self.stories))
        self.turns.expect(count_threads(workers, len(self.stories)))
        return play_stories(self.client, self.ledger, self.stories, make_turns=lambda: self.turns)

    @property
    def findings(self) -> list[tuple[str, str]]:
        """The rules and operations of the findings."""
        return sorted((each.rule.name, each.operation) for each in self.ledger.findings.values())


def summarize(exchange: Exchange) -> tuple[object, ...]:
    """The parts of an exchange that must be the same each time."""
    request, answer = exchange.request, exchange.response
    return exchange.number, request.method, request.target, request.key, answer.status, answer.body


@pytest.mark.parametrize("seed", range(4))
def test_one_seed_has_one_course(seed: int) -> None:
    """The same seed sends the same requests in the same order, and the evidence is the same."""
    first, second = Play(seed=seed, delayed=True), Play(seed=seed, delayed=True)
    for each in (first, second):
        each.play()
    assert [*map(summarize, first.client.journal)] == [*map(summarize, second.client.journal)]
    assert first.ledger.evidence == second.ledger.evidence


def test_overlapping_changes_only_the_time() -> None:
    """Stories that are played at once start the same runs and exercise the same rules, in less than half the time."""
    exercised: tuple[set[str], set[str]] = set(), set()
    for seed in range(4):
        single, several = Play(seed=seed, workers=1), Play(seed=seed, workers=4)
        for each, rules in zip((single, several), exercised, strict=True):
            each.play()
            rules.update(each.ledger.evidence)
        assert single.stories == several.stories
        assert len(single.client.started) == len(several.client.started) > 0
        assert single.findings == several.findings == []
        assert several.turns.time < single.turns.time / 2
    assert exercised[0] == exercised[1]


@pytest.mark.parametrize("seed", range(12))
def test_answers_that_overtake_each_other_are_no_finding(seed: int) -> None:
    """On a slow network, where requests of several stories cross, nothing is found in the healthy emulator."""
    played = Play(seed=seed, delayed=True)
    assert played.play() == {}
    assert played.findings == []


@pytest.mark.parametrize("seed", range(2))
def test_a_low_rate_limit_holds_all_stories(seed: int) -> None:
    """While a quota is used up no story sends anything, so that the target never has to refuse a request."""
    played = Play(seed=seed, delayed=True, rate=Rate(50))
    played.play()
    statuses = Counter(each.response.status for each in played.client.journal)
    assert (statuses[429], played.findings) == (0, [])
    assert played.turns.time > 60 * (len(played.client.journal) // 50 - 1)


def test_the_budget_holds_with_several_stories() -> None:
    """Not one request more than the budget is sent, and no run is left running."""
    for requests in range(40, 90, 7):
        played = Play(budget=Budget(requests=requests), delayed=True)
        with pytest.raises(BudgetExceeded):
            played.play()
        receipts = clean_up(played.client)
        assert played.client.account.used <= requests
        assert {each.run for each in receipts} == played.client.started.keys()
        assert {each.state for each in receipts} <= {"canceled", "ended"}


def test_the_number_of_runs_holds_with_several_stories() -> None:
    """Not one run more than permitted is started."""
    played = Play(budget=Budget(runs=7), delayed=True)
    with pytest.raises(BudgetExceeded):
        played.play()
    assert len(played.client.started) == 7


def test_a_start_of_another_story_is_no_effect_of_a_replay() -> None:
    """While a story compares the lists of runs around a replay, no other story starts a run."""
    replay: Step = ("start_keyed", {"key": "one", "parts": (0,), "is_spaced": False})
    start: Step = ("start", {"parts": (0,)})
    for seed in range(3):
        played = Play(seed=seed, delayed=True)
        played.stories = [[replay] * 8, *([start] * 12 for _ in range(3))]
        played.play()
        assert played.findings == []
        assert played.ledger.evidence["idempotency.replay"] == 14


def test_a_walk_during_starts_of_other_stories_is_one_under_change() -> None:
    """A list that others change while it is read says nothing about the walk of a list that stays the same."""
    start: Step = ("start", {"parts": (0,)})
    walk: Step = ("walk_runs", {"limit": 1, "starting": False})
    played = Play(delayed=True, mutant=MUTANTS["pages-by-offset"])
    played.stories = [[*[start] * 4, *[walk] * 4], *([start] * 30 for _ in range(3))]
    played.play()
    assert "pages.walk.under-change" in {rule for rule, _ in played.findings}
    assert "pages.walk" not in {rule for rule, _ in played.findings}


def test_no_story_leaves_runs_behind() -> None:
    """The runs of a story that have not ended are canceled at its end, so that the next ones find a place."""
    played = Play()
    played.play()
    assert played.client.started.keys() == played.client.ended.keys()


def test_the_journal_is_complete_and_in_order() -> None:
    """Each exchange has the number of its place in the journal, whichever story it belongs to."""
    played = Play(delayed=True)
    played.client.get("/runs", limit=1)
    played.play()
    played.client.get("/runs", limit=1)
    assert [each.number for each in played.client.journal] == [*range(1, len(played.client.journal) + 1)]
    assert len(played.client.journal) == played.client.account.used


SAMPLE = (
    "appears-late",
    "both-stories",
    "cancel-not-done",
    "ended-is-canceled",
    "failed-is-passed",
    "first-case-lost",
    "list-is-stale",
    "reopened-by-cancel",
    "status-filter-lossy",
    "two-at-once",
)


@pytest.mark.parametrize("name", SAMPLE)
def test_defects_are_found_by_their_own_rule(name: str) -> None:
    """Each defect that only sequences of requests show is found by its own rule while stories overlap."""
    played = Play(mutant=MUTANTS[name], delayed=True)
    played.play()
    assert MUTANTS[name].rule in {rule for rule, _ in played.findings}


def test_the_story_of_each_finding_is_known() -> None:
    """The discovery of a finding holds the steps of a story, up to the step that led to its trace."""
    played = Play(mutant=MUTANTS["ended-is-canceled"], delayed=True)
    discoveries = played.play()
    assert discoveries.keys() == played.ledger.findings.keys()
    assert max(map(len, discoveries.values())) > 1
    for key, ways in discoveries.items():
        assert ways[0].finding.trace is played.ledger.findings[key].trace
        for found in ways:
            assert any(tuple(story[: len(found.actions)]) == found.actions for story in played.stories)


def test_an_interruption_ends_all_stories() -> None:
    """After Ctrl-C no story goes on, what was found is there, and every run that was started is cleaned up."""
    where = replace(target(), advance=None, find_clock=False)
    client, ledger, turns = Client(where), Ledger(where), _WaitingTurns()

    def interrupt(exchange: Exchange) -> None:
        if exchange.number == _LAST:
            os.kill(os.getpid(), signal.SIGINT)
            turns.wait_for_halt()

    client.observers = [ConformanceCheck(ledger), interrupt]
    stories = draw_stories(client, seed=1, max_examples=STORIES)
    with pytest.raises(KeyboardInterrupt):
        play_stories(client, ledger, stories, make_turns=lambda: turns)
    assert client.account.used == len(client.journal) == _LAST
    assert ledger.evidence["conventions.status"] > 0
    receipts = clean_up(client)
    assert {each.run for each in receipts} == client.started.keys()
    assert {each.state for each in receipts} <= {"canceled", "ended"}


class _WaitingTurns(ThreadTurns):
    """Turns that can be kept until the threads are halted."""

    def wait_for_halt(self) -> None:
        """Wait without giving the turn up."""
        self._halt.wait()


def test_a_start_that_nobody_awaits_any_more_is_looked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """A start whose answer has not come shortly after Ctrl-C may have made a run, which the clean-up cancels."""
    monkeypatch.setattr(parallel, "_LAST_ANSWERS", 0.0)
    where = replace(target(), advance=None, find_clock=False)
    client, ledger, released = Client(where), Ledger(where), threading.Event()
    client.get("/runs", limit=1)  # its Date tells how far the clock of the target is off
    transport = client.transport = _Slow(client.transport, released)
    with pytest.raises(KeyboardInterrupt):
        play_stories(client, ledger, [[("start", {"parts": (0,)})], [("wait", {"seconds": 1})]])
    transport.is_slow = False
    receipts = clean_up(client)
    released.set()
    lost = "the answer to its start was lost (it was interrupted before its answer came)"
    assert [each.state for each in receipts] == [f"canceled; {lost}"]


class _Slow:
    """A transport that carries a request, interrupts the process, and gives the answer when it is released."""

    is_parallel = True

    def __init__(self, transport: Transport, released: threading.Event) -> None:
        self._transport = transport
        self._released = released
        self.is_slow = True

    def carry(  # noqa: PLR0913  see Transport
        self, method: str, target: str, headers: Headers, body: bytes, *, seconds: float = 30.0, fresh: bool = False
    ) -> Response:
        """Send the request."""
        answer = self._transport.carry(method, target, headers, body, seconds=seconds, fresh=fresh)
        if self.is_slow:
            os.kill(os.getpid(), signal.SIGINT)
            self._released.wait()
        return answer

    def close(self) -> None:
        """Do nothing."""


@pytest.mark.parametrize(("limit", "workers"), [(OFF, 4), (Rate(600), 4), (Rate(30), 3), (Rate(5), 1)])
def test_the_number_of_stories_at_once_suits_the_rate_limit(limit: Rate, workers: int) -> None:
    """No more stories are played at once than the quota feeds, and one where the clock can be moved."""
    where = target(rate=limit)
    client = Client(replace(where, advance=None))
    client.get("/runs", limit=1)
    assert count_workers(client, 100) == workers
    assert count_workers(Client(where), 100) == 1


def test_a_story_that_lets_time_pass_gives_its_place_to_another() -> None:
    """Six stories, of which each lets ten seconds pass and two work at once, take less than two of them one by one."""
    wait: Step = ("start_wait_replay", {"key": "one", "parts": (0,), "seconds": 10})
    played = Play(workers=2, delayed=True)
    played.stories = [[wait] for _ in range(6)]
    played.play()
    assert played.turns.time < 20
    assert played.ledger.evidence["idempotency.spacing"] == 6


@pytest.mark.parametrize("workers", [2, 4])
def test_no_more_stories_send_at_once_than_permitted(workers: int) -> None:
    """At no time are more requests on their way than stories are permitted to be played at once."""
    played = Play(workers=workers)
    counting = played.client.transport = _Counting(Delayed(played.client.transport, played.turns, seed=1))
    played.play()
    assert counting.most == workers


class _Counting:
    """A transport that counts the requests that are on their way."""

    is_parallel = True

    def __init__(self, transport: Transport) -> None:
        self._transport = transport
        self._open = self.most = 0

    def carry(  # noqa: PLR0913  see Transport
        self, method: str, target: str, headers: Headers, body: bytes, *, seconds: float = 30.0, fresh: bool = False
    ) -> Response:
        """Send the request."""
        self._open += 1
        self.most = max(self.most, self._open)
        try:
            return self._transport.carry(method, target, headers, body, seconds=seconds, fresh=fresh)
        finally:
            self._open -= 1

    def close(self) -> None:
        """Close the connections that are kept open."""
        self._transport.close()
