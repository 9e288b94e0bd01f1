"""The rate limit of each key, as the headers of the answers state it, less the requests that are on their way.

`reserve` counts requests before they are sent, and `learn` reads an answer. While a quota is used up, or the target has
asked for a pause, `measure_wait` gives the seconds to wait; all clients of a verification keep to them.
"""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from zof_contracts.evidence.header_values import parse_whole_number, read_server_time

if TYPE_CHECKING:
    from zof_contracts.evidence.exchange import Exchange
    from zof_contracts.target.timer import Timer

MAX_BACK_OFF: Final = 600.0
"""Seconds that a target may ask for with Retry-After or X-RateLimit-Reset."""
_INSTANT: Final = 0.001
"""Seconds that are not worth a wait."""
_SAME_WINDOW: Final = 2.0
"""Seconds by which two estimates of the end of one window may differ."""


@dataclass(slots=True)
class _Quota:
    """The known facts about the current window of a key."""

    remaining: int
    """Requests that may still be sent, without those on their way."""
    until: float
    """The end of the window, by the timer."""
    learned_at: float
    """When this became known, by the timer."""


class RateLimit:
    """The quotas of all keys."""

    def __init__(self, timer: Timer) -> None:
        self.limits: dict[str, int] = {}
        """The requests that a window permits, by the name of the key."""
        self._timer = timer
        self._quotas: dict[str, _Quota] = {}
        self._unanswered: Counter[str] = Counter()
        self._announced: dict[str, float] = {}
        self._pauses: dict[str, float] = {}
        """The ends of the pauses that the target asked for, by the timer and by the name of the key."""

    def measure_wait(self, key: str, requests: int) -> float:
        """The seconds until this number of requests may be sent with a key; 0 if they may be sent now."""
        left = self._find_end(key, requests) - self._timer.now()
        if left > _INSTANT:
            return left
        self._pauses.pop(key, None)
        quota = self._quotas.get(key)
        if quota is not None and quota.remaining < requests:
            del self._quotas[key]
        return 0.0

    def _find_end(self, key: str, requests: int = 1) -> float:
        """The end of the wait for a key, by the timer: of its pause, or of its window if that has too little left."""
        quota, end = self._quotas.get(key), self._pauses.get(key, -math.inf)
        return end if quota is None or quota.remaining >= requests else max(end, quota.until)

    def is_announced(self, key: str) -> bool:
        """Whether the current wait for a key was announced before; it is from now on."""
        until = self._find_end(key)
        is_known = self._announced.get(key) == until
        self._announced[key] = until
        return is_known

    def reserve(self, key: str) -> None:
        """Count a request that is about to be sent."""
        self._unanswered[key] += 1
        if key in self._quotas:
            self._quotas[key].remaining -= 1

    def release(self, key: str) -> None:
        """Record that a request is no longer on its way."""
        self._unanswered[key] -= 1

    def learn(self, exchange: Exchange) -> None:
        """Read what the headers of an answer say about the quota of its key."""
        key, answer = exchange.request.key, exchange.response
        limit, remaining, reset = (
            parse_whole_number(answer.header(f"x-ratelimit-{name}")) for name in ("limit", "remaining", "reset")
        )
        if limit is not None:
            self.limits[key] = limit
        if remaining is None or reset is None:
            return
        now = self._timer.now()
        until = now + min(max(reset - read_server_time(exchange), 0), MAX_BACK_OFF) + 1
        known, left = self._quotas.get(key), remaining - self._unanswered[key]
        if known is not None and now - exchange.took < known.learned_at:  # it may be older than what is known
            if until < known.until - _SAME_WINDOW:
                return
            if until < known.until + _SAME_WINDOW:
                left = min(left, known.remaining)
        self._quotas[key] = _Quota(left, until, now)

    def pause(self, key: str, seconds: float) -> None:
        """Send nothing with a key for this number of seconds, since the target asked for that.

        The quota of the window stays as it is: a gateway may ask for a pause of which the API behind it knows nothing.
        """
        self._pauses[key] = max(self._pauses.get(key, -math.inf), self._timer.now() + seconds)

    def forget(self) -> None:
        """Forget all quotas and pauses, since the clock of the target was moved."""
        self._quotas.clear()
        self._pauses.clear()
