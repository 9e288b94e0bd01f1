"""The budget of a verification, and the exceptions that say why nothing more may be sent."""

from __future__ import annotations

from dataclasses import dataclass


class Stopped(Exception):  # noqa: N818  a decision, not a fault
    """A request may not be sent; the message says why."""


class BudgetExceeded(Stopped):
    """The budget of requests, time or runs is used up."""


class ReadOnly(Stopped):
    """The profile does not allow the request."""


class WrongArgument(Stopped):
    """The target refuses what the user gave; the message names the option."""


class Throttled(Stopped):
    """The target keeps answering 429, or asks for a wait that is too long."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Budget:
    """The requests and the time that a verification may spend; None is no limit."""

    requests: int | None = None
    """Requests, those of the clean-up among them."""
    seconds: float | None = None
    """Seconds, those of back-off and clean-up among them."""
    runs: int | None = None
    """Runs that may be started."""
