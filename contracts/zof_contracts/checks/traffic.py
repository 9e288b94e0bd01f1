"""Judges of what all requests of a verification share: request IDs that are unique, and the windows of rate limits.

`TrafficCheck(ledger)` is called with every answer, in the order in which the answers arrived.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from zof_contracts.evidence.header_values import parse_whole_number, read_server_time

if TYPE_CHECKING:
    from collections.abc import Callable

    from zof_contracts.evidence.exchange import Exchange
    from zof_contracts.evidence.ledger import Ledger
    from zof_contracts.evidence.memory import Memory

RECORDED: Final = "recorded"
"""The profile of recorded traffic, whose clock others may have moved."""
_THROTTLED: Final = 429
_WINDOW: Final = 60
_MILLISECONDS: Final = 100_000_000_000
"""A number that no count of seconds reaches; `checks.conformance` judges a Reset in another unit."""


@dataclass(slots=True)
class _Window:
    """The known facts about one rate-limit window."""

    last: Exchange
    remaining: set[int] = field(default_factory=set)
    """The values of Remaining that were given in it."""


class TrafficCheck:
    """Compares every answer with the earlier ones, whatever they are about."""

    def __init__(
        self, ledger: Ledger, ids: Memory[str, Exchange], keep: Callable[[Exchange], Exchange] = lambda each: each
    ) -> None:
        """`ids` remembers the answers by their request IDs, and `keep` makes what is kept of an answer."""
        self.ledger = ledger
        self._ids = ids
        self._keep = keep
        self._windows: dict[str, _Window] = {}
        self._clock_offset: float | None = None
        """The most by which a Date was ahead of our clock."""

    def __call__(self, exchange: Exchange) -> None:
        """Judge one answer."""
        self._check_request_id(exchange)
        self._check_window(exchange)
        self._check_capacity(exchange)

    def _check_request_id(self, exchange: Exchange) -> None:
        value = exchange.response.header("x-request-id")
        if not value:
            return
        before = self._ids.get(value)
        if before is None:
            self._ids.set(value, self._keep(exchange))
        if before is not None or len(self._ids) > 1:
            self.ledger.check(
                "conventions.request-id.unique",
                before is None,
                expected="an X-Request-Id that no earlier answer had",
                got=f"{value} a second time",
                trace=[*([before] if before is not None else []), exchange],
            )
        if (given := exchange.request.header("x-request-id")) is not None:
            self.ledger.check(
                "conventions.request-id.server-made",
                value != given,
                expected="an X-Request-Id made by the server",
                got=f"{value}, as the request gave it",
                trace=exchange,
            )

    def _check_window(self, exchange: Exchange) -> None:
        limit, remaining, reset = (_read_number(exchange, name) for name in ("limit", "remaining", "reset"))
        if limit is None or remaining is None or reset is None or exchange.response.status == _THROTTLED:
            return
        now = self._measure_server_time(exchange)
        near = now - exchange.took - 1 <= reset <= now + _WINDOW + 1
        window = self._windows.get(exchange.request.key)
        trace = [exchange] if window is None else [window.last, exchange]
        if not near and reset < _MILLISECONDS:
            got = f"Reset {reset}, {reset - now:+.0f} s from now"
            self._record_window(f"Reset within the next {_WINDOW} s", got, trace)
        before = None if window is None else _read_number(window.last, "reset")
        if window is not None and before is not None and reset < before and _are_overlapping(window.last, exchange):
            return  # the request was sent in the window before
        if window is None or reset != before:
            if before is not None and now < before - 1:
                got = f"Reset {reset}, {before - now:.0f} s before the end of the window"
                self._record_window(f"Reset {before} until the window ends", got, trace)
            self._windows[exchange.request.key] = _Window(exchange, {remaining})
            if remaining > limit:
                self._record_remaining(trace, f"at most Limit {limit}", remaining)
            return
        self._check_remaining(window, exchange, remaining, limit)
        if near:
            self.ledger.record_kept("limits.window")

    def _measure_server_time(self, exchange: Exchange) -> float:
        """The Unix seconds of the target's clock at an answer.

        A Date has no fraction, and a busy server may repeat an earlier one. No Date is ahead of the clock, so where no
        clock is moved the one that is furthest ahead of ours tells the difference between the clocks best.
        """
        target = self.ledger.target
        if target.can_move_clock or target.profile == RECORDED:
            return read_server_time(exchange)
        if exchange.response.header("date") is not None:
            offset = read_server_time(exchange) - exchange.at
            self._clock_offset = offset if self._clock_offset is None else max(self._clock_offset, offset)
        return exchange.at + (self._clock_offset or 0.0)

    def _check_remaining(self, window: _Window, exchange: Exchange, remaining: int, limit: int) -> None:
        before = _read_number(window.last, "remaining") or 0
        trace = [window.last, exchange]
        if remaining > limit:
            self._record_remaining(trace, f"at most Limit {limit}", remaining)
        elif remaining in window.remaining or (remaining > before and not _are_overlapping(window.last, exchange)):
            self._record_remaining(trace, f"less than {before}", remaining)
        else:
            self.ledger.record_kept("limits.remaining.falls")
        window.remaining.add(remaining)
        window.last = exchange

    def _check_capacity(self, exchange: Exchange) -> None:
        """Judge a start that is answered 429 though the rate limit is not used up: its run should have been queued."""
        remaining = _read_number(exchange, "remaining")
        if exchange.operation == "startRun" and exchange.response.status == _THROTTLED and remaining:
            expected, got = "accepted and queued", f"429 with X-RateLimit-Remaining {remaining}"
            self.ledger.record_violation("runs.capacity", expected=expected, got=got, trace=exchange)

    def _record_remaining(self, trace: list[Exchange], expected: str, remaining: int) -> None:
        rule, got = "limits.remaining.falls", f"X-RateLimit-Remaining {remaining}"
        self.ledger.record_violation(rule, expected=expected, got=got, trace=trace)

    def _record_window(self, expected: str, got: str, trace: list[Exchange]) -> None:
        self.ledger.record_violation("limits.window", expected=expected, got=got, trace=trace)


def _are_overlapping(one: Exchange, later: Exchange) -> bool:
    """Whether the later answer is to a request that was sent before the other answer arrived."""
    return later.at - later.took < one.at


def _read_number(exchange: Exchange, name: str) -> int | None:
    """The value of an X-RateLimit header; None when it is no whole number."""
    return parse_whole_number(exchange.response.header(f"x-ratelimit-{name}"))
