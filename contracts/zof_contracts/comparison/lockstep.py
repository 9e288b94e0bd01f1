"""Plays the same stories on two deployments, request by request, and notes where the answers differ.

The steps are those that `zof_contracts.search.state_machine` draws. Each of their requests is sent to both deployments
before the next one. Answers that depend on random durations are not compared: runs are awaited on both sides before
they are read, and a run is canceled in progress only while no time has passed since its start.
"""

# ruff: noqa: D102  the name of a step says what it does

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from zof_contracts.checks.claims import has_ended
from zof_contracts.checks.conformance import ConformanceCheck
from zof_contracts.comparison.matching import Difference, Matching
from zof_contracts.comparison.tour import list_requests
from zof_contracts.evidence.ledger import Ledger
from zof_contracts.search.minimize import find_related
from zof_contracts.target.client import Unanswered
from zof_contracts.target.requests import build_post, build_request

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from zof_contracts.evidence.exchange import Exchange, Request
    from zof_contracts.search.stories import Step
    from zof_contracts.target.client import Client

TOUR: Final[tuple[Step, ...]] = (("tour", {}),)
"""A story of requests that stories about runs do not have, most of them refused."""
_PAGES: Final = 20
_PAGE_SIZE: Final = 100
_FIRST_WAIT: Final = 0.5
_LONGEST_WAIT: Final = 8.0
_CANCELED: Final = "canceled"
_CONFLICT: Final = 409


@dataclass(frozen=True, slots=True)
class Divergence:
    """The first time that the answers to a kind of request differ at a place."""

    operation: str
    """Empty for a request that the document has no operation for."""
    difference: Difference
    steps: tuple[Step, ...]
    """The steps up to the one that shows it."""
    url_trace: tuple[Exchange, ...]
    """The requests to the deployment; the last answer differs."""
    url_rules: frozenset[str]
    """The rules that the last answer of the deployment breaks."""
    against_rules: frozenset[str]

    @property
    def kind(self) -> tuple[str, str]:
        """The identity of a divergence: two with the same kind are one."""
        return self.operation, self.difference.place


@dataclass(slots=True)
class Side:
    """One of two deployments during a story."""

    client: Client
    runs: list[str] = field(default_factory=list)
    since: str | None = None
    """When the first run of the story was created."""
    cursor: object = None
    """The cursor of the next page of the list that is read."""
    began: int = 0
    """The number of exchanges before the story."""


class _StoryEnded(Exception):  # noqa: N818  a decision, not a fault
    """The states of the deployments can no longer be compared, or a step has no run to work with."""


class Lockstep:
    """Plays one story on both sides."""

    def __init__(self, url: Client, against: Client, salt: str, *, has_equal_outcomes: bool = True) -> None:
        self.url, self.against = (Side(each, began=len(each.journal)) for each in (url, against))
        target = url.target
        known = (*target.cases, target.failing_case, target.error_case)
        names = {target.project, target.environment, target.suite, *known} - {""}
        self.matching = Matching(names, has_equal_outcomes, bases=(target.base, against.target.base))
        self.divergences: dict[tuple[str, str], Divergence] = {}
        """The divergences of the story by their kinds."""
        self.is_incomplete = False
        """Whether a run did not end in time, so that its steps were left out."""
        self._salt = salt
        self._steps: list[Step] = []
        self._cases = (*target.cases[:2], target.failing_case or target.cases[0])
        self._started_at: list[tuple[float, float]] = []
        """The seconds that the clients had waited when each run was started."""

    @property
    def _sides(self) -> tuple[Side, Side]:
        return self.url, self.against

    @property
    def _wait_totals(self) -> tuple[float, float]:
        """The seconds that both clients have let pass."""
        return self.url.client.seconds_waited, self.against.client.seconds_waited

    @property
    def _is_time_free(self) -> bool:
        return all(side.client.target.can_move_clock for side in self._sides)

    def play(self, steps: Sequence[Step]) -> None:
        """Perform the steps until the states of the deployments differ.

        Raises:
            Stopped, Unreachable: no further request can be sent.
        """
        for name, arguments in steps:
            self._steps.append((name, arguments))
            try:
                getattr(self, name)(**arguments)
            except _StoryEnded:
                break
        self._end()

    def _end(self) -> None:
        """Let the runs end, or cancel them where that takes time, so that they take no capacity from other stories."""
        for side in self._sides:
            if side.client.target.can_move_clock:
                side.client.wait(side.client.patience.measure(), "the end of the story")
                continue
            for run_id in side.runs:
                if run_id not in side.client.ended:
                    side.client.post(f"/runs/{run_id}/cancel")

    # --- requests

    def _ask(self, build: Callable[[Side], Request]) -> tuple[Exchange, Exchange]:
        """Send a request to both and compare the answers.

        Args:
            build: makes the request for a side.

        Raises:
            _StoryEnded: one of the answers alone is a success.
        """
        return self._compare(*self._send_both(build))

    def _send_both(self, build: Callable[[Side], Request]) -> tuple[Exchange, Exchange]:
        return _send(self.url.client, build(self.url)), _send(self.against.client, build(self.against))

    def _compare(self, url: Exchange, against: Exchange) -> tuple[Exchange, Exchange]:
        for difference in self.matching.compare(url, against):
            self._note(difference, url, against)
        if url.response.ok is not against.response.ok:
            raise _StoryEnded
        return url, against

    def _note(self, difference: Difference, url: Exchange, against: Exchange) -> None:
        if (against.operation, difference.place) in self.divergences:
            return
        divergence = Divergence(
            operation=against.operation,
            difference=difference,
            steps=tuple(self._steps),
            url_trace=_cut(self.url.client.journal[self.url.began :], url),
            url_rules=_judge(self.url.client, url),
            against_rules=_judge(self.against.client, against),
        )
        self.divergences[divergence.kind] = divergence

    def _get(self, path: str, **query: object) -> tuple[Exchange, Exchange]:
        return self._ask(lambda _: build_request("GET", path, **query))  # type: ignore[arg-type]

    def _walk(self, path: Callable[[Side], str], limit: int, query: Callable[[Side], dict[str, Any]]) -> None:
        """List all pages, as long as both deployments have a next one."""

        def build(side: Side) -> Request:
            return build_request("GET", path(side), limit=limit, starting_after=side.cursor, **query(side))

        for side in self._sides:
            side.cursor = None
        for _ in range(_PAGES):
            pages = [each.response.fields for each in self._ask(build)]
            for side, page in zip(self._sides, pages, strict=True):
                side.cursor = page.get("next_cursor")
            if not all(page.get("has_more") and page.get("next_cursor") for page in pages):
                return

    # --- runs

    def _choose_index(self, index: int) -> int:
        """The index of one of the runs that both sides have."""
        count = min(len(side.runs) for side in self._sides)
        if not count:
            raise _StoryEnded
        return index % count

    def _start(self, cases: Iterable[str], key: str | None = None, *, is_spaced: bool = False) -> None:
        target = self.url.client.target
        body = {"project_id": target.project, "environment": target.environment, "test_case_ids": list(cases)}
        sent: object = json.dumps(dict(reversed(body.items())), indent=2).encode() if is_spaced else body
        before = self._wait_totals
        pair = self._ask(lambda _: build_post("/runs", sent, idempotency_key=key))
        for side, exchange in zip(self._sides, pair, strict=True):
            run = exchange.response.fields
            if exchange.response.ok and isinstance(run.get("id"), str) and run["id"] not in side.runs:
                side.runs.append(run["id"])
                side.since = side.since or run.get("created_at")
        self._started_at += [before] * (len(self.url.runs) - len(self._started_at))

    def settle(self, index: int) -> tuple[Exchange, Exchange]:
        """Wait on both sides until a run has ended, and compare how.

        Raises:
            _StoryEnded: it does not end in time.
        """
        index = self._choose_index(index)
        ends = [_await_end(side.client, side.runs[index]) for side in self._sides]
        if not all(ends):
            self.is_incomplete = True
            raise _StoryEnded
        pair = self._ask(lambda side: build_request("GET", f"/runs/{side.runs[index]}"))
        if not self._is_time_free and any(each.response.fields.get("status") == _CANCELED for each in pair):
            raise _StoryEnded  # which of its cases had ended depends on time
        return pair

    def _settle_all(self) -> None:
        self._choose_index(0)
        for index in range(len(self.url.runs)):
            self.settle(index)

    def _cancel(self, index: int) -> None:
        """Cancel a run in progress if no time has passed, else one that has ended."""
        index = self._choose_index(index)
        if not self._is_at_start(index):
            self.settle(index)
        before = self._wait_totals
        pair = self._send_both(lambda side: build_post(f"/runs/{side.runs[index]}/cancel"))
        if self._wait_totals != before or any(map(self._has_ended_by_itself, self._sides, pair, (index, index))):
            raise _StoryEnded
        self._compare(*pair)

    def _is_at_start(self, index: int) -> bool:
        """Whether no time has passed since the start of a run, nor since that of a run whose place it may wait for."""
        return self._started_at[index] == self._wait_totals and all(
            began == self._wait_totals or all(side.runs[other] in side.client.ended for side in self._sides)
            for other, began in enumerate(self._started_at)
        )

    def _has_ended_by_itself(self, side: Side, cancel: Exchange, index: int) -> bool:
        """Whether a run that could not be canceled has ended, on one side only."""
        others = [each for each in self._sides if each is not side]
        if cancel.response.status != _CONFLICT or others[0].client.ended.get(others[0].runs[index]) != _CANCELED:
            return False
        run = _send(side.client, build_request("GET", f"/runs/{side.runs[index]}")).response.fields
        return has_ended(run) and run.get("status") != _CANCELED

    # --- steps

    def tour(self) -> None:
        requests = list_requests(self.url.client.target, frozenset(self.against.client.target.keys))
        for request in requests:
            try:
                self._ask(lambda _, request=request: request)  # type: ignore[misc]
            except _StoryEnded:  # each of them is about a state of its own
                continue

    def calibrate(self) -> None:
        self._start(dict.fromkeys(self._cases))
        self.settle(0)

    def begin(self) -> None:
        for side in self._sides:
            side.client.wait(1, "a new story")

    def start(self, parts: tuple[int, ...]) -> None:
        self._start(self._list_cases(parts))

    def _list_cases(self, parts: tuple[int, ...]) -> Iterable[str]:
        return dict.fromkeys(self._cases[part] for part in parts)

    def start_keyed(self, key: str, parts: tuple[int, ...], *, is_spaced: bool) -> None:
        self._start(self._list_cases(parts), f"{self._salt}-{key}", is_spaced=is_spaced)

    def start_wait_replay(self, key: str, parts: tuple[int, ...], seconds: int) -> None:
        self.start_keyed(key, parts, is_spaced=False)
        for side in self._sides:
            side.client.wait(seconds, "a later replay")
        self.start_keyed(key, parts, is_spaced=True)

    def start_wait_cancel(self, parts: tuple[int, ...], seconds: float) -> None:  # noqa: ARG002  of the drawn step
        self._start(self._list_cases(parts))
        self._cancel(len(self.url.runs) - 1)

    def start_many(self, runs: int, parts: tuple[int, ...], status: str) -> None:
        for _ in range(runs):
            self._start(self._list_cases(parts))
        self._cancel(max(0, len(self.url.runs) - 2))
        self.filter_status(status)

    def retrieve(self, index: int) -> None:
        self.settle(index)

    def cancel(self, index: int) -> None:
        self._cancel(index)

    def cancel_twice(self, index: int) -> None:
        self._cancel(index)
        self._cancel(index)

    def finish_then_cancel(self, index: int) -> None:
        self.settle(index)
        self._cancel(index)
        self.settle(index)

    def wait(self, seconds: float) -> None:
        for side in self._sides:
            if side.client.target.can_move_clock:
                side.client.wait(seconds, "runs in progress")

    def finish_then_results(self, index: int, limit: int) -> None:
        self.list_results(index, limit)
        index = self._choose_index(index)
        self._ask(lambda side: build_post("/results/export", {"format": "json", "run_id": side.runs[index]}))
        self._ask(lambda side: build_post("/results/export", {"format": "csv", "run_id": side.runs[index]}))
        self.follow_logs(index, limit)

    def list_results(self, index: int, limit: int) -> None:
        pair, index = self.settle(index), self._choose_index(index)
        self._walk(lambda _: "/results", limit, lambda side: {"run_id": side.runs[index]})
        results = [_find_result(each) for each in pair]
        if all(results):
            self._ask(lambda side: build_request("GET", f"/results/{results[self._sides.index(side)]}"))

    def follow_logs(self, index: int, limit: int) -> None:
        self.settle(index)
        index = self._choose_index(index)
        self._walk(lambda side: f"/runs/{side.runs[index]}/logs", max(5, limit), lambda _: {})

    def list_artifacts(self, index: int) -> None:
        pair, index = self.settle(index), self._choose_index(index)
        self._walk(lambda side: f"/runs/{side.runs[index]}/artifacts", 50, lambda _: {})
        results = [_find_result(each) for each in pair]
        if all(results):
            self._walk(lambda side: f"/results/{results[self._sides.index(side)]}/artifacts", 50, lambda _: {})

    def walk_runs(self, limit: int, *, starting: bool) -> None:  # noqa: ARG002  of the drawn step
        self._settle_all()
        self._walk(lambda _: "/runs", max(2, limit), lambda side: {"created_after": side.since})

    def filter_status(self, status: str) -> None:
        self._settle_all()
        self._walk(lambda _: "/runs", _PAGE_SIZE, lambda side: {"created_after": side.since, "status": status})

    def visit_as_stranger(self, index: int) -> None:
        index = self._choose_index(index)
        self._ask(lambda side: build_request("GET", f"/runs/{side.runs[index]}", key="other-org"))
        self._ask(lambda side: build_request("GET", f"/runs/{side.runs[index]}/logs", key="other-org"))
        self._ask(lambda side: build_request("GET", f"/runs/{side.runs[index]}/artifacts", key="other-org"))

    def retrieve_nasty_id(self, name: str) -> None:
        self._get(f"/runs/{name}")

    def filter_by_nasty_value(self, name: str, value: str) -> None:
        self._get("/runs", **{name: value})


def _send(client: Client, request: Request) -> Exchange:
    try:
        return client.send(request)
    except Unanswered as unanswered:
        return unanswered.exchange


def _await_end(client: Client, run_id: str) -> bool:
    """Whether a run ends within the patience of the client."""
    waited, pause = 0.0, _FIRST_WAIT
    while True:
        run = _send(client, build_request("GET", f"/runs/{run_id}")).response
        if not run.ok or has_ended(run.fields):
            return True
        if waited >= client.patience.measure():
            client.patience.use_up(run_id, run.fields.get("status"))
            return False
        client.wait(pause, "a run in progress")
        waited, pause = waited + pause, min(2 * pause, _LONGEST_WAIT)


def _find_result(run: Exchange) -> str:
    """The ID of the first result of a run; empty if it has none."""
    outcomes = run.response.fields.get("case_outcomes")
    first = outcomes[0] if isinstance(outcomes, list) and outcomes else None
    found = first.get("result_id") if isinstance(first, dict) else None
    return found if isinstance(found, str) else ""


def _judge(client: Client, exchange: Exchange) -> frozenset[str]:
    """The rules that an answer breaks by itself."""
    ledger = Ledger(client.target)
    ConformanceCheck(ledger)(exchange)
    return frozenset(finding.rule.name for finding in ledger.findings.values())


def _cut(journal: Sequence[Exchange], last: Exchange) -> tuple[Exchange, ...]:
    """The requests that lead to an exchange: those that write, and those whose answers it needs."""
    *before, _ = find_related([each for each in journal if each.number <= last.number])
    chosen = [last]
    for exchange in reversed(before):
        cursor, result = exchange.response.fields.get("next_cursor"), _find_result(exchange)
        needed = [value for value in (cursor, result) if isinstance(value, str) and value]
        is_needed = any(value in each.request.target for value in needed for each in chosen)
        if exchange.request.method != "GET" or is_needed:
            chosen.insert(0, exchange)
    return tuple(chosen)
