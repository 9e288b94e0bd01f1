"""Views of webhooks: an endpoint as an object of the API, and an event in either envelope."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from zof_emulator.core.config import Envelope
from zof_emulator.core.instants import format_rfc3339

if TYPE_CHECKING:
    from zof_emulator.core.deliveries import WebhookEvent
    from zof_emulator.core.endpoints import Endpoint
    from zof_emulator.core.world import World


def build_webhook(world: World, endpoint: Endpoint, _base: str) -> dict[str, Any]:
    """A webhook, without its secret."""
    return {
        "id": world.outbox.ids.endpoint(endpoint.number),
        "url": endpoint.url,
        "events": [event.value for event in endpoint.events],
        "status": "enabled",
        "created_at": format_rfc3339(endpoint.created_at),
    }


def build_created_webhook(world: World, endpoint: Endpoint, base: str) -> dict[str, Any]:
    """A webhook with its secret."""
    return {**build_webhook(world, endpoint, base), "secret": endpoint.secret}


def build_envelope(world: World, event: WebhookEvent) -> dict[str, Any]:
    """An event as it is sent: in the older envelope where the world is set up so, else in the present one."""
    return (
        _build_legacy_envelope(event)
        if world.config.envelope is Envelope.LEGACY
        else _build_present_envelope(world, event)
    )


def _build_present_envelope(world: World, event: WebhookEvent) -> dict[str, Any]:
    facts = event.facts
    about = {"id": facts.object_id, "organization_id": event.organization, "run_id": facts.run_id}
    return {
        "id": world.outbox.ids.event(event.number),
        "type": event.type.value,
        "created": format_rfc3339(event.created_at),
        "data": {"object": about},
    }


def _build_legacy_envelope(event: WebhookEvent) -> dict[str, Any]:
    facts = event.facts
    return {
        "event": event.type.value,
        "timestamp": format_rfc3339(event.created_at),
        "data": {
            "run_id": facts.run_id,
            "status": facts.status,
            "duration_ms": facts.duration_ms,
            "project_id": facts.project_id,
            "environment": facts.environment,
        },
    }
