"""The rate limit of a key: what several threads may send before, while and after a window is used up."""

from __future__ import annotations

import pytest
from zof_contracts.evidence.exchange import Exchange, Request, Response
from zof_contracts.target.rate_limit import RateLimit

from tests.contracts.timers import FakeTimer

NOW = 1_767_225_600
WINDOW = 60


def answer(remaining: int, *, reset: int = WINDOW, took: float = 0.0, at: float = 0.0) -> Exchange:
    """An answer that arrives at a second, to a request that was sent `took` seconds before."""
    headers = (("x-ratelimit-limit", "100"), ("x-ratelimit-remaining", str(remaining)))
    response = Response(200, (*headers, ("x-ratelimit-reset", str(NOW + reset))), b"{}")
    return Exchange(1, Request("GET", "/v1/runs"), response, "listRuns", NOW + at, took, 0.0)


@pytest.fixture
def timer() -> FakeTimer:
    """The clock of the rate limit."""
    return FakeTimer()


@pytest.fixture
def limit(timer: FakeTimer) -> RateLimit:
    """A rate limit of which nothing is known."""
    return RateLimit(timer)


def test_requests_on_their_way_use_the_quota_up(limit: RateLimit) -> None:
    """No more requests are sent than remained, though none of them has been answered."""
    limit.learn(answer(2))
    for _ in range(2):
        assert limit.measure_wait("main", 1) == 0
        limit.reserve("main")
    assert limit.measure_wait("main", 1) == WINDOW + 1
    assert limit.measure_wait("other-org", 1) == 0


def test_an_answer_does_not_count_what_is_on_its_way(limit: RateLimit, timer: FakeTimer) -> None:
    """The quota after an answer is reduced by the requests that the target may not have counted yet."""
    for _ in range(3):
        limit.reserve("main")
    limit.release("main")
    timer.time = 1
    limit.learn(answer(2, took=1, at=1))
    assert limit.measure_wait("main", 1) == WINDOW


def test_an_answer_that_was_overtaken_does_not_raise_the_quota(limit: RateLimit, timer: FakeTimer) -> None:
    """The answer to an earlier request, which leaves more, arrives after a later one."""
    timer.time = 1
    limit.learn(answer(0, took=0.5, at=1))
    timer.time = 2
    limit.learn(answer(5, took=2, at=2))
    assert limit.measure_wait("main", 1) > 0


def test_an_answer_of_the_window_before_is_ignored(limit: RateLimit, timer: FakeTimer) -> None:
    """The last answer of a window arrives after the first of the next, whose quota holds."""
    timer.time = 61
    limit.learn(answer(99, reset=121, took=0.5, at=61))
    timer.time = 61.5
    limit.learn(answer(0, reset=60, took=2, at=61.5))
    assert limit.measure_wait("main", 50) == 0


def test_a_pause_holds_all_requests_of_a_key(limit: RateLimit, timer: FakeTimer) -> None:
    """After a 429 nothing is sent with the key until Retry-After is over."""
    limit.learn(answer(50))
    limit.pause("main", 90)
    assert limit.measure_wait("main", 1) == 90
    timer.time = 90
    assert limit.measure_wait("main", 1) == 0


def test_a_pause_leaves_the_quota_as_it_is(limit: RateLimit, timer: FakeTimer) -> None:
    """After a 429 of a gateway only Retry-After is waited out where the API's window has quota left."""
    limit.learn(answer(50))
    limit.pause("main", 2)
    assert limit.measure_wait("main", 1) == 2
    timer.time = 2
    assert limit.measure_wait("main", 1) == 0
    assert limit.measure_wait("main", 51) == WINDOW - 1


def test_a_pause_does_not_shorten_the_wait_for_a_window(limit: RateLimit) -> None:
    """Where the API's window is used up as well, its end is waited for."""
    limit.learn(answer(0))
    limit.pause("main", 2)
    assert limit.measure_wait("main", 1) == WINDOW + 1
