"""Groups the exchanges of a client into calls: a request and the attempts that repeat it after a failure."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from zof_contracts.client_checks.judge import digest_body, identify, is_failure
from zof_contracts.evidence.header_values import read_retry_after
from zof_contracts.evidence.memory import Memory

if TYPE_CHECKING:
    from collections.abc import Iterator

    from zof_contracts.traffic.recording import RecordedExchange

_LONGEST_PAUSE: Final = 900.0
"""Seconds after which an equal request is a new call and no further attempt."""
_MOST_ATTEMPTS: Final = 100
"""Attempts of one call that are kept."""


@dataclass(slots=True)
class Call:
    """A request, and the attempts that repeat it."""

    attempts: list[RecordedExchange] = field(default_factory=list)
    count: int = 0
    """The number of attempts, those that are not kept among them."""

    @property
    def latest_attempt(self) -> RecordedExchange:
        """The last attempt."""
        return self.attempts[-1]

    def add(self, attempt: RecordedExchange) -> None:
        """Add an attempt."""
        self.count += 1
        if len(self.attempts) >= _MOST_ATTEMPTS:
            del self.attempts[1]
        self.attempts.append(attempt)


def read_idempotency_key(each: RecordedExchange) -> str | None:
    """The idempotency key of a request; None without one, and for requests that the API reads none of."""
    request = each.exchange.request
    return request.header("idempotency-key") if request.method == "POST" else None


def measure_wait(before: RecordedExchange, after: RecordedExchange) -> float | None:
    """The seconds from an answer to the next attempt; None if the recording does not say."""
    ended = before.ended if before.ended is not None else before.began
    return None if ended is None or after.began is None else after.began - ended


def read_demanded_wait(attempt: RecordedExchange) -> float | None:
    """The seconds that the Retry-After of an answer demands; None without one, or where the client did not get it."""
    return None if attempt.is_lost else read_retry_after(attempt.exchange)


class CallTracker:
    """Finds the call that an exchange belongs to."""

    def __init__(self) -> None:
        self._open: Memory[tuple[object, ...], Call] = Memory()

    def add(self, each: RecordedExchange) -> tuple[Call, list[Call]]:
        """Add an exchange; its call, and the calls that have ended."""
        signature = _sign(each)
        call = self._open.pop(signature)
        ended: list[Call] = []
        if call is not None and not _may_repeat(call.latest_attempt, each):
            ended.append(call)
            call = None
        call = call or Call()
        call.add(each)
        if not is_failure(each):
            return call, [*ended, call]
        forgotten = self._open.set(signature, call)
        return call, [*ended, *([forgotten] if forgotten is not None else [])]

    def end(self) -> Iterator[Call]:
        """The calls that have not ended yet: their last attempt failed."""
        return self._open.values()


def _sign(each: RecordedExchange) -> tuple[object, ...]:
    """The properties that all attempts of one call share; a key identifies a call, whatever the body is."""
    request = each.exchange.request
    key = read_idempotency_key(each)
    body = f"key {key}" if key is not None else digest_body(request.body)
    return (*identify(each), request.method, request.path, request.query, body)


def _may_repeat(before: RecordedExchange, after: RecordedExchange) -> bool:
    """Whether a request comes after the answer to an earlier one, and soon enough to repeat it."""
    wait = measure_wait(before, after)
    return wait is None or 0 <= wait <= _LONGEST_PAUSE + (read_demanded_wait(before) or 0)
