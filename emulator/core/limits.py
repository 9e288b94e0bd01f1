"""Rate limits: fixed windows that begin with the first request in them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from emulator.core.instants import SECOND


@dataclass(frozen=True, slots=True)
class Rate:
    """How many requests a window admits, and whose requests it counts."""

    limit: int = 100
    window_ms: int = 60 * SECOND
    scope: str = "key"
    """`key` counts each key of an organization by itself, `organization` all of them together."""
    burst: int = 0
    """How many requests beyond the limit a window still admits."""


class Verdict(NamedTuple):
    """What the limiter says of one request; seconds are whole, `reset` since the Unix epoch."""

    limit: int
    remaining: int
    reset: int
    retry_after: int | None
    """How many seconds to wait; None when the request is admitted."""


class Limiter:
    """Counts requests per bucket; knows as many buckets as there are keys."""

    __slots__ = ("_rate", "_windows")

    def __init__(self, rate: Rate) -> None:
        self._rate = rate
        self._windows: dict[str, tuple[int, int]] = {}

    def admit(self, organization: str, key: str, now: int) -> Verdict:
        """Count a request at `now` (ms) and say whether it is admitted. A refused one is not counted."""
        rate = self._rate
        bucket = key if rate.scope == "key" else organization
        start, used = self._windows.get(bucket, (now, 0))
        if now >= start + rate.window_ms:
            start, used = now, 0
        end = start + rate.window_ms
        reset = -(-end // SECOND)
        if used >= rate.limit + rate.burst:
            return Verdict(rate.limit, 0, reset, max(1, -(-(end - now) // SECOND)))
        self._windows[bucket] = start, used + 1
        return Verdict(rate.limit, max(0, rate.limit - used - 1), reset, None)
