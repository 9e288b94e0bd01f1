"""Sights: what one object of an answer, a run or a result, says about itself, and whether that is of one piece."""

from __future__ import annotations

from functools import cache
from typing import Any, Final

from zof_contracts.checks.schemas import mask
from zof_contracts.contract.document import load_contract

JsonObject = dict[str, Any]
Told = tuple[str, str, str]
"""A rule, what it expects, and what is wrong; empty when nothing is."""

_OPEN: Final = frozenset({"queued", "running"})


@cache
def names(schema: str) -> frozenset[str]:
    """The documented fields of an object."""
    node = load_contract().at(f"#/components/schemas/{schema}")
    parts = [load_contract().resolve(part) for part in node.get("allOf", [node])]
    return frozenset(name for part in parts for name in part["properties"])


def is_consistent(one: object, other: object) -> bool:
    """Whether two values tell the same, as far as both tell anything: fields that only one has are no difference."""
    if isinstance(one, dict) and isinstance(other, dict):
        return all(is_consistent(one[name], other[name]) for name in one.keys() & other.keys())
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(is_consistent, one, other))
    return one == other


def check_run(run: JsonObject) -> list[Told]:
    """The rules that one sight of a run shows."""
    told = [*_times(run)]
    summary, outcomes = run.get("summary"), run.get("case_outcomes")
    counts = {name: count for name, count in summary.items() if type(count) is int} if isinstance(summary, dict) else {}
    if "total" in counts and counts.keys() >= names("RunSummary"):
        total = counts["total"]
        added = {sum(counts.values()) - total, sum(counts[name] for name in names("RunSummary") - {"total"})}
        told.append(("runs.summary.total", "counts that add up to total", "" if total in added else "another sum"))
        told.append(("runs.sequence", "at most one case at a time", "more" if counts["running"] > 1 else ""))
    if isinstance(outcomes, list) and outcomes and all(isinstance(each, dict) for each in outcomes):
        told += _outcomes(run, counts, outcomes)
    return told


def _times(run: JsonObject) -> list[Told]:
    status = run["status"]
    created, started, completed = (run.get(name) for name in ("created_at", "started_at", "completed_at"))
    wrong = ""
    if status not in load_contract().transitions:
        return []
    if status == "queued" and started is not None:
        wrong = "started_at of a queued run"
    elif status == "running" and started is None:
        wrong = "no started_at of a running run"
    elif status in _OPEN and (completed is not None or run.get("duration_ms") is not None):
        wrong = "completed_at or duration_ms of a run that has not ended"
    elif status not in _OPEN and completed is None:
        wrong = "no completed_at of an ended run"
    elif not _in_order(created, started, completed):
        wrong = "times out of order"
    return [("runs.times", "times of what has happened, in order", wrong)]


def _in_order(*times: object) -> bool:
    given = [time for time in times if isinstance(time, str)]
    return given == sorted(given)


def _outcomes(run: JsonObject, counts: dict[str, int], outcomes: list[JsonObject]) -> list[Told]:
    told = []
    statuses = [each.get("status") for each in outcomes]
    if counts.keys() >= names("RunSummary"):
        counted = {name: statuses.count(name) for name in load_contract().transitions}
        differ = sorted(name for name, count in counted.items() if counts[name] != count)
        if counts["total"] != len(outcomes):
            differ.insert(0, "total")
        known = all(status in load_contract().transitions for status in statuses)
        told += [("runs.summary.outcomes", "counts of the case outcomes", ", ".join(differ))] if known else []
    ended = run["status"] in load_contract().terminal
    if ended:
        left = [status for status in statuses if status in _OPEN]
        told.append(("runs.outcomes.settled", "no case queued or running", mask(left[:1]) if left else ""))
        gravest = next((status for status in ("error", "failed") if status in statuses), "passed")
        if run["status"] != "canceled" and not left:
            right = run["status"] == gravest
            told.append(("runs.outcome", f"{gravest}, the gravest outcome", "" if right else mask(run["status"])))
    ids = [each.get("result_id") for each in outcomes]
    wrong = any(each is None for each in ids) if ended else any(each is not None for each in ids)
    expected = "an ID for each case" if ended else "null until the run has ended"
    told.append(("runs.outcomes.result-id", expected, "otherwise" if wrong else ""))
    return told


def check_result(result: JsonObject) -> list[Told]:
    """The rules that one sight of a result shows."""
    told = []
    summary, status = result.get("failure_summary"), result.get("status")
    if status in {"failed", "error"}:
        told.append(("results.failure-summary", "why it failed", "" if summary else "nothing"))
    elif status == "passed":
        told.append(("results.failure-summary", "none, since it passed", "one" if summary else ""))
    order = _in_order(result.get("started_at"), result.get("completed_at"), result.get("created_at"))
    told.append(("results.times", "started, completed and created in order", "" if order else "otherwise"))
    return told
