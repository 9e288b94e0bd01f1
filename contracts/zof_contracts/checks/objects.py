"""Judges of one object: whether what a run or a result states is consistent in itself.

Also the comparison of two forms of one object, which the other judges use.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from zof_contracts.contract.document import load_contract
from zof_contracts.contract.resources import list_fields
from zof_contracts.evidence.findings import Claim, quote_value
from zof_contracts.evidence.timestamps import parse_timestamp

if TYPE_CHECKING:
    from collections.abc import Iterator

JsonObject = dict[str, Any]

_TELLING: Final = 2.0
"""Seconds between two times, of whole seconds, from which on they tell the unit of a duration."""
_OPEN: Final = frozenset({"queued", "running"})


def is_consistent(one: object, other: object) -> bool:
    """Whether two values state the same; a field that only one of them has is no difference."""
    if isinstance(one, dict) and isinstance(other, dict):
        return all(is_consistent(one[name], other[name]) for name in one.keys() & other.keys())
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(is_consistent, one, other))
    return one == other


def list_differences(one: JsonObject, other: JsonObject) -> list[str]:
    """The names of the fields that both objects have, with different values."""
    return sorted(name for name in one.keys() & other.keys() if not is_consistent(one[name], other[name]))


def check_run(run: JsonObject) -> Iterator[Claim]:
    """Judge a run by itself: its times, its summary and its case outcomes."""
    yield from _check_times(run)
    yield from _check_duration(run)
    summary, outcomes = run.get("summary"), run.get("case_outcomes")
    counts = {name: count for name, count in summary.items() if type(count) is int} if isinstance(summary, dict) else {}
    if counts.keys() >= list_fields("RunSummary"):
        yield from _check_summary(counts)
    if isinstance(outcomes, list) and outcomes and all(isinstance(each, dict) for each in outcomes):
        yield from _check_counts(counts, outcomes)
        yield from _check_outcomes(run, outcomes)


def _check_summary(counts: dict[str, int]) -> Iterator[Claim]:
    total = counts["total"]
    # A status that the contract does not know may be counted or not.
    sums = {sum(counts.values()) - total, sum(counts[name] for name in list_fields("RunSummary") - {"total"})}
    got = f"total {total}, and counts that add up to {' or '.join(map(str, sorted(sums)))}"
    yield Claim("runs.summary.total", total in sums, "counts that add up to total", got)
    running = counts["running"]
    yield Claim("runs.sequence", running <= 1, "at most one case running", f"summary.running {running}")


def _check_times(run: JsonObject) -> Iterator[Claim]:
    status = run["status"]
    if status not in load_contract().transitions:
        return
    times = {name: run.get(name) for name in ("created_at", "started_at", "completed_at", "duration_ms")}
    if status == "queued":
        expected, holds = "started_at null while queued", times["started_at"] is None
    elif status == "running":
        expected, holds = "started_at set while running", times["started_at"] is not None
    else:
        expected, holds = "completed_at set after the end", times["completed_at"] is not None
    if holds and status in _OPEN:
        expected = "completed_at and duration_ms null before the end"
        holds = times["completed_at"] is None and times["duration_ms"] is None
    if holds:
        expected = "created_at, started_at and completed_at in order"
        holds = _are_ordered(times["created_at"], times["started_at"], times["completed_at"])
    got = f"status {status} with {', '.join(f'{name} {quote_value(value)}' for name, value in times.items())}"
    yield Claim("runs.times", holds, expected, got)


def _check_duration(one: JsonObject) -> Iterator[Claim]:
    """Judge the unit of a duration by the times that it lies between, which are whole seconds."""
    start, end = (parse_timestamp(one.get(name)) for name in ("started_at", "completed_at"))
    duration = one.get("duration_ms")
    if start is None or end is None or type(duration) is not int or end - start < _TELLING:
        return
    expected = f"at least {(end - start - 1) * 1000:.0f} ms, from started_at to completed_at"
    got = f"duration_ms {duration}, {end - start:.0f} s from started_at to completed_at"
    yield Claim("conventions.durations", duration >= (end - start - 1) * 1000, expected, got)


def _are_ordered(*times: object) -> bool:
    given = [time for time in times if isinstance(time, str)]
    return given == sorted(given)


def _check_counts(counts: dict[str, int], outcomes: list[JsonObject]) -> Iterator[Claim]:
    """Whether the summary agrees with the case outcomes; a status that the contract does not know is not judged."""
    statuses = [each.get("status") for each in outcomes]
    known = load_contract().transitions
    if counts.keys() < list_fields("RunSummary") or not all(status in known for status in statuses):
        return
    counted = {"total": len(outcomes)} | {name: statuses.count(name) for name in known}
    differ = [name for name, count in counted.items() if counts.get(name) != count]
    expected = ", ".join(f"{name} {counted[name]}" for name in differ) or "the counts of the case outcomes"
    got = ", ".join(f"summary.{name} {counts.get(name)}" for name in differ)
    yield Claim("runs.summary.outcomes", not differ, expected, got)


def _check_outcomes(run: JsonObject, outcomes: list[JsonObject]) -> Iterator[Claim]:
    status, statuses = run["status"], [each.get("status") for each in outcomes]
    ended = status in load_contract().terminal
    left = [f"{each.get('test_case_id')} {each.get('status')}" for each in outcomes if each.get("status") in _OPEN]
    if ended:
        yield Claim("runs.outcomes.settled", not left, "no case queued or running", ", ".join(left[:3]))
        gravest = next((each for each in ("error", "failed") if each in statuses), "passed")
        if status != "canceled" and not left:
            yield Claim("runs.outcome", status == gravest, f"{gravest}, the gravest outcome", f"status {status}")
    wrong = [each for each in outcomes if (each.get("result_id") is None) is ended]
    expected = "a result_id for each case" if ended else "result_id null until the run has ended"
    got = ", ".join(f"{each.get('test_case_id')} with {quote_value(each.get('result_id'))}" for each in wrong[:3])
    yield Claim("runs.outcomes.result-id", not wrong, expected, got)


def check_result(result: JsonObject) -> Iterator[Claim]:
    """Judge a result by itself: its failure summary and its times."""
    summary, status = result.get("failure_summary"), result.get("status")
    got = f"status {status} with failure_summary {quote_value(summary)}"
    if status in {"failed", "error"}:
        yield Claim("results.failure-summary", bool(summary), f"a failure_summary, since it {status}", got)
    elif status == "passed":
        yield Claim("results.failure-summary", not summary, "no failure_summary, since it passed", got)
    times = {name: result.get(name) for name in ("started_at", "completed_at", "created_at")}
    got = ", ".join(f"{name} {quote_value(value)}" for name, value in times.items())
    yield from _check_duration(result)
    yield Claim("results.times", _are_ordered(*times.values()), "started_at, completed_at and created_at in order", got)
