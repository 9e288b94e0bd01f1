"""Judges of one answer against earlier answers."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from zof_contracts.checks.history import HistoryCheck
from zof_contracts.evidence.findings import Verdict
from zof_contracts.evidence.ledger import Ledger
from zof_contracts.target.target import Target

from tests.contracts.answers import NOW, QUOTA, RESULT, RUN, Teller, one, rules

QUEUED: dict[str, Any] = {
    **RUN,
    "status": "queued",
    "summary": {**RUN["summary"], "queued": 1, "passed": 0},
    "started_at": None,
    "completed_at": None,
    "duration_ms": None,
    "case_outcomes": [{"test_case_id": "tc_a", "status": "queued", "result_id": None, "duration_ms": None}],
}


def find_violations(*answers: object, path: str = "/v1/runs/run_1") -> Ledger:
    """The findings about these answers, one after another, each of which takes one request of the quota."""
    ledger, tell = Ledger(Target(url="http://127.0.0.1:9630")), Teller()
    check = HistoryCheck(ledger)
    for place, answer in enumerate(answers):
        left = ("x-ratelimit-remaining", str(99 - place))
        check(tell(path, answer, headers=(QUOTA[0], left, QUOTA[2])))
    return ledger


def test_a_run_may_progress() -> None:
    """A run that is queued, then ended, then unchanged breaks nothing and gives evidence."""
    ledger = find_violations(QUEUED, RUN, RUN)
    assert rules(ledger) == []
    wanted = {"runs.status.transitions", "runs.status.terminal", "runs.terminal.frozen", "runs.summary.total"}
    assert wanted <= set(ledger.evidence)


def test_statuses_may_be_missed() -> None:
    """A client that polls slowly may miss statuses in between."""
    assert rules(find_violations(QUEUED, {**QUEUED, "status": "paused"}, RUN)) == []


def test_nothing_leaves_a_terminal_status() -> None:
    """An ended run that is shown as queued again violates."""
    finding = next(iter(find_violations(RUN, QUEUED).findings.values()))
    assert (finding.rule.name, finding.verdict) == ("runs.status.terminal", Verdict.VIOLATED)
    assert len(finding.trace) == 2


def test_a_run_never_goes_back() -> None:
    """A running run that is shown as queued again violates."""
    running = {**QUEUED, "status": "running", "started_at": RUN["started_at"]}
    assert "runs.status.transitions" in rules(find_violations(running, QUEUED))


def test_an_ended_run_stays_as_it_is() -> None:
    """Another duration of an ended run violates; an additional field does not."""
    assert rules(find_violations(RUN, {**RUN, "duration_ms": 901})) == ["runs.terminal.frozen"]
    assert rules(find_violations(RUN, {**RUN, "colour": "blue"})) == []


@pytest.mark.parametrize(
    ("change", "broken"),
    [
        ({"summary": {**RUN["summary"], "total": 2}}, ["runs.summary.outcomes", "runs.summary.total"]),
        ({"summary": {**RUN["summary"], "passed": 0, "failed": 1}}, ["runs.summary.outcomes"]),
        ({"summary": {**RUN["summary"], "skipped": 0}}, []),
        ({"summary": {"total": 1}}, []),
        ({"status": "failed"}, ["runs.outcome"]),
        ({"completed_at": None}, ["runs.times"]),
        ({"started_at": "2026-01-02T00:00:00Z"}, ["runs.times"]),
        ({"case_outcomes": [{**RUN["case_outcomes"][0], "result_id": None}]}, ["runs.outcomes.result-id"]),
    ],
)
def test_a_run_is_consistent(change: dict[str, Any], broken: list[str]) -> None:
    """Summary, outcomes, status and times of a run agree; a missing field is not judged."""
    assert rules(find_violations({**RUN, **change})) == broken


def test_a_result_never_changes() -> None:
    """A result that is shown with another value later violates."""
    ledger = find_violations(RESULT, {**RESULT, "duration_ms": 1}, path="/v1/results/res_1")
    assert rules(ledger) == ["results.stable"]


@pytest.mark.parametrize(
    ("status", "summary", "broken"),
    [
        ("failed", None, ["results.failure-summary"]),
        ("passed", {"message": "Why?", "category": "timeout"}, ["results.failure-summary"]),
        ("canceled", None, []),
    ],
)
def test_a_failure_has_a_summary(status: str, summary: object, broken: list[str]) -> None:
    """A failed result has a failure summary, a passed one has none."""
    changed = {**RESULT, "status": status, "failure_summary": summary}
    assert rules(find_violations(changed, path="/v1/results/res_1")) == broken


def test_a_request_id_is_unique() -> None:
    """The same request ID twice is a difference."""
    ledger, tell = Ledger(Target(url="http://127.0.0.1:9630")), Teller()
    check, answer = HistoryCheck(ledger), tell("/v1/runs/run_1", RUN)
    check(answer)
    check(replace(answer, number=2))
    assert "conventions.request-id.unique" in rules(ledger)


def test_a_request_id_is_not_echoed() -> None:
    """The client's own request ID must not come back."""
    ledger, tell = Ledger(Target(url="http://127.0.0.1:9630")), Teller()
    HistoryCheck(ledger)(tell("/v1/runs/run_1", RUN, sent=(("X-Request-Id", f"req_{1:020}"),)))
    assert rules(ledger) == ["conventions.request-id.server-made"]


def test_a_replay_is_not_compared() -> None:
    """A replay shows the run as it was, which is no forbidden transition."""
    ledger, tell = Ledger(Target(url="http://127.0.0.1:9630")), Teller()
    check, sent = HistoryCheck(ledger), (("Idempotency-Key", "k"),)
    headers = (QUOTA[0], ("x-ratelimit-remaining", "98"), QUOTA[2])
    check(tell("/v1/runs", QUEUED, 201, method="POST", sent=sent))
    check(tell("/v1/runs/run_1", RUN, headers=headers))
    check(tell("/v1/runs", QUEUED, 201, method="POST", sent=sent, headers=()))
    assert rules(ledger) == []


@pytest.mark.parametrize(
    ("remaining", "reset", "broken"),
    [
        ("98", NOW + 60, []),
        ("95", NOW + 60, []),
        ("99", NOW + 60, ["limits.remaining.falls"]),
        ("101", NOW + 60, ["limits.remaining.falls"]),
        ("98", NOW + 59, ["limits.window"]),
        ("98", NOW + 4000, ["limits.window"]),
    ],
)
def test_the_quota_falls_within_a_window(remaining: str, reset: int, broken: list[str]) -> None:
    """Remaining falls, by more than one where others share the key, and Reset stays the same."""
    ledger, tell = Ledger(Target(url="http://127.0.0.1:9630")), Teller()
    check = HistoryCheck(ledger)
    check(tell("/v1/runs/run_1", RUN))
    check(
        tell(
            "/v1/runs/run_1",
            RUN,
            headers=(QUOTA[0], ("x-ratelimit-remaining", remaining), ("x-ratelimit-reset", str(reset))),
        )
    )
    assert rules(ledger) == broken


@pytest.mark.parametrize(
    ("page", "broken"),
    [
        ({"has_more": False, "next_cursor": None}, []),
        ({"has_more": False}, ["pages.next-cursor.null"]),
        ({"has_more": False, "next_cursor": ""}, ["pages.next-cursor.null"]),
        ({"has_more": True, "next_cursor": "x"}, []),
        ({"has_more": True, "next_cursor": None}, ["pages.next-cursor.given"]),
    ],
)
def test_a_cursor_is_given_while_more_follow(page: dict[str, Any], broken: list[str]) -> None:
    """A page with more violates without its cursor; the last page only differs."""
    assert rules(find_violations({"data": [], **page}, path="/v1/runs")) == broken


def test_a_page_is_no_longer_than_asked_for() -> None:
    """More items than limit, or than 20, violate; a rising created_at only differs."""
    runs = [{**RUN, "id": f"run_{place}"} for place in range(21)]
    ledger, tell = Ledger(Target(url="http://127.0.0.1:9630")), Teller()
    check = HistoryCheck(ledger)
    check(tell("/v1/runs", {"data": runs, "has_more": False, "next_cursor": None}))
    assert rules(ledger) == ["pages.default"]
    older = [{**RUN, "created_at": "2025-01-01T00:00:00Z"}, {**RUN, "id": "run_2"}]
    ledger = Ledger(Target(url="http://127.0.0.1:9630"))
    HistoryCheck(ledger)(tell("/v1/runs", {"data": older, "has_more": False, "next_cursor": None}, query="limit=1"))
    assert rules(ledger) == ["pages.limit", "pages.newest-first"]


def test_a_log_is_only_added_to() -> None:
    """A line that reads otherwise later, and a falling timestamp, are differences."""
    line = {"id": "log_1", "timestamp": "2026-01-01T00:00:00.500Z", "message": "Began.", "level": "info"}
    earlier = {**line, "id": "log_2", "timestamp": "2026-01-01T00:00:00.400Z"}
    page = {"has_more": False, "next_cursor": None}
    ledger = find_violations(
        {"data": [line, earlier], **page}, {"data": [{**line, "message": "?"}], **page}, path="/v1/runs/run_1/logs"
    )
    assert rules(ledger) == ["logs.append-only", "logs.oldest-first"]


def test_other_places_are_not_remembered() -> None:
    """A page outside of the API is nobody's business."""
    assert not find_violations(RUN, RUN, path="/runs/run_1").evidence


def test_one_defect_is_one_finding() -> None:
    """The same defect again is counted, not told again."""
    assert one(find_violations(RUN, {**RUN, "duration_ms": 1}, {**RUN, "duration_ms": 2})).times == 2


@pytest.mark.parametrize(("duration", "found"), [(9, ["conventions.durations"]), (4_200, []), (9_000, [])])
def test_a_duration_is_compared_with_the_time_for_which_a_run_was_seen_running(duration: int, found: list[str]) -> None:
    """A run that was seen running for 8 s on a real clock did not take 9 ms."""
    ledger, tell = Ledger(Target(url="http://127.0.0.1:9630/v1")), Teller()
    check = HistoryCheck(ledger)
    for second in (0, 4, 8, 9):
        is_over = second == 9
        run = {**RUN, "status": "passed" if is_over else "running", "duration_ms": duration if is_over else None}
        run |= {} if is_over else {"completed_at": None}
        check(replace(tell("/v1/runs", {"data": [run], "has_more": False, "next_cursor": None}), at=NOW + second))
    assert [name for name in rules(ledger) if name == "conventions.durations"] == found


@pytest.mark.parametrize(("remaining", "found"), [("7", ["runs.capacity"]), ("0", [])])
def test_a_start_that_is_refused_before_the_limit_is_refused_for_capacity(remaining: str, found: list[str]) -> None:
    """A start answered 429 while requests remain should have been queued; at the limit 429 is right."""
    ledger, tell = Ledger(Target(url="http://127.0.0.1:9630/v1")), Teller()
    headers = (("x-ratelimit-limit", "100"), ("x-ratelimit-remaining", remaining), ("retry-after", "1"))
    HistoryCheck(ledger)(tell("/v1/runs", {}, 429, method="POST", headers=headers))
    assert rules(ledger) == found


def test_a_known_run_shows_that_a_start_was_replayed() -> None:
    """A start with an idempotency key that shows a run seen earlier may be a stored answer, though nothing marks it."""
    ledger, tell = Ledger(Target(url="http://127.0.0.1:9630")), Teller()
    check = HistoryCheck(ledger)
    check(tell("/v1/runs/run_1", RUN))
    check(tell("/v1/runs", QUEUED, method="POST", sent=(("Idempotency-Key", "0"),)))
    assert "runs.status.terminal" not in rules(ledger)


def test_a_start_without_a_key_is_no_replay() -> None:
    """A start without an idempotency key that shows an ended run as queued violates."""
    ledger, tell = Ledger(Target(url="http://127.0.0.1:9630")), Teller()
    check = HistoryCheck(ledger)
    check(tell("/v1/runs/run_1", RUN))
    check(tell("/v1/runs", QUEUED, method="POST"))
    assert "runs.status.terminal" in rules(ledger)
