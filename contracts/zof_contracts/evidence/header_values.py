"""Header values as numbers and times. Nonsense, such as a number of 5,000 digits, gives None and no exception."""

from __future__ import annotations

from datetime import UTC
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from zof_contracts.evidence.exchange import Exchange

_MAX_DIGITS: Final = 18
"""Digits of a number that a header may hold; milliseconds since 1970 have 13."""
_MAX_DATE: Final = 100
"""Characters of a date that a header may hold."""

_FAR: Final = 3600.0
"""Seconds by which the clocks of two machines hardly differ."""
_NEAR: Final = 120.0
"""Seconds between two clocks that agree and the end of a rate-limit window, at the most."""


def parse_whole_number(text: str | None) -> int | None:
    """The whole number that a header holds; None if it holds none, or one of more than 18 digits."""
    if not text or not text.isascii() or not text.isdigit() or len(text) > _MAX_DIGITS:
        return None
    return int(text)


def parse_date(text: str | None) -> float | None:
    """The Unix seconds of a date as HTTP or mail write it; a date without a zone is in UTC. None if it is no date."""
    if not text or len(text) > _MAX_DATE:
        return None
    try:
        moment = parsedate_to_datetime(text)
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
    except (ValueError, OverflowError, IndexError, TypeError):
        return None


def read_server_time(exchange: Exchange) -> float:
    """The Unix seconds of the target's clock, by its Date header; of our clock if there is none.

    A proxy may write a wrong Date. Our clock also counts where Date is far from it and X-RateLimit-Reset is near it,
    because the target's own clock is then near ours. On a clock that was moved, both headers are far from ours.
    """
    date = parse_date(exchange.response.header("date"))
    return exchange.at if date is None or _is_rewritten(date, exchange) else date


def _is_rewritten(date: float, exchange: Exchange) -> bool:
    """Whether Date does not come from the target's clock, by which X-RateLimit-Reset is near ours."""
    reset = parse_whole_number(exchange.response.header("x-ratelimit-reset"))
    return reset is not None and abs(date - exchange.at) > _FAR and abs(reset - exchange.at) <= _NEAR


def read_retry_after(exchange: Exchange) -> float | None:
    """The seconds that Retry-After asks to wait, as a number or as a date; None if it is neither."""
    text = exchange.response.header("retry-after")
    seconds = parse_whole_number(text)
    if seconds is not None:
        return seconds
    date = parse_date(text)
    return None if date is None else max(0.0, date - read_server_time(exchange))
