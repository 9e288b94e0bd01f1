"""Judges of one answer against earlier answers.

`client.observers.append(HistoryCheck(ledger))` has every exchange judged. The check sends nothing. It remembers
request IDs, each run, result and log line as it was last shown, and the rate-limit window of each key.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass, field
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import parse_qs

from zof_contracts.checks.objects import JsonObject, check_result, check_run, is_consistent
from zof_contracts.contract.document import PREFIX, load_contract
from zof_contracts.contract.resources import list_fields, load_resources
from zof_contracts.contract.rules import OWNERS
from zof_contracts.evidence.exchange import NO_STATUS
from zof_contracts.evidence.findings import quote_value
from zof_contracts.evidence.header_values import parse_whole_number, read_server_time
from zof_contracts.evidence.memory import Memory, shorten_answer

if TYPE_CHECKING:
    from collections.abc import Callable

    from zof_contracts.evidence.exchange import Exchange
    from zof_contracts.evidence.ledger import Ledger

_THROTTLED: Final = 429
_WINDOW: Final = 60
_MILLISECONDS: Final = 100_000_000_000
"""A number that no count of seconds reaches; `checks.conformance` judges a Reset in another unit."""
_NEWEST_FIRST: Final = frozenset(name for name, rule in OWNERS.order.items() if rule == "pages.newest-first")
_WITH_CURSOR: Final = frozenset(name for name in load_resources().pages if OWNERS.order[name] != "logs.oldest-first")
"""The lists whose next_cursor is null at the end; that of a log leads on while the run lasts."""

Sighting = tuple[JsonObject, "Exchange"]
"""An object, and the exchange that showed it."""


@dataclass(slots=True)
class _Window:
    """What is known of one rate-limit window."""

    last: Exchange
    remaining: set[int] = field(default_factory=set)
    """The values of Remaining that were given in it."""


class HistoryCheck:
    """Compares every exchange with those before it."""

    def __init__(self, ledger: Ledger, *, most: int = sys.maxsize) -> None:
        """`most` is the number of things of each kind that are remembered; with a bound, long answers are not kept."""
        self.ledger = ledger
        self._keep = (lambda exchange: exchange) if most == sys.maxsize else shorten_answer
        self._ids: Memory[str, Exchange] = Memory(most)
        self._runs: Memory[str, Sighting] = Memory(most)
        self._details: Memory[str, Sighting] = Memory(most)
        self._results: Memory[str, Sighting] = Memory(most)
        self._lines: Memory[tuple[str, str], Sighting] = Memory(most)
        self._windows: dict[str, _Window] = {}
        self._idempotency_keys: Memory[tuple[str, str, str], None] = Memory(most)
        self._judges: dict[str, Callable[[Exchange, JsonObject], None]] = {
            "Run": self._check_run,
            "RunDetail": self._check_run_detail,
            "Result": self._check_result,
        }
        """The judges of objects, by schema."""

    def __call__(self, exchange: Exchange) -> None:
        """Judge one exchange by those before it."""
        if not exchange.request.path.startswith(PREFIX + "/") or exchange.response.status == NO_STATUS:
            return
        self._check_request_id(exchange)
        self._check_window(exchange)
        self._check_capacity(exchange)
        if exchange.response.ok and exchange.operation and not self._may_be_replay(exchange):
            self._check_objects(exchange)
            self._check_page(exchange)

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

    # --- rate limits

    def _check_window(self, exchange: Exchange) -> None:
        limit, remaining, reset = (_read_number(exchange, name) for name in ("limit", "remaining", "reset"))
        if limit is None or remaining is None or reset is None or exchange.response.status == _THROTTLED:
            return
        now = read_server_time(exchange)
        near = now - 1 <= reset <= now + _WINDOW + 1
        window = self._windows.get(exchange.request.key)
        trace = [exchange] if window is None else [window.last, exchange]
        if not near and reset < _MILLISECONDS:
            got = f"Reset {reset}, {reset - now:+.0f} s from now"
            self._record_window(f"Reset within the next {_WINDOW} s", got, trace)
        before = None if window is None else _read_number(window.last, "reset")
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

    def _check_capacity(self, exchange: Exchange) -> None:
        """Judge a start that is answered 429 though the rate limit is not used up: its run should have been queued."""
        remaining = _read_number(exchange, "remaining")
        if exchange.operation == "startRun" and exchange.response.status == _THROTTLED and remaining:
            expected, got = "accepted and queued", f"429 with X-RateLimit-Remaining {remaining}"
            self.ledger.record_violation("runs.capacity", expected=expected, got=got, trace=exchange)

    def _check_remaining(self, window: _Window, exchange: Exchange, remaining: int, limit: int) -> None:
        before = _read_number(window.last, "remaining") or 0
        overlapped = exchange.at - exchange.took < window.last.at
        trace = [window.last, exchange]
        if remaining > limit:
            self._record_remaining(trace, f"at most Limit {limit}", remaining)
        elif remaining in window.remaining or (remaining > before and not overlapped):
            self._record_remaining(trace, f"less than {before}", remaining)
        else:
            self.ledger.record_kept("limits.remaining.falls")
        window.remaining.add(remaining)
        window.last = exchange

    def _record_remaining(self, trace: list[Exchange], expected: str, remaining: int) -> None:
        rule, got = "limits.remaining.falls", f"X-RateLimit-Remaining {remaining}"
        self.ledger.record_violation(rule, expected=expected, got=got, trace=trace)

    def _record_window(self, expected: str, got: str, trace: list[Exchange]) -> None:
        self.ledger.record_violation("limits.window", expected=expected, got=got, trace=trace)

    # --- objects

    def _may_be_replay(self, exchange: Exchange) -> bool:
        """Whether the answer may be a stored one, which shows things as they were earlier."""
        key = exchange.request.header("idempotency-key")
        if key is None:
            return False
        scope = (exchange.request.key, exchange.request.path, key)
        repeated = scope in self._idempotency_keys or exchange.response.header("idempotency-replayed") is not None
        self._idempotency_keys.set(scope, None)
        return repeated

    def _check_objects(self, exchange: Exchange) -> None:
        answer, resources = exchange.response, load_resources()
        item = resources.items.get(exchange.operation)
        if item == "LogEntry":
            self._check_log(exchange)
        elif item in self._judges:
            for one in answer.items:
                self._judges[item](exchange, one)
        elif (schema := resources.answers.get(exchange.operation)) in self._judges:
            self._judges[schema](exchange, answer.fields)

    def _check_run(self, exchange: Exchange, run: JsonObject) -> None:
        if not isinstance(run.get("id"), str) or not isinstance(run.get("status"), str):
            return
        self._check_transition(exchange, run)
        for claim in check_run(run):
            self.ledger.record(claim, exchange)

    def _check_run_detail(self, exchange: Exchange, run: JsonObject) -> None:
        if not isinstance(run.get("id"), str) or not isinstance(run.get("status"), str):
            return
        before = self._details.get(run["id"])
        self._details.set(run["id"], (run, self._keep(exchange)))
        self._check_run(exchange, run)
        if before and before[0]["status"] in load_contract().terminal and before[0]["status"] == run["status"]:
            self._check_same("runs.terminal.frozen", before, (run, exchange), list_fields("RunDetail") - {"url"})

    def _check_transition(self, exchange: Exchange, run: JsonObject) -> None:
        before = self._runs.get(run["id"])
        self._runs.set(run["id"], (run, self._keep(exchange)))
        if before is None:
            return
        was, status = before[0]["status"], run["status"]
        ended = was in load_contract().terminal
        can_follow = load_contract().can_follow
        is_overlapping = exchange.at - exchange.took < before[1].at  # then either answer may be the older one
        self.ledger.check(
            "runs.status.terminal" if ended else "runs.status.transitions",
            was == status or can_follow(was, status) or (is_overlapping and can_follow(status, was)),
            expected=f"status {was} to stay" if ended else f"a status that may follow {was}",
            got=f"status {quote_value(status)} after {quote_value(was)}",
            trace=[before[1], exchange],
        )

    def _check_result(self, exchange: Exchange, result: JsonObject) -> None:
        if not isinstance(result.get("id"), str):
            return
        before = self._results.get(result["id"])
        self._results.set(result["id"], (result, self._keep(exchange)))
        if before is not None:
            self._check_same("results.stable", before, (result, exchange), list_fields("Result") - {"logs_url"})
        for claim in check_result(result):
            self.ledger.record(claim, exchange)

    def _check_same(self, rule: str, before: Sighting, now: Sighting, fields: frozenset[str]) -> None:
        was, became = before[0], now[0]
        changed = sorted(name for name in fields if name in was and not is_consistent(was[name], became.get(name)))
        self.ledger.check(
            rule,
            not changed,
            expected=_show_fields(was, changed) or "no change",
            got=_show_fields(became, changed),
            trace=[before[1], now[1]],
        )

    def _check_log(self, exchange: Exchange) -> None:
        lines = [line for line in exchange.response.items if isinstance(line.get("timestamp"), str)]
        self._check_order(exchange, [line["timestamp"] for line in lines], newest_first=False)
        for line in lines:
            key = (exchange.request.path, str(line.get("id")))
            before = self._lines.get(key)
            self._lines.set(key, (line, self._keep(exchange)))
            if before is not None:
                self._check_same("logs.append-only", before, (line, exchange), list_fields("LogEntry"))

    # --- pages

    def _check_page(self, exchange: Exchange) -> None:
        page, operation = exchange.response.fields, exchange.operation
        if operation not in _WITH_CURSOR or not isinstance(page.get("data"), list):
            return
        self._check_size(exchange)
        more, cursor = page.get("has_more"), page.get("next_cursor")
        got = f"next_cursor {quote_value(cursor)}" if "next_cursor" in page else "no field next_cursor"
        if more is True:
            rule, expected = "pages.next-cursor.given", "a next_cursor, since has_more is true"
            self.ledger.check(rule, isinstance(cursor, str) and cursor, expected=expected, got=got, trace=exchange)
        elif more is False:
            rule, expected = "pages.next-cursor.null", "next_cursor null, since has_more is false"
            is_null = "next_cursor" in page and cursor is None
            self.ledger.check(rule, is_null, expected=expected, got=got, trace=exchange)
        if operation in _NEWEST_FIRST:
            times = [item["created_at"] for item in exchange.response.items if isinstance(item.get("created_at"), str)]
            self._check_order(exchange, times, newest_first=True)

    def _check_order(self, exchange: Exchange, times: list[str], *, newest_first: bool) -> None:
        if len(times) < 2:  # noqa: PLR2004  a single item has no order
            return
        pairs = pairwise(times)
        wrong = next(((one, other) for one, other in pairs if (one < other if newest_first else one > other)), None)
        self.ledger.check(
            OWNERS.order[exchange.operation],
            wrong is None,
            expected="the newest first" if newest_first else "the oldest first",
            got=" before ".join(wrong or ()),
            trace=exchange,
        )

    def _check_size(self, exchange: Exchange) -> None:
        size = len(exchange.response.fields["data"])
        given = parse_qs(exchange.request.query).get("limit")
        default, largest = load_resources().page_size, load_resources().largest_page
        if given is None:
            rule, expected = "pages.default", f"at most {default} items"
            self.ledger.check(rule, size <= default, expected=expected, got=f"{size} items", trace=exchange)
        # Which of several limits a server honours is not documented.
        elif size and len(given) == 1 and 1 <= (parse_whole_number(given[0]) or 0) <= largest:
            expected, holds = f"at most {given[0]} items", size <= (parse_whole_number(given[0]) or 0)
            self.ledger.check("pages.limit", holds, expected=expected, got=f"{size} items", trace=exchange)


def _read_number(exchange: Exchange, name: str) -> int | None:
    """The value of an X-RateLimit header; None when it is no whole number."""
    return parse_whole_number(exchange.response.header(f"x-ratelimit-{name}"))


def _show_fields(value: dict[str, Any], names: list[str]) -> str:
    return ", ".join(f"{name} {quote_value(value.get(name))}" for name in names)
