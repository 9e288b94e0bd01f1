"""Deliveries: one event on its way to one endpoint, the attempts to send it, and the rules that disturb it."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from zof_emulator.core.endpoints import EventType
from zof_emulator.core.instants import MINUTE, SECOND

if TYPE_CHECKING:
    from collections.abc import Sequence

RETRY_AFTER_MS: Final = (10 * SECOND, MINUTE, 5 * MINUTE, 30 * MINUTE)
"""How long to wait after each failed attempt; when the last one has failed too, the delivery is given up."""
LONGEST_HOLD_MS: Final = 10 * SECOND
"""How long a delivery that a rule reorders waits for another one to overtake it."""


class EventFacts(NamedTuple):
    """What an event is about."""

    object_id: str
    run_id: str | None
    project_id: str | None = None
    environment: str | None = None
    status: str | None = None
    duration_ms: int | None = None


class WebhookEvent(NamedTuple):
    """An event as it is sent, however often; `created_at` is in ms."""

    number: int
    """Its place among all events of its world; its ID follows from it."""
    type: EventType
    organization: str
    created_at: int
    facts: EventFacts


class DeliveryKind(StrEnum):
    """Why a delivery exists."""

    EVENT = "event"
    TEST = "test"
    DUPLICATE = "duplicate"
    REDELIVERY = "redelivery"
    TAMPERED = "tampered"


class DeliveryStatus(StrEnum):
    """Where a delivery stands."""

    PENDING = "pending"
    SENDING = "sending"
    DELIVERED = "delivered"
    FAILED = "failed"
    REFUSED = "refused"
    DROPPED = "dropped"


OPEN: Final = frozenset({DeliveryStatus.PENDING, DeliveryStatus.SENDING})
"""The statuses of a delivery that is still in its endpoint's queue."""
_SENT_ONCE: Final = frozenset({DeliveryKind.DUPLICATE, DeliveryKind.TAMPERED})


class Tampering(StrEnum):
    """How a delivery is falsified."""

    SIGNATURE = "signature"
    """The signature is another secret's."""
    BODY = "body"
    """A value of the body is changed after it was signed."""
    WHITESPACE = "whitespace"
    """The body is the same JSON value with other spacing, changed after it was signed."""
    OLD_EVENT = "old_event"
    """An event that the endpoint was sent before is sent again, under its own ID and signature."""


class AttemptResult(NamedTuple):
    """What came of an attempt."""

    status: int | None
    """The status of the answer; None when there was none."""
    error: str = ""
    """Why there was no answer, or why no request was sent."""
    headers: tuple[tuple[str, str], ...] = ()
    body: str = ""
    """The beginning of the answer's body."""
    truncated: bool = False
    is_refused: bool = False
    """Whether the address may not be called, so that nothing was sent."""

    @property
    def is_success(self) -> bool:
        """Whether the receiver answered with a 2xx status."""
        return self.status is not None and 200 <= self.status < 300  # noqa: PLR2004  the 2xx statuses


class Attempt(NamedTuple):
    """One attempt to deliver, from its start to its end, both in ms."""

    started_at: int
    ended_at: int
    result: AttemptResult


class Delivery(NamedTuple):
    """An event for an endpoint, as it stands; every change makes another value."""

    number: int
    endpoint: int
    """The endpoint's number."""
    event: WebhookEvent
    kind: DeliveryKind
    due_at: int
    """When the next attempt is due, in ms."""
    status: DeliveryStatus = DeliveryStatus.PENDING
    attempts: tuple[Attempt, ...] = ()
    started_at: int | None = None
    """When the attempt that is under way began."""
    tampering: Tampering | None = None
    is_held: bool = False
    """Whether it waits for another delivery to overtake it."""
    note: str = ""
    """Why it was dropped."""

    @property
    def is_open(self) -> bool:
        """Whether it is still in its endpoint's queue."""
        return self.status in OPEN

    def start(self, now: int) -> Delivery:
        """The delivery while an attempt is under way."""
        return self._replace(status=DeliveryStatus.SENDING, started_at=now, is_held=False)

    def finish(self, result: AttemptResult, now: int) -> Delivery:
        """The delivery after an attempt: delivered, due again, given up, or refused."""
        began = now if self.started_at is None else self.started_at
        attempts = (*self.attempts, Attempt(began, now, result))
        found = self._replace(attempts=attempts, started_at=None)
        if result.is_success:
            return found._replace(status=DeliveryStatus.DELIVERED)
        if result.is_refused:
            return found._replace(status=DeliveryStatus.REFUSED)
        if self.kind in _SENT_ONCE or len(attempts) > len(RETRY_AFTER_MS):
            return found._replace(status=DeliveryStatus.FAILED)
        return found._replace(status=DeliveryStatus.PENDING, due_at=now + RETRY_AFTER_MS[len(attempts) - 1])

    def drop(self, note: str) -> Delivery:
        """The delivery, never to be sent."""
        return self._replace(status=DeliveryStatus.DROPPED, note=note, is_held=False)


class Action(StrEnum):
    """What a rule does to a delivery."""

    DUPLICATE = "duplicate"
    REORDER = "reorder"
    DELAY = "delay"
    DROP = "drop"
    TAMPER = "tamper"


class DeliveryRule(NamedTuple):
    """A rule that disturbs the deliveries that match it."""

    number: int
    action: Action
    endpoint: int | None = None
    """The number of the endpoint that it is for; None for all."""
    type: EventType | None = None
    """The type of event that it is for; None for all."""
    times: int | None = None
    """To how many more deliveries it applies; None for all that come."""
    delay_ms: int = 0
    tampering: Tampering = Tampering.SIGNATURE

    def matches(self, endpoint: int, event: WebhookEvent) -> bool:
        """Whether the rule is for the delivery of an event to an endpoint."""
        return self.endpoint in {None, endpoint} and self.type in {None, event.type}


def delivery_from(row: Sequence[Any]) -> Delivery:
    """The delivery that was saved as a JSON array; `ValueError` or `TypeError` when none was."""
    number, endpoint, event, kind, due_at, status, attempts, started_at, tampering, is_held, note = row
    return Delivery(
        number,
        endpoint,
        event_from(event),
        DeliveryKind(kind),
        due_at,
        DeliveryStatus(status),
        tuple(_attempt_from(one) for one in attempts),
        started_at,
        None if tampering is None else Tampering(tampering),
        is_held,
        note,
    )


def event_from(row: Sequence[Any]) -> WebhookEvent:
    """The event that was saved as a JSON array."""
    number, kind, organization, created_at, facts = row
    return WebhookEvent(number, EventType(kind), organization, created_at, EventFacts(*facts))


def rule_from(row: Sequence[Any]) -> DeliveryRule:
    """The rule that was saved as a JSON array."""
    number, action, endpoint, kind, times, delay_ms, tampering = row
    return DeliveryRule(
        number,
        Action(action),
        endpoint,
        None if kind is None else EventType(kind),
        times,
        delay_ms,
        Tampering(tampering),
    )


def _attempt_from(row: Sequence[Any]) -> Attempt:
    started_at, ended_at, (status, error, headers, body, truncated, is_refused) = row
    pairs = tuple((name, value) for name, value in headers)
    return Attempt(started_at, ended_at, AttemptResult(status, error, pairs, body, truncated, is_refused))
