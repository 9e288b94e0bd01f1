"""Rate limits: fixed windows, each of which begins with its first request."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from zof_emulator.core.instants import SECOND

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping


class RateScope(StrEnum):
    """The requests that a rate limit counts together."""

    KEY = "key"
    """The requests of each key."""
    ORGANIZATION = "organization"
    """The requests of all keys of an organization."""


@dataclass(frozen=True, slots=True)
class Rate:
    """A rate limit."""

    limit: int = 100
    """The number of requests that a window admits, without the burst."""
    window_ms: int = 60 * SECOND
    """The length of a window, in ms."""
    scope: RateScope = RateScope.KEY
    """The requests that are counted together."""
    burst: int = 0
    """The number of requests beyond the limit that a window still admits."""


OFF: Final = Rate(limit=1_000_000_000)
"""A limit that no client reaches. Answers still carry its headers."""


class Verdict(NamedTuple):
    """The limiter's verdict on a request. `reset` is in whole seconds since the Unix epoch."""

    limit: int
    remaining: int
    reset: int
    retry_after: int | None
    """The seconds to wait; None if the request is admitted."""


class Window:
    """A window of a bucket: when it ends (ms), and the number of requests that it has admitted."""

    __slots__ = ("end", "refused", "reset", "used")

    def __init__(self, end: int, used: int = 0, *, refused: bool = False) -> None:
        self.end = end
        self.reset = -(-end // SECOND)
        self.used = used
        self.refused = refused
        """Whether a request was answered with 429 in this window."""


class Limiter:
    """Counts requests per bucket; there is a bucket for each key or for each organization."""

    __slots__ = ("_by_key", "_most", "_rate", "windows")

    def __init__(self, rate: Rate) -> None:
        self._rate = rate
        self._most = rate.limit + rate.burst
        self._by_key = rate.scope is RateScope.KEY
        self.windows: dict[str, Window] = {}
        """The newest window of each bucket."""

    def end_of_wait(self, organization: str, key: str) -> int | None:
        """Record that a request of a key is answered with 429.

        Returns:
            The end of the key's window, in ms, if an earlier request was answered with 429 in it; None if not.
        """
        window = self.windows[key if self._by_key else organization]
        was_refused, window.refused = window.refused, True
        return window.end if was_refused else None

    def next_reset(self, now: int) -> int | None:
        """The earliest end of a window after `now`, in ms; None if no window is open."""
        return min((window.end for window in self.windows.values() if window.end > now), default=None)

    def to_json(self, name: Callable[[str], str]) -> dict[str, Any]:
        """All windows as JSON; `name` maps a bucket to its name in the JSON."""
        return {name(bucket): [one.end, one.used, one.refused] for bucket, one in self.windows.items()}

    def restore(self, saved: Mapping[str, Any], bucket: Callable[[str], str]) -> None:
        """Replace all windows by the saved ones; `bucket` is the inverse of `name`."""
        self.windows = {
            bucket(name): Window(end, used, refused=refused) for name, (end, used, refused) in saved.items()
        }

    def peek(self, organization: str, key: str, now: int) -> Verdict:
        """The verdict on a request at `now` (ms) that is not counted, and is not refused."""
        limit, window = self._rate.limit, self.windows.get(key if self._by_key else organization)
        if window is None or now >= window.end:
            return Verdict(limit, limit, -(-(now + self._rate.window_ms) // SECOND), None)
        return Verdict(limit, max(0, limit - window.used), window.reset, None)

    def admit(self, organization: str, key: str, now: int) -> Verdict:
        """Count a request at `now` (ms) and return the verdict. A refused request is not counted."""
        bucket = key if self._by_key else organization
        window = self.windows.get(bucket)
        if window is None or now >= window.end:
            window = self.windows[bucket] = Window(now + self._rate.window_ms)
        limit = self._rate.limit
        if window.used >= self._most:
            return Verdict(limit, 0, window.reset, max(1, -(-(window.end - now) // SECOND)))
        window.used += 1
        return Verdict(limit, limit - window.used if window.used < limit else 0, window.reset, None)
