"""Judges of one answer against the document, and the verdict on a difference."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from zof_contracts.checks.conformance import ConformanceCheck
from zof_contracts.evidence.findings import Verdict
from zof_contracts.evidence.ledger import Ledger
from zof_contracts.target.target import Target

from tests.contracts.answers import QUOTA, RESULT, RUN, Teller, one, rules

ERROR = {"error": {"code": "not_found", "message": "There is none."}}


@pytest.fixture
def ledger() -> Ledger:
    """A verification of nothing yet."""
    return Ledger(Target(url="http://127.0.0.1:9630"))


@pytest.fixture
def tell() -> Teller:
    """Makes exchanges."""
    return Teller()


def test_a_correct_answer_breaks_nothing(ledger: Ledger, tell: Teller) -> None:
    """A documented answer is evidence for many rules and against none."""
    ConformanceCheck(ledger)(tell("/v1/runs/run_1", RUN))
    assert rules(ledger) == []
    assert {"runs.shape", "runs.fields", "conventions.timestamps", "limits.headers"} <= set(ledger.evidence)


def test_unknown_fields_and_values_break_nothing(ledger: Ledger, tell: Teller) -> None:
    """New fields and new enum values are no finding outside strict mode."""
    ConformanceCheck(ledger)(tell("/v1/runs/run_1", {**RUN, "status": "paused", "colour": {"hue": 1}}))
    assert rules(ledger) == []


def test_strict_mode_reports_unknown_fields_and_values(tell: Teller) -> None:
    """In strict mode new fields and values are differences, not violations."""
    ledger = Ledger(Target(url="http://127.0.0.1:9630", is_strict=True))
    ConformanceCheck(ledger)(tell("/v1/runs/run_1", {**RUN, "status": "paused", "colour": 1}))
    assert rules(ledger) == ["versioning.unknown-field", "versioning.unknown-value"]
    assert {finding.verdict for finding in ledger.findings.values()} == {Verdict.DIFFERS}


@pytest.mark.parametrize(
    ("change", "rule", "verdict"),
    [
        ({"status": None}, "runs.shape", Verdict.VIOLATED),
        ({"summary": 5}, "runs.shape", Verdict.VIOLATED),
        ({"environment": 5}, "runs.fields", Verdict.DIFFERS),
        ({"created_at": "2026-01-01 00:00"}, "conventions.timestamps", Verdict.VIOLATED),
        ({"created_at": 1_767_225_600}, "conventions.timestamps", Verdict.VIOLATED),
        ({"duration_ms": 1.5}, "conventions.durations", Verdict.DIFFERS),
        ({"project_id": "abc123"}, "conventions.ids.prefix", Verdict.VIOLATED),
        ({"project_id": "proj_ä"}, "conventions.ids.pattern", Verdict.DIFFERS),
        ({"url": "/runs/run_1"}, "conventions.links.absolute", Verdict.DIFFERS),
    ],
)
def test_a_wrong_value_breaks_one_rule(
    ledger: Ledger, tell: Teller, change: dict[str, Any], rule: str, verdict: Verdict
) -> None:
    """A wrong value is a finding of the rule that owns it, with the basis of that rule, and the finding shows it."""
    ConformanceCheck(ledger)(tell("/v1/runs/run_1", {**RUN, **change}))
    finding = one(ledger)
    assert (finding.rule.name, finding.verdict) == (rule, verdict)
    assert json.dumps(next(iter(change.values())), ensure_ascii=False) in finding.got


@pytest.mark.parametrize(
    ("field", "rule"),
    [("status", "runs.shape"), ("case_outcomes", "runs.shape"), ("environment", "runs.fields")],
)
def test_a_missing_field_has_the_verdict_of_its_basis(ledger: Ledger, tell: Teller, field: str, rule: str) -> None:
    """A documented field that is missing violates; one that was assumed only differs."""
    ConformanceCheck(ledger)(tell("/v1/runs/run_1", {name: value for name, value in RUN.items() if name != field}))
    assert rules(ledger) == [rule]


def test_camel_case_is_found(ledger: Ledger, tell: Teller) -> None:
    """A documented field under a camelCase name breaks the rule about names."""
    changed = {"createdAt" if name == "created_at" else name: value for name, value in RUN.items()}
    ConformanceCheck(ledger)(tell("/v1/runs/run_1", changed))
    assert "conventions.snake-case" in rules(ledger)


def test_a_result_is_judged(ledger: Ledger, tell: Teller) -> None:
    """Wrong documented content of a result violates, and a wrong assumed field differs."""
    ConformanceCheck(ledger)(tell("/v1/results/res_1", {**RESULT, "failure_summary": "none", "environment": None}))
    assert rules(ledger) == ["results.fields", "results.shape"]


def test_an_undocumented_status_differs(ledger: Ledger, tell: Teller) -> None:
    """A status that the operation does not document is a difference, not a violation."""
    ConformanceCheck(ledger)(tell("/v1/runs/run_1/cancel", {}, 202, method="POST"))
    assert one(ledger).verdict is Verdict.DIFFERS
    assert rules(ledger) == ["conventions.status"]


def test_html_is_not_json(ledger: Ledger, tell: Teller) -> None:
    """An error page of a proxy violates one rule."""
    page = (("content-type", "text/html"), *QUOTA)
    ConformanceCheck(ledger)(tell("/v1/runs/run_1", b"<html>", 404, headers=page))
    assert rules(ledger) == ["conventions.json"]


def test_the_envelope_is_documented_and_the_code_is_assumed(ledger: Ledger, tell: Teller) -> None:
    """An error without its envelope violates; another code than the assumed one differs."""
    check = ConformanceCheck(ledger)
    check(tell("/v1/runs/run_1", {"error": {"code": "gone", "message": "It is."}}, 404))
    assert (one(ledger).rule.name, one(ledger).verdict) == ("errors.not-found.code", Verdict.DIFFERS)
    check(tell("/v1/runs/run_1", {"detail": "gone"}, 404))
    assert rules(ledger) == ["errors.envelope", "errors.not-found.code"]


def test_a_401_needs_no_quota_headers(ledger: Ledger, tell: Teller) -> None:
    """A 401 carries no rate-limit headers, but a challenge."""
    error = {"error": {"code": "unauthorized", "message": "Who are you?"}}
    ConformanceCheck(ledger)(tell("/v1/runs", error, 401, headers=(("www-authenticate", "Bearer"),)))
    assert rules(ledger) == []
    ConformanceCheck(ledger)(tell("/v1/runs", error, 401, headers=()))
    assert rules(ledger) == ["errors.unauthorized.challenge"]


@pytest.mark.parametrize(
    ("status", "body", "rule"),
    [(200, RUN, "limits.headers"), (403, ERROR, "limits.headers.errors")],
)
def test_quota_headers_are_required(ledger: Ledger, tell: Teller, status: int, body: object, rule: str) -> None:
    """A success without the rate-limit headers violates, and an error without them differs."""
    ConformanceCheck(ledger)(tell("/v1/runs/run_1", body, status, without="x-ratelimit-reset"))
    assert rule in rules(ledger)


def test_a_404_needs_quota_headers_where_the_operation_exists(ledger: Ledger, tell: Teller) -> None:
    """A 404 without rate-limit headers differs once its operation has succeeded; an absent one has no limiter."""
    check = ConformanceCheck(ledger)
    check(tell("/v1/runs/run_1", ERROR, 404, without="x-ratelimit-reset"))
    assert rules(ledger) == []
    check(tell("/v1/runs/run_1", RUN))
    check(tell("/v1/runs/run_1", ERROR, 404, without="x-ratelimit-reset"))
    assert rules(ledger) == ["limits.headers.errors"]
    again = Ledger(ledger.target)
    fresh = ConformanceCheck(again)
    for exchange in one(ledger).trace:
        fresh(exchange)
    assert rules(again) == ["limits.headers.errors"]


@pytest.mark.parametrize("reset", ["60", "1767225660000", "soon"])
def test_reset_is_unix_seconds(ledger: Ledger, tell: Teller, reset: str) -> None:
    """Seconds from now, milliseconds and words are no Unix seconds."""
    ConformanceCheck(ledger)(tell("/v1/runs/run_1", RUN, headers=(*QUOTA[:2], ("x-ratelimit-reset", reset))))
    assert rules(ledger) == ["limits.headers.form"]


def test_a_request_id_is_required(ledger: Ledger, tell: Teller) -> None:
    """A usual answer without X-Request-Id violates, and that of an unknown path without it differs."""
    ConformanceCheck(ledger)(tell("/v1/runs/run_1", RUN, without="x-request-id"))
    assert rules(ledger) == ["conventions.request-id.present"]
    ConformanceCheck(ledger)(tell("/v1/nowhere", ERROR, 404, without="x-request-id"))
    assert rules(ledger) == ["conventions.request-id.everywhere", "conventions.request-id.present"]


@pytest.mark.parametrize("status", [500, 502, 503, 504])
def test_a_server_error_breaks_one_rule(ledger: Ledger, tell: Teller, status: int) -> None:
    """A 5xx without JSON breaks the rule about server errors alone, and the finding names a gateway."""
    ConformanceCheck(ledger)(tell("/v1/runs", b"<html>", status, headers=(), without="x-request-id"))
    assert rules(ledger) == ["conventions.no-server-error"]
    assert one(ledger).got == f"status {status} without JSON, as a gateway in front of the API answers"


def test_a_server_error_of_the_api_is_not_ascribed_to_a_gateway(ledger: Ledger, tell: Teller) -> None:
    """A 5xx with JSON breaks no other binding rule, and its assumed rules are still judged."""
    ConformanceCheck(ledger)(tell("/v1/runs", {"message": "no"}, 503, without="x-request-id"))
    assert rules(ledger) == ["conventions.no-server-error", "conventions.request-id.everywhere"]
    assert "gateway" not in next(iter(ledger.findings.values())).got


def test_a_throttled_request_of_a_gateway_breaks_nothing(ledger: Ledger, tell: Teller) -> None:
    """A 429 without JSON and without a quota is no finding; one that states the quota must be JSON."""
    ConformanceCheck(ledger)(tell("/v1/runs", b"<html>", 429, headers=(), without="x-request-id"))
    assert rules(ledger) == []
    ConformanceCheck(ledger)(tell("/v1/runs", b"<html>", 429))
    assert "conventions.json" in rules(ledger)


def test_paths_outside_the_api_are_not_judged(ledger: Ledger, tell: Teller) -> None:
    """The answer of a path outside the API is not judged."""
    ConformanceCheck(ledger)(tell("/runs/run_1", b"<html>", 500))
    assert rules(ledger) == []
    assert not ledger.evidence


def test_a_link_must_be_below_the_base_url(tell: Teller) -> None:
    """A link to another host differs, and violates nothing."""
    ledger = Ledger(Target(url="https://zof.test/v1"))
    ConformanceCheck(ledger)(tell("/v1/runs/run_1", RUN))
    assert rules(ledger) == ["conventions.links.absolute"]
    assert one(ledger).verdict is Verdict.DIFFERS


def test_findings_show_no_key(tell: Teller) -> None:
    """A key that a target echoes is removed from the finding."""
    ledger = Ledger(replace(Target(url="http://127.0.0.1:9630"), keys={"main": "zof_secret"}))
    error = {"error": {"code": "zof_secret", "message": "No."}}
    ConformanceCheck(ledger)(tell("/v1/runs/run_1", error, 404))
    assert "zof_secret" not in one(ledger).got
