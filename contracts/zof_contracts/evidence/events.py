"""What happens while a target is verified: frozen values that a listener is told, one after another.

Plug in: a listener is any function that takes an `Event`; `Session.tell` calls them all. Progress bars, plain lines
and journals are listeners and nothing else.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from zof_contracts.evidence.exchange import Exchange
    from zof_contracts.evidence.findings import Finding, RuleResult


@dataclass(frozen=True, slots=True)
class VerificationStarted:
    """A verification began."""

    target: str
    profile: str
    rules: int
    parts: int


@dataclass(frozen=True, slots=True)
class PartStarted:
    """A part of it began: a probe, the shapes, the model."""

    name: str
    """What is being tried, in a few words."""


@dataclass(frozen=True, slots=True)
class PartFinished:
    """A part of it ended."""

    name: str
    stopped: str = ""
    """Why it ended early; empty when it did not."""


@dataclass(frozen=True, slots=True)
class ExchangeRecorded:
    """A request was answered."""

    exchange: Exchange
    used: int
    """Requests sent so far."""
    budget: int | None


@dataclass(frozen=True, slots=True)
class Waiting:
    """The client waits, so that the target is not overrun."""

    seconds: float
    why: str


@dataclass(frozen=True, slots=True)
class FindingRecorded:
    """A rule was seen broken for the first time."""

    finding: Finding


@dataclass(frozen=True, slots=True)
class VerificationFinished:
    """The verification ended."""

    settled: tuple[RuleResult, ...]


Event = (
    VerificationStarted
    | PartStarted
    | PartFinished
    | ExchangeRecorded
    | Waiting
    | FindingRecorded
    | VerificationFinished
)
if TYPE_CHECKING:
    Listener = Callable[[Event], None]
