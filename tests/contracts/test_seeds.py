"""Many seeds, low rate limits and a second verification: on the healthy emulator nothing is ever found."""

from __future__ import annotations

from dataclasses import replace

import pytest

from contracts import machine
from contracts.client import Client
from contracts.oracle import Oracle
from contracts.runner import run
from contracts.session import Session
from contracts.tap import Tap
from tests.mutants.catalogue import target
from tests.served import Server


@pytest.mark.parametrize("seed", range(20))
def test_the_machine_finds_nothing(seed: int) -> None:
    """Whatever it makes up, also when a rate limit is waited out in the middle of it."""
    client = Client(target(seed=seed))
    session = Session(client.target, seed=seed)
    client.observers = [Tap(session), Oracle(session)]
    machine.run(client, session, seed=seed, max_examples=20)
    assert session.findings == {}


def test_a_server_with_a_low_limit_is_verified_twice() -> None:
    """Over HTTP, waiting all the time, and where an earlier verification has left its runs and idempotency keys."""
    keys = {name: key for name, key in target().keys.items() if name != "no-projects"}
    with Server("--clock", "manual", "--rate-limit", "20/60", "--quiet") as server:
        where = replace(target(), app=None, advance=None, url=f"http://127.0.0.1:{server.port}", keys=keys)
        first, second = (run(where, seed=1, max_examples=1) for _ in range(2))
    assert first.findings == second.findings == ()
    assert first.stopped == second.stopped == ""
    assert min(first.examples, second.examples) > 200
