"""The actions of the state machine: a run that progresses between two requests is no finding."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from zof_contracts.evidence.ledger import Ledger
from zof_contracts.search.actions import Actions
from zof_contracts.target.client import Client
from zof_emulator.settings import OFF

from tests.mutants.catalogue import target

if TYPE_CHECKING:
    from collections.abc import Callable

    from zof_contracts.evidence.exchange import Exchange

ACTIONS: dict[str, Callable[[Actions, str], object]] = {
    "artifacts": lambda actions, run: actions.list_artifacts(run),
    "cancel": lambda actions, run: actions.cancel(run),
    "export": lambda actions, run: actions.export(run),
    "filter": lambda actions, _: actions.filter_status("running"),
    "logs": lambda actions, run: actions.follow_logs(run, 1),
    "results": lambda actions, run: actions.list_results(run, 1),
    "walk": lambda actions, _: actions.walk_runs(1, starting=True),
}


@pytest.mark.parametrize("name", ACTIONS)
def test_a_run_that_ends_meanwhile_is_no_finding(name: str) -> None:
    """Between any two requests of an action the run may end."""
    for end in range(1, 8):
        client = Client(target(rate=OFF))
        ledger = Ledger(client.target)
        actions = Actions(client, ledger)
        actions.start(("tc_login_001", "tc_pay_fail_001"))
        last = len(client.journal) + end

        def ends(exchange: Exchange, client: Client = client, last: int = last) -> None:
            if exchange.number == last and client.target.advance:
                client.target.advance(60_000)

        client.observers = [ends]
        ACTIONS[name](actions, actions.runs[0])
        assert ledger.findings == {}
