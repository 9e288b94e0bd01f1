"""The context of the probes: the client, the ledger, and the runs that were started for them.

A probe is a function that takes a `ProbeContext` and judges rules. It raises `Unsettled` where the target gave it
nothing to judge; the rules that it had not judged by then are *not exercised*, with that reason.
"""

from __future__ import annotations

import json
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final

from zof_contracts.checks.claims import check_replay_effect, check_status, describe, has_ended
from zof_contracts.contract.document import load_contract
from zof_contracts.evidence.findings import Claim, quote_value
from zof_contracts.evidence.header_values import parse_whole_number, read_server_time
from zof_contracts.target.client import Unanswered

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from zof_contracts.evidence.exchange import Exchange
    from zof_contracts.evidence.ledger import Ledger, Trace
    from zof_contracts.probes.webhook_session import WebhookSession
    from zof_contracts.target.client import Client
    from zof_contracts.target.target import Target

JsonObject = dict[str, Any]

UNKNOWN_CASE: Final = "tc_that_is_missing"
UNKNOWN_RUN: Final = "run_that_is_missing"
UNKNOWN_RESULT: Final = "res_that_is_missing"
UNKNOWN_ARTIFACT: Final = "art_that_is_missing"
UNKNOWN_WEBHOOK: Final = "wh_that_is_missing"
OK: Final = 200
CREATED: Final = 201
INVALID: Final = 400
UNAUTHORIZED: Final = 401
FORBIDDEN: Final = 403
NOT_FOUND: Final = 404
CONFLICT: Final = 409
_UNRELATED: Final = frozenset({401, 403, 405, 429})
"""The statuses of refusals that have nothing to do with what a probe is about."""
_SOME_4XX: Final = frozenset({400, 401, 403, 404, 405, 409, 410, 413, 415, 429})
ABSENT: Final = frozenset({404, 405, 501})
"""The statuses of an operation that a target does not have."""
_LARGEST_PAGE: Final = 100
_REDIRECT: Final = 300
_FAULT: Final = 500
_FIRST_STEP: Final = 0.5
"""Seconds between the first two looks at a run; each later step is twice as long."""
_LONGEST_STEP: Final = 4.0
"""The longest step in seconds on a clock that cannot be moved."""


class Unsettled(Exception):  # noqa: N818  a state of the target, not a fault of the program
    """The target gave nothing to judge; the message says what was missing."""


@dataclass(frozen=True, slots=True)
class Probe:
    """One thing that is tried."""

    name: str
    """The attempt, in a few words."""
    settle: Callable[[ProbeContext], None]
    rules: tuple[str, ...]
    """The rules that it can judge, besides those that the checks judge in its answers."""
    is_opportune: Callable[[ProbeContext], bool] = lambda _: False
    """Whether it costs so little at the moment that it is tried next."""


class ProbeContext:
    """Client, ledger, and what the probes have made so far."""

    def __init__(self, client: Client, ledger: Ledger, nonce: str) -> None:
        self.client = client
        self.ledger = ledger
        self.check = ledger.check
        self._nonce = nonce
        self.unattended_runs: tuple[str, ...] = ()
        """Runs that were started and left alone; the last one has a case in error, if one is known."""
        self.webhooks: WebhookSession | None = None
        """The webhook that the probes of webhooks share."""
        self._ended: Exchange | None = None
        self.is_retrieval_absent = False
        """Whether runs cannot be retrieved, so that they are looked up in the list."""
        self.absences: dict[str, bool] = {}
        """Whether an operation may be absent, by its `operationId`; only operations in doubt."""
        self._answers: dict[str, Exchange] = {}

    @property
    def target(self) -> Target:
        """The target."""
        return self.client.target

    @property
    def can_start_runs(self) -> bool:
        """Whether the profile allows runs to be started."""
        return self.target.profile == "full"

    def has(self, key: str) -> bool:
        """Whether there is a key of this name."""
        return key in self.target.keys

    def record(self, claims: Claim | Iterable[Claim], trace: Trace) -> bool:
        """Record claims that follow from a trace; returns whether all of them hold."""
        given = [claims] if isinstance(claims, Claim) else list(claims)
        held = [self.ledger.record(claim, trace) for claim in given]
        return all(held)

    @contextmanager
    def isolate(self, *rules: str) -> Iterator[None]:
        """Confine what a step lacks to the rules that it is about, so that the steps after it still take place."""
        try:
            yield
        except (Unsettled, Unanswered) as error:
            for rule in rules:
                self.ledger.record_skip(rule, str(error))

    def idempotency_key(self, purpose: str) -> str:
        """An idempotency key that no other verification uses."""
        return f"contracts-{self._nonce}-{purpose}"

    def list_cases(self) -> tuple[str, ...]:
        """The cases of the target, and the failing one."""
        failing = (self.target.failing_case,) if self.target.failing_case else ()
        return (*self.target.cases, *(each for each in failing if each not in self.target.cases))

    # --- requests

    def start(self, *cases: str, key: str = "main", idempotency_key: str | None = None, **fields: object) -> Exchange:
        """Start a run.

        Raises:
            Unsettled: the start was refused.
        """
        answer = self.client.start(*cases, key=key, idempotency_key=idempotency_key, **fields)
        if not answer.response.ok or not isinstance(answer.response.fields.get("id"), str):
            raise Unsettled(f"no run could be started: {describe(answer.response)}")
        return answer

    def wait_until(self, run_id: str, is_reached: Callable[[JsonObject], bool]) -> Exchange:
        """Retrieve a run until it has reached a state.

        Raises:
            Unsettled: it did not reach the state within the patience of the target.
        """
        patience = self.client.patience
        waited, step, longest = 0.0, _FIRST_STEP, patience.measure()
        answer = self.get_run(run_id)
        while not is_reached(answer.response.fields) and waited < longest:
            step = min(step, longest - waited)
            self.client.wait(step, "a run in progress")
            waited += step
            step = step * 2 if patience.is_free else min(step * 2, _LONGEST_STEP)
            answer = self.get_run(run_id)
        if is_reached(answer.response.fields):
            return answer
        status = answer.response.fields.get("status")
        advice = "" if patience.is_free else f"; raise --patience (now {patience.seconds:g}s)"
        if note := patience.use_up(run_id, status):
            self.client.notes.setdefault(note)
        raise Unsettled(f"the run {run_id} was still {status} after {waited:g} s{advice}")

    def get_run(self, run_id: str, *, key: str = "main") -> Exchange:
        """Retrieve a run that exists; where that is not possible, the exchange that lists it, with the run alone."""
        if not self.is_retrieval_absent:
            answer = self.client.get(f"/runs/{run_id}", key=key)
            self.is_retrieval_absent = answer.response.status in ABSENT and not self.has_succeeded("getRun")
            if not self.is_retrieval_absent:
                return self.require_ok(answer)
        listed = self.require_ok(self.client.get("/runs", key=key, limit=_LARGEST_PAGE))
        run = next((each for each in listed.response.items if each.get("id") == run_id), None)
        if run is None:
            raise Unsettled(
                f"the run {run_id} can neither be retrieved nor is it among the newest {_LARGEST_PAGE} runs"
            )
        return replace(listed, response=replace(listed.response, body=json.dumps(run).encode(), _json=[]))

    def require_ok(self, exchange: Exchange) -> Exchange:
        """Return a successful exchange.

        Raises:
            Unsettled: it was refused.
        """
        if not exchange.response.ok or exchange.response.json is None:
            operation = load_contract().operations.get(exchange.operation)
            path = operation.path if operation else exchange.request.path
            raise Unsettled(f"{exchange.request.method} {path} was answered {describe(exchange.response)}")
        return exchange

    def ensure_reachable(self) -> None:
        """Make sure that the target answers something with success before refusals are judged."""
        if not self.has_answered():
            self.require_ok(self.client.get("/runs", limit=1))

    def ensure_quota(self, requests: int, key: str = "main") -> None:
        """Wait for the next window unless this number of requests is left, so that no wait comes between them."""
        last = next((each for each in reversed(self.client.journal) if each.request.key == key), None)
        if last is None or not self.client.pacing:
            return
        left, reset = (read_whole_number(last, f"x-ratelimit-{name}") for name in ("remaining", "reset"))
        if left is not None and reset is not None and left < requests:
            now = read_server_time(last)
            if reset >= now:
                self.client.wait(reset - now + 1, "the target's rate limit")

    # --- runs that have ended

    def find_ended_run(self) -> Exchange:
        """A run that has ended: one that we start, or in the profile read-only one that exists."""
        if self._ended is None:
            self._ended = self._make_ended_run() or self._find_listed_run()
        return self._ended

    def remember(self, ended: Exchange) -> None:
        """Use a run as the one that `find_ended_run` returns."""
        self._ended = ended

    def _make_ended_run(self) -> Exchange | None:
        """A run that we start; None where we may not, or where runs do not end in time."""
        if not self.can_start_runs or self.client.patience.has_run_out():
            return None
        run_id = self.start(*self.list_cases()).response.fields["id"]
        try:
            return self.wait_until(run_id, has_ended)
        except Unsettled:
            if not self.client.patience.has_run_out():
                raise
            return None

    def _find_listed_run(self) -> Exchange:
        listed = self.require_ok(self.client.get("/runs", limit=100)).response.items
        ended = [run for run in listed if has_ended(run)]
        if not ended:
            raise Unsettled(f"there is no run that has ended, and {self._explain_no_start()}")
        ended.sort(key=lambda run: run["status"] not in {"failed", "error"})
        return self.get_run(str(ended[0].get("id")))

    def _explain_no_start(self) -> str:
        if self.can_start_runs:
            return "no run that was started has ended in time; raise --patience"
        return "the profile allows none to be started"

    def results(self, run_id: str) -> list[JsonObject]:
        """The results of a run that has ended; none where they cannot be listed."""
        return self._find_items("/results", run_id=run_id)

    def list_results(self, run_id: str) -> Exchange:
        """The list of the results of a run that has ended, requested once."""
        return self._get_once("/results", run_id=run_id)

    def artifacts(self, run_id: str) -> list[JsonObject]:
        """The artifacts of a run that has ended, requested once; none where they cannot be listed."""
        return self._find_items(f"/runs/{run_id}/artifacts")

    def _find_items(self, path: str, **query: Any) -> list[JsonObject]:  # noqa: ANN401  parameters
        try:
            return self._get_once(path, **query).response.items
        except Unsettled:
            return []

    def _get_once(self, path: str, **query: Any) -> Exchange:  # noqa: ANN401  parameters
        key = f"{path} {query}"
        if key not in self._answers:
            self._answers[key] = self.require_ok(self.client.get(path, limit=100, **query))
        return self._answers[key]

    # --- runs that must not have been started

    def list_runs_since(self, first: Exchange) -> Exchange:
        """The newest runs, from the creation of a run on where it states when that was."""
        return self.client.get("/runs", limit=100, created_after=first.response.fields.get("created_at"))

    def judge_replay_effect(self, first: Exchange, before: Exchange, replays: Sequence[Exchange]) -> None:
        """Judge by the lists of runs that replays of a start, sent after the list `before`, started no run."""
        after = self.list_runs_since(first)
        if not (before.response.ok and after.response.ok):
            return
        started, lists = self.client.started, (before.response.items, after.response.items)
        claim = check_replay_effect(first.response.fields, *lists, started)
        self.record(claim, [first, before, *replays, after])

    # --- refusals

    def has_succeeded(self, operation: str) -> bool:
        """Whether an operation has been answered with success."""
        return any(each.operation == operation and each.response.ok for each in self.client.journal)

    def has_answered(self) -> bool:
        """Whether the target has answered anything with success: one that answers 404 to everything has no API."""
        return any(each.response.ok and each.response.json is not None for each in self.client.journal)

    def is_conclusive(self, rule: str, exchange: Exchange, status: int) -> bool:
        """Whether an answer says something about a rule that expects a status; if not, the rule is skipped."""
        got = exchange.response.status
        unrelated = got in _UNRELATED or _REDIRECT <= got < INVALID or got >= _FAULT
        unknown = got == NOT_FOUND and not self.has_succeeded(exchange.operation)
        if got != status and (unrelated or unknown):
            self.ledger.record_skip(rule, f"answered {describe(exchange.response)}, for another reason")
            return False
        if not self.has_answered():
            self.ledger.record_skip(rule, "the target refuses everything")
            return False
        return True

    def is_error_readable(self, rule: str, exchange: Exchange) -> bool:
        """Whether a refusal has an error object; if not, which is a finding of its own, the rule is skipped."""
        if exchange.response.error:
            return True
        self.ledger.record_skip(rule, f"answered {exchange.response.status} without an error object")
        return False

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
        """Judge a request that must be refused: its rule, and those of a 400; `own` if the rule states the param."""
        if not self.is_conclusive(rule, exchange, status):
            return
        answer = exchange.response
        got, named = answer.status, answer.error.get("param")
        claim = check_status(rule, answer, status, what)
        if own and got == status and not self.is_error_readable(rule, exchange):
            return
        if own:
            holds = claim.holds and named == param
            claim = Claim(rule, holds, f"{status} with param {param} for {what}", describe(answer))
        self.record(claim, exchange)
        if status == INVALID and got == INVALID:
            self.ledger.record_kept("errors.invalid-request.status")
        elif status == INVALID and INVALID < got < _FAULT and got not in _SOME_4XX:
            self.record(check_status("errors.invalid-request.status", answer, INVALID, what), exchange)
        if got == status and param is not None and param.islower():
            self._judge_param(exchange, param)

    def _judge_param(self, exchange: Exchange, param: str) -> None:
        rule, named = "errors.param.field", exchange.response.error.get("param")
        if self.is_error_readable(rule, exchange):
            got = f"{exchange.response.status} with param {quote_value(named)}"
            self.check(rule, named == param, expected=f"param {param}", got=got, trace=exchange, place=param)

    def expect_unauthorized(self, rule: str, exchange: Exchange, what: str) -> None:
        """Judge a request that must be 401."""
        answer = exchange.response
        if not self.has_answered():
            self.ledger.record_skip(rule, "the target refuses everything")
        elif _REDIRECT <= answer.status < INVALID or answer.status >= _FAULT:
            self.ledger.record_skip(rule, f"answered {describe(answer)}")
        else:
            self.record(check_status(rule, answer, UNAUTHORIZED, what), exchange)

    def expect_not_found(self, rule: str, exchange: Exchange, trace: Sequence[Exchange] = ()) -> None:
        """Judge a request about something that does not exist, or not for this key; it must be 404."""
        answer = exchange.response
        got = answer.status
        if not self.has_answered() or got in {401, 429} or got >= _FAULT or _REDIRECT <= got < INVALID:
            self.ledger.record_skip(rule, f"answered {describe(answer)}, for another reason")
        else:
            self.record(check_status(rule, answer, NOT_FOUND), [*trace, exchange])


def read_whole_number(exchange: Exchange, header: str) -> int | None:
    """A header that is a whole number; None when it is not."""
    return parse_whole_number(exchange.response.header(header))
