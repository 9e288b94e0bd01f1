"""The client: every request of the harness goes through it, and it keeps to what was allowed.

It learns the quota from the headers and stays under it, waits out `Retry-After`, tries idempotent requests again on
5xx, refuses what a read-only profile may not send, counts the budget, remembers each run that it started, and writes
everything into a journal that holds no key. Plug in: `client.get("/runs", limit=1)`, `client.post("/runs", {...})`,
`client.send(Request(...))`; each returns an `Exchange`, and observers (tap, oracle) have seen it by then.
`client.wait(seconds, why)` moves the target's clock where that can be, and sleeps where not.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Final
from urllib.parse import urlencode, urlsplit

from zof_contracts.contract.document import PREFIX, load_contract
from zof_contracts.evidence.events import Event, ExchangeRecorded, Waiting
from zof_contracts.evidence.exchange import Exchange, Headers, Request, Response

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from zof_contracts.target.receiver import Receiver
    from zof_contracts.target.target import Target

Observer = Callable[[Exchange], None]

_TOO_MANY: Final = 429
_SERVER_FAULT: Final = 500
_TRIES: Final = 3
_SAFE: Final = frozenset({"GET", "HEAD", "OPTIONS"})
_READING: Final = ("POST", f"{PREFIX}/results/export")


class Stopped(Exception):  # noqa: N818  a decision, not a fault
    """No request may be sent any more, or not this one; the message says why."""


class BudgetExceeded(Stopped):
    """A cap is used up: requests, time or runs."""


class ReadOnly(Stopped):
    """The profile does not allow what was about to be sent."""


class Throttled(Stopped):
    """The target kept answering 429 though we waited as long as it said."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Budget:
    """What a verification may cost; None is no cap."""

    requests: int | None = None
    seconds: float | None = None
    runs: int | None = None


@dataclass(slots=True)
class _Quota:
    """What the headers said about one key's bucket."""

    remaining: int
    until: float
    """In our time (`time.monotonic`)."""


class Client:
    """Sends requests to a target, within what is allowed."""

    def __init__(
        self,
        target: Target,
        *,
        caps: Budget = Budget(),
        tell: Callable[[Event], None] = lambda _: None,
    ) -> None:
        self.target = target
        self.transport = target.transport()
        self.caps = caps
        self.tell = tell
        self.observers: list[Observer] = []
        self.journal: list[Exchange] = []
        self.started: dict[str, str] = {}
        """The runs that we started, with the name of the key that did."""
        self.receiver: Receiver | None = None
        """The receiver of webhooks, once it listens."""
        self.webhook: Exchange | None = None
        """The registration of the one webhook that a verification makes."""
        self.used = 0
        self.throttled = 0
        self.pacing = True
        """Whether the quota is respected; the scripted rate-limit probes turn it off for their own requests."""
        self._began = time.monotonic()
        self._quota: dict[str, _Quota] = {}

    def get(self, path: str, *, key: str = "main", headers: Headers = (), **query: object) -> Exchange:
        """GET a path below `/v1`; parameters that are None are left out."""
        return self.send(asked("GET", path, key=key, headers=headers, **query))

    def post(
        self, path: str, body: object = None, *, key: str = "main", idempotency_key: str | None = None
    ) -> Exchange:
        """POST a JSON body, if any, to a path below `/v1`."""
        return self.send(posted(path, body, key=key, idempotency_key=idempotency_key))

    def follow(self, url: str, *, key: str = "main") -> Exchange:
        """GET a link of an answer, at the target whatever host the link names; `ValueError` if it is not below it."""
        path = self.target.within(url)
        if path is None:
            raise ValueError(f"a link that is not below {self.target.base}")
        return self.send(Request("GET", path, urlsplit(url).query, key=key))

    def start(self, *cases: str, key: str = "main", idempotency_key: str | None = None, **fields: object) -> Exchange:
        """Ask for a run of some cases, else of the target's own."""
        what = {} if "test_suite_id" in fields else {"test_case_ids": list(cases or self.target.cases)}
        body = {"project_id": self.target.project, "environment": self.target.environment, **what, **fields}
        return self.post("/runs", body, key=key, idempotency_key=idempotency_key)

    def wait(self, seconds: float, why: str) -> None:
        """Let time pass for the target."""
        self.tell(Waiting(seconds, why))
        if self.target.advance is not None:
            self.target.advance(max(1, round(seconds * 1000)))
            self._quota.clear()
        else:
            self._within_time(seconds)
            time.sleep(seconds)

    def send(self, request: Request) -> Exchange:
        """Send a request, waiting and trying again where that is right; observers are told of the last answer."""
        for attempt in range(1, _TRIES + 1):
            self._pace(request.key, 1)
            exchange = self._once(request)
            status = exchange.response.status
            if status == _TOO_MANY and self.pacing:
                self._observe(exchange)
                self._wait_out(exchange, attempt)
            elif status >= _SERVER_FAULT and attempt < _TRIES and _repeatable(request):
                self._back_off(attempt)
            else:
                break
        else:
            raise Throttled(f"the target answered 429 {_TRIES} times though Retry-After was waited out")
        self._observe(exchange)
        return exchange

    def together(self, requests: Sequence[Request]) -> list[Exchange]:
        """Send requests at the same time, where the transport can; one after another where not."""
        if not self.transport.parallel:
            return [self.send(request) for request in requests]
        for key in {request.key for request in requests}:
            self._pace(key, sum(request.key == key for request in requests))
        for request in requests:
            self._allow(request)
        with ThreadPoolExecutor(len(requests)) as pool:
            carried = list(pool.map(self._carry, requests))
        exchanges = [self._noted(request, *answer) for request, answer in zip(requests, carried, strict=True)]
        for exchange in exchanges:
            self._observe(exchange)
        return exchanges

    def _once(self, request: Request) -> Exchange:
        self._allow(request)
        return self._noted(request, *self._carry(request))

    def _carry(self, request: Request) -> tuple[Response, float]:
        headers = list(request.headers)
        if request.key:
            secret = self.target.keys.get(request.key, request.key)
            headers.insert(0, ("Authorization", request.authorization.replace("{key}", secret)))
        began = time.perf_counter()
        answer = self.transport.carry(request.method, request.target, tuple(headers), request.body)
        return answer, time.perf_counter() - began

    def _allow(self, request: Request) -> None:
        reading = request.method in _SAFE or (request.method, request.path) == _READING
        if self.target.profile != "full" and not reading:
            raise ReadOnly(f"{request.method} {request.path} is not sent in the profile {self.target.profile}")
        if self.caps.requests is not None and self.used >= self.caps.requests:
            raise BudgetExceeded(f"the budget of {self.caps.requests} requests is used up")
        if self.caps.runs is not None and _starts(request) and len(self.started) >= self.caps.runs:
            raise BudgetExceeded(f"the {self.caps.runs} runs that may be started are used up")
        self._within_time(0)
        self.used += 1

    def _within_time(self, more: float) -> None:
        if self.caps.seconds is not None and time.monotonic() - self._began + more > self.caps.seconds:
            raise BudgetExceeded(f"the {self.caps.seconds:g} seconds are used up")

    def _noted(self, request: Request, answer: Response, took: float) -> Exchange:
        operation = load_contract().find_operation(request.method, request.path)
        name = operation.id if operation else ""
        exchange = Exchange(len(self.journal) + 1, request, answer, name, time.time(), took)
        self.journal.append(exchange)
        if _starts(request) and answer.ok and isinstance(run := answer.fields.get("id"), str):
            self.started.setdefault(run, request.key)
        self._learn(exchange)
        self.tell(ExchangeRecorded(exchange, self.used, self.caps.requests))
        return exchange

    def _observe(self, exchange: Exchange) -> None:
        for observer in self.observers:
            observer(exchange)

    def _learn(self, exchange: Exchange) -> None:
        remaining, reset = (_whole(exchange.response.header(f"x-ratelimit-{name}")) for name in ("remaining", "reset"))
        if remaining is not None and reset is not None:
            wait = min(max(reset - server_time(exchange), 0), 3600) + 1
            self._quota[exchange.request.key] = _Quota(remaining, time.monotonic() + wait)

    def _pace(self, key: str, requests: int) -> None:
        quota = self._quota.get(key)
        if self.pacing and quota is not None and quota.remaining < requests:
            left = quota.until - time.monotonic()
            del self._quota[key]
            if left > 0:
                self.wait(left, "the target's rate limit")

    def _wait_out(self, exchange: Exchange, attempt: int) -> None:
        self.throttled += 1
        seconds = _whole(exchange.response.header("retry-after"))
        if seconds is None:
            raise Throttled("the target answered 429 without a Retry-After that says how long to wait")
        if attempt < _TRIES:
            self.wait(seconds, "Retry-After")

    def _back_off(self, attempt: int) -> None:
        if self.target.app is None:
            self.wait(0.5 * 2 ** (attempt - 1), "a 5xx")


def asked(method: str, path: str, *, key: str = "main", headers: Headers = (), **query: object) -> Request:
    """A request without a body, for a path below `/v1`."""
    given = {name: value for name, value in query.items() if value is not None}
    return Request(method, PREFIX + path, urlencode(given), headers, key=key)


def posted(path: str, body: object = None, *, key: str = "main", idempotency_key: str | None = None) -> Request:
    """A POST of a JSON body, if any, to a path below `/v1`; bytes go as they are."""
    headers: Iterable[tuple[str, str]] = () if body is None else (("Content-Type", "application/json"),)
    if idempotency_key is not None:
        headers = (*headers, ("Idempotency-Key", idempotency_key))
    content = b"" if body is None else body if isinstance(body, bytes) else json.dumps(body).encode()
    return Request("POST", PREFIX + path, "", tuple(headers), content, key)


def with_header(request: Request, name: str, value: str) -> Request:
    """The request with one header more."""
    return replace(request, headers=(*request.headers, (name, value)))


def server_time(exchange: Exchange) -> float:
    """What the target's clock said in its Date header, else ours; Unix seconds."""
    date = exchange.response.header("date")
    try:
        return parsedate_to_datetime(date or "").timestamp()
    except ValueError:
        return exchange.at


def _starts(request: Request) -> bool:
    return request.method == "POST" and request.path == f"{PREFIX}/runs"


def _repeatable(request: Request) -> bool:
    return request.method in _SAFE or request.header("idempotency-key") is not None


def _whole(text: str | None) -> int | None:
    return int(text) if text and text.isascii() and text.isdigit() else None
