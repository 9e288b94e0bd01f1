"""Rate limits (contract, section 4): windows, counted requests and headers."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

import pytest
from hypothesis import given
from hypothesis import strategies as st
from zof_emulator.app import EPOCH
from zof_emulator.core.limits import Rate, RateScope
from zof_emulator.core.tenants import DEFAULT, PERMITS, Key, Role

from tests.http.exchanges import FILES, JUDGED, LIMIT, OUTSIDE, START, STRANGERS, SUCCESSES, prepare_emulator
from tests.zof import ADMIN, CI, OTHER, VIEWER, Zof

if TYPE_CHECKING:
    from tests.zof import Answer

HEADERS: Final = ("x-ratelimit-limit", "x-ratelimit-remaining", "x-ratelimit-reset")
LATE: Final = "zof_test_late"
"""A key that is valid, and has expired when a window's time is over."""


def limits(answer: Answer) -> tuple[int, int, int] | None:
    """The values of the three headers, or None without them; never some of them."""
    found = [answer.headers[name] for name in HEADERS if name in answer.headers]
    assert len(found) in {0, 3}
    return (int(found[0]), int(found[1]), int(found[2])) if found else None


def make_limited(limit: int = 3, *, burst: int = 0, scope: str = "key", seconds: int = 60) -> Zof:
    """An emulator with a low rate limit."""
    late = Key(LATE, "org_abc", PERMITS[Role.ADMIN], expires_at=EPOCH + 30_000)
    data = replace(DEFAULT, keys=(*DEFAULT.keys, late))
    return Zof(data=data, rate=Rate(limit, seconds * 1000, RateScope(scope), burst))


THREE: Final = make_limited()


def test_100_requests_a_minute() -> None:
    """By default a key has 100 requests a minute: the hundred and first is 429, and one a minute later is served."""
    zof = Zof(rate=Rate())
    assert [zof.get("/runs").status for _ in range(101)] == [200] * 100 + [429]
    zof.advance(59_999)
    assert zof.get("/runs").status == 429
    zof.advance(1)
    assert zof.get("/runs").status == 200


def test_the_headers_count_down() -> None:
    """`X-RateLimit-Limit` is the window's limit, `-Remaining` the rest, `-Reset` its end in Unix seconds."""
    zof = make_limited()
    zof.advance(7_000)
    end = EPOCH // 1000 + 67
    assert [limits(zof.get("/runs")) for _ in range(4)] == [(3, 2, end), (3, 1, end), (3, 0, end), (3, 0, end)]


@given(st.integers(0, 500_000), st.integers(0, 59_999))
def test_a_window_starts_with_its_first_request(idle_ms: int, later_ms: int) -> None:
    """A window starts with the first request in it, not with the minute, and lasts 60 s from there."""
    THREE.control("/reset")
    THREE.advance(idle_ms)
    THREE.get("/runs")
    THREE.advance(later_ms)
    assert limits(THREE.get("/runs")) == (3, 1, -(-(EPOCH + idle_ms + 60_000) // 1000))
    THREE.advance(60_000 - later_ms)
    assert limits(THREE.get("/runs")) == (3, 2, -(-(EPOCH + idle_ms + 120_000) // 1000))


def test_a_refused_request_does_not_prolong_the_window() -> None:
    """A 429 neither counts nor moves the window's end."""
    zof = make_limited()
    for _ in range(3):
        zof.get("/runs")
    zof.advance(59_000)
    assert [zof.get("/runs").status for _ in range(5)] == [429] * 5
    zof.advance(1_000)
    assert [zof.get("/runs").status for _ in range(4)] == [200, 200, 200, 429]


steps: Final = st.lists(
    st.tuples(st.integers(0, 25_000), st.sampled_from([ADMIN, CI, OTHER])),
    min_size=1,
    max_size=40,
)
"""Requests: how long after the one before, and with which key."""


rates: Final = {
    (limit, burst, scope, seconds): make_limited(limit, burst=burst, scope=scope, seconds=seconds)
    for limit, burst, scope, seconds in [
        (1, 0, "key", 60),
        (3, 0, "key", 60),
        (2, 2, "key", 7),
        (2, 0, "organization", 60),
        (3, 1, "organization", 30),
        (4, 0, "organization", 1),
    ]
}


@given(steps, st.sampled_from(sorted(rates)))
def test_a_fixed_window_for_each_bucket(requests: list[tuple[int, str]], rate: tuple[int, int, str, int]) -> None:
    """Each key, or by setting each organization, has its own windows of limit plus burst requests."""
    limit, burst, scope, seconds = rate
    zof = rates[rate]
    zof.control("/reset")
    windows: dict[str, tuple[int, int]] = {}
    now = 0
    for pause, key in requests:
        now += pause
        zof.advance(pause)
        bucket = key if scope == "key" else "org_other" if key == OTHER else "org_abc"
        start, used = windows.get(bucket, (now, 0))
        if now >= start + seconds * 1000:
            start, used = now, 0
        answer = zof.get("/results", key=key)
        assert answer.status == (200 if used < limit + burst else 429)
        windows[bucket] = start, used + (answer.status == 200)
        reset = -(-(EPOCH + start + seconds * 1000) // 1000)
        assert limits(answer) == (limit, max(0, limit - windows[bucket][1]), reset)


def test_a_burst() -> None:
    """By default there is no burst; with one, a window admits that many requests above the shown limit."""
    zof = make_limited(2, burst=3)
    answers = [zof.get("/runs") for _ in range(6)]
    assert [answer.status for answer in answers] == [200] * 5 + [429]
    assert {answer.headers["x-ratelimit-limit"] for answer in answers} == {"2"}
    assert Rate().burst == 0


def test_keys_do_not_share_a_window() -> None:
    """One key that is used up leaves the other keys of its organization alone."""
    zof = make_limited()
    assert [zof.get("/runs").status for _ in range(4)][-1] == 429
    assert limits(zof.get("/runs", key=CI)) == (3, 2, EPOCH // 1000 + 60)
    assert zof.get("/runs", key=OTHER).status == 200


def test_keys_of_an_organization_share_a_window_by_setting() -> None:
    """With the scope `organization` its keys share one window, and another organization has its own."""
    zof = make_limited(scope=RateScope.ORGANIZATION)
    assert [zof.get("/runs", key=key).status for key in (ADMIN, CI, VIEWER, ADMIN, CI)] == [200, 200, 200, 429, 429]
    assert limits(zof.get("/runs", key=OTHER)) == (3, 2, EPOCH // 1000 + 60)


@given(st.lists(st.integers(0, 25_000), min_size=3, max_size=3), st.integers(1, 59_999))
def test_retry_after_is_truthful(pauses: list[int], late: int) -> None:
    """`Retry-After` is whole seconds, at least 1: a request that much later is served, one a second earlier is not."""
    for shorter in (0, 1):
        THREE.control("/reset")
        for pause in pauses:
            THREE.advance(pause)
            THREE.get("/runs")
        THREE.advance(max(0, min(late, 59_999 - sum(pauses[1:]))))
        refused = THREE.get("/runs")
        assert refused.status == 429
        seconds = refused.headers["retry-after"]
        assert seconds.isdecimal()
        assert int(seconds) >= 1
        if shorter == 0 or int(seconds) > 1:
            THREE.advance((int(seconds) - shorter) * 1000)
            assert THREE.get("/runs").status == (429 if shorter else 200)


def test_a_429_carries_the_headers() -> None:
    """A 429 carries the three headers too, with nothing remaining."""
    zof = make_limited()
    last = [zof.get("/runs") for _ in range(4)][-1]
    assert last.error == (429, "rate_limit_exceeded", None)
    assert limits(last) == (3, 0, EPOCH // 1000 + 60)
    assert last.headers["retry-after"] == "60"


@pytest.mark.parametrize("kind", [*SUCCESSES, *FILES, *JUDGED])
def test_what_reached_the_limiter_carries_the_headers(kind: str) -> None:
    """The three headers are on every response to a request that reached the limiter."""
    exchange = JUDGED[kind][-1] if kind in JUDGED else {**SUCCESSES, **FILES}[kind]
    found = limits(exchange(prepare_emulator()))
    assert found is not None
    assert found[0] == LIMIT


@pytest.mark.parametrize(
    "kind", [*SUCCESSES, *FILES, *[one for one in JUDGED if one not in {"too often", "our fault"}]]
)
def test_what_reached_the_limiter_counts(kind: str) -> None:
    """A request that reached the limiter counts, also when it is refused later, and when it is a replay."""
    exchange = JUDGED[kind][-1] if kind in JUDGED else {**SUCCESSES, **FILES}[kind]
    zof = prepare_emulator()
    remaining = [int(exchange(zof).headers["x-ratelimit-remaining"]) for _ in range(2)]
    assert remaining[0] > remaining[1]


@pytest.mark.parametrize("kind", [*STRANGERS, *OUTSIDE])
def test_what_never_reached_the_limiter(kind: str) -> None:
    """401, unknown paths, 405 and requests outside the API neither count nor have the headers."""
    exchange = STRANGERS[kind][-1] if kind in STRANGERS else OUTSIDE[kind]
    zof = prepare_emulator()
    zof.get("/runs")
    for _ in range(3):
        assert limits(exchange(zof)) is None
    found = limits(zof.get("/runs"))
    assert found is not None
    assert found[:2] == (LIMIT, LIMIT - 2)


def test_an_unknown_path_with_a_spent_key() -> None:
    """A used-up key still gets 404 and 405, and 401 once it has expired."""
    zof = make_limited()
    assert [zof.get("/runs", key=LATE).status for _ in range(4)][-1] == 429
    assert zof.get("/nothing", key=LATE).status == 404
    assert zof.send("DELETE", "/v1/runs", key=LATE).status == 405
    zof.advance(30_000)
    assert zof.get("/runs", key=LATE).status == 401


def test_a_request_that_is_refused_for_the_limit_does_nothing() -> None:
    """A start with 429 starts no run, and its idempotency key stays free."""
    zof = make_limited(1)
    zof.get("/runs")
    assert zof.post("/runs", START, idempotency_key="once").status == 429
    zof.advance(60_000)
    assert zof.post("/runs", {**START, "environment": "production"}, idempotency_key="once").status == 201
    assert len(zof.get("/runs", key=CI).json["data"]) == 3


def test_control_has_no_limit() -> None:
    """`/_emulator` has no rate limit."""
    zof = make_limited(1)
    assert [zof.control("/clock").status for _ in range(50)] == [200] * 50
    assert zof.get("/runs").status == 200
