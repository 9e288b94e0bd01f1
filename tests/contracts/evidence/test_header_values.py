"""Header values as numbers and times."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from zof_contracts.evidence.exchange import Exchange, Request, Response
from zof_contracts.evidence.header_values import parse_date, parse_whole_number, read_retry_after, read_server_time

NOW = 1_767_225_600.0
DATE = "Thu, 01 Jan 2026 00:00:00 GMT"


def exchange(**headers: str) -> Exchange:
    """An exchange whose answer has these headers."""
    pairs = tuple((name.replace("_", "-"), value) for name, value in headers.items())
    return Exchange(1, Request("GET", "/v1/runs"), Response(429, pairs, b""), "listRuns", NOW + 5, 0.0)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        (DATE, NOW),
        ("Thursday, 01-Jan-26 00:00:00 GMT", NOW),
        ("Thu, 01 Jan 2026 01:00:00 +0100", NOW),
        ("Thu, 01 Jan 2026 00:00:00", NOW),
        ("Thu, 01 Jan 2026 00:00:00 -0000", NOW),
        ("Wed, 01 Jul 2026 00:00:00 GMT", NOW + 181 * 86400),
        ("yesterday", None),
        ("", None),
        ("Thu, 99 Jan 2026 00:00:00 GMT", None),
        ("Thu, 01 Jan 99999 00:00:00 GMT", None),
    ],
)
def test_a_date(text: str, seconds: float | None) -> None:
    """A date is read in its own zone, in winter and in summer; what is no date gives None."""
    assert parse_date(text) == seconds


@pytest.mark.parametrize(
    ("date", "reset", "seconds"),
    [
        ("Tue, 01 Jan 2019 00:00:00 GMT", NOW + 60, NOW + 5),
        ("Fri, 01 Jan 2027 00:00:00 GMT", NOW + 60, NOW + 5),
        ("Tue, 01 Jan 2019 00:00:00 GMT", 1_546_300_860, 1_546_300_800),
        ("Wed, 31 Dec 2025 22:58:00 GMT", NOW - 3720 + 60, NOW - 3720),
        ("Wed, 31 Dec 2025 23:59:00 GMT", NOW, NOW - 60),
    ],
)
def test_a_date_that_a_proxy_has_rewritten_is_not_the_time_of_the_target(
    date: str, reset: float, seconds: float
) -> None:
    """A Date far from our clock is believed only where the end of the rate-limit window is far from it too."""
    assert read_server_time(exchange(date=date, x_ratelimit_reset=str(int(reset)))) == seconds


@given(st.text(max_size=200))
def test_nonsense_is_no_exception(text: str) -> None:
    """A header is a number, a date, or neither, for any text in it."""
    parse_date(text)
    parse_whole_number(text)
    read_retry_after(exchange(retry_after=text, date=text))
    read_server_time(exchange(date=text))


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("7", 7),
        ("0", 0),
        ("Thu, 01 Jan 2026 00:00:09 GMT", 9),
        ("Wed, 31 Dec 2025 00:00:00 GMT", 0),
        ("9" * 25, None),
        ("9" * 5_000, None),
        ("-1", None),
        ("1.5", None),
        ("\u0667", None),
        ("soon", None),
    ],
)
def test_retry_after(text: str, seconds: float | None) -> None:
    """Seconds and dates are read, a date by the target's own clock; nonsense gives None."""
    assert read_retry_after(exchange(retry_after=text, date=DATE)) == seconds


def test_without_date_our_clock_counts() -> None:
    """The time of an answer without a date is the time at which it arrived."""
    assert read_server_time(exchange()) == NOW + 5
    assert read_server_time(exchange(date=DATE)) == NOW
