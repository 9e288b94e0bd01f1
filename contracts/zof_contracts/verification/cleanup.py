"""The clean-up after a verification: it cancels the runs that the verification started and that have not ended.

`clean_up(client)` returns a receipt for each run. It keeps to the budget, which reserves what it needs, and also works
after an interruption. What goes wrong with one run does not touch the others. A start whose answer was lost may have
made a run too: the list of runs is searched for it.
"""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote

from zof_contracts.evidence.strict_json import parse_json
from zof_contracts.evidence.timestamps import parse_timestamp
from zof_contracts.evidence.verification import Receipt
from zof_contracts.target.account import is_terminal
from zof_contracts.target.budget import Stopped
from zof_contracts.target.client import Unanswered
from zof_contracts.target.interruption import INTERRUPTION
from zof_contracts.target.transport import Unreachable

if TYPE_CHECKING:
    from zof_contracts.evidence.exchange import Exchange
    from zof_contracts.target.account import LostStart
    from zof_contracts.target.client import Client

UNKNOWN: Final = "unknown"
"""The ID in the receipt of a start whose run was not found."""
_CONFLICT: Final = 409
_AROUND: Final = 10.0
"""Seconds before and after a lost start within which its run may have been created."""
_CANDIDATES: Final = 5
"""The largest number of runs that are examined for each lost start."""
_EXPECTED = (Stopped, Unanswered)
"""The operations that concern a single run."""


def clean_up(client: Client) -> tuple[Receipt, ...]:
    """Cancel the runs that have not ended; return a receipt for each run that was started."""
    INTERRUPTION.acknowledge()  # a signal that ended the verification must not end the clean-up too
    client.begin_clean_up()
    receipts: list[Receipt] = []
    runs = list(client.started.items())
    try:
        if client.lost or len(client.started) > len(client.ended) + 1:
            with suppress(*_EXPECTED):
                client.get("/runs", limit=100)
        for run, key in runs:
            receipts.append(Receipt(run, key, _end_run(client, run, key)))
        for start in client.lost:
            receipts.append(_end_lost(client, start))  # noqa: PERF401  those so far are kept when one raises
    except (KeyboardInterrupt, Unreachable) as error:
        INTERRUPTION.acknowledge()
        why = "the target no longer answers" if isinstance(error, Unreachable) else "the clean-up was interrupted"
        receipts += [Receipt(run, key, _describe_left(client, run, why)) for run, key in runs[len(receipts) :]]
        lost = client.lost[len(receipts) - len(runs) :]
        receipts += [Receipt(UNKNOWN, start.request.key, f"{_describe_lost(start)}; {why}") for start in lost]
    return (*receipts, *_leave_webhook(client))


def _leave_webhook(client: Client) -> tuple[Receipt, ...]:
    """Close the receiver; a receipt for each webhook that was registered, which the API cannot delete."""
    if client.receiver is not None:
        client.receiver.close()
        client.receiver = None
    made = [client.webhook] if client.webhook is not None and client.webhook.response.ok else []
    return (
        *(Receipt(_read_id(one), "main", "left registered: the API deletes no webhooks") for one in made),
        *(
            Receipt(_read_id(one), "main", "left registered, although its registration is wrong and should be refused")
            for one in client.wrong_webhooks
        ),
    )


def _read_id(made: Exchange) -> str:
    return str(made.response.fields.get("id"))


def _describe_left(client: Client, run: str, why: str) -> str:
    """The state of a run that the clean-up did not reach."""
    return _name_state(client.ended[run]) if run in client.ended else f"left running: {why}"


def _end_run(client: Client, run: str, key: str) -> str:
    """Cancel a run unless it has ended; its state then."""
    if run in client.ended:
        return _name_state(client.ended[run])
    try:
        return _cancel(client, run, key)
    except _EXPECTED as error:
        return f"left running: {error}"
    except Unreachable:
        raise
    except Exception as error:  # noqa: BLE001  an odd ID or answer must not keep the other runs from being canceled
        return f"left running: its cancel failed ({type(error).__name__})"


def _cancel(client: Client, run: str, key: str) -> str:
    path = f"/runs/{quote(run, safe='', errors='backslashreplace')}"
    answer = client.post(f"{path}/cancel", key=key).response
    if answer.ok:
        return "canceled"
    if answer.status != _CONFLICT:
        return f"left running: its cancel was answered {answer.status}"
    status = client.get(path, key=key).response.fields.get("status")
    if is_terminal(status):
        return _name_state(str(status))
    return f"left running: its status is {str(status)[:40]} and its cancel was answered {answer.status}"


def _name_state(status: str) -> str:
    return "canceled" if status == "canceled" else "ended"


# --- starts without an answer


def _end_lost(client: Client, start: LostStart) -> Receipt:
    """Look for the run of a start whose answer was lost, and cancel it; the receipt says what came of it."""
    key, lost = start.request.key, _describe_lost(start)
    try:
        found = _find_runs(client, start)
    except _EXPECTED as error:
        return Receipt(UNKNOWN, key, f"{lost}; it could not be looked for: {error}")
    except Unreachable:
        raise
    except Exception as error:  # noqa: BLE001  an odd answer must not end the clean-up
        return Receipt(UNKNOWN, key, f"{lost}; it could not be looked for ({type(error).__name__})")
    if not found:
        return Receipt(UNKNOWN, key, f"{lost}; the target lists no such run")
    if len(found) > 1:
        return Receipt(UNKNOWN, key, f"{lost}; left running: {len(found)} runs may be it ({', '.join(found)[:200]})")
    client.started[found[0]] = key
    return Receipt(found[0], key, f"{_end_run(client, found[0], key)}; {lost}")


def _describe_lost(start: LostStart) -> str:
    return f"the answer to its start was lost ({start.why})"


def _find_runs(client: Client, start: LostStart) -> list[str]:
    """The open runs that the start may have made: unknown ones of that time with the same cases."""
    wanted = parse_json(start.request.body)
    listed = client.get("/runs", key=start.request.key, limit=100).response.items
    likely = [each for each in listed if _may_be(client, each, wanted, start.at)]
    return [str(each["id"]) for each in likely[:_CANDIDATES] if _has_cases(client, each, wanted, start.request.key)]


def _may_be(client: Client, run: dict[str, Any], wanted: dict[str, Any], at: float) -> bool:
    name, created = run.get("id"), parse_timestamp(run.get("created_at"))
    if not isinstance(name, str) or name in client.started or is_terminal(run.get("status")):
        return False
    fields = ("project_id", "environment", "test_suite_id")
    return (
        created is not None
        and abs(created - at) <= _AROUND
        and all(run.get(field) == wanted.get(field) for field in fields)
    )


def _has_cases(client: Client, run: dict[str, Any], wanted: dict[str, Any], key: str) -> bool:
    """Whether the run is of the cases asked for; a suite was compared already."""
    if "test_case_ids" not in wanted:
        return True
    outcomes = client.get(f"/runs/{quote(run['id'], safe='')}", key=key).response.fields.get("case_outcomes")
    cases = [one.get("test_case_id") for one in outcomes] if isinstance(outcomes, list) else []
    return bool(cases == wanted["test_case_ids"])
