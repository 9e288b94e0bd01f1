"""The outbox: the deliveries to endpoints, with one queue for each endpoint.

The delivery service takes a delivery when it is due and first in its queue. It takes no other delivery of that queue
until the result of the attempt is known. So events reach an endpoint in order, and no endpoint waits for another.
"""

from __future__ import annotations

from collections import deque
from heapq import heapify, heappop, heappush
from typing import TYPE_CHECKING, Any, Final

from zof_emulator.core.deliveries import (
    LONGEST_HOLD_MS,
    Action,
    Delivery,
    DeliveryKind,
    DeliveryRule,
    DeliveryStatus,
    Tampering,
    WebhookEvent,
    read_delivery,
    read_rule,
)
from zof_emulator.core.endpoints import EndpointIds, EndpointStore
from zof_emulator.core.refusal import Refused

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from zof_emulator.core.deliveries import AttemptResult, EventFacts
    from zof_emulator.core.endpoints import Endpoint, EventType, Registration

MOST_QUEUED: Final = 20_000
"""The largest number of deliveries that wait for one endpoint; more are dropped and counted."""
MOST_OPEN: Final = 100_000
"""The largest number of deliveries that wait for all endpoints of a world; more are dropped and counted."""
MOST_FINISHED: Final = 10_000
"""The largest number of finished deliveries that are kept; the oldest are deleted first."""
MOST_RULES: Final = 100
QUEUE_FULL: Final = "too many deliveries were waiting"
DROPPED_BY_RULE: Final = "a rule dropped it"
DROPPED_ON_DEMAND: Final = "it was dropped on demand"
NO_OLDER_EVENT: Final = "a rule with old_event did nothing: no earlier event was delivered to this webhook"


class Outbox:
    """The endpoints of a world and the deliveries to them. All instants are in ms."""

    __slots__ = (
        "_deliveries",
        "_finished",
        "_open",
        "_queues",
        "_ready",
        "_rule_count",
        "_schedule",
        "attempt_count",
        "delivery_count",
        "endpoints",
        "event_count",
        "evolves",
        "forgotten",
        "ids",
        "overflowed",
        "rules",
    )

    def __init__(self, seed: int, schedule: Callable[[int, int], None], samples: tuple[str, ...] = ()) -> None:
        """`schedule` asks for a call of `wake` with an endpoint's number at an instant; `samples` go to the IDs."""
        self.evolves = False
        """Whether new events have the fields that a world which evolves adds."""
        self.ids = EndpointIds(seed, samples)
        self.endpoints = EndpointStore()
        self.rules: dict[int, DeliveryRule] = {}
        """The rules that disturb deliveries; the first one that matches applies."""
        self.event_count = 0
        self.delivery_count = 0
        self.attempt_count = 0
        """The number of attempts that have ended."""
        self.forgotten = 0
        """The number of finished deliveries that have been deleted."""
        self.overflowed = 0
        """The number of deliveries that were dropped because too many were waiting."""
        self._schedule = schedule
        self._deliveries: dict[int, Delivery] = {}
        self._queues: dict[int, deque[int]] = {}
        self._ready: dict[int, None] = {}
        self._finished: list[int] = []  # a heap
        self._open = 0
        self._rule_count = 0

    def register(self, organization: str, registration: Registration, now: int) -> Endpoint:
        """Register an endpoint at `now` (ms).

        Raises:
            Refused: the URL is invalid, or the organization has too many endpoints.
        """
        return self.endpoints.register(self.ids, organization, registration, now)

    # --- events
    def publish(self, kind: EventType, organization: str, facts: EventFacts, now: int) -> int:
        """Send an event to every endpoint that subscribes to its type; return the number of these endpoints."""
        return self.publish_to(self.endpoints.subscribers(organization, kind), kind, organization, facts, now)

    def publish_to(
        self, subscribers: tuple[int, ...], kind: EventType, organization: str, facts: EventFacts, now: int
    ) -> int:
        """Send an event to these endpoints, independent of their subscriptions; return their number."""
        if subscribers:
            event = self._make_event(kind, organization, facts, now)
            for endpoint in subscribers:
                self._send(endpoint, event, DeliveryKind.EVENT, now)
        return len(subscribers)

    def send_test(self, endpoint: Endpoint, facts: EventFacts, now: int) -> WebhookEvent:
        """Send a test event of the first type that an endpoint subscribes to; return the event."""
        event = self._make_event(endpoint.events[0], endpoint.organization, facts, now)
        self._send(endpoint.number, event, DeliveryKind.TEST, now)
        return event

    def _make_event(self, kind: EventType, organization: str, facts: EventFacts, now: int) -> WebhookEvent:
        event = WebhookEvent(self.event_count, kind, organization, now, facts, self.evolves)
        self.event_count += 1
        return event

    def _send(self, endpoint: int, event: WebhookEvent, kind: DeliveryKind, now: int) -> None:
        """Put the delivery of an event into its endpoint's queue, and apply the first rule that matches.

        A rule that sends an older event does nothing while there is none; it is not counted then.
        """
        rule = self._match(endpoint, event) if self.rules else None
        action, note = None, ""
        if rule is not None:
            action = rule.action
            if action is Action.TAMPER and self._add_tampered(endpoint, event, rule.tampering, now) is None:
                note = NO_OLDER_EVENT
            else:
                self._count(rule)
        delivery = self._make_delivery(endpoint, event, kind, now)._replace(note=note)
        if action is Action.DROP:
            self._close(delivery.drop(DROPPED_BY_RULE))
            return
        if rule is not None and action is Action.DELAY:
            delivery = delivery._replace(due_at=now + rule.delay_ms)
        elif action is Action.REORDER:
            delivery = delivery._replace(due_at=now + LONGEST_HOLD_MS, is_held=True)
        self._append(delivery, now)
        if action is Action.DUPLICATE:
            self._append(self._make_delivery(endpoint, event, DeliveryKind.DUPLICATE, now), now)

    def _match(self, endpoint: int, event: WebhookEvent) -> DeliveryRule | None:
        """The first rule that matches the delivery of an event to an endpoint."""
        return next((one for one in self.rules.values() if one.matches(endpoint, event)), None)

    def _count(self, rule: DeliveryRule) -> None:
        """Count a delivery to which a rule has been applied, and delete the rule after the last one."""
        if rule.times is not None:
            if rule.times > 1:
                self.rules[rule.number] = rule._replace(times=rule.times - 1)
            else:
                del self.rules[rule.number]

    def _make_delivery(self, endpoint: int, event: WebhookEvent, kind: DeliveryKind, now: int) -> Delivery:
        delivery = Delivery(self.delivery_count, endpoint, event, kind, now)
        self.delivery_count += 1
        return delivery

    def _append(self, delivery: Delivery, now: int) -> None:
        queue = self._queues.setdefault(delivery.endpoint, deque())
        if len(queue) >= MOST_QUEUED or self._open >= MOST_OPEN:
            self.overflowed += 1
            self._close(delivery.drop(QUEUE_FULL))
            return
        self._deliveries[delivery.number] = delivery
        self._open += 1
        last = self._deliveries[queue[-1]] if queue else None
        if last is not None and last.is_held:
            queue.insert(len(queue) - 1, delivery.number)
            self._deliveries[last.number] = last._replace(is_held=False, due_at=now)
        else:
            queue.append(delivery.number)
        self._mark_or_schedule(delivery.endpoint, now)

    def _close(self, delivery: Delivery) -> None:
        """Keep a delivery that has ended, and delete the one with the lowest number if there are too many."""
        self._deliveries[delivery.number] = delivery
        heappush(self._finished, delivery.number)
        if len(self._finished) > MOST_FINISHED:
            del self._deliveries[heappop(self._finished)]
            self.forgotten += 1

    def _mark_or_schedule(self, endpoint: int, now: int) -> None:
        """Mark the queue as ready if its first delivery is due; schedule a wake-up if it is due later."""
        queue = self._queues[endpoint]
        if queue:
            first = self._deliveries[queue[0]]
            if first.status is DeliveryStatus.PENDING:
                if first.due_at <= now:
                    self._ready[endpoint] = None
                else:
                    self._schedule(first.due_at, endpoint)

    # --- sending

    def wake(self, endpoint: int) -> None:
        """Mark the queue of an endpoint as ready; called at the instants that `schedule` was given."""
        if self._queues.get(endpoint):
            self._ready[endpoint] = None

    def take(self, now: int) -> list[Delivery]:
        """The deliveries to send at `now`. Their attempts have begun; `finish` ends them."""
        if not self._ready:
            return []
        due = [delivery for endpoint in self._ready if (delivery := self._find_due(endpoint, now)) is not None]
        self._ready.clear()
        taken = [delivery.start(now) for delivery in due]
        self._deliveries.update((delivery.number, delivery) for delivery in taken)
        return taken

    def _find_due(self, endpoint: int, now: int) -> Delivery | None:
        queue = self._queues.get(endpoint)
        first = self._deliveries[queue[0]] if queue else None
        is_due = first is not None and first.status is DeliveryStatus.PENDING and first.due_at <= now
        return first if is_due else None

    def finish(self, number: int, result: AttemptResult, now: int) -> Delivery | None:
        """End the attempt to send a delivery; return the changed delivery, or None if no attempt was in progress."""
        delivery = self._deliveries.get(number)
        if delivery is None or delivery.status is not DeliveryStatus.SENDING:
            return None
        self.attempt_count += 1
        after = delivery.finish(result, now)
        if after.is_open:
            self._deliveries[number] = after
        else:
            self._remove(after)
        self._mark_or_schedule(after.endpoint, now)
        return after

    def _remove(self, ended: Delivery) -> None:
        queue = self._queues[ended.endpoint]
        if queue[0] == ended.number:
            queue.popleft()
        else:
            queue.remove(ended.number)
        self._open -= 1
        self._close(ended)

    # --- on demand

    def redeliver(self, delivery: Delivery, now: int) -> Delivery:
        """Send the event of a delivery again, after all waiting deliveries; return the new delivery."""
        again = self._make_delivery(delivery.endpoint, delivery.event, DeliveryKind.REDELIVERY, now)
        self._append(again, now)
        return self._deliveries[again.number]

    def duplicate(self, delivery: Delivery, now: int) -> Delivery:
        """Send the event of a delivery twice; return the copy.

        The copy follows the delivery in the queue. If the delivery has ended, the copy is the last in the queue.
        """
        copy = self._make_delivery(delivery.endpoint, delivery.event, DeliveryKind.DUPLICATE, now)
        self._append(copy, now)
        if delivery.is_open and self._deliveries[copy.number].is_open:
            queue = self._queues[delivery.endpoint]
            queue.remove(copy.number)
            queue.insert(queue.index(delivery.number) + 1, copy.number)
        return self._deliveries[copy.number]

    def tamper(self, delivery: Delivery, tampering: Tampering, now: int) -> Delivery:
        """Send a falsified copy of a delivery's event, after all waiting deliveries; return the copy.

        Raises:
            Refused: the copy is to be an older event, and there is none.
        """
        copy = self._add_tampered(delivery.endpoint, delivery.event, tampering, now)
        if copy is None:
            raise Refused("no_older_event")
        return copy

    def _add_tampered(self, endpoint: int, event: WebhookEvent, tampering: Tampering, now: int) -> Delivery | None:
        older = self._find_older_event(endpoint, event) if tampering is Tampering.OLD_EVENT else event
        if older is None:
            return None
        copy = self._make_delivery(endpoint, older, DeliveryKind.TAMPERED, now)._replace(tampering=tampering)
        self._append(copy, now)
        return self._deliveries[copy.number]

    def _find_older_event(self, endpoint: int, event: WebhookEvent) -> WebhookEvent | None:
        """The oldest stored event before this one that was delivered to the endpoint."""
        delivered = (one for one in self._deliveries.values() if one.status is DeliveryStatus.DELIVERED)
        older = (one.event for one in delivered if one.endpoint == endpoint and one.event.number < event.number)
        return next(older, None)

    def delay(self, delivery: Delivery, by_ms: int, now: int) -> Delivery:
        """Send a delivery, and those behind it, `by_ms` later; return the changed delivery.

        Raises:
            Refused: the delivery is not pending.
        """
        return self._change(self._require_pending(delivery)._replace(due_at=max(now, delivery.due_at) + by_ms), now)

    def drop(self, delivery: Delivery, now: int) -> Delivery:
        """Drop a delivery; return the changed delivery.

        Raises:
            Refused: the delivery is not pending.
        """
        dropped = self._require_pending(delivery).drop(DROPPED_ON_DEMAND)
        self._remove(dropped)
        self._mark_or_schedule(delivery.endpoint, now)
        return dropped

    def reorder(self, delivery: Delivery, now: int) -> Delivery:
        """Let the next delivery overtake this one, waiting at most `LONGEST_HOLD_MS`; return the changed delivery.

        Raises:
            Refused: the delivery is not pending.
        """
        self._require_pending(delivery)
        queue = self._queues[delivery.endpoint]
        index = queue.index(delivery.number)
        if index + 1 == len(queue):
            return self._change(delivery._replace(is_held=True, due_at=now + LONGEST_HOLD_MS), now)
        queue[index], queue[index + 1] = queue[index + 1], queue[index]
        return self._change(delivery._replace(due_at=now), now)

    def _change(self, delivery: Delivery, now: int) -> Delivery:
        self._deliveries[delivery.number] = delivery
        self._mark_or_schedule(delivery.endpoint, now)
        return delivery

    @staticmethod
    def _require_pending(delivery: Delivery) -> Delivery:
        if delivery.status is not DeliveryStatus.PENDING:
            raise Refused("delivery_not_pending", status=delivery.status.value)
        return delivery

    def add_rule(self, rule: DeliveryRule) -> DeliveryRule:
        """Add a rule after the existing ones; return it with its number.

        Raises:
            Refused: there are too many rules.
        """
        if len(self.rules) >= MOST_RULES:
            raise Refused("too_many_rules", most=MOST_RULES)
        numbered = rule._replace(number=self._rule_count)
        self.rules[self._rule_count] = numbered
        self._rule_count += 1
        return numbered

    # --- queries
    def delivery(self, name: str) -> Delivery:
        """The delivery with this ID.

        Raises:
            Refused: no delivery has this ID.
        """
        number = self.ids.read_delivery(name)
        delivery = None if number is None else self._deliveries.get(number)
        if delivery is None:
            raise Refused("delivery_not_found")
        return delivery

    def deliveries(self, above: int = -1) -> Iterator[Delivery]:
        """The deliveries with a number greater than `above`, the oldest first."""
        return (one for _, one in sorted(self._deliveries.items()) if one.number > above)

    def endpoint(self, organization: str, name: str) -> Endpoint:
        """The organization's endpoint with this ID.

        Raises:
            Refused: the organization has no endpoint with this ID.
        """
        endpoint = self.endpoints.find(organization, self.ids.read_endpoint(name))
        if endpoint is None:
            raise Refused("webhook_not_found")
        return endpoint

    @property
    def is_active(self) -> bool:
        """Whether anything has been registered or sent: a fresh world is not active."""
        return self.delivery_count > 0 or len(self.endpoints) > len(self.ids.samples)

    @property
    def is_ready(self) -> bool:
        """Whether a queue is ready, so that `take` may return a delivery now or later."""
        return bool(self._ready)

    @property
    def open_count(self) -> int:
        """The number of deliveries that are pending or being sent."""
        return self._open

    def has_due(self, now: int) -> bool:
        """Whether a delivery is being sent or is due at `now`."""
        firsts = (self._deliveries[queue[0]] for queue in self._queues.values() if queue)
        return any(one.status is DeliveryStatus.SENDING or one.due_at <= now for one in firsts)

    # --- snapshots

    def save(self) -> dict[str, Any]:
        """The outbox as JSON. An attempt in progress is saved as if it had not begun.

        It does not depend on the order in which receivers answered at one instant.
        """
        return {
            "samples": list(self.ids.samples),
            "endpoints": self.endpoints.save(self.ids),
            "deliveries": [_convert_to_lists(_remove_attempt(one)) for one in self._deliveries.values()],
            "queues": [[endpoint, list(queue)] for endpoint, queue in sorted(self._queues.items()) if queue],
            "finished": sorted(self._finished),
            "rules": [_convert_to_lists(rule) for rule in self.rules.values()],
            "counts": [
                *(self.event_count, self.delivery_count, self.forgotten),
                *(self.overflowed, self._rule_count, self.attempt_count),
            ],
        }

    def restore(self, saved: Mapping[str, Any]) -> None:
        """Fill an empty outbox with saved content.

        Raises:
            ValueError: the parts contradict one another.
        """
        self.ids = EndpointIds(self.ids.seed, tuple(saved["samples"]))
        self.endpoints.restore(saved["endpoints"], self.ids)
        self._deliveries = {one.number: one for one in map(read_delivery, saved["deliveries"])}
        self._queues = {endpoint: deque(numbers) for endpoint, numbers in saved["queues"]}
        self._finished = list(saved["finished"])
        heapify(self._finished)
        self.rules = {rule.number: rule for rule in map(read_rule, saved["rules"])}
        self.event_count, self.delivery_count, self.forgotten, *rest = saved["counts"]
        self.overflowed, self._rule_count, self.attempt_count = rest
        self._ready = dict.fromkeys(self._queues)
        self._open = sum(map(len, self._queues.values()))
        self._check()

    def _check(self) -> None:
        queued = [(number, endpoint) for endpoint, queue in self._queues.items() for number in queue]
        opened = {(one.number, one.endpoint) for one in self._deliveries.values() if one.is_open}
        ended = {one.number for one in self._deliveries.values() if not one.is_open}
        is_whole = len(queued) == len(opened) and set(queued) == opened
        is_whole = is_whole and len(self._finished) == len(ended) and set(self._finished) == ended
        numbers = _collect_endpoints(self._deliveries.values(), self.rules.values())
        is_known = all(0 <= one < len(self.endpoints) for one in numbers)
        counted = max(self._deliveries, default=-1) < self.delivery_count
        if not (is_whole and is_known and counted and max(self.rules, default=-1) < self._rule_count):
            raise ValueError("a delivery is missing")


def _collect_endpoints(deliveries: Iterable[Delivery], rules: Iterable[DeliveryRule]) -> set[int]:
    """The numbers of the endpoints that these deliveries and rules name."""
    return {one.endpoint for one in deliveries} | {one.endpoint for one in rules if one.endpoint is not None}


def _remove_attempt(delivery: Delivery) -> Delivery:
    if delivery.status is not DeliveryStatus.SENDING:
        return delivery
    return delivery._replace(status=DeliveryStatus.PENDING, started_at=None)


def _convert_to_lists(value: Any) -> Any:  # noqa: ANN401  a JSON value
    """The value with a list in place of each tuple and named tuple, as JSON has it."""
    return [_convert_to_lists(one) for one in value] if isinstance(value, tuple) else value
