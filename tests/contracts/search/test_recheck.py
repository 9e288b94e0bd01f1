"""Findings of state machine and fuzzing are tried again from scratch, and cut down to what shows them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from zof_contracts.checks.conformance import ConformanceCheck
from zof_contracts.checks.history import HistoryCheck
from zof_contracts.evidence.ledger import Ledger
from zof_contracts.search import fuzz, state_machine
from zof_contracts.target.budget import Budget, BudgetExceeded
from zof_contracts.target.client import Client
from zof_contracts.verification.run import run
from zof_emulator.settings import OFF

from tests.mutants.catalogue import HEALTHY, MUTANTS, target
from tests.mutants.layer import Mutant, always, error, objects, says, setting

if TYPE_CHECKING:
    from zof_contracts.evidence.exchange import Response
    from zof_contracts.evidence.verification import Verification

    from tests.mutants.layer import Ask, Defect, Inner

REAL: int = 1_000_000
"""A budget that is never used up: with one the state machine treats the target as a real one and shrinks nothing."""


def search(mutant: Mutant, *, requests: int | None = REAL, examples: int = 20) -> tuple[Ledger, Client]:
    """Run the state machine on a mutant."""
    client = Client(target(mutant, rate=OFF), budget=Budget(requests=requests))
    ledger = Ledger(client.target)
    client.observers = [ConformanceCheck(ledger), HistoryCheck(ledger)]
    state_machine.run(client, ledger, seed=1, max_examples=examples)
    return ledger, client


def _empty_once(operation: str) -> Mutant:
    """A deployment whose list is empty once."""

    def make() -> Defect:
        left = [1]

        def defect(ask: Ask, inner: Inner) -> Response:
            answer = inner(ask)
            if ask.operation != operation or not answer.ok or not left:
                return answer
            left.clear()
            return says(answer, {**answer.fields, "data": []})

        return defect

    return Mutant(name="once", rule="", make=make)


@pytest.mark.parametrize("requests", [None, REAL])
def test_what_the_machine_finds_once_is_flaky(requests: int | None) -> None:
    """A list that was empty once is not empty when the actions are repeated: flaky, not violated."""
    ledger, _ = search(_empty_once("listResults"), requests=requests)
    assert {(one.rule.name, one.flaky) for one in ledger.findings.values()} == {("results.per-case", True)}


def test_what_the_machine_finds_again_is_not_flaky() -> None:
    """A cancel that is accepted twice each time is no flaky finding."""
    ledger, _ = search(MUTANTS["canceled-twice"])
    assert {(one.rule.name, one.flaky) for one in ledger.findings.values()} == {("runs.cancel.again-conflict", False)}


def test_what_the_machine_finds_is_cut_down() -> None:
    """Against a real target too the trace is a start and two cancels, with at most three retrievals of the run."""
    (finding,) = search(MUTANTS["canceled-twice"])[0].findings.values()
    operations = [each.operation for each in finding.trace]
    assert [each for each in operations if each != "getRun"] == ["startRun", "cancelRun", "cancelRun"]
    assert operations.count("getRun") <= 3


def test_cutting_down_keeps_to_the_budget() -> None:
    """A budget that ends during the recheck passes through, and the finding stays."""
    for requests in range(60, 400, 20):
        client = Client(target(MUTANTS["canceled-twice"], rate=OFF), budget=Budget(requests=requests))
        ledger = Ledger(client.target)
        with pytest.raises(BudgetExceeded):
            state_machine.run(client, ledger, seed=1, max_examples=20)
        assert client.account.used <= requests
        assert not any(one.flaky for one in ledger.findings.values())


def _fuzz(mutant: Mutant) -> Ledger:
    client = Client(target(mutant, rate=OFF))
    ledger = Ledger(client.target)
    client.observers = [ConformanceCheck(ledger), HistoryCheck(ledger)]
    fuzz.run(client, ledger, seed=1, max_examples=1)
    return ledger


def _both(one: Mutant, other: Mutant) -> Mutant:
    """A deployment with two defects."""
    assert one.make
    assert other.make
    front, back = one.make(), other.make()
    return Mutant(name="both", rule="", make=lambda: lambda ask, inner: front(ask, lambda each: back(each, inner)))


def _flaky(ledger: Ledger) -> dict[str, bool]:
    """Which rules were broken, and whether that was flaky."""
    return {one.rule.name: one.flaky for one in ledger.findings.values()}


def test_what_schemathesis_finds_once_is_flaky() -> None:
    """One 500, and one wrong limit that passed, never seen again, violate nothing."""
    left = {"listRuns", "exportResults"}

    def once(ask: Ask, inner: Inner) -> Response:
        answer = inner(ask)
        if ask.operation not in left:
            return answer
        if ask.operation == "exportResults" and answer.ok:
            left.discard(ask.operation)
            return error(answer, 500, "gone")
        mended = inner(ask.querying(limit=None))
        if ask.operation == "listRuns" and (answer.status, mended.status) == (400, 200):
            left.discard(ask.operation)
            return mended
        return answer

    ledger = _fuzz(Mutant(name="once", rule="", make=lambda: once))
    assert _flaky(ledger) == {"conventions.no-server-error": True, "pages.limit.refused": True}


def _only(mutant: Mutant, operation: str) -> Mutant:
    """A deployment with a defect in one operation."""
    assert mutant.make
    defect = mutant.make()
    make = always(lambda ask, inner: defect(ask, inner) if ask.operation == operation else inner(ask))
    return Mutant(name="only", rule=mutant.rule, make=make)


def test_what_schemathesis_finds_again_is_not_flaky() -> None:
    """A request that is accepted each time is not flaky, and is the same finding that a probe makes."""
    clamped = _only(MUTANTS["limit-clamped"], "listRuns")
    ledger = _fuzz(_both(clamped, MUTANTS["logs-without-key"]))
    rules = (clamped.rule, MUTANTS["logs-without-key"].rule)
    assert [_flaky(ledger)[rule] for rule in rules] == [False, False]
    by_probe = _keys_by_operation(run(target(clamped), max_examples=0), clamped.rule)
    assert by_probe.keys() == {"listRuns"}
    assert _keys_by_operation(ledger, clamped.rule) == by_probe


MET_TWICE = ("canceled-twice", "cancel-not-done", "status-filter-lossy", "list-is-stale")


def _keys_by_operation(session_or_facts: Ledger | Verification, rule: str) -> dict[str, str]:
    found = session_or_facts.findings
    findings = found.values() if isinstance(found, dict) else found
    return {one.operation: one.key for one in findings if one.rule.name == rule}


def _keys(session_or_facts: Ledger | Verification, rule: str) -> set[str]:
    found = session_or_facts.findings
    findings = found.values() if isinstance(found, dict) else found
    return {one.key for one in findings if one.rule.name == rule}


@pytest.mark.parametrize("name", MET_TWICE)
def test_what_a_probe_and_the_machine_find_is_one_finding(name: str) -> None:
    """A finding of a probe and one of the state machine have the same key."""
    rule = MUTANTS[name].rule
    by_probe = _keys(run(target(MUTANTS[name]), max_examples=0), rule)
    by_machine = _keys(search(MUTANTS[name])[0], rule)
    assert by_probe & by_machine


def test_healthy() -> None:
    """The state machine finds nothing in the healthy emulator."""
    ledger, _ = search(HEALTHY)
    assert not ledger.findings


def test_an_unexpected_answer_ends_nothing() -> None:
    """Outcomes that are numbers end one action, and not the search."""
    numbers = Mutant(name="numbers", rule="", make=objects(setting(case_outcomes=[5]), "getRun"))
    ledger, _ = search(numbers)
    assert "runs.shape" in {one.rule.name for one in ledger.findings.values()}
