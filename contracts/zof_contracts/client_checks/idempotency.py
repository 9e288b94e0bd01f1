"""Judges of idempotency keys: that starts have one, that retries keep it, and that it is used for one body."""

from __future__ import annotations

from typing import TYPE_CHECKING

from zof_contracts.client_checks.attempts import measure_wait
from zof_contracts.client_checks.judge import (
    THROTTLED,
    Judge,
    describe_failure,
    digest_body,
    identify,
    is_failure,
    shorten,
)
from zof_contracts.evidence.memory import Memory

if TYPE_CHECKING:
    from zof_contracts.evidence.ledger import Ledger
    from zof_contracts.traffic.recording import RecordedExchange, RecordingStarted

_START = "startRun"


class IdempotencyJudge(Judge):
    """Judges every POST by the POSTs before it."""

    def __init__(self, ledger: Ledger, recording: RecordingStarted) -> None:
        super().__init__(ledger, recording)
        self._by_key: Memory[tuple[object, ...], RecordedExchange] = Memory()
        """The last POST of each path with each key."""
        self._failed: Memory[tuple[object, ...], RecordedExchange] = Memory()
        """The POST that failed last, by client, path and body."""
        self._suspects: Memory[tuple[object, ...], tuple[RecordedExchange, RecordedExchange]] = Memory()
        """A failed POST, and an equal one with another key. It is no retry if the first key is sent again later."""

    def observe(self, each: RecordedExchange) -> None:
        """Judge one exchange."""
        request = each.exchange.request
        if request.method != "POST" or not each.exchange.operation:
            return
        key = request.header("idempotency-key")
        if each.exchange.operation == _START:
            self.ledger.check(
                "client.idempotency.start-has-key",
                key,
                expected="an Idempotency-Key",
                got="a start without Idempotency-Key",
                trace=shorten(each),
            )
        if key is not None:
            self._check_keyed(each, key)
        self._check_equal(each, key)

    def _check_keyed(self, each: RecordedExchange, key: str) -> None:
        """Compare a POST with the one before it that had its key."""
        request = each.exchange.request
        place = (each.base, request.key, request.path, key)
        self._suspects.pop(place)
        before = self._by_key.get(place)
        if before is None or not is_failure(before):
            self._by_key.set(place, each)
        if before is None:
            self.ledger.record_kept("client.idempotency.key-once")
            return
        if not each.is_request_whole or not before.is_request_whole:
            return
        is_same = digest_body(before.exchange.request.body) == digest_body(request.body)
        is_retry = is_failure(before)
        self.ledger.check(
            "client.idempotency.retry-same" if is_retry else "client.idempotency.key-once",
            is_same,
            expected="the body of the first attempt" if is_retry else "one body for each Idempotency-Key",
            got="another body with the same Idempotency-Key",
            trace=(shorten(before), shorten(each)),
            place="body",
        )
        if is_retry and not is_failure(each):
            self._by_key.set(place, each)

    def _check_equal(self, each: RecordedExchange, key: str | None) -> None:
        """Compare a POST with the failed one before it that had its body."""
        request = each.exchange.request
        place = (*identify(each), request.path, digest_body(request.body))
        before = self._failed.pop(place)
        if before is not None and _is_after(before, each):
            self._check_retry(before, each, key)
        elif before is not None and before.exchange.request.header("idempotency-key") is None:
            self._record_unrepeated(before)
        if is_failure(each) and each.is_request_whole:
            self._failed.set(place, each)

    def _check_retry(self, before: RecordedExchange, each: RecordedExchange, key: str | None) -> None:
        first_key = before.exchange.request.header("idempotency-key")
        trace = (shorten(before), shorten(each))
        if first_key is None:
            if not _was_refused_at_once(before):
                self.ledger.record_violation(
                    "client.idempotency.unkeyed-once",
                    expected=f"no second attempt without a key after {describe_failure(before)}",
                    got="the same POST again",
                    trace=trace,
                    place=each.exchange.operation,
                )
        elif key != first_key:
            request = before.exchange.request
            self._suspects.set((before.base, request.key, request.path, first_key), (before, each))
        else:
            self.ledger.record_kept("client.idempotency.unkeyed-once")

    def _record_unrepeated(self, before: RecordedExchange) -> None:
        if not _was_refused_at_once(before):
            self.ledger.record_kept("client.idempotency.unkeyed-once")

    def finish(self) -> None:
        """Judge the POSTs that were not repeated, and those that were repeated with another key."""
        for before in self._failed.values():
            if before.exchange.request.header("idempotency-key") is None:
                self._record_unrepeated(before)
        for before, each in self._suspects.values():
            key = each.exchange.request.header("idempotency-key")
            self.ledger.record_violation(
                "client.idempotency.retry-same",
                expected=f"the Idempotency-Key of the first attempt, after {describe_failure(before)}",
                got="no Idempotency-Key" if key is None else "another Idempotency-Key",
                trace=(shorten(before), shorten(each)),
                place="key",
            )


def _was_refused_at_once(each: RecordedExchange) -> bool:
    """Whether a request had certainly no effect: it was throttled, and the client knows that."""
    return each.exchange.response.status == THROTTLED and not each.is_lost


def _is_after(before: RecordedExchange, after: RecordedExchange) -> bool:
    """Whether a request was sent after the answer to an earlier one, and soon enough to repeat it."""
    wait = measure_wait(before, after)
    return wait is None or 0 <= wait <= 900  # noqa: PLR2004  the bound of `attempts`
