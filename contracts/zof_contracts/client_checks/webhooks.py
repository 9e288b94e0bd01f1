"""Judges of a client's receiver of webhooks, by the deliveries in a journal of the emulator."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Final, NamedTuple

from zof_contracts.client_checks.judge import Judge, digest_body, is_success, shorten
from zof_contracts.evidence.memory import Memory

if TYPE_CHECKING:
    from zof_contracts.evidence.exchange import Exchange
    from zof_contracts.evidence.ledger import Ledger
    from zof_contracts.traffic.recording import RecordedAttempt, RecordedDelivery, RecordedExchange, RecordingStarted

LONGEST_ANSWER: Final = 10.0
"""Seconds that a receiver has."""
_MOST_POSTS: Final = 5_000
_AFTERMATH: Final = 5.0
"""Seconds after a delivery in which what the client sends may follow from it."""
_TAMPERED: Final = "tampered"
_REPEATED: Final = frozenset({"duplicate", "redelivery"})
_OLD_EVENT: Final = "old_event"
"""A tampering that sends an earlier event with its own valid signature: a duplicate to the receiver."""


class _Post(NamedTuple):
    """A POST that succeeded."""

    began: float
    path: str
    digest: str
    key: str | None
    exchange: Exchange


class WebhookJudge(Judge):
    """Judges the attempts of each delivery, and what the client sends after them."""

    def __init__(self, ledger: Ledger, recording: RecordingStarted) -> None:
        super().__init__(ledger, recording)
        self._posts: deque[_Post] = deque(maxlen=_MOST_POSTS)
        self._webhooks: Memory[str, Exchange] = Memory()
        self._first: Memory[tuple[str, str], RecordedAttempt] = Memory()
        """The attempt that delivered an event, by webhook and event."""

    def observe(self, each: RecordedExchange) -> None:
        """Remember what the client creates."""
        request = each.exchange.request
        if request.method != "POST" or not is_success(each) or each.began is None:
            return
        if each.exchange.operation == "createWebhook":
            self._webhooks.set(str(each.exchange.response.fields.get("id")), shorten(each))
        key = request.header("idempotency-key")
        self._posts.append(_Post(each.began, request.path, digest_body(request.body), key, shorten(each)))

    def observe_delivery(self, delivery: RecordedDelivery) -> None:
        """Judge one delivery."""
        attempts = [each for each in delivery.attempts if each.status is not None or each.error]
        if not attempts:
            return
        if delivery.kind == _TAMPERED and delivery.tampering != _OLD_EVENT:
            self._check_tampered(delivery, attempts[0])
            return
        for attempt in attempts:
            self._check_answered(delivery, attempt)
        if delivery.kind in _REPEATED or delivery.tampering == _OLD_EVENT:
            self._check_duplicate(delivery, attempts[0])
        elif attempts[-1].status is not None:
            self._first.set((delivery.webhook_id, delivery.event_id), attempts[-1])

    def _trace(self, delivery: RecordedDelivery) -> tuple[Exchange, ...]:
        creation = self._webhooks.get(delivery.webhook_id)
        return (creation,) if creation is not None else ()

    def _check_answered(self, delivery: RecordedDelivery, attempt: RecordedAttempt) -> None:
        seconds = attempt.ended - attempt.began
        is_kept = _is_accepted(attempt) and seconds <= LONGEST_ANSWER
        rule = "client.webhooks.answered" if delivery.kind not in _REPEATED else "client.webhooks.duplicates"
        self.ledger.check(
            rule,
            is_kept,
            expected=f"2xx within {LONGEST_ANSWER:g} s",
            got=f"{_describe(attempt)} after {seconds:.1f} s for {delivery.type}",
            trace=self._trace(delivery),
            place="answer",
        )

    def _check_tampered(self, delivery: RecordedDelivery, attempt: RecordedAttempt) -> None:
        self.ledger.check(
            "client.webhooks.tampered",
            attempt.status is not None and 400 <= attempt.status < 500,  # noqa: PLR2004  what HTTP calls a client error
            expected="a 4xx status",
            got=f"{_describe(attempt)} for a wrong {delivery.tampering}",
            trace=self._trace(delivery),
            place=delivery.tampering,
        )

    def _check_duplicate(self, delivery: RecordedDelivery, attempt: RecordedAttempt) -> None:
        """Look for a POST after a duplicate that repeats one after the event itself."""
        first = self._first.get((delivery.webhook_id, delivery.event_id))
        if first is None or attempt.began < first.began:
            return
        earlier = self._list_posts(first.began, min(attempt.began, first.ended + _AFTERMATH))
        later = self._list_posts(attempt.began, attempt.ended + _AFTERMATH)
        repeated = next((post for post in later for one in earlier if _is_repetition(post, one)), None)
        self.ledger.check(
            "client.webhooks.duplicates",
            repeated is None,
            expected="no second effect of an event",
            got=f"POST {repeated.path} again after a duplicate of {delivery.type}" if repeated else "",
            trace=(*self._trace(delivery), *((repeated.exchange,) if repeated else ())),
            place="effect",
        )

    def _list_posts(self, start: float, end: float) -> list[_Post]:
        return [post for post in self._posts if start <= post.began < end]


def _is_repetition(post: _Post, before: _Post) -> bool:
    is_equal = (post.path, post.digest) == (before.path, before.digest)
    return is_equal and (post.key is None or post.key != before.key)


def _is_accepted(attempt: RecordedAttempt) -> bool:
    return attempt.status is not None and 200 <= attempt.status < 300  # noqa: PLR2004  what HTTP calls a success


def _describe(attempt: RecordedAttempt) -> str:
    return f"status {attempt.status}" if attempt.status is not None else attempt.error
