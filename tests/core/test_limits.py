"""Rate limits, against a list of timestamps; `Retry-After` is exact."""

from __future__ import annotations

from collections import defaultdict
from itertools import accumulate

import pytest
from hypothesis import given
from hypothesis import strategies as st
from zof_emulator.core.limits import Limiter, Rate, RateScope, Verdict

from tests.core.worlds import BEGAN

KEYS = (("org_a", "key_1"), ("org_a", "key_2"), ("org_b", "key_3"))
rates = st.builds(
    Rate,
    limit=st.integers(1, 4),
    window_ms=st.sampled_from([1, 999, 1_000, 1_500, 60_000]),
    scope=st.sampled_from(list(RateScope)),
    burst=st.integers(0, 2),
)
gaps = st.sampled_from([0, 0, 1, 400, 999, 1_000, 1_499, 30_000, 59_999, 60_000]) | st.integers(0, 70_000)
stories = st.lists(st.tuples(gaps, st.sampled_from(KEYS)), max_size=40)


def decide_by_model(rate: Rate, admitted: list[int], now: int) -> Verdict:
    """The expected decision; `admitted` holds the times of admitted requests and gains the current one."""
    starts: list[int] = []
    for at in admitted:
        if not starts or at >= starts[-1] + rate.window_ms:
            starts.append(at)
    start = starts[-1] if starts and now < starts[-1] + rate.window_ms else now
    end = start + rate.window_ms
    used = sum(at >= start for at in admitted)
    reset = end // 1_000 + (end % 1_000 > 0)
    if used >= rate.limit + rate.burst:
        waits = (seconds for seconds in range(1, 100) if now + seconds * 1_000 >= end)
        return Verdict(rate.limit, 0, reset, next(waits))
    admitted.append(now)
    return Verdict(rate.limit, max(0, rate.limit - used - 1), reset, None)


@given(rates, stories)
def test_a_limiter_counts_as_a_list_of_timestamps_does(rate: Rate, story: list[tuple[int, tuple[str, str]]]) -> None:
    """A window begins with its first request and admits limit and burst, per key or per organization."""
    limiter, now = Limiter(rate), BEGAN
    admitted: defaultdict[str, list[int]] = defaultdict(list)
    for gap, (organization, key) in story:
        now += gap
        bucket = key if rate.scope is RateScope.KEY else organization
        assert limiter.admit(organization, key, now) == decide_by_model(rate, admitted[bucket], now)


@given(rates, st.lists(st.integers(0, 59), max_size=10), st.integers(0, 999))
def test_a_wait_is_true_and_no_longer_than_it_must_be(rate: Rate, gaps_ms: list[int], late: int) -> None:
    """A refused request is served after `Retry-After` seconds, and would be refused a second sooner."""
    limiter = Limiter(rate)
    times = accumulate([BEGAN + late, *gaps_ms, *[0] * (rate.limit + rate.burst)])
    verdicts = ((now, limiter.admit("org_a", "key_1", now).retry_after) for now in times)
    now, wait = next((now, wait) for now, wait in verdicts if wait is not None)
    assert wait >= 1
    assert limiter.admit("org_a", "key_1", now + (wait - 1) * 1_000).retry_after is not None
    assert limiter.admit("org_a", "key_1", now + wait * 1_000).retry_after is None


@given(stories)
def test_a_reset_is_never_early(story: list[tuple[int, tuple[str, str]]]) -> None:
    """A request at the second of `X-RateLimit-Reset` starts a new window."""
    rate, now = Rate(limit=1, window_ms=60_000), BEGAN
    for gap, (organization, key) in story:
        now += gap
        limiter = Limiter(rate)
        reset = limiter.admit(organization, key, now).reset
        assert now + rate.window_ms <= reset * 1_000 < now + rate.window_ms + 1_000
        assert limiter.admit(organization, key, reset * 1_000).retry_after is None


def test_a_refused_request_does_not_count() -> None:
    """Refused requests do not extend the wait."""
    limiter = Limiter(Rate(limit=2))
    verdicts = [limiter.admit("org_a", "key_1", BEGAN + at) for at in (0, 1, *range(1_000, 59_000, 500), 60_000)]
    assert [one.retry_after is None for one in verdicts] == [True, True, *[False] * 116, True]
    assert verdicts[-1].remaining == 1


@pytest.mark.parametrize(("scope", "shared"), [(RateScope.KEY, False), (RateScope.ORGANIZATION, True)])
def test_whose_requests_are_counted_together(*, scope: RateScope, shared: bool) -> None:
    """Keys of one organization share a window only when the scope says so; organizations never do."""
    limiter = Limiter(Rate(limit=1, scope=scope))
    assert limiter.admit("org_a", "key_1", BEGAN).retry_after is None
    assert (limiter.admit("org_a", "key_2", BEGAN).retry_after is None) is not shared
    assert limiter.admit("org_b", "key_3", BEGAN).retry_after is None
    assert limiter.admit("org_a", "key_1", BEGAN).retry_after == 60


def test_the_default_is_the_documented_one() -> None:
    """By default a key has 100 requests a minute, and no burst."""
    limiter = Limiter(Rate())
    verdicts = [limiter.admit("org_a", "key_1", BEGAN) for _ in range(101)]
    assert [one.remaining for one in verdicts] == [*range(99, -1, -1), 0]
    assert [one.retry_after for one in verdicts] == [None] * 100 + [60]
