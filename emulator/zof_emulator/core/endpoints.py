"""Webhook endpoints: where an organization wants its events sent, and under which secret they are signed."""

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
"""How many endpoints an organization may register."""
_ID_BITS: Final = 64
_LAST_PORT: Final = 65_535
_PORTS: Final = {"http": 80, "https": 443}
_URL_RULE: Final = "an http or https URL without user or fragment, at most 2048 characters"


class EventType(StrEnum):
    """The events that an endpoint can subscribe to (`/docs/api/webhooks`)."""

    RUN_STARTED = "run.started"
    RUN_COMPLETED = "run.completed"
    RUN_FAILED = "run.failed"
    PLAN_PENDING = "remediation.plan_pending"
    PLAN_APPROVED = "remediation.approved"
    AGENT_OFFLINE = "agent.offline"
    GATE_BLOCKED = "release.gate_blocked"
    INTEGRATION_ERROR = "integration.error"


class Endpoint(NamedTuple):
    """A registered endpoint; `created_at` is in ms."""

    number: int
    """Its place among all endpoints of its world."""
    organization: str
    url: str
    events: tuple[EventType, ...]
    secret: str
    created_at: int


class Registration(NamedTuple):
    """What a client asks for; a secret is generated when it gives none."""

    url: str
    events: tuple[EventType, ...]
    secret: str | None = None


class Authority(NamedTuple):
    """Whom a URL says to call."""

    scheme: str
    host: str
    """A name or an address, without brackets."""
    port: int


def authority_of(url: str) -> Authority:
    """Whom a URL says to call; `Refused("invalid_value")` when it is no URL that an endpoint may have."""
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
    """The IDs of endpoints, events and deliveries in one world; they follow from the seed and never repeat.

    `samples` are the words of the first endpoints, so that the document's examples hold under every seed.
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
        """The ID of the nth endpoint."""
        return "wh_" + (self.samples[number] if number < len(self.samples) else self._endpoints.word(number))

    def event(self, number: int) -> str:
        """The ID of the nth event."""
        return "evt_" + self._events.word(number)

    def delivery(self, number: int) -> str:
        """The ID of the nth delivery."""
        return "del_" + self._deliveries.word(number)

    def read_endpoint(self, name: str) -> int | None:
        """The number of the endpoint with this ID, or None."""
        word = name.removeprefix("wh_")
        if word in self._numbers:
            return self._numbers[word] if name != word else None
        number = self._endpoints.number(word) if name != word else None
        return None if number is None or number < len(self.samples) else number

    def read_delivery(self, name: str) -> int | None:
        """The number of the delivery with this ID, or None."""
        return self._deliveries.number(name[4:]) if name.startswith("del_") else None

    def secret(self, number: int) -> str:
        """The secret that is generated for the nth endpoint: `whsec_` and 40 hexadecimal digits."""
        return "whsec_" + blake2b(f"{self.seed}/webhook-secret/{number}".encode(), digest_size=20).hexdigest()


class EndpointStore:
    """The endpoints of one world, by number and by what they subscribe to. The API deletes none."""

    __slots__ = ("_by_number", "_of_organization", "_subscribers")

    def __init__(self) -> None:
        self._by_number: dict[int, Endpoint] = {}
        self._of_organization: dict[str, list[int]] = defaultdict(list)
        self._subscribers: dict[tuple[str, EventType], tuple[int, ...]] = {}

    def __len__(self) -> int:
        return len(self._by_number)

    def register(self, ids: EndpointIds, organization: str, asked: Registration, now: int) -> Endpoint:
        """Register an endpoint at an instant in ms; `Refused` when it cannot be registered."""
        authority_of(asked.url)
        if len(self._of_organization[organization]) >= MOST_ENDPOINTS:
            raise Refused("too_many_webhooks", most=MOST_ENDPOINTS)
        number = len(self._by_number)
        secret = asked.secret or ids.secret(number)
        endpoint = Endpoint(number, organization, asked.url, asked.events, secret, now)
        self._add(endpoint)
        return endpoint

    def _add(self, endpoint: Endpoint) -> None:
        self._by_number[endpoint.number] = endpoint
        self._of_organization[endpoint.organization].append(endpoint.number)
        for event in endpoint.events:
            key = endpoint.organization, event
            self._subscribers[key] = (*self._subscribers.get(key, ()), endpoint.number)

    def get(self, number: int) -> Endpoint:
        """The endpoint with this number; `KeyError` when there is none."""
        return self._by_number[number]

    def find(self, organization: str, number: int | None) -> Endpoint | None:
        """The organization's endpoint with this number, if there is one."""
        found = None if number is None else self._by_number.get(number)
        return found if found is not None and found.organization == organization else None

    def numbers(self, organization: str) -> Sequence[int]:
        """The numbers of an organization's endpoints, ascending."""
        return self._of_organization.get(organization, ())

    def subscribers(self, organization: str, event: EventType) -> tuple[int, ...]:
        """The numbers of the endpoints that get such an event, in the order of their registration."""
        return self._subscribers.get((organization, event), ())

    def save(self) -> list[Any]:
        """All endpoints, as JSON."""
        return [[*one[:3], list(one.events), *one[4:]] for one in self._by_number.values()]

    def restore(self, saved: Iterable[Any]) -> None:
        """Add what was saved; `ValueError` when it was not saved here."""
        for number, organization, url, events, secret, created_at in saved:
            if number != len(self._by_number):
                raise ValueError("an endpoint is missing")
            types = tuple(EventType(one) for one in events)
            self._add(Endpoint(number, organization, url, types, secret, created_at))
