"""The events of a verification: frozen values that listeners receive one after another.

A listener is any function that takes an `Event`; `Ledger.publish` calls them all. Progress bars, plain lines and
journals are listeners.
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
    """A part of it began: a probe, the state machine or the fuzzing."""

    name: str
    """The attempt, in a few words."""


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
    """The number of requests sent so far."""
    budget: int | None


@dataclass(frozen=True, slots=True)
class Waiting:
    """The client waits, for a rate limit or for a run."""

    seconds: float
    why: str
    is_clock_moved: bool = False
    """Whether the target's clock is moved, so that no real time passes."""


@dataclass(frozen=True, slots=True)
class FindingRecorded:
    """A rule was broken for the first time."""

    finding: Finding


@dataclass(frozen=True, slots=True)
class VerificationFinished:
    """The verification ended."""

    results: tuple[RuleResult, ...]


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
