"""The client: every request of the harness goes through it, and it keeps to what was allowed.

It learns the quota from the headers and stays below it, waits as `Retry-After` says, repeats idempotent requests after
a 5xx or a lost answer, refuses what a read-only profile may not send, counts the budget and reserves what the clean-up
needs, remembers each run that it started, and records everything in a journal that holds no key.

`client.get("/runs", limit=1)`, `client.post("/runs", {...})` and `client.send(Request(...))` return an `Exchange`; the
observers (conformance and history checks) have seen it by then. `client.wait(seconds, why)` moves the target's clock
where that is possible, and sleeps otherwise.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from zof_contracts.contract.document import PREFIX, load_contract
from zof_contracts.evidence.events import Event, ExchangeRecorded, Waiting
from zof_contracts.evidence.exchange import NO_STATUS, Exchange, Headers, Request, Response
from zof_contracts.evidence.header_values import parse_whole_number, read_retry_after, read_server_time
from zof_contracts.evidence.strict_json import BOM
from zof_contracts.target.budget import Budget, BudgetExceeded, ReadOnly, Throttled
from zof_contracts.target.patience import Patience
from zof_contracts.target.requests import build_post, build_request
from zof_contracts.target.timer import SystemTimer, Timer
from zof_contracts.target.transport import TIMEOUT, NoAnswer, Unreachable

if TYPE_CHECKING:
    from collections.abc import Sequence

    from zof_contracts.target.receiver import Receiver
    from zof_contracts.target.target import Target

Observer = Callable[[Exchange], None]

_NO_LIMIT: Final = Budget()
_SYSTEM_TIMER: Final = SystemTimer()
_TOO_MANY: Final = 429
_SERVER_FAULT: Final = 500
_TRIES: Final = 3
_MAY_HAVE_STARTED: Final = frozenset({NO_STATUS, 502, 504})
"""Statuses of a start, other than success, behind which there may be a run: no answer, and a gateway's errors."""
_EXPORT: Final = ("POST", f"{PREFIX}/results/export")
"""A POST that changes nothing."""
MAX_BACK_OFF: Final = 600.0
"""Seconds that a target may ask for with Retry-After or X-RateLimit-Reset."""
_ALIVE_TRIES: Final = 3
_ALIVE_PAUSE: Final = 0.2
_ALIVE_TIMEOUT: Final = 8.0
_PER_RUN: Final = 2
"""Requests that are reserved to clean up a run: its cancel, and a look at it."""
_PER_LOST_RUN: Final = 3
_LOOK_UP: Final = 1
_TIME_SHARE: Final = 0.2
_MOST_TIME: Final = 5.0
"""The share of the seconds that is reserved for the clean-up, and the most of it."""
_LEAST_CLEAN_UP: Final = 1.0
_LONGEST_CLEAN_UP: Final = 30.0


class Unanswered(Exception):  # noqa: N818  a fault of the target, not of the program
    """The target gave no answer to one request, and answers others; `exchange` has the status `NO_STATUS`."""

    def __init__(self, exchange: Exchange) -> None:
        super().__init__(f"{describe(exchange.request)} was not answered: {exchange.response.flaw}")
        self.exchange = exchange


@dataclass(frozen=True, slots=True)
class LostStart:
    """A request that may have started a run whose ID did not arrive."""

    request: Request
    at: float
    """Unix seconds, by the target's clock as far as it is known, at which the request was sent."""
    why: str


@dataclass(slots=True)
class _Quota:
    """What the headers said about the rate limit of one key."""

    remaining: int
    until: float
    """By the client's timer."""


@dataclass(slots=True)
class _CleanUp:
    """The time of the clean-up, by the client's timer."""

    until: float | None = None
    """None before it begins."""


class Client:
    """Sends requests to a target, within what is allowed."""

    def __init__(
        self,
        target: Target,
        *,
        budget: Budget = _NO_LIMIT,
        tell: Callable[[Event], None] = lambda _: None,
        timer: Timer = _SYSTEM_TIMER,
    ) -> None:
        self.target = target
        self.transport = target.make_transport()
        self.budget = budget
        self.tell = tell
        self.timer = timer
        self.timeout = TIMEOUT
        """Seconds for a whole answer."""
        self.observers: list[Observer] = []
        self.journal: list[Exchange] = []
        self.started: dict[str, str] = {}
        """The runs that were started, each with the name of the key that started it."""
        self.ended: dict[str, str] = {}
        """The terminal status of those that were seen to have ended."""
        self.lost: list[LostStart] = []
        self.receiver: Receiver | None = None
        """The receiver of webhooks, once it listens."""
        self.webhook: Exchange | None = None
        """The registration of the one webhook that a verification makes."""
        self.wrong_webhooks: list[Exchange] = []
        """The registrations that the target should have refused and accepted."""
        self.notes: dict[str, None] = {}
        """What a reader of the report should know and what is no finding, in the order in which it came up."""
        self._patience: Patience | None = None
        self.used = 0
        self.throttled = 0
        self.pacing = True
        """Whether the quota is respected; the probes of the rate limit turn it off for their own requests."""
        self.seconds_waited = 0.0
        """Seconds that `wait` has let pass."""
        self._began = timer.now()
        self._clean_up = _CleanUp()
        self._quota: dict[str, _Quota] = {}
        self._clock_offset = 0.0

    @property
    def patience(self) -> Patience:
        """How long to wait for runs. It is made when it is first needed, since the target's clock is found late."""
        if self._patience is None:
            self._patience = Patience(self.target.patience, is_free=self.target.advance is not None)
        return self._patience

    def get(self, path: str, *, key: str = "main", headers: Headers = (), **query: object) -> Exchange:
        """GET a path below `/v1`; parameters that are None are left out."""
        return self.send(build_request("GET", path, key=key, headers=headers, **query))

    def post(
        self, path: str, body: object = None, *, key: str = "main", idempotency_key: str | None = None
    ) -> Exchange:
        """POST a JSON body, if any, to a path below `/v1`."""
        return self.send(build_post(path, body, key=key, idempotency_key=idempotency_key))

    def follow(self, url: str, *, key: str = "main") -> Exchange:
        """GET a link of an answer, at the target whatever host the link names; `ValueError` if it is not below it."""
        path = self.target.find_path(url)
        if path is None:
            raise ValueError(f"a link that is not below {self.target.base}")
        return self.send(Request("GET", path, urlsplit(url).query, key=key))

    def start(self, *cases: str, key: str = "main", idempotency_key: str | None = None, **fields: object) -> Exchange:
        """Start a run of these cases, or of the target's own."""
        what = {} if "test_suite_id" in fields else {"test_case_ids": list(cases or self.target.cases)}
        body = {"project_id": self.target.project, "environment": self.target.environment, **what, **fields}
        return self.post("/runs", body, key=key, idempotency_key=idempotency_key)

    def wait(self, seconds: float, why: str) -> None:
        """Let time pass for the target.

        Raises:
            BudgetExceeded: the budget has fewer seconds than that.
        """
        if self.target.advance is not None:
            self.tell(Waiting(seconds, why, is_clock_moved=True))
            self.target.advance(max(1, round(seconds * 1000)))
            self._quota.clear()
        else:
            self._require_time(seconds)
            self.tell(Waiting(seconds, why))
            self.timer.sleep(seconds)
        self.seconds_waited += seconds

    def send(self, request: Request) -> Exchange:
        """Send a request, and wait and repeat where that is right; observers see the last answer.

        Raises:
            Unanswered: the target gave no answer to this request, and answers others.
            Unreachable: the target no longer answers at all.
            Stopped: the request may not be sent.
        """
        for attempt in range(1, _TRIES + 1):
            self._pace(request.key, 1)
            exchange = self._send_once(request)
            status = exchange.response.status
            if status == _TOO_MANY and self.pacing:
                self._observe(exchange)
                self._wait_out(exchange, attempt)
            elif status >= _SERVER_FAULT and attempt < _TRIES and request.is_repeatable:
                self._back_off(attempt)
            else:
                break
        else:
            raise Throttled(f"the target answered 429 {_TRIES} times though Retry-After was waited out")
        self._observe(exchange)
        return exchange

    def send_together(self, requests: Sequence[Request]) -> list[Exchange]:
        """Send requests at the same time, if the transport can; else one after another."""
        if not self.transport.is_parallel:
            return [self.send(request) for request in requests]
        for key in {request.key for request in requests}:
            self._pace(key, sum(request.key == key for request in requests))
        for request in requests:
            self._allow(request)
        with ThreadPoolExecutor(len(requests)) as pool:
            futures = [pool.submit(self._try_to_carry, request) for request in requests]
        exchanges = [
            self._record(request, *future.result())
            for request, future in zip(requests, futures, strict=True)
            if future.exception() is None
        ]
        if error := next((each for future in futures if (each := future.exception())), None):
            raise error
        for exchange in exchanges:
            self._observe(exchange)
        for exchange in exchanges:
            if exchange.response.status == NO_STATUS:
                self._require_alive(exchange)
                raise Unanswered(exchange)
        return exchanges

    def begin_clean_up(self) -> None:
        """From now on, what is reserved for the clean-up may be used, and nothing is judged."""
        self.observers = []
        self.pacing = True
        now = self.timer.now()
        end = now + _LONGEST_CLEAN_UP
        if self.budget.seconds is not None:
            end = min(end, max(self._began + self.budget.seconds, now + _LEAST_CLEAN_UP))
        self._clean_up.until = end

    def change_target(self, target: Target) -> None:
        """Send what follows to another address of the deployment."""
        if target.url != self.target.url:
            self.transport.close()
            self.transport = target.make_transport()
            self._quota.clear()
        self.target = target

    def close(self) -> None:
        """Close the connections that are kept open."""
        self.transport.close()

    # --- one request

    def _send_once(self, request: Request) -> Exchange:
        """Send a request once, or twice if its answer is lost and that does no harm."""
        self._allow(request)
        answer, took = self._try_to_carry(request)
        if answer.status == NO_STATUS and request.is_repeatable:
            self._allow(request)
            answer, took = self._try_to_carry(request, fresh=True)
        exchange = self._record(request, answer, took)
        if answer.status == NO_STATUS:
            self._require_alive(exchange)
            self._observe(exchange)
            raise Unanswered(exchange)
        return exchange

    def _try_to_carry(self, request: Request, *, fresh: bool = False) -> tuple[Response, float]:
        """The answer and the seconds that it took; `NO_STATUS` if there is none.

        A request that must not be repeated goes over a new connection, since the target may close a kept one at any
        moment without any fault.
        """
        began, left = self.timer.now(), self._measure_time_left()
        seconds = self.timeout if left is None else max(min(self.timeout, left), 0.001)
        try:
            answer = self._carry(request, seconds, fresh=fresh or not request.is_repeatable)
        except NoAnswer as error:
            if error.timed_out and seconds < self.timeout:
                self._remember_lost(request, "the time was used up before its answer came")
                raise BudgetExceeded(f"{self._say_time_is_up()}; {describe(request)} was not answered") from error
            answer = Response(NO_STATUS, (), b"", str(error))
        except Unreachable as error:
            if not self.journal:
                raise
            answer = Response(NO_STATUS, (), b"", str(error))
        except (KeyboardInterrupt, SystemExit):
            self._remember_lost(request, "it was interrupted before its answer came")
            raise
        return answer, self.timer.now() - began

    def _carry(self, request: Request, seconds: float, *, fresh: bool) -> Response:
        headers = list(request.headers)
        if request.key:
            secret = self.target.keys.get(request.key, request.key)
            headers.insert(0, ("Authorization", request.authorization.replace("{key}", secret)))
        return self.transport.carry(
            request.method, request.target, tuple(headers), request.body, seconds=seconds, fresh=fresh
        )

    def _record(self, request: Request, answer: Response, took: float) -> Exchange:
        operation = load_contract().find_operation(request.method, request.path)
        name = operation.id if operation else ""
        exchange = Exchange(len(self.journal) + 1, request, answer, name, time.time(), took, self.seconds_waited)
        self.journal.append(exchange)
        self._remember_runs(exchange)
        if answer.body.startswith(BOM):
            self.notes.setdefault("answers begin with a UTF-8 byte order mark, which was ignored")
        self._learn(exchange)
        self.tell(ExchangeRecorded(exchange, self.used, self.budget.requests))
        return exchange

    def _observe(self, exchange: Exchange) -> None:
        for observer in self.observers:
            observer(exchange)

    def _require_alive(self, exchange: Exchange) -> None:
        """Find out whether the target answers at all; `Unreachable` if it does not."""
        for attempt in range(1, _ALIVE_TRIES + 1):
            request = build_request("GET", "/runs", limit=1)
            self._allow(request)
            try:
                answer = self._carry(request, self._limit_seconds(_ALIVE_TIMEOUT), fresh=True)
            except (NoAnswer, Unreachable):
                if attempt < _ALIVE_TRIES:
                    self.timer.sleep(_ALIVE_PAUSE)
            else:
                self._record(request, answer, 0.0)
                return
        has_answered = any(each.response.status != NO_STATUS for each in self.journal)
        what = "no longer answers; the last request was" if has_answered else "answers nothing; the first request was"
        raise Unreachable(f"{self.target.base} {what} {describe(exchange.request)}: {exchange.response.flaw}")

    # --- runs

    def _remember_runs(self, exchange: Exchange) -> None:
        request, answer = exchange.request, exchange.response
        if starts_run(request):
            run = answer.fields.get("id")
            if answer.ok and isinstance(run, str) and run:
                self.started.setdefault(run, request.key)
            elif answer.ok or answer.status in _MAY_HAVE_STARTED:
                self._remember_lost(request, answer.flaw or f"it was answered {answer.status} without the ID of a run")
        objects = (answer.fields, *answer.items) if exchange.operation in _OPERATIONS_WITH_RUNS else ()
        for each in objects:
            run, status = each.get("id"), each.get("status")
            if isinstance(run, str) and run in self.started and is_terminal(status):
                self.ended[run] = str(status)

    def _remember_lost(self, request: Request, why: str) -> None:
        if starts_run(request):
            self.lost.append(LostStart(request, time.time() + self._clock_offset, why))

    # --- the budget

    def _allow(self, request: Request) -> None:
        reading = request.is_safe or (request.method, request.path) == _EXPORT
        if self.target.profile != "full" and not reading:
            raise ReadOnly(f"{request.method} {request.path} is not sent in the profile {self.target.profile}")
        reserved = self._reserve_requests(request)
        if self.budget.requests is not None and self.used + 1 + reserved > self.budget.requests:
            raise BudgetExceeded(f"the budget of {self.budget.requests} requests is used up")
        if self.budget.runs is not None and starts_run(request) and len(self.started) >= self.budget.runs:
            raise BudgetExceeded(f"the {self.budget.runs} runs that may be started are used up")
        self._require_time(0)
        self.used += 1

    def _reserve_requests(self, request: Request) -> int:
        """The requests that the clean-up needs after this one."""
        if self._clean_up.until is not None:
            return 0
        runs = len(self.started) - len(self.ended) + starts_run(request)
        lost = len(self.lost)
        return _PER_RUN * runs + _PER_LOST_RUN * lost + (_LOOK_UP if runs or lost else 0)

    def _measure_time_left(self) -> float | None:
        """The seconds that may still be used; None for no limit."""
        now = self.timer.now()
        if self._clean_up.until is not None:
            return self._clean_up.until - now
        if self.budget.seconds is None:
            return None
        has_runs = len(self.started) > len(self.ended) or self.lost
        reserved = min(self.budget.seconds * _TIME_SHARE, _MOST_TIME) if has_runs else 0.0
        return self._began + self.budget.seconds - reserved - now

    def _limit_seconds(self, seconds: float) -> float:
        left = self._measure_time_left()
        return seconds if left is None else max(min(seconds, left), 0.001)

    def _require_time(self, seconds: float) -> None:
        left = self._measure_time_left()
        if left is not None and left < seconds:
            raise BudgetExceeded(self._say_time_is_up())

    def _say_time_is_up(self) -> str:
        if self._clean_up.until is not None:
            return "the time for the clean-up is used up"
        return f"the {self.budget.seconds:g} seconds are used up"

    # --- the rate limit

    def _learn(self, exchange: Exchange) -> None:
        self._clock_offset = read_server_time(exchange) - exchange.at
        answer = exchange.response
        remaining, reset = (parse_whole_number(answer.header(f"x-ratelimit-{name}")) for name in ("remaining", "reset"))
        if remaining is not None and reset is not None:
            wait = min(max(reset - read_server_time(exchange), 0), MAX_BACK_OFF) + 1
            self._quota[exchange.request.key] = _Quota(remaining, self.timer.now() + wait)

    def _pace(self, key: str, requests: int) -> None:
        quota = self._quota.get(key)
        if self.pacing and quota is not None and quota.remaining < requests:
            left = quota.until - self.timer.now()
            del self._quota[key]
            if left > 0:
                self.wait(left, "the target's rate limit")

    def _wait_out(self, exchange: Exchange, attempt: int) -> None:
        self.throttled += 1
        seconds = read_retry_after(exchange)
        if seconds is None:
            raise Throttled("the target answered 429 without a Retry-After that says how long to wait")
        if seconds > MAX_BACK_OFF:
            raise Throttled(
                f"the target answered 429 and asked to wait {seconds:.0f} s; {MAX_BACK_OFF:.0f} s is the most"
            )
        if attempt < _TRIES:
            self.wait(seconds, "Retry-After")

    def _back_off(self, attempt: int) -> None:
        if self.target.app is None:
            self.wait(0.5 * 2 ** (attempt - 1), "a 5xx")


_OPERATIONS_WITH_RUNS: Final = frozenset({"startRun", "getRun", "cancelRun", "listRuns"})


def describe(request: Request) -> str:
    """Method and path, cut to length."""
    return f"{request.method} {request.path}"[:200]


def starts_run(request: Request) -> bool:
    """Whether the request asks for a run."""
    return request.method == "POST" and request.path == f"{PREFIX}/runs"


def is_terminal(status: object) -> bool:
    """Whether a run with this status has ended."""
    return isinstance(status, str) and status in load_contract().terminal
