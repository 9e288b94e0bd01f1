"""Outcomes: the result and the duration of a case, which follow from the seed and from words in the case's ID."""

from __future__ import annotations

from functools import lru_cache
from hashlib import blake2b
from typing import Final

from zof_emulator.core.lifecycle import Status
from zof_emulator.core.results import Failure

SHORTEST_MS: Final = 200
"""The shortest duration of a case, in ms."""
LONGEST_PLAIN_MS: Final = 1_500
"""The longest duration of a case whose ID does not contain `slow`, in ms."""
SLOW_FACTOR: Final = 10
"""The factor for the duration of a case whose ID contains `slow`."""
LONGEST_MS: Final = LONGEST_PLAIN_MS * SLOW_FACTOR
"""The longest duration of a case, in ms."""


def is_flaky(case_id: str) -> bool:
    """Whether the case fails each time that its count of runs is odd."""
    return _find_word(case_id) == "flaky"


def choose_outcome(case_id: str, nth: int) -> Status:
    """The outcome of the nth run of a case, counted from 1."""
    word = _find_word(case_id)
    if word == "flaky":
        return Status.FAILED if nth % 2 else Status.PASSED
    return {"error": Status.ERROR, "fail": Status.FAILED}.get(word, Status.PASSED)


@lru_cache(maxsize=8192)
def choose_duration(
    seed: int,
    case_id: str,
    shortest: int = SHORTEST_MS,
    longest: int = LONGEST_PLAIN_MS,
    slow_factor: int = SLOW_FACTOR,
) -> int:
    """The duration of a case, in ms: `shortest` to `longest`, times `slow_factor` if its ID contains `slow`."""
    draw = int.from_bytes(blake2b(f"{seed}/case/{case_id}".encode(), digest_size=8).digest(), "big")
    return (shortest + draw % (longest - shortest + 1)) * (slow_factor if "slow" in case_id else 1)


def explain_failure(case_id: str, status: Status, duration_ms: int) -> Failure | None:
    """Why a case has this status; None unless the status is `failed` or `error`."""
    if status is Status.ERROR:
        return Failure(f"The platform lost the session of {case_id} after {duration_ms} ms.", "platform")
    if status is not Status.FAILED:
        return None
    if "slow" in case_id:
        return Failure(f"{case_id} did not finish within {duration_ms} ms.", "timeout")
    return Failure(f"{case_id}: expected the confirmation to be shown, but it was not.", "assertion")


@lru_cache(maxsize=8192)
def _find_word(case_id: str) -> str:
    return next((word for word in ("error", "fail", "flaky") if word in case_id), "")
