"""Judges of one answer against earlier answers.

`client.observers.append(HistoryCheck(ledger))` has every exchange judged. The check sends nothing. It remembers each
run, result and log line as it was last shown; `zof_contracts.checks.traffic` remembers request IDs and rate limits.

Two answers have an order only if the second request was sent after the first answer. Where requests overlap, each
thread judges its own exchanges with a `fork` of the check, and `absorb` brings together what they have seen.
"""

from __future__ import annotations

import json
import sys
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import parse_qs

from zof_contracts.checks.objects import JsonObject, check_result, check_run, is_consistent
from zof_contracts.checks.traffic import RECORDED, TrafficCheck
from zof_contracts.contract.document import PREFIX, load_contract
from zof_contracts.contract.resources import list_fields, load_resources
from zof_contracts.contract.rules import OWNERS
from zof_contracts.evidence.exchange import NO_STATUS
from zof_contracts.evidence.findings import quote_value
from zof_contracts.evidence.header_values import parse_whole_number
from zof_contracts.evidence.memory import Memory, shorten_answer

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from zof_contracts.evidence.exchange import Exchange
    from zof_contracts.evidence.ledger import Ledger

_CHOSEN: Final = ("project_id", "environment", "test_suite_id")
"""The fields of a run that its start chooses."""
_TELLING: Final = 300
"""Milliseconds for which a run must be seen running so that they tell the unit of its duration."""
_NEWEST_FIRST: Final = frozenset(name for name, rule in OWNERS.order.items() if rule == "pages.newest-first")
_WITH_CURSOR: Final = frozenset(name for name in load_resources().pages if OWNERS.order[name] != "logs.oldest-first")
"""The lists whose next_cursor is null at the end; that of a log leads on while the run lasts."""

Sighting = tuple[JsonObject, "Exchange"]
"""An object, and the exchange that showed it."""


class HistoryCheck:
    """Compares every exchange with those before it."""

    def __init__(self, ledger: Ledger, *, most: int = sys.maxsize) -> None:
        """`most` is the number of things of each kind that are remembered; with a bound, long answers are not kept."""
        self.ledger = ledger
        self._keep = (lambda exchange: exchange) if most == sys.maxsize else shorten_answer
        self._traffic: TrafficCheck | None = TrafficCheck(ledger, Memory(most), self._keep)
        self._runs: Memory[str, Sighting] = Memory(most)
        self._details: Memory[str, Sighting] = Memory(most)
        self._results: Memory[str, Sighting] = Memory(most)
        self._running: Memory[str, tuple[Exchange, Exchange]] = Memory(most)
        """The first and the last answer in which each run was running."""
        self._lines: Memory[tuple[str, str], Sighting] = Memory(most)
        self._idempotency_keys: Memory[tuple[str, str, str], None] = Memory(most)
        self._judges: dict[str, Callable[[Exchange, JsonObject], None]] = {
            "Run": self._check_run,
            "RunDetail": self._check_run_detail,
            "Result": self._check_result,
        }
        """The judges of objects, by schema."""

    def __call__(self, exchange: Exchange) -> None:
        """Judge one exchange by those before it."""
        if not _is_judged(exchange):
            return
        if self._traffic is not None:
            self._traffic(exchange)
        if exchange.response.ok and exchange.operation and not self._may_be_replay(exchange):
            self._check_objects(exchange)
            self._check_page(exchange)
            if exchange.operation == "startRun":
                self._check_echo(exchange)

    # --- threads

    def fork(self, ledger: Ledger) -> HistoryCheck:
        """A check for one thread: it knows what this one has seen, and leaves out what concerns all requests."""
        fork = HistoryCheck(ledger)
        fork._traffic = None
        for mine, other in zip(self._list_memories(), fork._list_memories(), strict=True):
            other.update(mine)
        fork._idempotency_keys.update(self._idempotency_keys)
        return fork

    def absorb(self, forks: Sequence[HistoryCheck], exchanges: Sequence[Exchange]) -> None:
        """Take over what the forks have seen, and judge what concerns all requests in the order of the answers."""
        for fork in forks:
            for mine, other in zip(self._list_memories(), fork._list_memories(), strict=True):  # noqa: SLF001
                for key, sighting in other.items():
                    known = mine.get(key)
                    if known is None or known[1].at < sighting[1].at:
                        mine.set(key, sighting)
            self._idempotency_keys.update(fork._idempotency_keys)  # noqa: SLF001
        for exchange in sorted(exchanges, key=lambda each: each.at):
            if self._traffic is not None and _is_judged(exchange):
                self._traffic(exchange)

    def _list_memories(self) -> tuple[Memory[Any, Any], ...]:
        return self._runs, self._details, self._results, self._lines, self._running

    # --- objects

    def _may_be_replay(self, exchange: Exchange) -> bool:
        """Whether the answer may be a stored one, which shows things as they were earlier."""
        key = exchange.request.header("idempotency-key")
        if key is None:
            return False
        scope = (exchange.request.key, exchange.request.path, key)
        repeated = scope in self._idempotency_keys or exchange.response.header("idempotency-replayed") is not None
        self._idempotency_keys.set(scope, None)
        # An earlier verification, or another key of the organization, may have started the run with this key.
        run_id = exchange.response.fields.get("id") if exchange.operation == "startRun" else None
        is_known = isinstance(run_id, str) and run_id in self._runs
        return repeated or is_known

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
        self._check_observed_duration(exchange, run)
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
        changed = [name for name in _CHOSEN if name in run and before[0].get(name, run[name]) != run[name]]
        if changed:
            expected, got = _show_fields(before[0], changed), _show_fields(run, changed)
            trace = [before[1], exchange]
            self.ledger.record_violation("runs.start.echo", expected=expected, got=got, trace=trace)
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

    def _check_echo(self, exchange: Exchange) -> None:
        """Judge that the run of a start shows what the start chose."""
        chosen, run = _read_object(exchange.request.body), exchange.response.fields
        names = [name for name in _CHOSEN if name in run and isinstance(chosen.get(name), str)]
        differ = [name for name in names if run[name] != chosen[name]]
        if names:
            expected, got = _show_fields(chosen, differ), _show_fields(run, differ)
            self.ledger.check("runs.start.echo", not differ, expected=expected, got=got, trace=exchange)

    def _check_observed_duration(self, exchange: Exchange, run: JsonObject) -> None:
        """Judge the unit of a duration by the time for which the run was seen running, where no clock was moved."""
        target = self.ledger.target
        if target.can_move_clock or target.profile == RECORDED:
            return
        if run["status"] == "running":
            first, _ = self._running.get(run["id"]) or (exchange, exchange)
            self._running.set(run["id"], (first, exchange))
        elif run["status"] in load_contract().terminal and (shown := self._running.pop(run["id"])) is not None:
            first, last = shown
            seen, duration = (last.at - last.took - first.at) * 1000, run.get("duration_ms")
            if type(duration) is not int or seen < _TELLING:
                return
            expected, got = f"at least {seen:.0f} ms, for which the run was seen running", f"duration_ms {duration}"
            trace = [first, last, exchange]
            self.ledger.check("conventions.durations", duration >= seen / 2, expected=expected, got=got, trace=trace)

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
        query = parse_qs(exchange.request.query, keep_blank_values=True)
        given = query.get("limit")
        default, largest = load_resources().page_size, load_resources().largest_page
        if given is None:
            rule, expected = "pages.default", f"at most {default} items"
            self.ledger.check(rule, size <= default, expected=expected, got=f"{size} items", trace=exchange)
        # Which of several limits a server honours is not documented.
        elif size and len(given) == 1 and 1 <= (parse_whole_number(given[0]) or 0) <= largest:
            expected, holds = f"at most {given[0]} items", size <= (parse_whole_number(given[0]) or 0)
            self.ledger.check("pages.limit", holds, expected=expected, got=f"{size} items", trace=exchange)
            if query == {"limit": [str(largest)]} and exchange.response.fields.get("has_more") is True:
                expected, got = f"{largest} items, since there are more", f"{size} items"
                self.ledger.check("pages.maximum", size == largest, expected=expected, got=got, trace=exchange)


def _read_object(body: bytes) -> JsonObject:
    """The fields of a JSON object; none if it names a field twice, since the contract does not say which one counts."""
    try:
        value, pairs = json.loads(body), json.loads(body, object_pairs_hook=list)
    except (ValueError, RecursionError):
        return {}
    return value if isinstance(value, dict) and len(value) == len(pairs) else {}


def _is_judged(exchange: Exchange) -> bool:
    """Whether an exchange is an answer of the API."""
    return exchange.request.path.startswith(PREFIX + "/") and exchange.response.status != NO_STATUS


def _show_fields(value: dict[str, Any], names: Sequence[str]) -> str:
    return ", ".join(f"{name} {quote_value(value.get(name))}" for name in names)
