"""The patience with runs: it is spent once, and the report says what to raise."""

from __future__ import annotations

from dataclasses import replace

import pytest
from zof_contracts.checks.claims import has_ended
from zof_contracts.evidence.ledger import Ledger
from zof_contracts.probes import ProbeContext, Unsettled
from zof_contracts.probes.lifecycle import complete_run
from zof_contracts.search.actions import Actions
from zof_contracts.target.client import Client
from zof_contracts.verification.notes import collect_notes

from tests.contracts.timers import FakeTimer
from tests.mutants.catalogue import target


def _make_client(patience: float) -> tuple[Client, FakeTimer]:
    """A client of an emulator whose clock stands still, so that no run ends."""
    timer = FakeTimer()
    where = replace(target(), advance=None, find_clock=False, patience=patience)
    return Client(where, timer=timer), timer


def test_a_run_that_never_ends_costs_the_patience_once() -> None:
    """The first run that does not end is waited for as long as the patience lasts, and the next ones for a moment."""
    client, timer = _make_client(15)
    context = ProbeContext(client, Ledger(client.target), "test")
    with pytest.raises(Unsettled, match="still running after 15 s; raise --patience"):
        complete_run(context)
    first = timer.time
    assert 15 <= first <= 17
    assert client.journal[-1].operation == "cancelRun"
    assert has_ended(context.find_ended_run().response.fields)
    actions = Actions(client, context.ledger)
    for _ in range(5):
        actions.start(("tc_login_001",))
        actions.finish(actions.runs[-1])
    assert timer.time - first <= 5


def test_the_report_says_what_to_raise() -> None:
    """A note names the option and its value, once."""
    client, _ = _make_client(15)
    actions = Actions(client, Ledger(client.target))
    for _ in range(2):
        actions.start(("tc_login_001",))
        actions.finish(actions.runs[-1])
    notes = [note for note in collect_notes(client) if "--patience" in note]
    assert len(notes) == 1
    assert "raise --patience (now 15s)" in notes[0]


def test_a_clock_that_can_be_moved_costs_no_patience() -> None:
    """Where waiting is free, every run is waited for until it ends, whatever the patience."""
    client = Client(replace(target(), patience=0.1))
    actions = Actions(client, Ledger(client.target))
    actions.start(("tc_login_001", "tc_checkout_014"))
    assert actions.finish(actions.runs[0])["status"] == "passed"
    assert not client.patience.has_run_out()
