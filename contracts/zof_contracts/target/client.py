"""The client: every request of the harness goes through it, and it keeps to what was allowed.

It stays below the quota that the headers state, waits as `Retry-After` says, repeats idempotent requests after a 5xx or
a lost answer, refuses what a read-only profile may not send, keeps to the budget, remembers each run that it started,
and records everything in a journal that holds no key.

`client.get("/runs", limit=1)`, `client.post("/runs", {...})` and `client.send(Request(...))` return an `Exchange`; the
observers (conformance and history checks) have seen it by then. `client.wait(seconds, why)` moves the target's clock
where that is possible, and sleeps otherwise. `client.branch(turns)` makes a client for a thread: it has a journal and
observers of its own, and shares budget, rate limit, runs and connections.
"""

from __future__ import annotations

import copy
import json
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, nullcontext
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from zof_contracts.contract.document import PREFIX, load_contract
from zof_contracts.evidence.events import Event, ExchangeRecorded, Waiting
from zof_contracts.evidence.exchange import NO_STATUS, Exchange, Headers, Request, Response
from zof_contracts.evidence.header_values import read_retry_after, read_server_time
from zof_contracts.evidence.strict_json import BOM
from zof_contracts.target.account import Account, starts_run
from zof_contracts.target.budget import Budget, BudgetExceeded, ReadOnly, Throttled
from zof_contracts.target.patience import Patience
from zof_contracts.target.rate_limit import MAX_BACK_OFF, RateLimit
from zof_contracts.target.requests import build_post, build_request
from zof_contracts.target.timer import SystemTimer, Timer
from zof_contracts.target.transport import TIMEOUT, NoAnswer, Unreachable
from zof_contracts.target.turns import SingleTurn, Turns

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from zof_contracts.target.receiver import Receiver
    from zof_contracts.target.target import Target
    from zof_contracts.target.transport import Transport

Observer = Callable[[Exchange], None]

_NO_LIMIT: Final = Budget()
_SYSTEM_TIMER: Final = SystemTimer()
_TOO_MANY: Final = 429
_SERVER_FAULT: Final = 500
_TRIES: Final = 3
_EXPORT: Final = ("POST", f"{PREFIX}/results/export")
"""A POST that changes nothing."""
_JSON: Final[Headers] = (("Content-Type", "application/json"),)
_ALIVE_TRIES: Final = 3
_ALIVE_PAUSE: Final = 0.2
_ALIVE_TIMEOUT: Final = 8.0


class Unanswered(Exception):  # noqa: N818  a fault of the target, not of the program
    """The target gave no answer to one request, and answers others; `exchange` has the status `NO_STATUS`."""

    def __init__(self, exchange: Exchange) -> None:
        super().__init__(f"{describe(exchange.request)} was not answered: {exchange.response.flaw}")
        self.exchange = exchange


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
        self.account = Account(budget, timer)
        self.started, self.ended, self.lost = self.account.started, self.account.ended, self.account.lost
        self.rate_limit = RateLimit(timer)
        self.turns: Turns = SingleTurn(timer)
        self.tell = tell
        self.timer = timer
        self.timeout = TIMEOUT
        """Seconds for a whole answer."""
        self.observers: list[Observer] = []
        self.journal: list[Exchange] = []
        self.receiver: Receiver | None = None
        """The receiver of webhooks, once it listens."""
        self.webhook: Exchange | None = None
        """The registration of the one webhook that a verification makes."""
        self.wrong_webhooks: list[Exchange] = []
        """The registrations that the target should have refused and accepted."""
        self.notes: dict[str, None] = {}
        """Facts that a reader of the report should know and that are no findings, in the order of their observation."""
        self.unanswered: Request | None = None
        """The request that is on its way."""
        self._patience: Patience | None = None
        self.pacing = True
        """Whether the quota is respected; the probes of the rate limit turn it off for their own requests."""
        self.seconds_waited = 0.0
        """Seconds that `wait` has let pass."""
        self._epoch = time.time() - timer.now()
        self._clock_offset = 0.0
        self._exclusive: list[Client] = []
        """The client whose starts alone may be sent; none if all may."""

    def branch(self, turns: Turns) -> Client:
        """A client for a thread, with a journal, observers and notes of its own; it shares everything else."""
        self._patience = self.patience
        branch = copy.copy(self)
        branch.turns, branch.journal, branch.observers, branch.notes = turns, [], [], {}
        return branch

    @property
    def budget(self) -> Budget:
        """The budget of the verification."""
        return self.account.budget

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

    def follow(self, url: str, *, key: str = "main", headers: Headers = ()) -> Exchange:
        """GET a link of an answer, at the target whatever host the link names; `ValueError` if it is not below it."""
        path = self.target.find_path(url)
        if path is None:
            raise ValueError(f"a link that is not below {self.target.base}")
        return self.send(Request("GET", path, urlsplit(url).query, headers, key=key))

    def start(self, *cases: str, key: str = "main", idempotency_key: str | None = None, **fields: object) -> Exchange:
        """Start a run of these cases, or of the target's own."""
        what = {} if "test_suite_id" in fields else {"test_case_ids": list(cases or self.target.cases)}
        body = {"project_id": self.target.project, "environment": self.target.environment, **what, **fields}
        return self.post("/runs", body, key=key, idempotency_key=idempotency_key)

    def wait(self, seconds: float, why: str, *, is_idle: bool = False) -> None:
        """Let time pass for the target.

        Args:
            seconds: how much.
            why: the reason, for the reader of the progress.
            is_idle: whether other sequences of requests may take the place of this one meanwhile.

        Raises:
            BudgetExceeded: the budget has fewer seconds than that.
        """
        if self.target.advance is not None:
            self.tell(Waiting(seconds, why, is_clock_moved=True))
            self.target.advance(max(1, round(seconds * 1000)))
            self.rate_limit.forget()
        else:
            self.account.require_time(seconds, why)
            if not self.turns.is_shared:  # the waits of several threads say nothing about how long all of them take
                self.tell(Waiting(seconds, why))
            with self.turns.release_place() if is_idle else nullcontext():
                self.turns.sleep(seconds)
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
        if not self.transport.is_parallel or self.turns.is_shared:
            return [self.send(request) for request in requests]
        for key in {request.key for request in requests}:
            self._pace(key, sum(request.key == key for request in requests))
        for request in requests:
            self._allow(request)
        with ThreadPoolExecutor(len(requests)) as pool:
            futures = [pool.submit(self._try_to_carry, request) for request in requests]
        for request in requests:
            self._settle(request)
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

    def send_unrecorded(
        self,
        method: str,
        path: str,
        body: object = None,
        *,
        transport: Transport | None = None,
        seconds: float = TIMEOUT,
    ) -> Response:
        """Send a request that is none of the API, such as one that moves the target's clock.

        It counts as every request does, but it has no key, and is neither judged nor recorded.

        Args:
            method: of the request.
            path: sent as it is.
            body: a JSON value; None for no body.
            transport: where the request goes; the target by default.
            seconds: for the whole answer.

        Raises:
            Stopped: the budget does not permit it.
            NoAnswer: it was not answered in time.
            Unreachable: there is no connection.
        """
        content, headers = (b"", ()) if body is None else (json.dumps(body).encode(), _JSON)
        self.account.spend(Request(method, path, headers=headers, body=content, key=""))
        limit = self._limit_seconds(seconds)
        return (transport or self.transport).carry(method, path, headers, content, seconds=limit, fresh=True)

    def begin_clean_up(self) -> None:
        """From now on, what is reserved for the clean-up may be used, and nothing is judged."""
        self.observers = []
        self.pacing = True
        self.account.begin_clean_up()

    @contextmanager
    def exclude_starts(self) -> Iterator[None]:
        """Let no other thread start a run for as long as the context lasts, so that lists of runs can be compared."""
        if self._exclusive and self._exclusive[0] is self:
            yield
            return
        self.turns.wait_until(lambda: not self._exclusive and not self.account.open_starts)
        self._exclusive.append(self)
        try:
            yield
        finally:
            self._exclusive.clear()

    def abandon(self) -> None:
        """Remember the start in progress, whose answer its thread may not record any more."""
        if self.unanswered is not None:
            self._remember_lost(self.unanswered, "it was interrupted before its answer came")

    def change_target(self, target: Target) -> None:
        """Send what follows to another address of the deployment."""
        if target.url != self.target.url:
            self.transport.close()
            self.transport = target.make_transport()
            self.rate_limit.forget()
        self.target = target

    def close(self) -> None:
        """Close the connections that are kept open."""
        self.transport.close()

    # --- one request

    def _send_once(self, request: Request) -> Exchange:
        """Send a request once, or twice if its answer is lost and that does no harm."""
        answer, at, took = self._carry_counted(request)
        if answer.status == NO_STATUS and request.is_repeatable:
            answer, at, took = self._carry_counted(request, fresh=True)
        exchange = self._record(request, answer, at, took)
        if answer.status == NO_STATUS:
            self._require_alive(exchange)
            self._observe(exchange)
            raise Unanswered(exchange)
        return exchange

    def _carry_counted(self, request: Request, *, fresh: bool = False) -> tuple[Response, float, float]:
        """Count a request and carry it; see `_try_to_carry`."""
        self.turns.require_going()
        if starts_run(request):
            self.turns.wait_until(lambda: not self._exclusive or self._exclusive[0] is self)
        self._allow(request)
        self.unanswered = request
        try:
            return self._try_to_carry(request, fresh=fresh)
        finally:
            self.unanswered = None
            self._settle(request)

    def _try_to_carry(self, request: Request, *, fresh: bool = False) -> tuple[Response, float, float]:
        """The answer, when it arrived, and the seconds that it took; the status is `NO_STATUS` if there is none.

        A request that must not be repeated goes over a new connection, since the target may close a kept one at any
        moment without any fault.
        """
        began, left = self.timer.now(), self.account.measure_time_left()
        seconds = self.timeout if left is None else max(min(self.timeout, left), 0.001)
        try:
            return self._carry(request, seconds, fresh=fresh or not request.is_repeatable)
        except NoAnswer as error:
            if error.timed_out and seconds < self.timeout:
                self._remember_lost(request, "the time was used up before its answer came")
                unanswered = f"{self.account.describe_time()}; {describe(request)} was not answered"
                raise BudgetExceeded(unanswered) from error
            answer = Response(NO_STATUS, (), b"", str(error))
        except Unreachable as error:
            if not self.account.recorded:
                raise
            answer = Response(NO_STATUS, (), b"", str(error))
        except (KeyboardInterrupt, SystemExit):
            self._remember_lost(request, "it was interrupted before its answer came")
            raise
        return answer, self._measure_now(), self.timer.now() - began

    def _carry(self, request: Request, seconds: float, *, fresh: bool) -> tuple[Response, float, float]:
        headers = list(request.headers)
        if request.key:
            secret = self.target.keys.get(request.key, request.key)
            headers.insert(0, ("Authorization", request.authorization.replace("{key}", secret)))
        carried = request.method, request.target, tuple(headers), request.body
        began = self.timer.now()
        with self.turns.give_up() if self.transport.is_parallel else nullcontext():
            answer = self.transport.carry(*carried, seconds=seconds, fresh=fresh)
            return answer, self._measure_now(), self.timer.now() - began

    def _record(self, request: Request, answer: Response, at: float, took: float) -> Exchange:
        operation = load_contract().find_operation(request.method, request.path)
        name = operation.id if operation else ""
        self.account.recorded += 1
        exchange = Exchange(self.account.recorded, request, answer, name, at, took, self.seconds_waited)
        self.journal.append(exchange)
        self.account.record(exchange, self._clock_offset)
        if answer.body.startswith(BOM):
            self.notes.setdefault("answers begin with a UTF-8 byte order mark, which was ignored")
        self._clock_offset = read_server_time(exchange) - exchange.at
        self.rate_limit.learn(exchange)
        self.tell(ExchangeRecorded(exchange, self.account.used, self.budget.requests))
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
                answer, at, _ = self._carry(request, self._limit_seconds(_ALIVE_TIMEOUT), fresh=True)
            except (NoAnswer, Unreachable):
                if attempt < _ALIVE_TRIES:
                    self.turns.sleep(_ALIVE_PAUSE)
            else:
                self._record(request, answer, at, 0.0)
                return
            finally:
                self._settle(request)
        what = (
            "no longer answers; the last request was"
            if self.account.was_answered
            else "answers nothing; the first request was"
        )
        raise Unreachable(f"{self.target.base} {what} {describe(exchange.request)}: {exchange.response.flaw}")

    # --- what is permitted

    def _allow(self, request: Request) -> None:
        """Count a request that is about to be sent, or raise `Stopped`."""
        reading = request.is_safe or (request.method, request.path) == _EXPORT
        if self.target.profile != "full" and not reading:
            raise ReadOnly(f"{request.method} {request.path} is not sent in the profile {self.target.profile}")
        self.account.spend(request)
        self.rate_limit.reserve(request.key)

    def _settle(self, request: Request) -> None:
        self.account.settle(request)
        self.rate_limit.release(request.key)

    def _remember_lost(self, request: Request, why: str) -> None:
        self.account.record_lost(request, self._measure_now() + self._clock_offset, why)

    def _measure_now(self) -> float:
        """Unix seconds; the time between two answers is right also when the clock of the machine is set meanwhile."""
        return self._epoch + self.timer.now()

    def _limit_seconds(self, seconds: float) -> float:
        left = self.account.measure_time_left()
        return seconds if left is None else max(min(seconds, left), 0.001)

    def _pace(self, key: str, requests: int) -> None:
        while self.pacing and (left := self.rate_limit.measure_wait(key, requests)) > 0:
            if self.turns.is_shared and not self.rate_limit.is_announced(key):
                self.tell(Waiting(left, "the target's rate limit"))
            self.wait(left, "the target's rate limit")

    def _wait_out(self, exchange: Exchange, attempt: int) -> None:
        self.account.throttled += 1
        seconds = read_retry_after(exchange)
        if seconds is None:
            raise Throttled("the target answered 429 without a Retry-After that says how long to wait")
        if seconds > MAX_BACK_OFF:
            raise Throttled(
                f"the target answered 429 and asked to wait {seconds:.0f} s; {MAX_BACK_OFF:.0f} s is the most"
            )
        self.rate_limit.pause(exchange.request.key, seconds)
        if attempt < _TRIES:
            self.wait(seconds, "Retry-After")

    def _back_off(self, attempt: int) -> None:
        if self.target.app is None:
            self.wait(0.5 * 2 ** (attempt - 1), "a 5xx")


def describe(request: Request) -> str:
    """Method and path, cut to length."""
    return f"{request.method} {request.path}"[:200]
