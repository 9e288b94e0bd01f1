"""Deliveries: an event that is sent to one endpoint, the attempts to send it, and the rules that disturb it."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from zof_emulator.core.endpoints import EventType
from zof_emulator.core.instants import MINUTE, SECOND

if TYPE_CHECKING:
    from collections.abc import Sequence

RETRY_AFTER_MS: Final = (10 * SECOND, MINUTE, 5 * MINUTE, 30 * MINUTE)
"""The waits after failed attempts, in ms. A delivery whose attempt after the last wait fails has failed."""
LONGEST_HOLD_MS: Final = 10 * SECOND
"""The longest time, in ms, that a reordered delivery waits for a later delivery to overtake it."""


class EventFacts(NamedTuple):
    """The object of an event and its properties."""

    object_id: str
    run_id: str | None
    project_id: str | None = None
    environment: str | None = None
    status: str | None = None
    duration_ms: int | None = None


class WebhookEvent(NamedTuple):
    """An event, which may be sent several times; `created_at` is in ms."""

    number: int
    """Its number among all events of its world, counted from 0; its ID follows from it."""
    type: EventType
    organization: str
    created_at: int
    facts: EventFacts
    has_new_fields: bool
    """Whether it is sent with the fields that a world which evolves adds; a later change of the world keeps that."""


class DeliveryKind(StrEnum):
    """Why a delivery exists."""

    EVENT = "event"
    TEST = "test"
    DUPLICATE = "duplicate"
    REDELIVERY = "redelivery"
    TAMPERED = "tampered"


class DeliveryStatus(StrEnum):
    """The status of a delivery."""

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
    """The ways to falsify a delivery."""

    SIGNATURE = "signature"
    """The signature is made with a wrong secret."""
    BODY = "body"
    """A value of the body is changed after it was signed."""
    WHITESPACE = "whitespace"
    """The spacing of the body is changed after it was signed; the JSON value stays the same."""
    OLD_EVENT = "old_event"
    """An earlier event of the endpoint is sent again, with its original ID and a valid signature."""


class AttemptResult(NamedTuple):
    """The result of an attempt."""

    status: int | None
    """The HTTP status of the answer; None if no answer came."""
    error: str = ""
    """Why no answer came or no request was sent; empty if an answer came."""
    headers: tuple[tuple[str, str], ...] = ()
    body: str = ""
    """The first part of the answer's body."""
    truncated: bool = False
    is_refused: bool = False
    """Whether the address is not allowed, so that no request was sent."""

    @property
    def is_success(self) -> bool:
        """Whether the receiver answered with a 2xx status."""
        return self.status is not None and 200 <= self.status < 300  # noqa: PLR2004  the 2xx statuses


class Attempt(NamedTuple):
    """An attempt to send a delivery; both instants are in ms."""

    started_at: int
    ended_at: int
    result: AttemptResult


class Delivery(NamedTuple):
    """The delivery of an event to an endpoint. The value is frozen; every change makes a new one."""

    number: int
    endpoint: int
    """The number of the endpoint."""
    event: WebhookEvent
    kind: DeliveryKind
    due_at: int
    """When the next attempt is due, in ms."""
    status: DeliveryStatus = DeliveryStatus.PENDING
    attempts: tuple[Attempt, ...] = ()
    started_at: int | None = None
    """When the attempt in progress began, in ms; None if none is in progress."""
    tampering: Tampering | None = None
    is_held: bool = False
    """Whether it waits for a later delivery to overtake it."""
    note: str = ""
    """Why it was dropped, or why a rule that matched it did nothing; empty otherwise."""

    @property
    def is_open(self) -> bool:
        """Whether it is still in its endpoint's queue."""
        return self.status in OPEN

    def start(self, now: int) -> Delivery:
        """The delivery with an attempt in progress."""
        return self._replace(status=DeliveryStatus.SENDING, started_at=now, is_held=False)

    def finish(self, result: AttemptResult, now: int) -> Delivery:
        """The delivery after an attempt: delivered, pending again, failed, or refused."""
        began = now if self.started_at is None else self.started_at
        attempts = (*self.attempts, Attempt(began, now, result))
        after = self._replace(attempts=attempts, started_at=None)
        if result.is_success:
            return after._replace(status=DeliveryStatus.DELIVERED)
        if result.is_refused:
            return after._replace(status=DeliveryStatus.REFUSED)
        if self.kind in _SENT_ONCE or len(attempts) > len(RETRY_AFTER_MS):
            return after._replace(status=DeliveryStatus.FAILED)
        return after._replace(status=DeliveryStatus.PENDING, due_at=now + RETRY_AFTER_MS[len(attempts) - 1])

    def drop(self, note: str) -> Delivery:
        """The delivery with the status `dropped`; it is not sent."""
        return self._replace(status=DeliveryStatus.DROPPED, note=note, is_held=False)


class Action(StrEnum):
    """The effects of a rule on a delivery."""

    DUPLICATE = "duplicate"
    REORDER = "reorder"
    DELAY = "delay"
    DROP = "drop"
    TAMPER = "tamper"


class DeliveryRule(NamedTuple):
    """A rule that disturbs the deliveries it matches."""

    number: int
    action: Action
    endpoint: int | None = None
    """The number of the endpoint that it matches; None for every endpoint."""
    type: EventType | None = None
    """The event type that it matches; None for every type."""
    times: int | None = None
    """The number of deliveries that it still applies to; None for no limit."""
    delay_ms: int = 0
    tampering: Tampering = Tampering.SIGNATURE

    def matches(self, endpoint: int, event: WebhookEvent) -> bool:
        """Whether the rule matches the delivery of an event to an endpoint."""
        return self.endpoint in {None, endpoint} and self.type in {None, event.type}


def read_delivery(row: Sequence[Any]) -> Delivery:
    """The delivery in a saved JSON array.

    Raises:
        ValueError: the array has the wrong length or an unknown choice.
        TypeError: an element has the wrong type.
    """
    number, endpoint, event, kind, due_at, status, attempts, started_at, tampering, is_held, note = row
    return Delivery(
        number,
        endpoint,
        read_event(event),
        DeliveryKind(kind),
        due_at,
        DeliveryStatus(status),
        tuple(_read_attempt(one) for one in attempts),
        started_at,
        None if tampering is None else Tampering(tampering),
        is_held,
        note,
    )


def read_event(row: Sequence[Any]) -> WebhookEvent:
    """The event in a saved JSON array."""
    number, kind, organization, created_at, facts, has_new_fields = row
    return WebhookEvent(number, EventType(kind), organization, created_at, EventFacts(*facts), has_new_fields)


def read_rule(row: Sequence[Any]) -> DeliveryRule:
    """The rule in a saved JSON array."""
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


def _read_attempt(row: Sequence[Any]) -> Attempt:
    started_at, ended_at, (status, error, headers, body, truncated, is_refused) = row
    pairs = tuple((name, value) for name, value in headers)
    return Attempt(started_at, ended_at, AttemptResult(status, error, pairs, body, truncated, is_refused))
