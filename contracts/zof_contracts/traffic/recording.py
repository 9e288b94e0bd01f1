"""The parts of a recording: frozen values, whatever file they were read from.

A recording holds no API key. Each distinct key becomes a name: `main` for the first one, `2`, `3`, … for the others.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from zof_contracts.evidence.exchange import Exchange


class Clock(StrEnum):
    """The clock that the times of a recording come from."""

    REAL = "real"
    """Time passes by itself: a wait of the client is a distance of times."""
    VIRTUAL = "virtual"
    """An emulator's clock that is moved: a distance of times may be no wait of the client, and the other way round."""


@dataclass(frozen=True, slots=True)
class RecordingStarted:
    """A recording begins. What follows belongs to it until the next one begins."""

    name: str
    """The file, or the address."""
    clock: Clock = Clock.REAL
    is_complete: bool = True
    """Whether it begins with the first request; false if the recorder dropped older ones."""


@dataclass(frozen=True, slots=True)
class RecordedExchange:
    """A request and its answer, as they were recorded."""

    exchange: Exchange
    base: str
    """The URL of the API without `/v1`."""
    began: float | None
    """Unix seconds at which the request was sent; None if the recording does not say."""
    ended: float | None
    """Unix seconds at which the answer had arrived; None if the recording does not say."""
    user_agent: str = ""
    scheme: str = ""
    """The first word of the header Authorization."""
    secrets: tuple[str, ...] = ()
    """The places outside the header Authorization that hold a secret, such as `query parameter api_key`."""
    is_request_whole: bool = True
    """Whether the whole body of the request was recorded."""
    is_answer_whole: bool = True
    """Whether the whole body of the answer was recorded."""
    reason: str = ""
    """Why the emulator refused the request; empty if it did not, or the recording does not say."""
    fault: str = ""
    """The fault of the emulator that changed the answer; empty without one."""
    is_lost: bool = False
    """Whether the client got no whole answer, although the recording may hold one."""


@dataclass(frozen=True, slots=True)
class RecordedAttempt:
    """One attempt to deliver a webhook event."""

    began: float
    """Unix seconds."""
    ended: float
    status: int | None
    """The status of the receiver's answer; None if there was none."""
    error: str


@dataclass(frozen=True, slots=True)
class RecordedDelivery:
    """The delivery of a webhook event to the client's receiver."""

    number: int
    webhook_id: str
    event_id: str
    type: str
    kind: str
    """`event`, `test`, `duplicate`, `redelivery` or `tampered`."""
    tampering: str
    """The part of the delivery that was falsified; empty if none was."""
    attempts: tuple[RecordedAttempt, ...]


Recorded = RecordingStarted | RecordedExchange | RecordedDelivery


class UnusableRecording(Exception):  # noqa: N818  a state of a file, not a fault of the program
    """A recording cannot be read at all; the message is one line."""


@dataclass(slots=True)
class Skips:
    """Counts what was left out of the judgement, by reason."""

    counts: Counter[str] = field(default_factory=Counter)

    def add(self, reason: str) -> None:
        """Count one entry that was left out."""
        self.counts[reason] += 1

    def describe(self) -> tuple[str, ...]:
        """One line for each reason, the most frequent first."""
        return tuple(
            f"{count} {'entry was' if count == 1 else 'entries were'} left out: {reason}"
            for reason, count in self.counts.most_common()
        )
