"""Compose the signed request of a delivery, genuine or falsified; every attempt sends the same bytes."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from zof_emulator.core.deliveries import Tampering
from zof_emulator.core.evolution import Evolution
from zof_emulator.handlers.webhook_views import build_envelope
from zof_emulator.webhooks.post import Post, build_host_header
from zof_emulator.webhooks.signing import HEADER, sign

if TYPE_CHECKING:
    from zof_emulator.core.deliveries import Delivery
    from zof_emulator.core.world import World


def compose(world: World, delivery: Delivery) -> Post:
    """The request of a delivery, signed over the bytes of its body."""
    endpoint = world.outbox.endpoints.get(delivery.endpoint)
    content = build_envelope(world, delivery.event)
    if delivery.event.has_new_fields:
        content = Evolution(world.seed).evolve(content)
    body = json.dumps(content, ensure_ascii=False, separators=(",", ":")).encode()
    signature = sign(endpoint.secret, body)
    if delivery.tampering is Tampering.SIGNATURE:
        signature = sign(endpoint.secret + "?", body)
    elif delivery.tampering is Tampering.BODY:
        body = json.dumps({**content, "data": {"tampered": True}}, separators=(",", ":")).encode()
    elif delivery.tampering is Tampering.WHITESPACE:
        body = json.dumps(content, ensure_ascii=False).encode()
    headers = (
        ("Host", build_host_header(endpoint.url)),
        ("Content-Type", "application/json"),
        ("User-Agent", "zof-emulator"),
        (HEADER, signature),
        ("Content-Length", str(len(body))),
    )
    return Post(endpoint.url, headers, body)
