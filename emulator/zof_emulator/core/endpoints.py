"""Webhook endpoints: the URLs that receive an organization's events, and the secrets that sign them."""

from __future__ import annotations

from collections import defaultdict
from enum import StrEnum
from hashlib import blake2b
from ipaddress import IPv6Address
from typing import TYPE_CHECKING, Any, Final, NamedTuple
from urllib.parse import urlsplit

from zof_emulator.core.ids import Permutation
from zof_emulator.core.refusal import Refused

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

MOST_ENDPOINTS: Final = 100
"""The largest number of endpoints of an organization."""
_ID_BITS: Final = 64
_LAST_PORT: Final = 65_535
_PORTS: Final = {"http": 80, "https": 443}
_URL_RULE: Final = "an http or https URL without user or fragment, at most 2048 characters"


class EventType(StrEnum):
    """The types of events: those that an endpoint can subscribe to (`/docs/api/webhooks`), and one to come."""

    RUN_STARTED = "run.started"
    RUN_COMPLETED = "run.completed"
    RUN_FAILED = "run.failed"
    PLAN_PENDING = "remediation.plan_pending"
    PLAN_APPROVED = "remediation.approved"
    AGENT_OFFLINE = "agent.offline"
    GATE_BLOCKED = "release.gate_blocked"
    INTEGRATION_ERROR = "integration.error"
    RUN_PROVISIONED = "run.provisioned"
    """A type that the API does not have yet; only worlds that evolve send it."""


SUBSCRIBABLE: Final = tuple(one for one in EventType if one is not EventType.RUN_PROVISIONED)
"""The types to which an endpoint can subscribe."""


class Endpoint(NamedTuple):
    """A registered endpoint; `created_at` is in ms."""

    number: int
    """Its number among all endpoints of its world, counted from 0."""
    organization: str
    url: str
    events: tuple[EventType, ...]
    secret: str
    created_at: int


class Registration(NamedTuple):
    """The request to register an endpoint. A secret is generated if it has none."""

    url: str
    events: tuple[EventType, ...]
    secret: str | None = None


class Authority(NamedTuple):
    """The scheme, host and port of a URL."""

    scheme: str
    host: str
    """A host name or an IP address, without brackets."""
    port: int


def parse_authority(url: str) -> Authority:
    """The scheme, host and port of an endpoint's URL.

    Raises:
        Refused: `invalid_value`, if an endpoint may not have this URL.
    """
    try:
        parts = urlsplit(url)
        port = parts.port
        host = parts.hostname or ""
        if ":" in host:
            IPv6Address(host)
    except ValueError:
        raise Refused("invalid_value", "url", expected=_URL_RULE) from None
    printable = url.isascii() and url.isprintable() and " " not in url
    is_plain = parts.username is None and parts.password is None and "#" not in url
    if parts.scheme not in _PORTS or not host or not printable or not is_plain or port == 0:
        raise Refused("invalid_value", "url", expected=_URL_RULE)
    return Authority(parts.scheme, host, _PORTS[parts.scheme] if port is None else port)


class EndpointIds:
    """The IDs of the endpoints, events and deliveries of a world. They follow from the seed and never repeat.

    `samples` are the IDs of the first endpoints without their prefix. They make the examples of the document hold
    under every seed.
    """

    __slots__ = ("_deliveries", "_endpoints", "_events", "_numbers", "samples", "seed")

    def __init__(self, seed: int, samples: tuple[str, ...] = ()) -> None:
        self.samples = samples
        self.seed = seed
        self._numbers = {word: number for number, word in enumerate(samples)}
        self._endpoints = Permutation.from_seed(seed, "webhook", _ID_BITS)
        self._events = Permutation.from_seed(seed, "event", _ID_BITS)
        self._deliveries = Permutation.from_seed(seed, "delivery", _ID_BITS)

    def endpoint(self, number: int) -> str:
        """The ID of the endpoint with this number."""
        return "wh_" + (self.samples[number] if number < len(self.samples) else self._endpoints.word(number))

    def event(self, number: int) -> str:
        """The ID of the event with this number."""
        return "evt_" + self._events.word(number)

    def delivery(self, number: int) -> str:
        """The ID of the delivery with this number."""
        return "del_" + self._deliveries.word(number)

    def read_endpoint(self, name: str) -> int | None:
        """The number of the endpoint with this ID; None if no endpoint can have the ID."""
        word = name.removeprefix("wh_")
        if word in self._numbers:
            return self._numbers[word] if name != word else None
        number = self._endpoints.number(word) if name != word else None
        return None if number is None or number < len(self.samples) else number

    def read_delivery(self, name: str) -> int | None:
        """The number of the delivery with this ID; None if no delivery can have the ID."""
        return self._deliveries.number(name[4:]) if name.startswith("del_") else None

    def secret(self, number: int) -> str:
        """The generated secret of the endpoint with this number: `whsec_` and 40 hexadecimal digits."""
        return "whsec_" + blake2b(f"{self.seed}/webhook-secret/{number}".encode(), digest_size=20).hexdigest()


class EndpointStore:
    """The endpoints of a world, by number and by subscription. No operation deletes an endpoint."""

    __slots__ = ("_by_number", "_of_organization", "_subscribers")

    def __init__(self) -> None:
        self._by_number: dict[int, Endpoint] = {}
        self._of_organization: dict[str, list[int]] = defaultdict(list)
        self._subscribers: dict[tuple[str, EventType], tuple[int, ...]] = {}

    def __len__(self) -> int:
        return len(self._by_number)

    def register(self, ids: EndpointIds, organization: str, registration: Registration, now: int) -> Endpoint:
        """Register an endpoint at `now` (ms).

        Raises:
            Refused: the URL is invalid, or the organization has too many endpoints.
        """
        parse_authority(registration.url)
        if len(self._of_organization[organization]) >= MOST_ENDPOINTS:
            raise Refused("too_many_webhooks", most=MOST_ENDPOINTS)
        number = len(self._by_number)
        secret = registration.secret or ids.secret(number)
        endpoint = Endpoint(number, organization, registration.url, registration.events, secret, now)
        self._add(endpoint)
        return endpoint

    def _add(self, endpoint: Endpoint) -> None:
        self._by_number[endpoint.number] = endpoint
        self._of_organization[endpoint.organization].append(endpoint.number)
        for event in endpoint.events:
            key = endpoint.organization, event
            self._subscribers[key] = (*self._subscribers.get(key, ()), endpoint.number)

    def get(self, number: int) -> Endpoint:
        """The endpoint with this number.

        Raises:
            KeyError: no endpoint has this number.
        """
        return self._by_number[number]

    def find(self, organization: str, number: int | None) -> Endpoint | None:
        """The organization's endpoint with this number, or None."""
        endpoint = None if number is None else self._by_number.get(number)
        return endpoint if endpoint is not None and endpoint.organization == organization else None

    def numbers(self, organization: str) -> Sequence[int]:
        """The numbers of an organization's endpoints, ascending."""
        return self._of_organization.get(organization, ())

    def subscribers(self, organization: str, event: EventType) -> tuple[int, ...]:
        """The numbers of the endpoints that receive events of this type, in the order of their registration."""
        return self._subscribers.get((organization, event), ())

    def save(self, ids: EndpointIds) -> list[Any]:
        """All endpoints as JSON; null stands for a generated secret, which follows from the seed."""
        return [
            [*one[:3], list(one.events), None if one.secret == ids.secret(one.number) else one.secret, one.created_at]
            for one in self._by_number.values()
        ]

    def restore(self, saved: Iterable[Any], ids: EndpointIds) -> None:
        """Add the saved endpoints.

        Raises:
            ValueError: the numbers have a gap, or an event type is unknown.
        """
        for number, organization, url, events, secret, created_at in saved:
            if number != len(self._by_number):
                raise ValueError("an endpoint is missing")
            types = tuple(EventType(one) for one in events)
            known = ids.secret(number) if secret is None else secret
            self._add(Endpoint(number, organization, url, types, known, created_at))
