"""The base class of the judges of clients, and what they share: the identity of a client, and a bounded memory."""

from __future__ import annotations

import json
from hashlib import sha256
from typing import TYPE_CHECKING, Final, NamedTuple

from zof_contracts.evidence.exchange import NO_STATUS
from zof_contracts.evidence.memory import shorten_answer
from zof_contracts.traffic.recording import Clock, RecordingStarted

if TYPE_CHECKING:
    from zof_contracts.evidence.exchange import Exchange
    from zof_contracts.evidence.ledger import Ledger
    from zof_contracts.traffic.recording import RecordedDelivery, RecordedExchange

THROTTLED: Final = 429
SERVER_ERROR: Final = 500
CLIENT_ERROR: Final = 400


class ClientId(NamedTuple):
    """The sender of a request, as far as a recording shows it."""

    base: str
    key: str
    user_agent: str


def identify(each: RecordedExchange) -> ClientId:
    """The client that sent a request."""
    return ClientId(each.base, each.exchange.request.key, each.user_agent)


def is_failure(each: RecordedExchange) -> bool:
    """Whether a request failed in a way that may pass: 429, 5xx, or no answer."""
    status = each.exchange.response.status
    return each.is_lost or status in {NO_STATUS, THROTTLED} or status >= SERVER_ERROR


def is_refusal(each: RecordedExchange) -> bool:
    """Whether a request was refused with a 4xx other than 429."""
    status = each.exchange.response.status
    return not each.is_lost and CLIENT_ERROR <= status < SERVER_ERROR and status != THROTTLED


def is_success(each: RecordedExchange) -> bool:
    """Whether the client got a success."""
    return each.exchange.response.ok and not each.is_lost


def describe_failure(each: RecordedExchange) -> str:
    """The status of an answer, or that there was none."""
    status = each.exchange.response.status
    return "no answer" if each.is_lost or status == NO_STATUS else str(status)


def digest_body(body: bytes) -> str:
    """A digest of a body's JSON value, so that spacing and the order of fields do not matter."""
    try:
        content = json.dumps(json.loads(body), sort_keys=True).encode()
    except (ValueError, RecursionError):
        content = body
    return sha256(content).hexdigest()


def shorten(each: RecordedExchange) -> Exchange:
    """An exchange as a finding needs it, without a long body of the answer."""
    return shorten_answer(each.exchange)


class Judge:
    """Judges the exchanges of one recording, in order, and records what they show in a ledger."""

    def __init__(self, ledger: Ledger, recording: RecordingStarted) -> None:
        self.ledger = ledger
        self.recording = recording

    @property
    def has_real_time(self) -> bool:
        """Whether a distance of times is a wait of the client."""
        return self.recording.clock is Clock.REAL

    def observe(self, each: RecordedExchange) -> None:
        """Judge one exchange."""

    def observe_delivery(self, delivery: RecordedDelivery) -> None:
        """Judge one delivery of a webhook."""

    def finish(self) -> None:
        """Judge what only the end of the recording shows."""
