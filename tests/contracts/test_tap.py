"""The tap: one answer against the document, and whose fault a difference is."""

from __future__ import annotations

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
def session() -> Ledger:
    """A verification of nothing yet."""
    return Ledger(Target())


@pytest.fixture
def tell() -> Teller:
    """Makes exchanges."""
    return Teller()


def test_a_right_answer_breaks_nothing(session: Ledger, tell: Teller) -> None:
    """An answer as documented is evidence for many rules and against none."""
    ConformanceCheck(session)(tell("/v1/runs/run_1", RUN))
    assert rules(session) == []
    assert {"runs.shape", "runs.fields", "conventions.timestamps", "limits.headers"} <= set(session.evidence)


def test_news_break_nothing(session: Ledger, tell: Teller) -> None:
    """New fields and new enum values are no finding unless strict mode asks for them."""
    ConformanceCheck(session)(tell("/v1/runs/run_1", {**RUN, "status": "paused", "colour": {"hue": 1}}))
    assert rules(session) == []


def test_strict_mode_names_news_as_differences(tell: Teller) -> None:
    """In strict mode new fields and values are differences, and no violations."""
    session = Ledger(Target(strict=True))
    ConformanceCheck(session)(tell("/v1/runs/run_1", {**RUN, "status": "paused", "colour": 1}))
    assert rules(session) == ["versioning.unknown-field", "versioning.unknown-value"]
    assert {finding.verdict for finding in session.findings.values()} == {Verdict.DIFFERS}


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
def test_a_wrong_value_is_of_one_rule(
    session: Ledger, tell: Teller, change: dict[str, Any], rule: str, verdict: Verdict
) -> None:
    """A wrong value is a finding of the rule that speaks of it, with the basis that this has."""
    ConformanceCheck(session)(tell("/v1/runs/run_1", {**RUN, **change}))
    finding = one(session)
    assert (finding.rule.name, finding.verdict) == (rule, verdict)
    assert "run_1" not in finding.got


@pytest.mark.parametrize(
    ("field", "rule"),
    [("status", "runs.shape"), ("case_outcomes", "runs.shape"), ("environment", "runs.fields")],
)
def test_a_missing_field_is_as_grave_as_its_basis(session: Ledger, tell: Teller, field: str, rule: str) -> None:
    """A documented field that is missing violates; one that was assumed only differs."""
    ConformanceCheck(session)(tell("/v1/runs/run_1", {name: value for name, value in RUN.items() if name != field}))
    assert rules(session) == [rule]


def test_camel_case_is_seen(session: Ledger, tell: Teller) -> None:
    """A documented field under a camelCase name is named as such."""
    changed = {"createdAt" if name == "created_at" else name: value for name, value in RUN.items()}
    ConformanceCheck(session)(tell("/v1/runs/run_1", changed))
    assert "conventions.snake-case" in rules(session)


def test_a_result_is_judged_too(session: Ledger, tell: Teller) -> None:
    """A result's documented content violates, its other fields differ."""
    ConformanceCheck(session)(tell("/v1/results/res_1", {**RESULT, "failure_summary": "none", "environment": None}))
    assert rules(session) == ["results.fields", "results.shape"]


def test_an_undocumented_status_differs(session: Ledger, tell: Teller) -> None:
    """A status that the operation does not document is a difference, and no violation."""
    ConformanceCheck(session)(tell("/v1/runs/run_1/cancel", {}, 202, method="POST"))
    assert one(session).verdict is Verdict.DIFFERS
    assert rules(session) == ["conventions.status"]


def test_html_is_no_answer(session: Ledger, tell: Teller) -> None:
    """An error page of a proxy is one violation."""
    page = (("content-type", "text/html"), *QUOTA)
    ConformanceCheck(session)(tell("/v1/runs/run_1", b"<html>", 404, headers=page))
    assert rules(session) == ["conventions.json"]


def test_the_envelope_is_documented_the_code_is_not(session: Ledger, tell: Teller) -> None:
    """An error without its envelope violates; another code than the assumed one differs."""
    tap = ConformanceCheck(session)
    tap(tell("/v1/runs/run_1", {"error": {"code": "gone", "message": "It is."}}, 404))
    assert (one(session).rule.name, one(session).verdict) == ("errors.not-found.code", Verdict.DIFFERS)
    tap(tell("/v1/runs/run_1", {"detail": "gone"}, 404))
    assert rules(session) == ["errors.envelope", "errors.not-found.code"]


def test_a_401_needs_no_quota(session: Ledger, tell: Teller) -> None:
    """A refused key is told nothing of a rate limit, but how to authenticate."""
    error = {"error": {"code": "unauthorized", "message": "Who are you?"}}
    ConformanceCheck(session)(tell("/v1/runs", error, 401, headers=(("www-authenticate", "Bearer"),)))
    assert rules(session) == []
    ConformanceCheck(session)(tell("/v1/runs", error, 401, headers=()))
    assert rules(session) == ["errors.unauthorized.challenge"]


@pytest.mark.parametrize(
    ("status", "body", "rule"),
    [(200, RUN, "limits.headers"), (404, ERROR, "limits.headers.errors")],
)
def test_the_quota_is_told(session: Ledger, tell: Teller, status: int, body: object, rule: str) -> None:
    """Without its headers a success violates, an error only differs."""
    ConformanceCheck(session)(tell("/v1/runs/run_1", body, status, without="x-ratelimit-reset"))
    assert rules(session) == [rule]


@pytest.mark.parametrize("reset", ["60", "1767225660000", "soon"])
def test_reset_is_unix_seconds(session: Ledger, tell: Teller, reset: str) -> None:
    """Seconds to go, milliseconds and words are no Unix seconds."""
    ConformanceCheck(session)(tell("/v1/runs/run_1", RUN, headers=(*QUOTA[:2], ("x-ratelimit-reset", reset))))
    assert rules(session) == ["limits.headers.form"]


def test_a_request_id_is_looked_for(session: Ledger, tell: Teller) -> None:
    """An everyday answer without X-Request-Id violates; an unknown path without it only differs."""
    ConformanceCheck(session)(tell("/v1/runs/run_1", RUN, without="x-request-id"))
    assert rules(session) == ["conventions.request-id.present"]
    ConformanceCheck(session)(tell("/v1/nowhere", ERROR, 404, without="x-request-id"))
    assert rules(session) == ["conventions.request-id.everywhere", "conventions.request-id.present"]


def test_other_places_are_not_judged(session: Ledger, tell: Teller) -> None:
    """A page outside of the API is nobody's business."""
    ConformanceCheck(session)(tell("/runs/run_1", b"<html>", 500))
    assert rules(session) == []
    assert not session.evidence


def test_a_link_belongs_to_the_target(tell: Teller) -> None:
    """A link elsewhere differs, and violates nothing."""
    session = Ledger(Target(url="https://zof.test/v1"))
    ConformanceCheck(session)(tell("/v1/runs/run_1", RUN))
    assert rules(session) == ["conventions.links.absolute"]
    assert one(session).verdict is Verdict.DIFFERS


def test_keys_never_show(tell: Teller) -> None:
    """What a target echoes of a key is taken out of the finding."""
    session = Ledger(replace(Target(), keys={"main": "zof_secret"}))
    error = {"error": {"code": "zof_secret", "message": "No."}}
    ConformanceCheck(session)(tell("/v1/runs/run_1", error, 404))
    assert "zof_secret" not in one(session).got
