"""Judges of retries: whether, when and how often a client repeats a request that failed."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Final

from zof_contracts.client_checks.attempts import CallTracker, measure_wait, read_demanded_wait, read_idempotency_key
from zof_contracts.client_checks.judge import (
    THROTTLED,
    ClientId,
    Judge,
    describe_failure,
    digest_body,
    identify,
    is_refusal,
    shorten,
)
from zof_contracts.evidence.exchange import NO_STATUS
from zof_contracts.evidence.memory import Memory

if TYPE_CHECKING:
    from collections.abc import Sequence

    from zof_contracts.client_checks.attempts import Call
    from zof_contracts.evidence.exchange import Exchange
    from zof_contracts.evidence.ledger import Ledger
    from zof_contracts.traffic.recording import RecordedExchange, RecordingStarted

MOST_ATTEMPTS: Final = 10
_TIMER_ERROR: Final = 0.02
"""Seconds by which a timer may end early."""
_SHORTEST: Final = 0.05
"""Seconds; a shorter wait is taken for none."""
_FEWEST_WAITS: Final = 3
"""The number of waits that must be compared before a finding says that they do not grow."""
_GROWTH: Final = 1.1
_EQUAL: Final = 0.02
"""The share of a wait within which another one counts as the same."""
_NOISE: Final = 0.01
"""Seconds by which equal waits may differ when they are measured."""
_UNAVAILABLE: Final = 503
_MOST_WAITS: Final = 1_000
"""Waits that are compared with each other."""


class RetryJudge(Judge):
    """Judges the attempts of each call."""

    def __init__(self, ledger: Ledger, recording: RecordingStarted) -> None:
        super().__init__(ledger, recording)
        self._calls = CallTracker()
        self._waits: defaultdict[int, list[tuple[float, tuple[Exchange, ...]]]] = defaultdict(list)
        """The waits before the second, third, … attempt that the client chose itself, with their attempts."""
        self._latest: Memory[tuple[object, ...], int] = Memory()
        """The number of the last request to each path with each body, whatever its Idempotency-Key is."""
        self._without_growth: list[tuple[Exchange, ...]] = []
        self._has_growth = False

    def observe(self, each: RecordedExchange) -> None:
        """Judge an attempt by the one before it."""
        self._latest.set(_sign_body(each), each.exchange.number)
        call, ended = self._calls.add(each)
        if call.count > 1:
            self._check_retry_after(call)
        for one in ended:
            self._check_call(one, has_succeeded=one is call)

    def finish(self) -> None:
        """Judge the calls that were given up, and the waits of all calls."""
        for call in self._calls.end():
            self._check_call(call, has_succeeded=False)
        self._check_growth()
        self._check_jitter()

    def _check_retry_after(self, call: Call) -> None:
        before, after = call.attempts[-2:]
        demanded, wait = read_demanded_wait(before), measure_wait(before, after)
        if demanded is None or wait is None or before.exchange.response.status not in {THROTTLED, _UNAVAILABLE}:
            return
        if self.has_real_time:
            is_kept = wait >= demanded - _TIMER_ERROR
        elif wait < demanded and (wait == 0 or demanded == 0):
            return  # the clock of the emulator did not move, which says nothing about the client
        else:
            is_kept = wait >= demanded
        self.ledger.check(
            "client.retry.retry-after",
            is_kept,
            expected=f"the next attempt {demanded:g} s after the answer",
            got=f"the next attempt after {wait:.3f} s",
            trace=_collect_trace(call),
        )

    def _check_call(self, call: Call, *, has_succeeded: bool) -> None:
        if call.count == 1 and has_succeeded:
            return
        self._check_repeated(call)
        self.ledger.check(
            "client.retry.bounded",
            call.count <= MOST_ATTEMPTS,
            expected=f"at most {MOST_ATTEMPTS} attempts",
            got=f"{call.count} attempts",
            trace=_collect_trace(call),
        )
        if self.has_real_time:
            self._collect_waits(call)

    def _check_repeated(self, call: Call) -> None:
        """Judge whether a request that may be repeated was."""
        first = call.attempts[0]
        status = first.exchange.response.status
        may_repeat = first.exchange.request.is_repeatable or status == THROTTLED
        if not may_repeat or first.is_lost or status == NO_STATUS:
            return
        if call.count == 1 and (self._latest.get(_sign_body(first)) or 0) > first.exchange.number:
            return  # it was repeated with another Idempotency-Key, which another rule is about
        self.ledger.check(
            "client.retry.transient",
            call.count > 1,
            expected=f"another attempt after {describe_failure(first)}",
            got="no other attempt",
            trace=_collect_trace(call),
            place="429" if status == THROTTLED else "5xx",
        )

    # --- waits

    def _collect_waits(self, call: Call) -> None:
        """Collect the waits that the client chose itself."""
        waits: list[float] = []
        for index in range(1, len(call.attempts)):
            before, after = call.attempts[index - 1 : index + 1]
            wait = measure_wait(before, after)
            if wait is None or read_demanded_wait(before) is not None:
                break
            waits.append(wait)
            if wait >= _SHORTEST and len(self._waits[index]) < _MOST_WAITS:
                self._waits[index].append((wait, _collect_trace(call)))
        self._compare_growth(waits, call)

    def _compare_growth(self, waits: Sequence[float], call: Call) -> None:
        if len(waits) < _FEWEST_WAITS:
            return
        measurable = [wait for wait in waits if wait >= _SHORTEST]
        if measurable and len(measurable) < _FEWEST_WAITS:
            return
        if measurable and max(measurable[1:]) > measurable[0] * _GROWTH:
            self._has_growth = True
        else:
            self._without_growth = self._without_growth or [_collect_trace(call)]

    def _check_growth(self) -> None:
        """Judge growth over all calls, since a random wait may be shorter than the one before it."""
        if self._has_growth or self._without_growth:
            self.ledger.check(
                "client.retry.growing",
                self._has_growth,
                expected="waits that grow from attempt to attempt",
                got="waits that do not grow",
                trace=self._without_growth[0] if self._without_growth else (),
            )

    def _check_jitter(self) -> None:
        """Judge whether the waits before the same attempt of different calls differ."""
        groups = [waits for waits in self._waits.values() if len(waits) > 1]
        if not groups:
            return
        varied = [waits for waits in groups if _vary([wait for wait, _ in waits])]
        fixed = next((waits for waits in groups if waits not in varied), groups[0])
        self.ledger.check(
            "client.retry.jitter",
            varied,
            expected="waits that vary at random",
            got=f"{len(fixed)} waits of about {fixed[0][0]:.2f} s before the same attempt",
            trace=fixed[0][1],
        )


def _sign_body(each: RecordedExchange) -> tuple[object, ...]:
    request = each.exchange.request
    return (*identify(each), request.method, request.target, digest_body(request.body))


def _vary(waits: Sequence[float]) -> bool:
    """Whether waits differ by more than measuring them explains."""
    return max(waits) - min(waits) > _EQUAL * max(waits) + _NOISE


def _collect_trace(call: Call) -> tuple[Exchange, ...]:
    return tuple(shorten(each) for each in call.attempts[: MOST_ATTEMPTS + 1])


class RefusalJudge(Judge):
    """Judges what a client does after a request was refused."""

    def __init__(self, ledger: Ledger, recording: RecordingStarted) -> None:
        super().__init__(ledger, recording)
        self._refused: Memory[ClientId, RecordedExchange] = Memory()

    def observe(self, each: RecordedExchange) -> None:
        """Compare a request with the refused one before it."""
        client = identify(each)
        before = self._refused.pop(client)
        if before is not None and _begins_after(before, each):
            status = before.exchange.response.status
            self.ledger.check(
                "client.retry.refusals",
                not are_equal_requests(before, each),
                expected=f"no equal request after {status}",
                got=f"the same request again after {status}",
                trace=(shorten(before), shorten(each)),
                place=str(status),
            )
        if is_refusal(each):
            self._refused.set(client, each)

    def finish(self) -> None:
        """A refusal that nothing follows was not repeated."""
        for _ in self._refused.values():
            self.ledger.record_kept("client.retry.refusals")


def _begins_after(before: RecordedExchange, after: RecordedExchange) -> bool:
    wait = measure_wait(before, after)
    return wait is None or wait >= 0


def are_equal_requests(one: RecordedExchange, other: RecordedExchange) -> bool:
    """Whether two requests ask for the same, with the same idempotency key."""
    first, second = one.exchange.request, other.exchange.request
    if read_idempotency_key(one) != read_idempotency_key(other):
        return False
    return (first.method, first.target, digest_body(first.body)) == (
        second.method,
        second.target,
        digest_body(second.body),
    )
