"""Instants, against the standard library for all years of RFC 3339, and at the edges it does not cover."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta, timezone
from email.utils import format_datetime
from fractions import Fraction
from math import ceil

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from zof_emulator.core.instants import LAST, format_http_date, format_rfc3339, format_rfc3339_ms, parse_rfc3339

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MS = timedelta(milliseconds=1)
FIRST = (datetime(1, 1, 1, tzinfo=UTC) - EPOCH) // MS

since_1000 = st.integers((datetime(1000, 1, 1, tzinfo=UTC) - EPOCH) // MS, LAST)
moments = st.datetimes(min_value=datetime(1, 1, 1), max_value=datetime(9999, 12, 31, 23, 59, 59)).map(  # noqa: DTZ001  what Hypothesis takes
    lambda at: at.replace(microsecond=0, tzinfo=UTC)
)
offsets = st.integers(-23 * 60 - 59, 23 * 60 + 59)
digits = st.text("0123456789", min_size=1, max_size=18)


def iso(at: datetime, rest: str) -> str:
    """Date and time of day as RFC 3339 writes them, and what follows."""
    return f"{at.year:04d}-{at:%m-%dT%H:%M:%S}{rest}"


@given(since_1000)
@example(0)
@example(-1)
@example(LAST)
def test_an_instant_is_written_as_the_standard_library_would(instant: int) -> None:
    """An instant is shown in UTC, rounded down to the second or to the millisecond."""
    at = EPOCH + instant * MS
    assert format_rfc3339(instant) == at.strftime("%Y-%m-%dT%H:%M:%SZ")
    assert format_rfc3339_ms(instant) == f"{at:%Y-%m-%dT%H:%M:%S}.{at.microsecond // 1000:03d}Z"


@given(since_1000)
def test_what_is_written_is_read_back(instant: int) -> None:
    """A formatted timestamp parses to its instant, to its precision."""
    assert parse_rfc3339(format_rfc3339_ms(instant)) == instant
    assert parse_rfc3339(format_rfc3339(instant)) == instant // 1_000 * 1_000


@given(st.integers(FIRST, LAST))
@example(FIRST)
def test_a_year_has_four_digits(instant: int) -> None:
    """Every year from 1 on is written with four digits, on every platform."""
    assert re.fullmatch(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}Z", format_rfc3339(instant))
    assert re.fullmatch(
        r"\w{3}, [0-9]{2} \w{3} [0-9]{4} [0-9]{2}:[0-9]{2}:[0-9]{2} GMT", format_http_date(instant // 1000)
    )


@given(moments, st.just("") | digits, st.none() | offsets, st.sampled_from("Tt"), st.sampled_from("Zz"))
def test_any_timestamp_is_read_as_the_standard_library_would(
    at: datetime, fraction: str, offset: int | None, t: str, z: str
) -> None:
    """Years 1 to 9999, any fraction, rounded up to a ms, and any offset: the instant is the one that is named."""
    east = offset or 0
    zone = z if offset is None else f"{'-' if east < 0 else '+'}{abs(east) // 60:02d}:{abs(east) % 60:02d}"
    text = iso(at, f"{'.' + fraction if fraction else ''}{zone}").replace("T", t)
    millis = ceil(Fraction(int(fraction), 10 ** len(fraction)) * 1_000) if fraction else 0
    expected = (at.replace(tzinfo=timezone(timedelta(minutes=east))) - EPOCH) // MS + millis
    assert parse_rfc3339(text) == expected


@given(moments)
@example(datetime(2016, 12, 31, 23, 59, tzinfo=UTC))
def test_a_leap_second_counts_as_the_second_after_it(at: datetime) -> None:
    """`23:59:60` is the instant at which the next minute begins."""
    minute = at.replace(second=59)
    leap = iso(minute, "Z").replace(":59Z", ":60Z")
    assert parse_rfc3339(leap) == parse_rfc3339(iso(minute, "Z")) + 1_000


def test_the_year_0_is_read() -> None:
    """RFC 3339 has a year 0, which is a leap year and ends a second before the year 1 begins."""
    assert parse_rfc3339("0000-12-31T23:59:59Z") == FIRST - 1_000
    assert parse_rfc3339("0000-02-29T00:00:00Z") == parse_rfc3339("0000-03-01T00:00:00Z") - 86_400_000


@given(st.integers(0, 30), st.integers(1, 9))
@example(18, 1)
def test_a_fraction_is_rounded_up_however_long_it_is(zeros: int, last: int) -> None:
    """A fraction above zero counts at least one millisecond, however small it is."""
    assert parse_rfc3339(f"2026-01-01T00:00:00.{'0' * zeros}{last}Z") >= parse_rfc3339("2026-01-01T00:00:00Z") + 1


@pytest.mark.parametrize(
    "text",
    [
        "",
        "2026-01-01",
        "2026-01-01T00:00:00",
        "2026-01-01 00:00:00Z",
        "2026-01-01T00:00Z",
        "2026-01-01T00:00:00.Z",
        "2026-01-01T00:00:00,5Z",
        "2026-01-01T00:00:00Z ",
        "2026-01-01T00:00:00Z\n",
        "2026-1-1T00:00:00Z",
        "+2026-01-01T00:00:00Z",
        "12026-01-01T00:00:00Z",
        "2026-00-01T00:00:00Z",
        "2026-13-01T00:00:00Z",
        "2026-02-29T00:00:00Z",
        "2026-04-31T00:00:00Z",
        "1900-02-29T00:00:00Z",
        "2026-01-01T24:00:00Z",
        "2026-01-01T00:60:00Z",
        "2026-01-01T00:00:61Z",
        "2026-01-01T00:00:00+24:00",
        "2026-01-01T00:00:00+00:60",
        "2026-01-01T00:00:00+0000",
        "2026-01-01T00:00:00+00",
        "٢٠٢٦-01-01T00:00:00Z",
    ],
)
def test_what_is_no_timestamp_is_refused(text: str) -> None:
    """A text that is not RFC 3339, or names a date or time that does not exist, raises `ValueError`."""
    with pytest.raises(ValueError, match=r".+"):
        parse_rfc3339(text)


@given(st.text(max_size=40) | st.from_regex(r"\A[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]+)?Z\Z"))
def test_any_text_is_an_instant_or_a_value_error(text: str) -> None:
    """No text raises anything but `ValueError`."""
    try:
        assert isinstance(parse_rfc3339(text), int)
    except ValueError:
        return


@given(since_1000.map(lambda instant: instant // 1_000))
@example(0)
@example(LAST // 1_000)
def test_a_date_header_is_written_as_the_standard_library_would(seconds: int) -> None:
    """The date of a header is RFC 9110's, in English whatever the locale."""
    assert format_http_date(seconds) == format_datetime(EPOCH + timedelta(seconds=seconds), usegmt=True)


def test_the_last_instant_is_the_last_one_that_can_be_written() -> None:
    """The end of time is the last millisecond of the year 9999."""
    assert format_rfc3339_ms(LAST) == "9999-12-31T23:59:59.999Z"
