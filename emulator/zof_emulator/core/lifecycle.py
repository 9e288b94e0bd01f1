"""The life of a run: the one table of statuses and of what follows what, and nothing that acts on it."""

from __future__ import annotations

from enum import StrEnum
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

from zof_emulator.core.refusal import Refused

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping


class Status(StrEnum):
    """Where a run, or a case of it, stands."""

    __hash__ = str.__hash__  # that of an Enum is written in Python, and statuses are looked up all the time

    QUEUED = "queued"
    RUNNING = "running"
    PASSED = "passed"
    FAILED = "failed"
    ERROR = "error"
    CANCELED = "canceled"


class Trigger(StrEnum):
    """What can happen to a run."""

    BEGIN = "begin"
    PASS = "pass"  # noqa: S105  no password
    FAIL = "fail"
    BREAK = "break"
    CANCEL = "cancel"


AFTER: Final[Mapping[tuple[Status, Trigger], Status]] = MappingProxyType(
    {
        (Status.QUEUED, Trigger.BEGIN): Status.RUNNING,
        (Status.QUEUED, Trigger.CANCEL): Status.CANCELED,
        (Status.RUNNING, Trigger.PASS): Status.PASSED,
        (Status.RUNNING, Trigger.FAIL): Status.FAILED,
        (Status.RUNNING, Trigger.BREAK): Status.ERROR,
        (Status.RUNNING, Trigger.CANCEL): Status.CANCELED,
    },
)
"""The transitions; a pair that is not here cannot happen."""

TERMINAL: Final = frozenset(Status) - {status for status, _ in AFTER}
"""The statuses that nothing ever leaves."""

_ENDING: Final = ((Status.ERROR, Trigger.BREAK), (Status.FAILED, Trigger.FAIL))


def after(status: Status, event: Trigger) -> Status:
    """The status that follows; `Refused("run_ended")` when the event cannot happen in this one."""
    following = AFTER.get((status, event))
    if following is None:
        raise Refused("run_ended", status=status.value)
    return following


def ending(outcomes: Iterable[Status]) -> Trigger:
    """How a run ends whose cases came to these outcomes: an error outweighs a failure, a failure a pass."""
    found = set(outcomes)
    return next((event for status, event in _ENDING if status in found), Trigger.PASS)
