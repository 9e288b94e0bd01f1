"""Rate limits: fixed windows that begin with the first request in them."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any, NamedTuple

from zof_emulator.core.instants import SECOND

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping


class RateScope(StrEnum):
    """Whose requests a rate limit counts together."""

    KEY = "key"
    """Those of each key."""
    ORGANIZATION = "organization"
    """Those of all keys of an organization."""


@dataclass(frozen=True, slots=True)
class Rate:
    """How many requests a window admits, and whose requests it counts."""

    limit: int = 100
    window_ms: int = 60 * SECOND
    scope: RateScope = RateScope.KEY
    """Whose requests are counted together."""
    burst: int = 0
    """How many requests beyond the limit a window still admits."""


class Verdict(NamedTuple):
    """What the limiter says of one request; seconds are whole, `reset` since the Unix epoch."""

    limit: int
    remaining: int
    reset: int
    retry_after: int | None
    """How many seconds to wait; None when the request is admitted."""


class Window:
    """A window of one bucket: when it ends (ms), and how many requests it has admitted."""

    __slots__ = ("end", "refused", "reset", "used")

    def __init__(self, end: int, used: int = 0, *, refused: bool = False) -> None:
        self.end = end
        self.reset = -(-end // SECOND)
        self.used = used
        self.refused = refused
        """Whether somebody has been told to wait for its end."""


class Limiter:
    """Counts requests per bucket; knows as many buckets as there are keys."""

    __slots__ = ("_by_key", "_most", "_rate", "windows")

    def __init__(self, rate: Rate) -> None:
        self._rate = rate
        self._most = rate.limit + rate.burst
        self._by_key = rate.scope is RateScope.KEY
        self.windows: dict[str, Window] = {}
        """The newest window of each bucket."""

    def end_of_wait(self, organization: str, key: str) -> int | None:
        """When the key's window ends, in ms, if the key was told before to wait for that; from now on it was."""
        window = self.windows[key if self._by_key else organization]
        told, window.refused = window.refused, True
        return window.end if told else None

    def next_reset(self, now: int) -> int | None:
        """When the first window ends after `now`, in ms; None when no window is open."""
        return min((window.end for window in self.windows.values() if window.end > now), default=None)

    def to_json(self, name: Callable[[str], str]) -> dict[str, Any]:
        """All windows, as JSON; `name` is what a bucket is called there."""
        return {name(bucket): [one.end, one.used, one.refused] for bucket, one in self.windows.items()}

    def restore(self, saved: Mapping[str, Any], bucket: Callable[[str], str]) -> None:
        """Take what was saved; `bucket` knows a bucket by its name there."""
        self.windows = {
            bucket(name): Window(end, used, refused=refused) for name, (end, used, refused) in saved.items()
        }

    def admit(self, organization: str, key: str, now: int) -> Verdict:
        """Count a request at `now` (ms) and say whether it is admitted. A refused one is not counted."""
        bucket = key if self._by_key else organization
        window = self.windows.get(bucket)
        if window is None or now >= window.end:
            window = self.windows[bucket] = Window(now + self._rate.window_ms)
        limit = self._rate.limit
        if window.used >= self._most:
            return Verdict(limit, 0, window.reset, max(1, -(-(window.end - now) // SECOND)))
        window.used += 1
        return Verdict(limit, limit - window.used if window.used < limit else 0, window.reset, None)
