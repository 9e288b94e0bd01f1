"""The control operations that list and disturb webhook deliveries, and send events of any type."""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING, Any, Final

from zof_emulator.core.deliveries import (
    Action,
    Delivery,
    DeliveryRule,
    DeliveryStatus,
    EventFacts,
    Tampering,
)
from zof_emulator.core.endpoints import EventType
from zof_emulator.core.instants import LAST, format_rfc3339_ms
from zof_emulator.core.refusal import Refused
from zof_emulator.handlers.messages import Document, Reply, Request
from zof_emulator.journal.masking import mask_url
from zof_emulator.webhooks.compose import compose

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from zof_emulator.core.deliveries import Attempt
    from zof_emulator.core.outbox import Outbox
    from zof_emulator.core.world import World
    from zof_emulator.http.hosted_world import HostedWorld
    from zof_emulator.spec.document import Node

_DELAY_MS: Final = 10_000


def list_deliveries(hosted: HostedWorld, request: Request) -> Reply:
    """One page of the deliveries that match, the oldest first."""
    world, query = hosted.world, request.query
    outbox = world.outbox
    found = (one for one in outbox.deliveries(query.get("starting_after", 0) - 1) if _matches(outbox, one, query))
    page = list(islice(found, query["limit"] + 1))
    shown = page[: query["limit"]]
    has_more = len(page) > len(shown)
    answer = {
        "data": [show_delivery(world, one) for one in shown],
        "has_more": has_more,
        "next_cursor": shown[-1].number + 1 if has_more else None,
        "open": outbox.open_count,
        "forgotten": outbox.forgotten,
        "overflowed": outbox.overflowed,
    }
    return Reply(200, Document(answer), (("X-Zof-World-Number", str(hosted.number)),))


def get_delivery(hosted: HostedWorld, request: Request) -> Reply:
    """Retrieve a delivery."""
    return Reply(200, Document(show_delivery(hosted.world, hosted.world.outbox.delivery(request.id))))


def disturb_delivery(hosted: HostedWorld, request: Request) -> Reply:
    """Redeliver a delivery, or disturb it."""
    world = hosted.world
    delivery = world.outbox.delivery(request.id)
    changed = _DISTURB[request.body["action"]](world.outbox, delivery, request.body, world.now)
    return Reply(200, Document(show_delivery(world, changed)))


_DISTURB: Final[Mapping[str, Callable[[Outbox, Delivery, Mapping[str, Any], int], Delivery]]] = {
    "redeliver": lambda outbox, one, _body, now: outbox.redeliver(one, now),
    "duplicate": lambda outbox, one, _body, now: outbox.duplicate(one, now),
    "reorder": lambda outbox, one, _body, now: outbox.reorder(one, now),
    "delay": lambda outbox, one, body, now: outbox.delay(one, body.get("delay_ms", _DELAY_MS), now),
    "drop": lambda outbox, one, _body, now: outbox.drop(one, now),
    "tamper": lambda outbox, one, body, now: outbox.tamper(one, _read_tampering(body), now),
}


def list_rules(hosted: HostedWorld, _request: Request) -> Reply:
    """List the rules."""
    return Reply(200, Document(_show_rules(hosted.world)))


def create_rule(hosted: HostedWorld, request: Request) -> Reply:
    """Create a rule."""
    outbox, body = hosted.world.outbox, request.body
    endpoint = None
    if "webhook_id" in body:
        endpoint = outbox.ids.read_endpoint(body["webhook_id"])
        if endpoint is None or endpoint >= len(outbox.endpoints):
            raise Refused("webhook_not_found", "webhook_id")
    rule = DeliveryRule(
        0,
        Action(body["action"]),
        endpoint,
        EventType(body["type"]) if "type" in body else None,
        body.get("times"),
        body.get("delay_ms", _DELAY_MS),
        _read_tampering(body),
    )
    return Reply(201, Document(_show_rule(hosted.world, outbox.add_rule(rule))))


def clear_rules(hosted: HostedWorld, _request: Request) -> Reply:
    """Delete all rules."""
    cleared = _show_rules(hosted.world)
    hosted.world.outbox.rules.clear()
    return Reply(200, Document(cleared))


def send_event(hosted: HostedWorld, request: Request, contract: Node) -> Reply:
    """Send an event, with the data of its example in the contract unless other data is given."""
    world, body = hosted.world, request.body
    organization = body.get("organization_id", next(iter(world.organizations)))
    if organization not in world.organizations:
        raise Refused("organization_not_found", "organization_id")
    kind = EventType(body["type"])
    facts = _read_example_facts(contract, kind)
    run = body.get("run_id", facts.run_id)
    object_id = body.get("object_id") or (run if run is not None and facts.run_id is not None else facts.object_id)
    sent = world.outbox.publish(kind, organization, facts._replace(object_id=object_id, run_id=run), world.now)
    return Reply(202, Document({"deliveries": sent}))


def _read_example_facts(contract: Node, kind: EventType) -> EventFacts:
    """The facts in the contract's example of an event."""
    content = contract["webhooks"][kind.value]["post"]["requestBody"]["content"]["application/json"]
    about = content["examples"]["present"]["value"]["data"]["object"]
    older = content["examples"]["legacy"]["value"]["data"]
    return EventFacts(
        about["id"], about["run_id"], older["project_id"], older["environment"], older["status"], older["duration_ms"]
    )


def _read_tampering(body: Mapping[str, Any]) -> Tampering:
    return Tampering(body.get("tampering", Tampering.SIGNATURE))


def _matches(outbox: Outbox, delivery: Delivery, query: Mapping[str, Any]) -> bool:
    shown = {
        "webhook_id": outbox.ids.endpoint(delivery.endpoint),
        "event_id": outbox.ids.event(delivery.event.number),
        "status": delivery.status.value,
    }
    return all(query[name] == value for name, value in shown.items() if name in query)


def show_delivery(world: World, delivery: Delivery) -> dict[str, Any]:
    """A delivery as an object of the control API."""
    ids = world.outbox.ids
    post = compose(world, delivery)
    is_pending = delivery.status is DeliveryStatus.PENDING
    return {
        "number": delivery.number + 1,
        "id": ids.delivery(delivery.number),
        "webhook_id": ids.endpoint(delivery.endpoint),
        "event_id": ids.event(delivery.event.number),
        "type": delivery.event.type.value,
        "kind": delivery.kind.value,
        "status": delivery.status.value,
        "tampering": None if delivery.tampering is None else delivery.tampering.value,
        "next_attempt_at": format_rfc3339_ms(delivery.due_at) if is_pending and delivery.due_at <= LAST else None,
        "note": delivery.note or None,
        "request": {
            "method": "POST",
            "url": mask_url(post.url),
            "headers": [list(pair) for pair in post.headers],
            "body": post.body.decode(),
        },
        "attempts": [_show_attempt(one) for one in delivery.attempts],
    }


def _show_attempt(attempt: Attempt) -> dict[str, Any]:
    result = attempt.result
    return {
        "started_at": format_rfc3339_ms(attempt.started_at),
        "ended_at": format_rfc3339_ms(attempt.ended_at),
        "status": result.status,
        "error": result.error or None,
        "headers": [list(pair) for pair in result.headers],
        "body": result.body,
        "truncated": result.truncated,
    }


def _show_rules(world: World) -> dict[str, Any]:
    return {"data": [_show_rule(world, rule) for rule in world.outbox.rules.values()]}


def _show_rule(world: World, rule: DeliveryRule) -> dict[str, Any]:
    return {
        "number": rule.number + 1,
        "action": rule.action.value,
        "webhook_id": None if rule.endpoint is None else world.outbox.ids.endpoint(rule.endpoint),
        "type": None if rule.type is None else rule.type.value,
        "times": rule.times,
        "delay_ms": rule.delay_ms if rule.action is Action.DELAY else None,
        "tampering": rule.tampering.value if rule.action is Action.TAMPER else None,
    }
