"""Rate limits: what counts, which key a bucket belongs to, and the request beyond the limit (section 4)."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

from zof_contracts.checks.claims import describe
from zof_contracts.evidence.findings import quote_value
from zof_contracts.evidence.header_values import read_server_time
from zof_contracts.probes.context import OK, Probe, ProbeContext, Unsettled, read_whole_number
from zof_contracts.target.requests import build_request

if TYPE_CHECKING:
    from zof_contracts.evidence.exchange import Exchange

_MOST: Final = 150
"""The requests left in a window up to which it is used up."""
_FEW: Final = 15
"""The requests left in a window up to which it is used up at once."""
_LONGEST: Final = 120
"""The Retry-After in seconds up to which it is waited out."""
_BURST: Final = 12
"""Requests beyond Limit that may be a burst, which the documentation does not rule out."""
_THROTTLED: Final = 429
_REMAINING: Final = "x-ratelimit-remaining"
_RESET: Final = "x-ratelimit-reset"


def _judge_uncounted(context: ProbeContext, key: str, rule: str, uncounted: list[Exchange], before: Exchange) -> None:
    after = context.client.get("/runs", key=key, limit=1)
    first, last = read_whole_number(before, _REMAINING), read_whole_number(after, _REMAINING)
    if first is None or last is None or read_whole_number(before, _RESET) != read_whole_number(after, _RESET):
        context.ledger.record_skip(rule, "no two answers of one window carry X-RateLimit-Remaining")
        return
    expected, got = f"X-RateLimit-Remaining {first - 1}", f"X-RateLimit-Remaining {last}"
    for _ in uncounted:
        trace = [before, *uncounted, after]
        context.check(rule, last == first - 1, expected=expected, got=got, trace=trace)


def send_uncounted(context: ProbeContext) -> None:
    """401, unknown paths and 405 do not count; another key has a bucket of its own."""
    context.ensure_quota(8)
    before = context.require_ok(context.client.get("/runs", limit=1))
    lost = build_request("GET", "/no-such-thing")
    strange = [
        context.client.send(replace(build_request("GET", "/runs"), key="main", authorization="Basic {key}")),
        context.client.send(lost),
        context.client.send(build_request("DELETE", "/runs") if context.can_start_runs else lost),
    ]
    rule = "limits.uncounted"
    carrying = [each for each in strange if each.response.header(_REMAINING) is not None]
    for each in carrying:
        context.ledger.record_violation(
            rule,
            expected="no X-RateLimit headers",
            got=f"{describe(each.response)} with X-RateLimit-Remaining {each.response.header(_REMAINING)}",
            trace=each,
        )
    if not carrying and all(each.response.status in {401, 404, 405} for each in strange):
        _judge_uncounted(context, "main", rule, strange, before)
    other = next((name for name in ("readonly", "no-webhooks") if context.has(name)), None)
    if other is not None:
        before = context.client.journal[-1]
        _judge_uncounted(context, "main", "limits.per-key", [context.client.get("/runs", key=other, limit=1)], before)


def is_nearly_used_up(context: ProbeContext) -> bool:
    """Whether the window of the main key is nearly used up, so that using it up costs little."""
    last = next((each for each in reversed(context.client.journal) if each.request.key == "main"), None)
    left = read_whole_number(last, _REMAINING) if last is not None else None
    return context.target.may_exhaust_quota and left is not None and left <= _FEW


def use_up(context: ProbeContext) -> None:
    """The window is used up: the next request is 429, with a Retry-After after which it is served."""
    if not context.target.may_exhaust_quota:
        return
    first = context.require_ok(context.client.get("/runs", limit=1))
    limit, left, reset = (read_whole_number(first, name) for name in ("x-ratelimit-limit", _REMAINING, _RESET))
    if limit is None or left is None or reset is None:
        raise Unsettled("the target does not state its limit")
    if left > _MOST:
        raise Unsettled(f"{left} requests are left in the window; it is used up if there are at most {_MOST}")
    context.client.pacing = False
    try:
        refused = _spend(context, left, first)
    finally:
        context.client.pacing = True
    if refused is not None:
        _judge_count(context, limit, refused)
        _judge_retry_after(context, refused)


def _spend(context: ProbeContext, left: int, first: Exchange) -> Exchange | None:
    answer = first
    for sent in range(left + _BURST):
        answer = context.client.get("/runs", limit=1)
        if answer.response.status == _THROTTLED:
            right = bool(answer.response.header("retry-after")) and sent >= left
            got = (
                f"429 after {sent} of {left} requests, Retry-After {quote_value(answer.response.header('retry-after'))}"
            )
            return (
                answer
                if context.check(
                    "limits.refused",
                    right,
                    expected=f"429 with Retry-After after {left} requests",
                    got=got,
                    trace=answer,
                )
                else None
            )
        if (
            read_whole_number(answer, _RESET) != read_whole_number(first, _RESET)
            and read_server_time(answer) >= (read_whole_number(first, _RESET) or 0) - 1
        ):
            raise Unsettled("the window ended before it was used up")
    expected = "429 with Retry-After when Remaining is used up"
    context.ledger.record_violation(
        "limits.refused", expected=expected, got=describe(answer.response), trace=[first, answer]
    )
    return None


def _judge_count(context: ProbeContext, limit: int, refused: Exchange) -> None:
    same = [
        each
        for each in context.client.journal
        if each.request.key == refused.request.key
        and read_whole_number(each, _RESET) == read_whole_number(refused, _RESET)
    ]
    served = [each for each in same if each.response.status != _THROTTLED]
    if not served or read_whole_number(served[0], _REMAINING) != limit - 1:
        context.ledger.record_skip("limits.exact", "the window had begun before our first request in it")
        return
    expected, got = f"{limit} requests in a window", f"{len(served)} requests"
    context.check("limits.exact", len(served) == limit, expected=expected, got=got, trace=refused)


def _judge_retry_after(context: ProbeContext, refused: Exchange) -> None:
    rule = "limits.retry-after.honest"
    wait = read_whole_number(refused, "retry-after")
    reset = read_whole_number(refused, _RESET) or 0
    if wait is None:
        return
    expected = f"429 until {wait} s have passed, then 2xx"
    if wait > max(1, reset - read_server_time(refused) + 1):
        got = f"Retry-After {wait}, though the window ends in {reset - read_server_time(refused):.0f} s"
        context.ledger.record_violation(rule, expected=expected, got=got, trace=refused)
        return
    if wait > _LONGEST:
        context.ledger.record_skip(rule, f"Retry-After is {wait} s, longer than the {_LONGEST} s that are waited")
        return
    is_early = False
    context.client.pacing = False
    try:
        if context.target.advance is not None and wait > 1:
            context.client.wait(wait - 1, "Retry-After, but for a second")
            early = context.client.get("/runs", limit=1)
            is_early = is_early or early.response.status == OK
            context.client.wait(1, "the last second of Retry-After")
        else:
            context.client.wait(wait, "Retry-After")
        late = context.client.get("/runs", limit=1)
    finally:
        context.client.pacing = True
    got = f"2xx after {wait - 1} s" if is_early else f"{describe(late.response)} after {wait} s"
    context.check(rule, late.response.ok and not is_early, expected=expected, got=got, trace=[refused, late])


PROBES: Final = (
    Probe("requests that do not count", send_uncounted, ("limits.uncounted", "limits.per-key")),
    Probe(
        "a rate limit used up",
        use_up,
        ("limits.refused", "limits.exact", "limits.retry-after.honest"),
        is_nearly_used_up,
    ),
)
"""The second probe uses up a rate-limit window, and is tried early when the window is nearly used up."""
