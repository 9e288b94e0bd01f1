"""The lifecycle of a run: its statuses, and the table of the transitions between them."""

from __future__ import annotations

from enum import StrEnum
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

from zof_emulator.core.refusal import Refused

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping


class Status(StrEnum):
    """The status of a run or of a case."""

    __hash__ = str.__hash__  # the hash of an Enum is written in Python, and statuses are looked up often

    QUEUED = "queued"
    RUNNING = "running"
    PASSED = "passed"
    FAILED = "failed"
    ERROR = "error"
    CANCELED = "canceled"


class Trigger(StrEnum):
    """The triggers of a transition."""

    BEGIN = "begin"
    PASS = "pass"  # noqa: S105  no password
    FAIL = "fail"
    BREAK = "break"
    CANCEL = "cancel"


TRANSITIONS: Final[Mapping[tuple[Status, Trigger], Status]] = MappingProxyType(
    {
        (Status.QUEUED, Trigger.BEGIN): Status.RUNNING,
        (Status.QUEUED, Trigger.CANCEL): Status.CANCELED,
        (Status.RUNNING, Trigger.PASS): Status.PASSED,
        (Status.RUNNING, Trigger.FAIL): Status.FAILED,
        (Status.RUNNING, Trigger.BREAK): Status.ERROR,
        (Status.RUNNING, Trigger.CANCEL): Status.CANCELED,
    },
)
"""The transitions; a pair that is missing is not allowed."""

TERMINAL: Final = frozenset(Status) - {status for status, _ in TRANSITIONS}
"""The statuses that have no transition to another status."""

_END_TRIGGERS: Final = ((Status.ERROR, Trigger.BREAK), (Status.FAILED, Trigger.FAIL))


def find_next_status(status: Status, trigger: Trigger) -> Status:
    """The status after a trigger.

    Raises:
        Refused: `run_ended`, if the status has no such transition.
    """
    following = TRANSITIONS.get((status, trigger))
    if following is None:
        raise Refused("run_ended", status=status.value)
    return following


def choose_end_trigger(outcomes: Iterable[Status]) -> Trigger:
    """The trigger that ends a run whose cases have these outcomes: an error outweighs a failure, a failure a pass."""
    distinct = set(outcomes)
    return next((trigger for status, trigger in _END_TRIGGERS if status in distinct), Trigger.PASS)
