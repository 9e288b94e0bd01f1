"""Shapes: what Schemathesis makes up, sent by our client."""

from __future__ import annotations

from dataclasses import replace

import pytest
from zof_contracts.contract.document import load_contract
from zof_contracts.evidence.ledger import Ledger
from zof_contracts.search import fuzz
from zof_contracts.target.budget import Budget, BudgetExceeded
from zof_contracts.target.client import Client
from zof_emulator.settings import OFF

from tests.mutants.catalogue import HEALTHY, target


def test_healthy() -> None:
    """Nothing is found on the emulator, and every operation was answered with success."""
    client = Client(target(seed=1, rate=OFF))
    ledger = Ledger(client.target)
    successes = fuzz.run(client, ledger, seed=1, max_examples=2)
    assert not ledger.findings
    assert set(successes) == set(load_contract().operations)


def test_read_only() -> None:
    """In the profile read-only nothing but GET is sent."""
    client = Client(replace(target(HEALTHY, rate=OFF), profile="read-only"))
    fuzz.run(client, Ledger(client.target), seed=1, max_examples=1)
    assert {each.request.method for each in client.journal} == {"GET"}


def test_budget() -> None:
    """A budget that is used up comes through."""
    client = Client(target(HEALTHY, rate=OFF), budget=Budget(requests=20))
    with pytest.raises(BudgetExceeded):
        fuzz.run(client, Ledger(client.target), seed=1, max_examples=1)
    assert len(client.journal) == 20
