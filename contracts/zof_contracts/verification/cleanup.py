"""After everything: what we started and still runs is canceled, and a receipt says what has become of each run.

Plug in: `clean_up(client)`; it also works when every cap is used up, and when the verification was interrupted.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from zof_contracts.contract.document import load_contract
from zof_contracts.target.transport import Unreachable
from zof_contracts.evidence.verification import Receipt
from zof_contracts.target.budget import Budget, Stopped

if TYPE_CHECKING:
    from zof_contracts.target.client import Client

_CONFLICT: Final = 409


def clean_up(client: Client) -> tuple[Receipt, ...]:
    """Cancel what still runs of what we started."""
    client.observers = []
    client.budget = Budget()
    client.pacing = True
    receipts = []
    reached = True
    try:
        states = _looked_up(client)
    except (Stopped, Unreachable):
        states = _states(client)
    for run, key in client.started.items():
        state = states.get(run, "") if reached else "left, since the target no longer answered"
        if state not in {"ended", "canceled"} and reached:
            try:
                state = _canceled(client, run, key)
            except (Stopped, Unreachable) as error:
                state, reached = f"left: {error}", False
        receipts.append(Receipt(run, key, state))
    return tuple(receipts)


def _canceled(client: Client, run: str, key: str) -> str:
    answer = client.post(f"/runs/{run}/cancel", key=key).response
    if answer.ok:
        return "canceled"
    if answer.status != _CONFLICT:
        return f"left: its cancel was answered {answer.status}"
    seen = client.get(f"/runs/{run}", key=key).response.fields.get("status")
    return _state(seen) or f"left: {seen}, and its cancel was answered {answer.status}"


def _looked_up(client: Client) -> dict[str, str]:
    """What has become of our runs; those not known to have ended are looked for in the list first."""
    states = _states(client)
    if len(client.started.keys() - states.keys()) > 1:
        client.get("/runs", limit=100)
        states = _states(client)
    return states


def _states(client: Client) -> dict[str, str]:
    """Which of our runs have ended, as far as it was seen."""
    found: dict[str, str] = {}
    for exchange in client.journal:
        answer = exchange.response
        for run in (answer.fields, *(answer.items if exchange.operation == "listRuns" else ())):
            if (name := run.get("id")) in client.started and (state := _state(run.get("status"))):
                found[str(name)] = state
    return found


def _state(status: object) -> str:
    if status == "canceled":
        return "canceled"
    return "ended" if status in load_contract().terminal else ""
