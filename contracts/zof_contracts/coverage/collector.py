"""Collects the parts of the contract that recordings reach, over any number of recordings."""

from __future__ import annotations

from collections import Counter, OrderedDict
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import parse_qsl

from zof_contracts.contract.document import load_contract
from zof_contracts.contract.resources import load_resources
from zof_contracts.coverage.parts import Group, find_reason, list_limits, list_parts
from zof_contracts.evidence.strict_json import parse_json
from zof_contracts.traffic.recording import RecordedDelivery, RecordedExchange, RecordingStarted

if TYPE_CHECKING:
    from zof_contracts.traffic.recording import Recorded

_MOST_RUNS: Final = 10_000
"""Runs whose last status is remembered."""
_ERROR: Final = 400


class CoverageCollector:
    """Counts how often each part was reached."""

    def __init__(self) -> None:
        self.counts: dict[Group, Counter[str]] = {group: Counter() for group in Group}
        self.exchange_count = 0
        self._runs: OrderedDict[tuple[str, str], str] = OrderedDict()
        """The last known status of each run."""

    def observe(self, recorded: Recorded) -> None:
        """Count what comes next in a recording."""
        match recorded:
            case RecordingStarted():
                self._runs.clear()  # two recordings may name different runs alike
            case RecordedDelivery():
                self._count(Group.EVENTS, recorded.type)
            case RecordedExchange():
                self.exchange_count += 1
                self._observe_exchange(recorded)

    def _count(self, group: Group, name: str) -> None:
        if name in list_parts()[group]:
            self.counts[group][name] += 1

    def _observe_exchange(self, each: RecordedExchange) -> None:
        exchange = each.exchange
        answer = exchange.response
        if answer.status >= _ERROR:
            self._count_reason(each)
        if not exchange.operation:
            return
        self._count(Group.OPERATIONS, exchange.operation)
        self._count(Group.STATUSES, f"{exchange.operation} {answer.status}")
        if answer.ok:
            self._count_request(each)
            self._count_runs(each)

    def _count_reason(self, each: RecordedExchange) -> None:
        answer = each.exchange.response
        self._count(Group.REASONS, each.reason or find_reason(answer.status, answer.error))

    def _count_request(self, each: RecordedExchange) -> None:
        """Count the filters and the smallest and largest values in a request that was accepted."""
        exchange = each.exchange
        operation = exchange.operation
        values: dict[str, Any] = dict(parse_qsl(exchange.request.query, keep_blank_values=True))
        for name in values:
            self._count(Group.FILTERS, f"{operation} {name}")
        if operation in load_resources().inputs and each.is_request_whole:
            values |= _read_fields(exchange.request.body)
        for limit in list_limits():
            if limit.operation == operation and _measure(values.get(limit.name), limit.measure) == limit.bound:
                self._count(Group.LIMITS, str(limit))

    def _count_runs(self, each: RecordedExchange) -> None:
        """Count the statuses of the runs that an answer shows, and what they went through since they were last seen."""
        operation, answer = each.exchange.operation, each.exchange.response
        if load_resources().items.get(operation) == "Run":
            runs = answer.items
        elif load_resources().answers.get(operation) == "RunDetail":
            runs = [answer.fields]
        else:
            return
        for run in runs:
            if isinstance(run.get("id"), str) and isinstance(run.get("status"), str):
                self._count_run((each.base, run["id"]), run["status"], run.get("started_at"))

    def _count_run(self, place: tuple[str, str], status: str, started_at: object) -> None:
        before = self._runs.pop(place, None)
        self._runs[place] = status
        if len(self._runs) > _MOST_RUNS:
            self._runs.popitem(last=False)
        if status in load_contract().terminal and before != status:
            self._count(Group.TERMINAL, status)
        if before is None or before == status:
            return
        has_run = before == "queued" and status != "running" and started_at is not None
        steps = [(before, "running"), ("running", status)] if has_run else [(before, status)]
        for one, other in steps:
            self._count(Group.TRANSITIONS, f"{one} to {other}")


def _read_fields(body: bytes) -> dict[str, Any]:
    try:
        value = parse_json(body)
    except ValueError:
        return {}
    return value if isinstance(value, dict) else {}


def _measure(value: object, measure: str) -> int | None:
    """The value of a parameter as a number, or the size of a field; None if it has none."""
    if measure == "items":
        return len(value) if isinstance(value, list) else None
    if not isinstance(value, str):
        return None
    if measure == "characters":
        return len(value)
    return int(value) if value.isascii() and value.isdigit() and len(value) < 10 else None  # noqa: PLR2004  no limit is that long
