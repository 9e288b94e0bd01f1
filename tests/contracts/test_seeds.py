"""Many seeds, low rate limits and a second verification: on the healthy emulator nothing is ever found."""

from __future__ import annotations

from contextlib import closing
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from zof_contracts.checks.conformance import ConformanceCheck
from zof_contracts.checks.history import HistoryCheck
from zof_contracts.evidence.ledger import Ledger
from zof_contracts.search import state_machine
from zof_contracts.search.state_machine import ContractMachine
from zof_contracts.target.client import Client
from zof_contracts.target.clock import find_clock_control
from zof_contracts.target.http_transport import HttpTransport
from zof_contracts.verification.run import run

from tests.mutants.catalogue import target
from tests.served import Server

if TYPE_CHECKING:
    from zof_contracts.evidence.findings import Finding
    from zof_contracts.target.target import Target


def _searched(client: Client, seed: int) -> Ledger:
    """Run the state machine."""
    ledger = Ledger(client.target, seed=seed)
    client.observers = [ConformanceCheck(ledger), HistoryCheck(ledger)]
    state_machine.run(client, ledger, seed=seed, max_examples=12)
    return ledger


def _over_http(where: Target) -> dict[str, Finding]:
    client = Client(where)
    assert isinstance(client.transport, HttpTransport)
    with closing(client.transport):
        return _searched(client, 1).findings


@pytest.mark.parametrize("seed", range(20))
def test_the_machine_finds_nothing(seed: int) -> None:
    """The state machine finds nothing for any seed, also when it waits out a rate limit."""
    assert _searched(Client(target(seed=seed)), seed).findings == {}


def test_a_server_with_a_low_limit_is_verified_again_and_again() -> None:
    """Nothing is found over HTTP with many waits, nor where an earlier verification left runs and idempotency keys."""
    keys = {name: key for name, key in target().keys.items() if name != "no-projects"}
    with Server("--clock", "manual", "--rate-limit", "20/60", "--quiet") as server:
        where = replace(target(), app=None, advance=None, url=f"http://127.0.0.1:{server.port}", keys=keys)
        facts = run(where, seed=1, max_examples=1)
        where = replace(where, advance=find_clock_control(where))
        found = [_over_http(where), _over_http(where)]
    assert facts.findings == ()
    assert facts.stopped == ""
    assert facts.examples > 200
    assert found == [{}, {}]


def test_no_two_verifications_of_a_server_use_the_same_idempotency_keys() -> None:
    """Verifications of a server have different keys; in process the same seed sends the same bytes."""
    served = replace(target(), app=None)
    first, second = (ContractMachine(Client(served), Ledger(served, seed=1), {}).salt for _ in range(2))
    assert first != second
    here = target()
    first, second = (ContractMachine(Client(here), Ledger(here, seed=1), {}).salt for _ in range(2))
    assert first == second
