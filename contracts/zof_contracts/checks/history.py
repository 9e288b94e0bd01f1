"""The oracle: every exchange against what was seen before it, and every object against itself.

Plug in: `client.observers.append(Oracle(ledger))`. It sends nothing, and remembers what it needs: request IDs, each
run, result and log line as it was last seen, and the rate-limit window of each key.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final
from urllib.parse import parse_qs

from zof_contracts.checks.objects import JsonObject, check_result, check_run, is_consistent, names
from zof_contracts.checks.schemas import mask
from zof_contracts.contract.document import PREFIX, load_contract
from zof_contracts.evidence.exchange import NO_STATUS
from zof_contracts.evidence.header_values import read_server_time

if TYPE_CHECKING:
    from zof_contracts.evidence.exchange import Exchange
    from zof_contracts.evidence.ledger import Ledger

_THROTTLED: Final = 429
_WINDOW: Final = 60
_MILLISECONDS: Final = 100_000_000_000
"""What no count of seconds reaches; that Reset is in another unit is the tap's to say."""
_DEFAULT: Final = 20
_MOST: Final = 100
_LISTS: Final = frozenset({"listRuns", "listResults", "listProjects", "listRunArtifacts", "listResultArtifacts"})
_BY_TIME: Final = frozenset({"listRuns", "listProjects", "listRunArtifacts", "listResultArtifacts"})


@dataclass(slots=True)
class _Window:
    """What was seen of one rate-limit window."""

    last: Exchange
    seen: set[int] = field(default_factory=set)


class HistoryCheck:
    """Remembers, and compares."""

    def __init__(self, ledger: Ledger) -> None:
        self.ledger = ledger
        self._ids: dict[str, Exchange] = {}
        self._runs: dict[str, tuple[JsonObject, Exchange]] = {}
        self._details: dict[str, tuple[JsonObject, Exchange]] = {}
        self._results: dict[str, tuple[JsonObject, Exchange]] = {}
        self._lines: dict[tuple[str, str], tuple[JsonObject, Exchange]] = {}
        self._windows: dict[str, _Window] = {}
        self._sent: set[tuple[str, str, str]] = set()

    def __call__(self, exchange: Exchange) -> None:
        """Judge one exchange by those before it."""
        if not exchange.request.path.startswith(PREFIX + "/") or exchange.response.status == NO_STATUS:
            return
        self._request_id(exchange)
        self._window(exchange)
        if exchange.response.ok and exchange.operation and not self._replayed(exchange):
            self._objects(exchange)
            self._page(exchange)

    def _request_id(self, exchange: Exchange) -> None:
        value = exchange.response.header("x-request-id")
        if not value:
            return
        before = self._ids.setdefault(value, exchange)
        if before is not exchange or len(self._ids) > 1:
            self.ledger.check(
                "conventions.request-id.unique",
                before is exchange,
                expected="an ID of its own",
                got="an ID that another answer had",
                trace=[before, exchange],
            )
        if (ours := exchange.request.header("x-request-id")) is not None:
            self.ledger.check(
                "conventions.request-id.server-made",
                value != ours,
                expected="an ID of the server's own",
                got="ours",
                trace=exchange,
            )

    def _window(self, exchange: Exchange) -> None:
        limit, remaining, reset = (_whole(exchange, f"x-ratelimit-{name}") for name in ("limit", "remaining", "reset"))
        if limit is None or remaining is None or reset is None or exchange.response.status == _THROTTLED:
            return
        now = read_server_time(exchange)
        near = now - 1 <= reset <= now + _WINDOW + 1
        window = self._windows.get(exchange.request.key)
        trace = [exchange] if window is None else [window.last, exchange]
        if not near and reset < _MILLISECONDS:
            self._window_broken(f"Reset within the next {_WINDOW} s", f"{_when(reset - now)}", trace)
        if window is None or reset != _whole(window.last, "x-ratelimit-reset"):
            if window is not None and now < (_whole(window.last, "x-ratelimit-reset") or 0) - 1:
                self._window_broken("the same Reset within a window", "another Reset before the window's end", trace)
            self._windows[exchange.request.key] = _Window(exchange, {remaining})
            if remaining > limit:
                self._remaining_broken(trace, "more than Limit")
            return
        self._remaining(window, exchange, remaining, limit)
        if near:
            self.ledger.record_kept("limits.window")

    def _remaining(self, window: _Window, exchange: Exchange, remaining: int, limit: int) -> None:
        before = _whole(window.last, "x-ratelimit-remaining") or 0
        overlapped = exchange.at - exchange.took < window.last.at
        trace = [window.last, exchange]
        if remaining > limit:
            self._remaining_broken(trace, "more than Limit")
        elif remaining in window.seen or (remaining > before and not overlapped):
            self._remaining_broken(trace, "no less than before")
        else:
            self.ledger.record_kept("limits.remaining.falls")
        window.seen.add(remaining)
        window.last = exchange

    def _remaining_broken(self, trace: list[Exchange], got: str) -> None:
        expected = "less than before, and not more than Limit"
        self.ledger.record_violation("limits.remaining.falls", expected=expected, got=got, trace=trace)

    def _window_broken(self, expected: str, got: str, trace: list[Exchange]) -> None:
        self.ledger.record_violation("limits.window", expected=expected, got=got, trace=trace)

    def _replayed(self, exchange: Exchange) -> bool:
        """Whether the answer may be an earlier one, told again."""
        name = exchange.request.header("idempotency-key")
        if name is None:
            return False
        sent = (exchange.request.key, exchange.request.path, name)
        again = sent in self._sent or exchange.response.header("idempotency-replayed") is not None
        self._sent.add(sent)
        return again

    def _objects(self, exchange: Exchange) -> None:
        answer, operation = exchange.response, exchange.operation
        if operation in {"startRun", "getRun", "cancelRun"}:
            self._run(exchange, answer.fields, detail=True)
        elif operation == "listRuns":
            for run in answer.items:
                self._run(exchange, run, detail=False)
        elif operation == "getResult":
            self._result(exchange, answer.fields)
        elif operation in {"listResults", "exportResults"}:
            for result in answer.items:
                self._result(exchange, result)
        elif operation == "getRunLogs":
            self._log(exchange)

    def _run(self, exchange: Exchange, run: JsonObject, *, detail: bool) -> None:
        if not isinstance(run.get("id"), str) or not isinstance(run.get("status"), str):
            return
        self._history(exchange, run)
        if detail:
            self._frozen(exchange, run)
        for rule, expected, got in check_run(run):
            if got:
                self.ledger.record_violation(rule, expected=expected, got=got, trace=exchange)
            else:
                self.ledger.record_kept(rule)

    def _history(self, exchange: Exchange, run: JsonObject) -> None:
        before = self._runs.get(run["id"])
        self._runs[run["id"]] = (run, exchange)
        if before is None:
            return
        was, status = before[0]["status"], run["status"]
        ended = was in load_contract().terminal
        moved = f"{mask(was)}, then {mask(status)}"
        fine = was == status or load_contract().reachable(was, status)
        rule = "runs.status.terminal" if ended else "runs.status.transitions"
        self.ledger.check(
            rule, fine, expected="a status that may follow the one before", got=moved, trace=[before[1], exchange]
        )

    def _frozen(self, exchange: Exchange, run: JsonObject) -> None:
        before = self._details.get(run["id"])
        self._details[run["id"]] = (run, exchange)
        if (
            before is None
            or before[0]["status"] not in load_contract().terminal
            or before[0]["status"] != run["status"]
        ):
            return
        self._same("runs.terminal.frozen", before, (run, exchange), names("RunDetail") - {"url"})

    def _result(self, exchange: Exchange, result: JsonObject) -> None:
        if not isinstance(result.get("id"), str):
            return
        before = self._results.get(result["id"])
        self._results[result["id"]] = (result, exchange)
        if before is not None:
            self._same("results.stable", before, (result, exchange), names("Result") - {"logs_url"})
        for rule, expected, got in check_result(result):
            if got:
                self.ledger.record_violation(rule, expected=expected, got=got, trace=exchange)
            else:
                self.ledger.record_kept(rule)

    def _same(
        self, rule: str, before: tuple[JsonObject, Exchange], now: tuple[JsonObject, Exchange], fields: frozenset[str]
    ) -> None:
        changed = sorted(
            name for name in fields if name in before[0] and not is_consistent(before[0][name], now[0].get(name))
        )
        self.ledger.check(
            rule,
            not changed,
            expected="the same as before",
            got=f"another {', '.join(changed)}",
            trace=[before[1], now[1]],
        )

    def _log(self, exchange: Exchange) -> None:
        lines = [line for line in exchange.response.items if isinstance(line.get("timestamp"), str)]
        times = [line["timestamp"] for line in lines]
        if len(times) > 1:
            self.ledger.check(
                "logs.oldest-first",
                times == sorted(times),
                expected="rising timestamps",
                got="falling ones",
                trace=exchange,
            )
        for line in lines:
            key = (exchange.request.path, str(line.get("id")))
            before = self._lines.get(key)
            self._lines[key] = (line, exchange)
            if before is not None:
                self._same("logs.append-only", before, (line, exchange), names("LogEntry"))

    def _page(self, exchange: Exchange) -> None:
        page, operation = exchange.response.fields, exchange.operation
        if operation not in _LISTS or not isinstance(page.get("data"), list):
            return
        self._size(exchange)
        more, cursor = page.get("has_more"), page.get("next_cursor")
        if more is True:
            given = isinstance(cursor, str) and cursor
            self.ledger.check(
                "pages.next-cursor.given",
                given,
                expected="a cursor, since more follow",
                got=mask(cursor),
                trace=exchange,
            )
        elif more is False:
            there = "next_cursor" in page and cursor is None
            self.ledger.check(
                "pages.next-cursor.null",
                there,
                expected="null, since nothing follows",
                got=mask(cursor),
                trace=exchange,
            )
        times = [item["created_at"] for item in exchange.response.items if isinstance(item.get("created_at"), str)]
        if operation in _BY_TIME and len(times) > 1:
            newest = times == sorted(times, reverse=True)
            self.ledger.check(
                "pages.newest-first", newest, expected="falling created_at", got="a rising one", trace=exchange
            )

    def _size(self, exchange: Exchange) -> None:
        size = len(exchange.response.fields["data"])
        asked = parse_qs(exchange.request.query).get("limit")
        if asked is not None and len(asked) > 1:
            return  # which of them a server goes by is its own affair
        if asked is None:
            self.ledger.check(
                "pages.default", size <= _DEFAULT, expected=f"at most {_DEFAULT} items", got=size, trace=exchange
            )
        elif asked[0].isdigit() and 1 <= int(asked[0]) <= _MOST:
            if size > int(asked[0]):
                self.ledger.record_violation("pages.limit", expected="at most limit items", got="more", trace=exchange)
            elif size:
                self.ledger.record_kept("pages.limit")


def _whole(exchange: Exchange, name: str) -> int | None:
    value = exchange.response.header(name)
    return int(value) if value and value.isascii() and value.isdigit() else None


def _when(seconds: float) -> str:
    return "in the past" if seconds < 0 else "later than that"
