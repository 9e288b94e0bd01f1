"""Operations on webhooks: list, create, test."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from zof_emulator.core.deliveries import EventFacts
from zof_emulator.core.endpoints import EventType, Registration
from zof_emulator.core.index import NO_END
from zof_emulator.core.pages import take_newest
from zof_emulator.handlers import webhook_views as views
from zof_emulator.handlers.messages import Document, Page, Reply, Request
from zof_emulator.handlers.paging import read_page_request

if TYPE_CHECKING:
    from zof_emulator.core.world import World

_TEST_RUN: Final = EventFacts("run_test", "run_test")


def list_webhooks(world: World, request: Request) -> Reply:
    """One page of the organization's webhooks, newest first."""
    page_request = read_page_request(world, request, NO_END)
    numbers, more = take_newest(
        world.outbox.endpoints.numbers(request.organization), 0, page_request.start, request.query["limit"]
    )
    page = [world.outbox.endpoints.get(number) for number in numbers]
    return Reply(200, Page(page, views.build_webhook, more, page_request.cursor(numbers[-1]) if more else None))


def create_webhook(world: World, request: Request) -> Reply:
    """Register a webhook; the answer shows its secret."""
    body = request.body
    events = tuple(EventType(event) for event in body["events"])
    endpoint = world.outbox.register(
        request.organization, Registration(body["url"], events, body.get("secret")), world.now
    )
    return Reply(201, Document(views.build_created_webhook(world, endpoint, request.base)))


def send_test(world: World, request: Request) -> Reply:
    """Send a test event to a webhook."""
    endpoint = world.outbox.endpoint(request.organization, request.id)
    event = world.outbox.send_test(endpoint, _TEST_RUN, world.now)
    return Reply(202, Document(views.build_envelope(world, event)))
