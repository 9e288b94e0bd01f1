"""The account of a verification: what it has spent, what it may still spend, and the runs that it has to clean up.

All clients of a verification share one account. It reserves within the budget what the clean-up needs.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from zof_contracts.contract.document import PREFIX, load_contract
from zof_contracts.evidence.exchange import NO_STATUS
from zof_contracts.target.budget import Budget, BudgetExceeded

if TYPE_CHECKING:
    from zof_contracts.evidence.exchange import Exchange, Request
    from zof_contracts.target.timer import Timer

_MAY_HAVE_STARTED: Final = frozenset({NO_STATUS, 502, 504})
"""Statuses of a start, other than success, behind which there may be a run: no answer, and a gateway's errors."""
_PER_RUN: Final = 2
"""Requests that are reserved to clean up a run: its cancel, and a look at it."""
_PER_LOST_RUN: Final = 3
_LOOK_UP: Final = 1
_TIME_SHARE: Final = 0.2
_MOST_TIME: Final = 5.0
"""The share of the seconds that is reserved for the clean-up, and the most of it."""
_LEAST_CLEAN_UP: Final = 1.0
_LONGEST_CLEAN_UP: Final = 30.0
_OPERATIONS_WITH_RUNS: Final = frozenset({"startRun", "getRun", "cancelRun", "listRuns"})


@dataclass(frozen=True, slots=True)
class LostStart:
    """A request that may have started a run whose ID did not arrive."""

    request: Request
    at: float
    """Unix seconds, by the target's clock as far as it is known, at which the request was sent."""
    why: str


class Account:
    """The requests and the time that a verification has spent, and the runs that it started."""

    def __init__(self, budget: Budget, timer: Timer) -> None:
        self.budget = budget
        self.used = 0
        """The number of requests sent."""
        self.throttled = 0
        """The number of answers with status 429 that were waited out."""
        self.recorded = 0
        """The number of exchanges recorded, by all clients; the number of the last one."""
        self.was_answered = False
        """Whether the target has answered any request."""
        self.started: dict[str, str] = {}
        """The runs that were started, each with the name of the key that started it."""
        self.ended: dict[str, str] = {}
        """The terminal status of those that were seen to have ended."""
        self.lost: list[LostStart] = []
        self.starts = 0
        """The number of starts that were sent."""
        self.open_starts = 0
        """The number of starts that are not answered yet."""
        self.reserved_at_end = 0
        """The requests that are reserved for what follows the clean-up of runs."""
        self._timer = timer
        self._began = timer.now()
        self._clean_up_until: float | None = None
        """By the timer; None before the clean-up begins."""

    @property
    def is_clean_up(self) -> bool:
        """Whether the clean-up has begun."""
        return self._clean_up_until is not None

    def begin_clean_up(self) -> None:
        """From now on, what is reserved for the clean-up may be used."""
        now = self._timer.now()
        end = now + _LONGEST_CLEAN_UP
        if self.budget.seconds is not None:
            end = min(end, max(self._began + self.budget.seconds, now + _LEAST_CLEAN_UP))
        self._clean_up_until = end

    # --- requests

    def spend(self, request: Request) -> None:
        """Count a request that is about to be sent.

        Raises:
            BudgetExceeded: it may not be sent.
        """
        budget = self.budget
        if budget.requests is not None and self.used + 1 + self._reserve_requests(request) > budget.requests:
            raise BudgetExceeded(f"the budget of {budget.requests} requests is used up")
        is_start = starts_run(request)
        if budget.runs is not None and is_start and len(self.started) + self.open_starts >= budget.runs:
            raise BudgetExceeded(f"the {budget.runs} runs that may be started are used up")
        self.require_time()
        self.used += 1
        if is_start:
            self.starts += 1
            self.open_starts += 1

    def settle(self, request: Request) -> None:
        """Record that a request that was counted is no longer on its way."""
        if starts_run(request):
            self.open_starts -= 1

    def _reserve_requests(self, request: Request) -> int:
        """The requests that the clean-up needs after this one."""
        if self.is_clean_up:
            return self.reserved_at_end
        runs = len(self.started) - len(self.ended) + self.open_starts + starts_run(request)
        lost = len(self.lost)
        clean_up = _PER_RUN * runs + _PER_LOST_RUN * lost + (_LOOK_UP if runs or lost else 0)
        return clean_up + self.reserved_at_end

    # --- time

    def measure_time_left(self) -> float | None:
        """The seconds that may still be used; None for no limit."""
        now = self._timer.now()
        if self._clean_up_until is not None:
            return self._clean_up_until - now
        if self.budget.seconds is None:
            return None
        has_runs = len(self.started) > len(self.ended) or self.lost
        reserved = min(self.budget.seconds * _TIME_SHARE, _MOST_TIME) if has_runs else 0.0
        return self._began + self.budget.seconds - reserved - now

    def require_time(self, seconds: float = 0, why: str = "") -> None:
        """Raise `BudgetExceeded` unless this number of seconds is left for a wait; `why` names its purpose."""
        left = self.measure_time_left()
        if left is None or left >= seconds:
            return
        if self.is_clean_up or left <= 0:
            raise BudgetExceeded(self.describe_time())
        limit = self.budget.seconds
        raise BudgetExceeded(f"a wait of {seconds:.0f} s for {why} does not fit in the rest of the {limit:g} seconds")

    def describe_time(self) -> str:
        """Say that the time is used up."""
        if self.is_clean_up:
            return "the time for the clean-up is used up"
        return f"the {self.budget.seconds:g} seconds are used up"

    # --- runs

    def record(self, exchange: Exchange, clock_offset: float) -> None:
        """Remember the runs that an exchange started, and those that it shows to have ended."""
        request, answer = exchange.request, exchange.response
        self.was_answered = self.was_answered or answer.status != NO_STATUS
        if starts_run(request):
            run = answer.fields.get("id")
            if answer.ok and isinstance(run, str) and run:
                self.started.setdefault(run, request.key)
            elif answer.ok or answer.status in _MAY_HAVE_STARTED:
                why = answer.flaw or f"it was answered {answer.status} without the ID of a run"
                self.record_lost(request, exchange.at + clock_offset, why)
        objects = (answer.fields, *answer.items) if exchange.operation in _OPERATIONS_WITH_RUNS else ()
        for each in objects:
            run, status = each.get("id"), each.get("status")
            if isinstance(run, str) and run in self.started and is_terminal(status):
                self.ended[run] = str(status)

    def count_ends(self) -> int:
        """The number of runs that have ended without a cancel."""
        return sum(status != "canceled" for status in self.ended.values())

    def record_lost(self, request: Request, at: float, why: str) -> None:
        """Remember that a request may have started a run whose ID did not arrive."""
        if starts_run(request):
            self.lost.append(LostStart(request, at, why))


def starts_run(request: Request) -> bool:
    """Whether the request asks for a run."""
    return request.method == "POST" and request.path == f"{PREFIX}/runs"


def is_terminal(status: object) -> bool:
    """Whether a run with this status has ended."""
    return isinstance(status, str) and status in load_contract().terminal
