"""Instants: milliseconds since the Unix epoch, formatted and parsed as timestamps of the API."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from functools import lru_cache
from typing import Final

SECOND: Final = 1_000
MINUTE: Final = 60 * SECOND
HOUR: Final = 60 * MINUTE
DAY: Final = 24 * HOUR
FIRST: Final = -62_135_596_800_000
"""The first millisecond of the year 1, the first that can be formatted."""
LAST: Final = 253_402_300_799_999
"""The last millisecond of the year 9999, the last that RFC 3339 can write."""

_DAYS_NAMED: Final = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_MONTHS_NAMED: Final = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_RFC3339: Final = re.compile(
    r"([0-9]{4})-([0-9]{2})-([0-9]{2})[Tt]([0-9]{2}):([0-9]{2}):([0-9]{2})(?:\.([0-9]+))?(?:[Zz]|([+-])([0-9]{2}):([0-9]{2}))",
)


@lru_cache(maxsize=4096)
def _format_second(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, UTC).replace(tzinfo=None).isoformat()


def format_rfc3339(instant: int) -> str:
    """An instant in ms as RFC 3339 UTC in whole seconds, rounded down: `2026-01-01T00:00:00Z`."""
    return _format_second(instant // SECOND) + "Z"


def format_rfc3339_or_null(instant: int | None) -> str | None:
    """The same for an instant that may be None, which stays None."""
    return None if instant is None else format_rfc3339(instant)


def format_rfc3339_ms(instant: int) -> str:
    """An instant in ms as RFC 3339 UTC with milliseconds: `2026-01-01T00:00:00.123Z`."""
    return f"{_format_second(instant // SECOND)}.{instant % SECOND:03d}Z"


@lru_cache(maxsize=64)
def format_http_date(seconds: int) -> str:
    """Whole seconds since the Unix epoch as the date of an HTTP header (RFC 9110), independent of the locale."""
    at = datetime.fromtimestamp(seconds, UTC)
    return f"{_DAYS_NAMED[at.weekday()]}, {at.day:02d} {_MONTHS_NAMED[at.month - 1]} {at.year:04d} {at:%H:%M:%S} GMT"


def parse_rfc3339(text: str) -> int:
    """The instant of an RFC 3339 timestamp, in ms since the Unix epoch, rounded up to a whole millisecond.

    A leap second counts as the second after it. Years 0000 to 9999 are accepted, with any offset.

    Raises:
        ValueError: the text is not an RFC 3339 timestamp.
    """
    match = _RFC3339.fullmatch(text)
    if match is None:
        msg = f"not an RFC 3339 timestamp: {text!r}"
        raise ValueError(msg)
    year, month, day, hour, minute, second = (int(part) for part in match.groups()[:6])
    fraction, sign, offset_hours, offset_minutes = match.groups()[6:]
    leap = second == 60  # noqa: PLR2004  RFC 3339 writes a leap second so
    shifted = year + 400  # datetime knows no year 0; the calendar repeats every 400 years of 146,097 days
    wrapped = shifted - 8000 if shifted > 9000 else shifted  # noqa: PLR2004  and none after 9999
    at = datetime(wrapped, month, day, hour, minute, 59 if leap else second, tzinfo=UTC)
    days = (shifted - wrapped) // 400 * 146_097 - 146_097
    millis = (int(at.timestamp()) + leap) * SECOND + days * DAY
    if sign:
        east = int(offset_hours) * HOUR + int(offset_minutes) * MINUTE
        if int(offset_hours) > 23 or int(offset_minutes) > 59:  # noqa: PLR2004  RFC 3339's own bounds
            msg = f"no such offset: {text!r}"
            raise ValueError(msg)
        millis -= east if sign == "+" else -east
    if fraction:
        millis += int(fraction[:3].ljust(3, "0")) + bool(fraction[3:].strip("0"))
    return millis
