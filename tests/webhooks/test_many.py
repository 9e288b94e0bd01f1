"""Many deliveries: at least once, in order per endpoint, in bounded memory, reproducible by seed."""

from __future__ import annotations

import json
import tracemalloc
from typing import TYPE_CHECKING, Final

import pytest
from zof_emulator.core.deliveries import AttemptResult, EventFacts
from zof_emulator.core.endpoints import EventType, Registration
from zof_emulator.core.outbox import MOST_FINISHED, Outbox
from zof_emulator.webhooks.compose import compose
from zof_emulator.webhooks.service import DeliveryService

from tests.receivers import NO_CONTENT, Received, answer, receiving
from tests.webhooks.test_delivery import Hooks

if TYPE_CHECKING:
    from collections.abc import Callable

    from zof_emulator.webhooks.post import Post

EVENTS: Final = 10_000


def every_third() -> Callable[[Received], bytes]:
    """A receiver that fails every third request."""
    count = 0

    def respond(_: Received) -> bytes:
        nonlocal count
        count += 1
        return answer(500) if count % 3 == 0 else NO_CONTENT

    return respond


class FailingSender:
    """Takes requests in place of the courier, and fails every third one."""

    def __init__(self) -> None:
        self.posts: list[Post] = []

    async def send(self, post: Post) -> AttemptResult:
        """Record a request."""
        self.posts.append(post)
        return AttemptResult(500 if len(self.posts) % 3 == 0 else 204)

    async def aclose(self) -> None:
        """There is nothing to close."""


def send_events(zof: Hooks, url: str, events: int) -> None:
    """Register a webhook, let so many events happen, and wait until they are delivered."""
    zof.register(url, "integration.error")
    for number in range(events):
        zof.submit("/_emulator/events", {"type": "integration.error", "object_id": f"agent_{number}"})
    zof.deliver()
    zof.app.close()


def deliver(events: int, seed: int) -> list[bytes]:
    """The bodies that a receiver which fails every third request gets for this many events."""
    with receiving(every_third()) as receiver:
        send_events(Hooks(seed=seed), receiver.url, events)
        return [one.body for one in receiver.requests]


def list_names(bodies: list[bytes]) -> list[str]:
    """The objects of the events, in the order of their first deliveries."""
    return list(dict.fromkeys(json.loads(body)["data"]["object"]["id"] for body in bodies))


def test_a_receiver_that_fails_every_third_request_gets_everything_in_order() -> None:
    """Every event arrives at least once, the first deliveries are in order, and the same seed sends the same bytes."""
    first = deliver(300, seed=3)
    assert list_names(first) == [f"agent_{number}" for number in range(300)]
    assert len(first) > 400
    assert deliver(300, seed=3) == first
    assert deliver(3, seed=4) != first[:4]


def test_ten_thousand_events_arrive_in_order() -> None:
    """10,000 events with a failure at every third attempt arrive in order, with the same bytes for the same seed."""
    found = []
    for _ in range(2):
        sender = FailingSender()
        zof = Hooks(seed=3, deliveries=DeliveryService(compose, lambda sender=sender: sender))  # type: ignore[misc]
        send_events(zof, "http://127.0.0.1:9/", EVENTS)
        found.append(sender.posts)
    taken = [post.body for number, post in enumerate(found[0], 1) if number % 3]
    assert list_names(taken) == [f"agent_{number}" for number in range(EVENTS)]
    assert len(taken) == EVENTS
    assert found[0] == found[1]


def test_ten_thousand_events_are_bounded() -> None:
    """10,000 events to an endpoint that fails every third time all arrive, in order, in less than 40 MiB."""
    agenda: list[tuple[int, int]] = []
    tracemalloc.start()
    outbox = Outbox(0, lambda at, endpoint: agenda.append((at, endpoint)))
    outbox.register("org_a", Registration("http://127.0.0.1/", (EventType.INTEGRATION_ERROR,)), 0)
    for number in range(EVENTS):
        outbox.publish(EventType.INTEGRATION_ERROR, "org_a", EventFacts(f"agent_{number}", None), 0)
    now, count, arrived = 0, 0, list[int]()
    while outbox.open_count:
        for one in outbox.take(now):
            count += 1
            is_down = count % 3 == 0
            outbox.finish(one.number, AttemptResult(500 if is_down else 204), now)
            if not is_down:
                arrived.append(one.event.number)
        if not outbox.is_ready and agenda:
            now, endpoint = agenda.pop()
            outbox.wake(endpoint)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert arrived == list(range(EVENTS))
    assert peak < 40 << 20
    assert sum(1 for _ in outbox.deliveries()) <= MOST_FINISHED


@pytest.mark.parametrize("count", [2])
def test_endpoints_do_not_disturb_each_other(count: int) -> None:
    """An endpoint that fails every third time does not change the deliveries of another one."""
    zof = Hooks()
    with receiving(every_third()) as failing, receiving() as receiver:
        zof.register(failing.url)
        zof.register(receiver.url)
        runs = [zof.run("tc_a") for _ in range(count * 3)]
        receiver.wait_for(len(runs))
        assert [json.loads(one.body)["data"]["object"]["id"] for one in receiver.requests] == runs
    zof.app.close()
