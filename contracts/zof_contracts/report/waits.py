"""The waits of a script: where it waits, for how long, and for what.

A verification plays several sequences of requests at once, so that the time between two requests of a trace says how
long a run had at the most. Where the clock is real, a script therefore asks for the run until it has ended.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from zof_contracts.contract.document import load_contract

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Sequence

    from zof_contracts.evidence.exchange import Exchange

_LEAST_PAUSE: Final = 0.5
"""Seconds between two requests that count as a pause on a real clock."""
_LONGEST_PAUSE: Final = 120
"""Seconds of a pause on a real clock at the most: a rate-limit window, and some more."""
_LEAST_BOUND: Final = 30
"""Seconds for which a script asks for a run, at least."""
_WITH_RUNS: Final = frozenset({"startRun", "getRun", "cancelRun", "listRuns"})


@dataclass(frozen=True, slots=True)
class Wait:
    """A wait before a request."""

    seconds: int | float
    """How long it takes, at the most where it is for a run."""
    run_id: str = ""
    """The run that has to end; empty for a wait of a fixed time."""
    key: str = ""
    """The name of the key with which the run is retrieved."""


def find_wait(trace: Sequence[Exchange], index: int, *, can_move_clock: bool, known: Collection[str]) -> Wait | None:
    """Return the wait before a request of a trace; None if there is none.

    Args:
        trace: the exchanges.
        index: the place of the request in the trace.
        can_move_clock: whether the script waits by moving the target's clock.
        known: the IDs that the script knows by then.
    """
    if index == 0:
        return None
    before, after = trace[index - 1], trace[index]
    if can_move_clock:
        moved = max(0, round(after.waited - before.waited, 3))
        return Wait(moved) if moved else None
    elapsed = after.at - after.took - before.at
    if elapsed < _LEAST_PAUSE:
        return None
    seconds = math.ceil(elapsed)
    awaited = _find_awaited(trace, index, known)
    if awaited is None:
        return Wait(min(seconds, _LONGEST_PAUSE))
    return Wait(max(_LEAST_BOUND, min(2 * seconds, _LONGEST_PAUSE)), *awaited)


def _find_awaited(trace: Sequence[Exchange], index: int, known: Collection[str]) -> tuple[str, str] | None:
    """The run that had not ended before a request and is shown ended by an answer after it, and the key of that one."""
    terminal = load_contract().terminal
    statuses: dict[str, str] = {}
    for exchange in trace[:index]:
        statuses.update(_list_statuses(exchange))
    for exchange in trace[index:]:
        if not exchange.request.is_safe:  # what follows may be its effect
            return None
        for run_id, status in _list_statuses(exchange):
            if run_id in known and status in terminal and statuses.get(run_id, "canceled") not in terminal:
                return run_id, exchange.request.key
    return None


def _list_statuses(exchange: Exchange) -> Iterator[tuple[str, str]]:
    """The runs that an answer shows, each with its status."""
    shown: tuple[dict[str, Any], ...] = (exchange.response.fields, *exchange.response.items)
    for each in shown if exchange.operation in _WITH_RUNS else ():
        run_id, status = each.get("id"), each.get("status")
        if isinstance(run_id, str) and isinstance(status, str):
            yield run_id, status
