"""Judges of webhooks: what one received event, or several, say about a rule. They send nothing.

The verification of signatures is written from the vendor's page; it shares no code with any sender.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from zof_contracts.checks.schemas import find_fault
from zof_contracts.evidence.findings import Claim, quote_value

if TYPE_CHECKING:
    from collections.abc import Sequence

SIGNATURE: Final = "X-Zof-Signature"
_HEX: Final = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class Event:
    """A received event, in either envelope."""

    value: dict[str, Any]
    body: bytes
    signature: str
    was_taken: bool
    """Whether it was answered with a 2xx status."""

    @property
    def id(self) -> object:
        """Its ID; None in the older envelope."""
        return self.value.get("id")

    @property
    def type(self) -> object:
        """Its type."""
        return self.value.get("type", self.value.get("event"))

    @property
    def run_id(self) -> object:
        """The run that it is about."""
        data = self.value.get("data")
        about = data.get("object", data) if isinstance(data, dict) else {}
        return about.get("run_id") if isinstance(about, dict) else None


def read_event(body: bytes, signature: str, *, was_taken: bool = True) -> Event:
    """The event in a body; one that is not a JSON object has no fields."""
    try:
        value = json.loads(body)
    except ValueError:
        value = None
    return Event(value if isinstance(value, dict) else {}, body, signature, was_taken)


def check_envelope(event: Event) -> Claim:
    """Whether an event has one of the documented envelopes."""
    name = "LegacyWebhookEvent" if "event" in event.value else "WebhookEvent"
    fault = find_fault(name, event.value)
    return Claim("webhooks.envelope", not fault, f"an event as {name} describes it", fault, place=str(event.type))


def check_signature(event: Event, secret: str) -> Claim:
    """Whether an event is signed with HMAC-SHA256 over its raw body, whatever the case of the digits."""
    expected = hmac.new(secret.encode(), event.body, hashlib.sha256).hexdigest()
    holds = hmac.compare_digest(expected.encode(), event.signature.lower().encode())
    got = f"{SIGNATURE} {quote_value(event.signature)}" if event.signature else f"no header {SIGNATURE}"
    return Claim("webhooks.signature", holds, "HMAC-SHA256 over the raw body", f"{got} over {len(event.body)} bytes")


def check_signature_form(event: Event) -> Claim:
    """Whether a signature is 64 lower-case hexadecimal digits."""
    holds = _HEX.fullmatch(event.signature) is not None
    got = f"{SIGNATURE} {quote_value(event.signature)}"
    return Claim("webhooks.signature.form", holds, "64 lower-case hexadecimal digits", got)


def check_about(event: Event, organization: object) -> Claim:
    """Whether the object of an event of a run names the run twice, and its organization."""
    data = event.value.get("data")
    about = data.get("object") if isinstance(data, dict) else None
    fields = about if isinstance(about, dict) else {}
    holds = fields.get("id") == fields.get("run_id") and fields.get("organization_id") == organization
    return Claim("webhooks.object", holds, f"id and run_id of the run, organization {organization}", quote_value(about))


def check_events_of_run(events: Sequence[Event], run_id: str, status: str, *, has_started: bool) -> list[Claim]:
    """Whether a run sent its events: one when it started, one when it ended, and one more when it failed."""
    types = list(dict.fromkeys(event.type for event in events if event.run_id == run_id))
    shown = quote_value(types)
    claims = [Claim("webhooks.completed", "run.completed" in types, f"run.completed for {status}", shown, place=status)]
    if has_started:
        claims.append(Claim("webhooks.started", "run.started" in types, "run.started", shown))
    failed = "run.failed" in types
    claims.append(
        Claim(
            "webhooks.failed",
            failed is (status == "failed"),
            "run.failed" if status == "failed" else f"no run.failed for {status}",
            shown,
            place="failed" if status == "failed" else "others",
        )
    )
    return claims


_ORDER: Final = ("run.started", "run.completed", "run.failed")


def check_order(events: Sequence[Event], run_id: str) -> Claim:
    """Whether the events of a run came in the order in which they happened."""
    types = [event.type for event in events if event.run_id == run_id and event.was_taken and event.type in _ORDER]
    first = list(dict.fromkeys(types))
    return Claim(
        "webhooks.order", first == [each for each in _ORDER if each in first], ", ".join(_ORDER), quote_value(first)
    )


def check_single_ids(events: Sequence[Event], run_id: str) -> Claim:
    """Whether all deliveries of an event of a run, of which there is one of each type, have one ID."""
    ids: dict[object, set[str]] = {}
    for event in events:
        if event.run_id == run_id and "event" not in event.value:
            ids.setdefault(str(event.type), set()).add(str(event.id))
    several = [f"{kind} with {len(found)} IDs" for kind, found in ids.items() if len(found) > 1]
    return Claim("webhooks.ids", not several, "one ID for each event of the run", ", ".join(several))


def check_organization(events: Sequence[Event], foreign_run: str) -> Claim:
    """Whether no event is about a run of another organization."""
    foreign = [event for event in events if event.run_id == foreign_run]
    got = ", ".join(f"{event.type} about {event.run_id}" for event in foreign[:1])
    return Claim("webhooks.tenants", not foreign, "no event of another organization", got, place="events")


def check_ids(events: Sequence[Event]) -> Claim:
    """Whether events that differ have IDs that differ."""
    bodies: dict[object, bytes] = {}
    twice = [event.id for event in events if bodies.setdefault(event.id, event.body) != event.body]
    return Claim(
        "webhooks.ids", not twice, "an ID of its own for each event", f"{quote_value(twice[:1])} for two events"
    )
