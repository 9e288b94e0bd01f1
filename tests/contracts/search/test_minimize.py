"""A recorded trace is cut down to what shows the finding."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from zof_contracts.evidence.ledger import Ledger
from zof_contracts.search.actions import Actions
from zof_contracts.search.minimize import find_related, minimize, resend
from zof_contracts.target.client import Client

from tests.mutants.catalogue import MUTANTS, target

if TYPE_CHECKING:
    from zof_contracts.target.target import Target


class _Patient(Client):
    """A client that records how long it would have waited."""

    def __init__(self, target: Target) -> None:
        super().__init__(target)
        self.waited: list[float] = []

    def wait(self, seconds: float, why: str, *, is_idle: bool = False) -> None:
        """Wait for nothing."""
        del why, is_idle
        self.waited.append(seconds)


def test_minimized() -> None:
    """A start and two cancels remain: the other run, the projects and the retrievals between are left out."""
    client = Client(target(MUTANTS["canceled-twice"]))
    ledger = Ledger(client.target)
    actions = Actions(client, ledger)
    actions.start(("tc_a",))
    actions.start(("tc_login_001",))
    client.get("/projects")
    actions.cancel(actions.runs[0])
    actions.cancel(actions.runs[0])
    (finding,) = ledger.findings.values()
    shorter = minimize(finding, client)
    assert [each.operation for each in shorter.trace] == ["startRun", "cancelRun", "cancelRun"]
    assert len(find_related(finding.trace)) < len(finding.trace)


def test_the_last_exchanges_stay() -> None:
    """The last exchanges stay together, even where they have no name in common."""
    client = Client(target())
    trace = [client.get("/projects"), client.get("/results", limit=1), client.get("/projects"), client.get("/projects")]
    assert find_related(trace, 2) == tuple(trace[2:])
    assert find_related(trace, 1) == tuple(trace[3:])


def test_what_is_sent_again_does_not_wait_for_long_in_real_time() -> None:
    """Pauses are at most 5 s, or as long as is asked for, where the clock of the target cannot be moved."""
    client = Client(target())
    first = client.get("/projects")
    client.wait(3600, "an hour")
    trace = [first, client.get("/projects")]
    real = _Patient(replace(client.target, advance=None))
    resend(trace, real)
    resend(trace, real, longest_wait=0.5)
    assert real.waited == [5, 0.5]
