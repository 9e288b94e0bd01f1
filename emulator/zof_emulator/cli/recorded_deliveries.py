"""Recorded deliveries: a replay takes the results of webhook attempts from the journal and sends nothing."""

from __future__ import annotations

from concurrent.futures import Future
from threading import RLock
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from zof_emulator.core.deliveries import AttemptResult, DeliveryStatus
from zof_emulator.core.instants import parse_rfc3339
from zof_emulator.core.timeline import NEVER
from zof_emulator.journal.masking import is_masked, mask_url
from zof_emulator.webhooks.compose import compose
from zof_emulator.webhooks.signing import HEADER

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from zof_emulator.core.deliveries import Delivery
    from zof_emulator.core.world import World
    from zof_emulator.http.hosted_world import HostedWorld

_UNRECORDED: Final = AttemptResult(None, "the journal holds no such attempt", is_refused=True)


class DeliveryDifference(NamedTuple):
    """A difference between a delivery and the journal's delivery."""

    number: int
    """The number of the delivery, from 1."""
    request: str
    what: str
    expected: str
    got: str


class RecordedDeliveries:
    """A delivery service that sends nothing: each attempt ends with the result that the journal holds."""

    def __init__(self, recorded: Iterable[Mapping[str, Any]]) -> None:
        """`recorded` are deliveries as the control operations show them."""
        self.lock = RLock()
        self.differences: list[DeliveryDifference] = []
        self._recorded = {one["id"]: one for one in recorded}
        self._last_number = max((one["number"] for one in self._recorded.values()), default=0)
        self._is_after_last = False
        """Whether the last exchange of the journal has been replayed."""
        self._pending: list[tuple[World, Delivery]] = []

    def notify(self, hosted: HostedWorld) -> None:
        """Begin the attempts that are due, and end those that the journal ended by now."""
        self._advance(hosted.world, hosted.world.now)

    def when_idle(self, hosted: HostedWorld) -> Future[None]:
        """Begin and end all attempts that are due."""
        self._advance(hosted.world, NEVER)
        done: Future[None] = Future()
        done.set_result(None)
        return done

    def finish(self, world: World) -> None:
        """Make what the journal recorded after its last exchange; note deliveries that were not made.

        A world makes events between the last exchange and the moment when its journal is read, because time passes or
        because the last request has left something due. It may make more after that moment, which is not compared.
        """
        self._is_after_last = True
        self._advance(world, NEVER)
        while world.agenda.first < NEVER and self._awaits_more(world):
            world.settle(world.agenda.first)
            self._advance(world, NEVER)
        for one in world.outbox.deliveries():
            self._recorded.pop(world.outbox.ids.delivery(one.number), None)
        for left in self._recorded.values():
            self._note(left["number"], left["request"]["url"], "delivery", left["id"], "none")

    def close(self) -> None:
        """There is nothing to close."""

    def _awaits_more(self, world: World) -> bool:
        """Whether the journal has a delivery, or an attempt, that the world has not made."""
        is_missing = world.outbox.delivery_count < self._last_number
        return is_missing or any(self._has_more(world, one) for one in world.outbox.deliveries())

    def _has_more(self, world: World, delivery: Delivery) -> bool:
        recorded = self._recorded.get(world.outbox.ids.delivery(delivery.number))
        return delivery.is_open and recorded is not None and len(recorded["attempts"]) > len(delivery.attempts)

    def _advance(self, world: World, until: int) -> None:
        """Begin the attempts that are due, and end those that ended by `until` (ms) in the journal."""
        while True:
            taken = world.outbox.take(world.now)
            self._pending += [(world, one) for one in taken]
            for one in taken:
                if not one.attempts:  # every attempt sends the same request
                    self._compare(world, one)
            ended = [pair for pair in self._pending if pair[0] is world and self._find_end(*pair) <= until]
            if not ended:
                return
            for pair in ended:
                self._pending.remove(pair)
                self._end(*pair)

    def _attempt(self, world: World, delivery: Delivery) -> Mapping[str, Any] | None:
        recorded = self._recorded.get(world.outbox.ids.delivery(delivery.number))
        attempts = [] if recorded is None else recorded["attempts"]
        return attempts[len(delivery.attempts)] if len(delivery.attempts) < len(attempts) else None

    def _find_end(self, world: World, delivery: Delivery) -> int:
        attempt = self._attempt(world, delivery)
        return NEVER if attempt is None else parse_rfc3339(attempt["ended_at"])

    def _end(self, world: World, delivery: Delivery) -> None:
        attempt = self._attempt(world, delivery)
        result, ended_at = _UNRECORDED, world.now
        if attempt is not None:
            headers = tuple((name, value) for name, value in attempt["headers"])
            recorded = self._recorded[world.outbox.ids.delivery(delivery.number)]
            is_refused = recorded["status"] == DeliveryStatus.REFUSED.value
            result = AttemptResult(
                attempt["status"],
                attempt["error"] or "",
                headers,
                attempt["body"],
                truncated=attempt["truncated"],
                is_refused=is_refused,
            )
            ended_at = parse_rfc3339(attempt["ended_at"])
        world.outbox.finish(delivery.number, result, ended_at)

    def _compare(self, world: World, delivery: Delivery) -> None:
        """Note the differences between the request of an attempt and the recorded one."""
        post = compose(world, delivery)
        recorded = self._recorded.get(world.outbox.ids.delivery(delivery.number))
        number = delivery.number + 1
        if recorded is None:
            if not self._is_after_last:
                self._note(number, post.url, "delivery", "none", world.outbox.ids.delivery(delivery.number))
            return
        request = recorded["request"]
        now: Mapping[str, Any] = {
            "url": mask_url(post.url),
            "headers": [list(pair) for pair in post.headers],
            "body": post.body.decode(),
        }
        if is_masked(
            world.outbox.endpoints.get(delivery.endpoint).secret
        ):  # the journal lacks the secret that signed it
            request, now = ({**one, "headers": _remove_signature(one["headers"])} for one in (request, now))
        for what, got in now.items():
            if request[what] != got:
                self._note(number, post.url, what, str(request[what]), str(got))

    def _note(self, number: int, url: str, what: str, expected: str, got: str) -> None:
        self.differences.append(DeliveryDifference(number, f"delivery to {url}", what, expected, got))


def _remove_signature(headers: Any) -> list[Any]:  # noqa: ANN401  names and values
    return [pair for pair in headers if pair[0] != HEADER]
