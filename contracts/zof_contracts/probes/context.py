"""The context: what every probe works with: the client, the ledger, and runs that were made to be looked at.

A probe is a function that takes a context and settles rules. It raises `Unsettled` where the target gave it nothing to
judge; whatever it had not settled by then is *not exercised*, with that reason.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from zof_contracts.checks.schemas import mask
from zof_contracts.contract.document import load_contract
from zof_contracts.evidence.header_values import read_server_time

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from zof_contracts.evidence.exchange import Exchange
    from zof_contracts.evidence.ledger import Ledger
    from zof_contracts.target.client import Client
    from zof_contracts.target.target import Target

JsonObject = dict[str, Any]

UNKNOWN_RUN: Final = "run_that_is_missing"
UNKNOWN_RESULT: Final = "res_that_is_missing"
UNKNOWN_ARTIFACT: Final = "art_that_is_missing"
OK: Final = 200
CREATED: Final = 201
INVALID: Final = 400
UNAUTHORIZED: Final = 401
FORBIDDEN: Final = 403
NOT_FOUND: Final = 404
CONFLICT: Final = 409
_ELSEWHERE: Final = frozenset({401, 403, 405, 429})
"""Refusals for other reasons than the one that a probe is after."""
_SOME_4XX: Final = frozenset({400, 401, 403, 404, 405, 409, 410, 413, 415, 429})
_REDIRECT: Final = 300
_FAULT: Final = 500
_STEPS: Final = (0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 32.0)


class Unsettled(Exception):  # noqa: N818  a state of the target, not a fault of the program
    """The target gave nothing to judge; the message says what was missing."""


@dataclass(frozen=True, slots=True)
class Probe:
    """One thing that is tried."""

    name: str
    """What is being tried, in a few words."""
    settle: Callable[[ProbeContext], None]
    rules: tuple[str, ...]
    """What it can settle, besides what tap and oracle see on its way."""
    is_opportune: Callable[[ProbeContext], bool] = lambda _: False
    """Whether it costs so little just now that it goes first."""


class ProbeContext:
    """Client, ledger, and what the probes have made so far."""

    def __init__(self, client: Client, ledger: Ledger, nonce: str) -> None:
        self.client = client
        self.ledger = ledger
        self.check = ledger.check
        self._nonce = nonce
        self.unattended_runs: tuple[str, ...] = ()
        """Runs that were started and left alone; the last one has a case in error, if one is known."""
        self._ended: Exchange | None = None
        self._answers: dict[str, Exchange] = {}

    @property
    def target(self) -> Target:
        """The target."""
        return self.client.target

    @property
    def can_start_runs(self) -> bool:
        """Whether runs may be started."""
        return self.target.profile == "full"

    def has(self, key: str) -> bool:
        """Whether there is a key of this name."""
        return key in self.target.keys

    def idempotency_key(self, what: str) -> str:
        """An idempotency key of this verification alone."""
        return f"contracts-{self._nonce}-{what}"

    def start(self, *cases: str, key: str = "main", idempotency_key: str | None = None, **fields: object) -> Exchange:
        """Start a run that must be accepted."""
        answer = self.client.start(*cases, key=key, idempotency_key=idempotency_key, **fields)
        if not answer.response.ok or not isinstance(answer.response.fields.get("id"), str):
            raise Unsettled(f"no run could be started: {describe(answer)}")
        return answer

    def wait_until(self, run_id: str, reached: Callable[[JsonObject], bool]) -> Exchange:
        """Retrieve a run until it has come so far, within the target's patience."""
        waited = 0.0
        answer = self.get_run(run_id)
        for step in _STEPS:
            if reached(answer.response.fields):
                return answer
            if waited + step > self.target.patience and self.target.advance is None:
                break
            self.client.wait(step, "a run goes on")
            waited += step
            answer = self.get_run(run_id)
        if reached(answer.response.fields):
            return answer
        raise Unsettled(f"a run did not come so far within {waited:g} s")

    def ensure_reachable(self) -> None:
        """Make sure that the target answers anything with success, before refusals are judged."""
        if not self.has_answered():
            self.require_ok(self.client.get("/runs", limit=1))

    def get_run(self, run_id: str) -> Exchange:
        """Retrieve a run that must be there."""
        return self.require_ok(self.client.get(f"/runs/{run_id}"))

    def require_ok(self, exchange: Exchange) -> Exchange:
        """The exchange, if it succeeded; else there is nothing to judge."""
        if not exchange.response.ok or exchange.response.json is None:
            raise Unsettled(
                f"{exchange.request.method} {exchange.operation or 'request'} gave nothing: {describe(exchange)}"
            )
        return exchange

    def find_ended_run(self) -> Exchange:
        """A run that has ended: one of our own, with a failing case if one is known; in read-only one that is there."""
        if self._ended is None:
            self._ended = self._start_run() if self.can_start_runs else self._find_listed_run()
        return self._ended

    def remember(self, ended: Exchange) -> None:
        """Take a run that has ended for the one that is looked at."""
        self._ended = ended

    def list_cases(self) -> tuple[str, ...]:
        """The target's cases, and the failing one."""
        failing = (self.target.failing_case,) if self.target.failing_case else ()
        return (*self.target.cases, *(each for each in failing if each not in self.target.cases))

    def _start_run(self) -> Exchange:
        run_id = self.start(*self.list_cases()).response.fields["id"]
        return self.wait_until(run_id, has_ended)

    def _find_listed_run(self) -> Exchange:
        listed = self.require_ok(self.client.get("/runs", limit=100)).response.items
        ended = [run for run in listed if has_ended(run)]
        if not ended:
            raise Unsettled("there is no run that has ended, and the profile allows none to be started")
        ended.sort(key=lambda run: run["status"] not in {"failed", "error"})
        return self.get_run(str(ended[0].get("id")))

    def results(self, run_id: str) -> list[JsonObject]:
        """The results of a run that has ended."""
        return self.list_results(run_id).response.items

    def list_results(self, run_id: str) -> Exchange:
        """The list of the results of a run that has ended; asked for once."""
        return self._get_once("/results", run_id=run_id)

    def artifacts(self, run_id: str) -> list[JsonObject]:
        """The artifacts of a run that has ended; asked for once."""
        return self._get_once(f"/runs/{run_id}/artifacts").response.items

    def _get_once(self, path: str, **query: Any) -> Exchange:  # noqa: ANN401  parameters
        key = f"{path} {query}"
        if key not in self._answers:
            self._answers[key] = self.require_ok(self.client.get(path, limit=100, **query))
        return self._answers[key]

    def ensure_quota(self, requests: int, key: str = "main") -> None:
        """Wait for the next window unless so many requests are left, so that no wait comes between them."""
        last = next((each for each in reversed(self.client.journal) if each.request.key == key), None)
        left, reset = (
            (read_whole_number(last, f"x-ratelimit-{name}") for name in ("remaining", "reset"))
            if last
            else (None, None)
        )
        if last is not None and left is not None and reset is not None and left < requests and self.client.pacing:
            now = read_server_time(last)
            if reset >= now:
                self.client.wait(reset - now + 1, "the target's rate limit")

    def has_succeeded(self, operation: str) -> bool:
        """Whether an operation has answered anything but refusals."""
        return any(each.operation == operation and each.response.ok for each in self.client.journal)

    def is_conclusive(self, rule: str, exchange: Exchange, status: int) -> bool:
        """Whether an answer says anything about a rule that expects a refusal; if not, the rule is skipped."""
        got = exchange.response.status
        strange = got in _ELSEWHERE or _REDIRECT <= got < INVALID or got >= _FAULT
        lost = got == NOT_FOUND and not self.has_succeeded(exchange.operation)
        if got != status and (strange or lost):
            self.ledger.record_skip(rule, f"answered {describe(exchange)}, for another reason")
            return False
        if not self.has_answered():
            self.ledger.record_skip(rule, "the target refuses everything")
            return False
        return True

    def has_answered(self) -> bool:
        """Whether the target has answered anything with success: what says 404 to everything knows nothing."""
        return any(each.response.ok and each.response.json is not None for each in self.client.journal)

    def expect_refusal(  # noqa: PLR0913  what a refusal has
        self,
        rule: str,
        exchange: Exchange,
        what: str,
        *,
        status: int = INVALID,
        param: str | None = None,
        own: bool = False,
    ) -> None:
        """A request that must be refused: its own rule, and those of a 400; `own` if that rule names the param."""
        if not self.is_conclusive(rule, exchange, status):
            return
        got, named = exchange.response.status, exchange.response.error.get("param")
        right = got == status and (not own or named == param)
        expected = f"{status}{f' with param {param}' if own else ''} for {what}"
        self.check(rule, right, expected=expected, got=describe(exchange), trace=exchange)
        if status == INVALID and got == INVALID:
            self.ledger.record_kept("errors.invalid-request.status", exchange)
        elif status == INVALID and INVALID < got < _FAULT and got not in _SOME_4XX:
            expected = f"400 for {what}"
            self.ledger.record_violation(
                "errors.invalid-request.status", expected=expected, got=describe(exchange), trace=exchange
            )
        if got == status and param is not None and param.islower():
            rule, expected = "errors.param.field", f"param {param}"
            self.check(rule, named == param, expected=expected, got=mask(named), trace=exchange, place=param)

    def expect_unauthorized(self, rule: str, exchange: Exchange, what: str) -> None:
        """A request that must be 401."""
        if not self.has_answered():
            self.ledger.record_skip(rule, "the target refuses everything")
            return
        if _REDIRECT <= exchange.response.status < INVALID or exchange.response.status >= _FAULT:
            self.ledger.record_skip(rule, f"answered {describe(exchange)}")
            return
        right = exchange.response.status == UNAUTHORIZED
        self.check(rule, right, expected=f"401 for {what}", got=describe(exchange), trace=exchange)

    def expect_not_found(self, rule: str, exchange: Exchange, trace: Sequence[Exchange] = ()) -> None:
        """A request about something that does not exist, or not for this key, must be 404."""
        got = exchange.response.status
        if not self.has_answered() or got in {401, 429} or got >= _FAULT or _REDIRECT <= got < INVALID:
            self.ledger.record_skip(rule, f"answered {describe(exchange)}, for another reason")
            return
        self.check(rule, got == NOT_FOUND, expected="404", got=describe(exchange), trace=[*trace, exchange])


def describe(exchange: Exchange) -> str:
    """Status, code and param of an answer."""
    error = exchange.response.error
    words = [str(exchange.response.status), error.get("code"), error.get("param")]
    return " ".join(str(word) for word in words if word)


def has_ended(run: JsonObject) -> bool:
    """Whether a run has ended."""
    return run.get("status") in load_contract().terminal


def read_whole_number(exchange: Exchange, header: str) -> int | None:
    """A header that is a whole number."""
    value = exchange.response.header(header)
    return int(value) if value and value.isascii() and value.isdigit() else None
