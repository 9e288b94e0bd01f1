"""A recorded trace is cut down to what shows the finding."""

from __future__ import annotations

from contracts.client import Client
from contracts.minimize import minimized, related
from contracts.session import Session
from contracts.steps import Steps
from tests.mutants.catalogue import MUTANTS, target


def test_minimized() -> None:
    """Start, cancel, cancel: the other run, the projects and the looks between are left out."""
    client = Client(target(MUTANTS["canceled-twice"]))
    session = Session(client.target)
    steps = Steps(client, session)
    steps.start(("tc_a",))
    steps.start(("tc_login_001",))
    client.get("/projects")
    steps.cancel(steps.mine[0])
    steps.cancel(steps.mine[0])
    (finding,) = session.findings.values()
    shorter = minimized(finding, client)
    assert [each.operation for each in shorter.trace] == ["startRun", "cancelRun", "cancelRun"]
    assert len(related(finding.trace)) < len(finding.trace)


def test_what_shows_it_stays() -> None:
    """The last exchanges show a finding together, also where they name nothing in common."""
    client = Client(target())
    trace = [client.get("/projects"), client.get("/results", limit=1), client.get("/projects"), client.get("/projects")]
    assert related(trace, 2) == tuple(trace[2:])
    assert related(trace, 1) == tuple(trace[3:])
