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
from zof_contracts.target.client import Client
from zof_contracts.target.clock import find_clock_control
from zof_contracts.target.http_transport import HttpTransport
from zof_contracts.verification.run import run

from tests.mutants.catalogue import target
from tests.served import Server

if TYPE_CHECKING:
    from zof_contracts.evidence.findings import Finding
    from zof_contracts.target.target import Target


def _search(client: Client, seed: int) -> Ledger:
    """Run the state machine."""
    ledger = Ledger(client.target, seed=seed)
    client.observers = [ConformanceCheck(ledger), HistoryCheck(ledger)]
    state_machine.run(client, ledger, seed=seed, max_examples=12)
    return ledger


def _over_http(where: Target) -> dict[str, Finding]:
    client = Client(where)
    assert isinstance(client.transport, HttpTransport)
    with closing(client.transport):
        return _search(client, 1).findings


@pytest.mark.parametrize("seed", range(20))
def test_the_machine_finds_nothing(seed: int) -> None:
    """The state machine finds nothing for any seed, also when it waits out a rate limit."""
    assert _search(Client(target(seed=seed)), seed).findings == {}


def _fill(client: Client) -> None:
    """Leave runs of several moments and ends behind: ended, running, queued and canceled ones."""
    for number in range(12):
        run = client.start(*([f"tc_fail_{number}"] if number % 3 else [])).response.fields["id"]
        if number % 4 == 0:
            client.post(f"/runs/{run}/cancel")
        elif number % 4 == 1:
            client.wait(1.3, "runs of several moments")


@pytest.mark.parametrize("seed", range(20))
def test_the_machine_finds_nothing_in_the_profile_read_only(seed: int) -> None:
    """In the profile read-only, where runs of others exist, the state machine finds nothing for any seed."""
    where = target(seed=seed)
    _fill(Client(where))
    client = Client(replace(where, profile="read-only"))
    ledger = _search(client, seed)
    assert ledger.findings == {}
    assert ledger.evidence["pages.walk"] or ledger.evidence["runs.filter.status"]


def test_a_server_is_clean_in_the_profile_read_only() -> None:
    """Nothing is found over HTTP in the profile read-only, on a real clock and with runs of others."""
    keys = {name: key for name, key in target().keys.items() if name != "no-projects"}
    with Server("--clock", "auto", "--rate-limit", "off", "--quiet") as server:
        where = replace(target(), app=None, advance=None, url=f"http://127.0.0.1:{server.port}", keys=keys)
        with closing(Client(where)) as client:
            for number in range(8):
                client.start(f"tc_fail_{number}")
        facts = run(replace(where, profile="read-only", find_clock=False), seed=1, max_examples=3)
    assert [(each.rule.name, each.got) for each in facts.findings] == []
    assert facts.receipt == ()


def test_a_server_with_a_low_limit_is_verified_again_and_again() -> None:
    """Nothing is found over HTTP with many waits, nor where an earlier verification left runs and idempotency keys."""
    keys = {name: key for name, key in target().keys.items() if name != "no-projects"}
    with Server("--clock", "manual", "--rate-limit", "20/60", "--quiet") as server:
        where = replace(target(), app=None, advance=None, url=f"http://127.0.0.1:{server.port}", keys=keys)
        facts = run(where, seed=1, max_examples=1)
        with closing(Client(where)) as client:
            where = replace(where, advance=find_clock_control(client))
            found = [_over_http(where), _over_http(where)]
    assert facts.findings == ()
    assert facts.stopped == ""
    assert facts.examples > 200
    assert found == [{}, {}]


def test_no_two_verifications_of_a_server_use_the_same_idempotency_keys() -> None:
    """Verifications of a server have different keys; in process the same seed sends the same bytes."""
    served, here = replace(target(), app=None), target()
    nonces = [Ledger(where, seed=1).nonce for where in (served, served, here, here)]
    assert nonces[0] != nonces[1]
    assert nonces[2] == nonces[3]
