"""The clean-up after a verification: it cancels the runs that the verification started and that have not ended.

`clean_up(client)` returns a receipt for each run. It works outside the budget, and after an interruption too.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from zof_contracts.contract.document import load_contract
from zof_contracts.evidence.exchange import Unreachable
from zof_contracts.evidence.verification import Receipt
from zof_contracts.target.client import Budget, Stopped

if TYPE_CHECKING:
    from zof_contracts.target.client import Client

_CONFLICT: Final = 409


def clean_up(client: Client) -> tuple[Receipt, ...]:
    """Cancel the runs that were started and have not ended; return a receipt for each run that was started."""
    client.observers = []
    client.caps = Budget()
    client.pacing = True
    receipts = []
    reached, why = True, "the target no longer answers"
    try:
        states = _look_up_states(client)
    except (Stopped, Unreachable):
        states = _known_states(client)
    except KeyboardInterrupt:
        states, reached, why = _known_states(client), False, "the clean-up was interrupted"
    for run, key in client.started.items():
        state = states.get(run, "" if reached else f"left running: {why}")
        if not state:
            try:
                state = _cancel(client, run, key)
            except (Stopped, Unreachable) as error:
                state, reached = f"left running: {error}", False
            except KeyboardInterrupt:
                reached, why = False, "the clean-up was interrupted"
                state = f"left running: {why}"
            except Exception as error:  # noqa: BLE001  an odd answer about one run must not leave the others running
                state = f"left running: its cancel failed with {type(error).__name__}"
        receipts.append(Receipt(run, key, state))
    return (*receipts, *_leave_webhook(client))


def _leave_webhook(client: Client) -> tuple[Receipt, ...]:
    """Close the receiver; a receipt for the webhook that was registered, which the API cannot delete."""
    if client.receiver is not None:
        client.receiver.close()
        client.receiver = None
    made = client.webhook
    if made is None or not made.response.ok:
        return ()
    return (Receipt(str(made.response.fields.get("id")), "main", "left registered: the API deletes no webhooks"),)


def _cancel(client: Client, run: str, key: str) -> str:
    answer = client.post(f"/runs/{run}/cancel", key=key).response
    if answer.ok:
        return "canceled"
    if answer.status != _CONFLICT:
        return f"left running: its cancel was answered {answer.status}"
    status = client.get(f"/runs/{run}", key=key).response.fields.get("status")
    return _state(status) or f"left running: its status is {status} and its cancel was answered {answer.status}"


def _look_up_states(client: Client) -> dict[str, str]:
    """Return the state of each run; list the runs first if several are not known to have ended."""
    states = _known_states(client)
    if len(client.started.keys() - states.keys()) > 1:
        client.get("/runs", limit=100)
        states = _known_states(client)
    return states


def _known_states(client: Client) -> dict[str, str]:
    """Return the state of each run that an exchange showed as ended or canceled."""
    states: dict[str, str] = {}
    for exchange in client.journal:
        answer = exchange.response
        for run in (answer.fields, *(answer.items if exchange.operation == "listRuns" else ())):
            if (name := run.get("id")) in client.started and (state := _state(run.get("status"))):
                states[str(name)] = state
    return states


def _state(status: object) -> str:
    if status == "canceled":
        return "canceled"
    return "ended" if status in load_contract().terminal else ""
