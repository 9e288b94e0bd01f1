"""Deployments that share no code with the emulator: findings are distinguished, and nothing ends too soon."""

from __future__ import annotations

import itertools
import json
from typing import TYPE_CHECKING, Any

import pytest
from zof_contracts.contract.rules import RULES
from zof_contracts.evidence.exchange import Response
from zof_contracts.evidence.findings import Verdict
from zof_contracts.report import render
from zof_contracts.report.document import build_report
from zof_contracts.verification.run import run

from tests.mutants.catalogue import MUTANTS, target
from tests.mutants.layer import Ask, Mutant, always, content

if TYPE_CHECKING:
    from tests.mutants.layer import Inner


def test_crashes_of_different_requests_are_different_findings() -> None:
    """Each kind of request that is answered with a 5xx is a finding of its own, whose script shows that request."""
    report = build_report(run(target(MUTANTS["two-crashes"]), max_examples=0))
    scripts = [each["script"] for each in report["findings"] if each["rule"] == "conventions.no-server-error"]
    assert len(scripts) == 2
    assert sum("status=" in script for script in scripts) == 1
    assert sum("project_id=" in script for script in scripts) == 1


def test_json_that_is_declared_as_html_is_a_finding() -> None:
    """A deployment whose JSON is declared as text/html is verified: the media type is a finding, and rules are kept."""
    verification = run(target(MUTANTS["json-as-html"]), max_examples=0)
    verdicts = {each.rule.name: each.verdict for each in verification.results}
    assert verdicts["conventions.json"] is Verdict.VIOLATED
    assert verdicts["runs.cancel.terminal-conflict"] is Verdict.KEPT
    assert verification.stopped == ""


def test_nothing_is_concluded_from_an_answer_that_is_not_json() -> None:
    """An answer with Infinity in it breaks the rule about JSON, and no rule about what its fields seem to be."""
    verification = run(target(MUTANTS["infinite-score"]), max_examples=0)
    assert {each.rule.name for each in verification.findings} == {"conventions.json"}


def test_a_finding_keeps_its_script_for_each_operation() -> None:
    """A rule that is broken in several operations has a script for each of them."""
    report = build_report(run(target(MUTANTS["request-id-not-on-401"]), max_examples=0))
    for finding in report["findings"]:
        assert all(other["script"] != finding["script"] for other in finding["also"])
    assert any(finding["also"] for finding in report["findings"])


PROBLEM = json.dumps({"type": "about:blank", "title": "Error", "status": 400}).encode()


@pytest.mark.parametrize(
    ("kind", "body", "rules"),
    [
        ("text/html", b"<html><h1>Error</h1></html>", {"conventions.json"}),
        ("application/problem+json", PROBLEM, {"conventions.content-type", "errors.envelope"}),
    ],
)
def test_a_gateway_that_replaces_error_bodies_breaks_one_rule(kind: str, body: bytes, rules: set[str]) -> None:
    """Where every error body is replaced, the rules about that are broken, and no rule about what the bodies lack."""

    def replace_error(ask: Ask, inner: Inner) -> Response:
        answer = inner(ask)
        return content(answer, body, kind) if answer.status >= 400 else answer

    report = build_report(run(deploy(replace_error), max_examples=0))
    assert {each["rule"] for each in report["findings"]} == rules
    assert len(report["findings"]) == len(rules)
    assert all(one["script"] for each in report["findings"] for one in (each, *each["also"]))


PAGE = b"<html><h1>Error</h1></html>"


@pytest.mark.parametrize(("status", "rules"), [(502, {"conventions.no-server-error"}), (429, set())])
@pytest.mark.parametrize("period", [7, 23])
def test_an_error_of_a_gateway_now_and_then_breaks_no_rule_about_the_api(
    status: int, rules: set[str], period: int
) -> None:
    """Where a gateway answers some requests itself, a 5xx breaks the rule about server errors, and a 429 none."""
    count = itertools.count(1)

    def interfere(ask: Ask, inner: Inner) -> Response:
        if next(count) % period:
            return inner(ask)
        headers = (("content-type", "text/html"), *((("retry-after", "1"),) if status == 429 else ()))
        return Response(status, headers, PAGE)

    verification = run(deploy(interfere), max_examples=2)
    assert not verification.error
    assert {each.rule.name for each in verification.findings} == rules


def test_errors_that_never_name_the_field_are_one_finding() -> None:
    """Where no error has a `param`, the rule about it is one finding with all its places and their scripts."""

    def drop_param(ask: Ask, inner: Inner) -> Response:
        answer = inner(ask)
        if not answer.error:
            return answer
        error = {name: value for name, value in answer.error.items() if name != "param"}
        return content(answer, json.dumps({"error": error}).encode(), "application/json")

    verification = run(deploy(drop_param), max_examples=0)
    report = build_report(verification)
    found = [each for each in report["findings"] if each["rule"] == "errors.param.field" and "400" in each["got"]]
    assert len(found) == 1
    kept = [found[0], *found[0]["also"]]
    assert {("startRun", "environment"), ("listRuns", "limit")} <= {(one["operation"], one["place"]) for one in kept}
    assert len({one["script"] for one in kept}) == len(kept)
    text = " ".join(render(verification, "text").split())
    assert "startRun (project_id, environment, test_case_ids" in text
    assert all(f"In {one['operation']} ({one['place']}):" in render(verification, "html") for one in kept[1:])


def deploy(change: Any) -> Any:  # noqa: ANN401  a target
    """A deployment whose answers are changed."""
    return target(Mutant(name="gateway", rule="", make=always(change)))


def test_a_run_that_changed_between_two_reads_shows_nothing_about_keys() -> None:
    """A run that changes for the first key too is not blamed on the second key."""
    count = itertools.count()

    def change_run(ask: Ask, inner: Inner) -> Response:
        answer = inner(ask)
        if ask.operation != "getRun" or not answer.ok or answer.fields["duration_ms"] is None:
            return answer
        return content(answer, json.dumps({**answer.fields, "duration_ms": next(count)}).encode())

    assert "auth.several-keys" not in {each.rule.name for each in run(deploy(change_run), max_examples=0).findings}


def test_a_finding_about_keys_says_what_differs() -> None:
    """Where another key reads another value, the finding names the field and both values."""

    def change_run(ask: Ask, inner: Inner) -> Response:
        answer = inner(ask)
        if ask.operation != "getRun" or not answer.ok or "viewer" not in ask.key:
            return answer
        return content(answer, json.dumps({**answer.fields, "environment": "unknown"}).encode())

    verification = run(deploy(change_run), rules=[RULES["auth.several-keys"]], max_examples=0)
    assert [each.got for each in verification.findings] == ['200 with environment "unknown" instead of "staging"']


def test_a_case_that_started_before_the_cancel_is_not_blamed_for_it() -> None:
    """A case that starts between the last look at a run and its cancel may have a start in its result."""

    def let_time_pass(ask: Ask, inner: Inner) -> Response:
        if ask.operation == "cancelRun":
            moved = inner(Ask("POST", "/_emulator/clock/advance", "", (), b"").saying({"by_ms": 800}))
            assert moved.status == 200
        return inner(ask)

    verification = run(deploy(let_time_pass), rules=[RULES["results.canceled-unstarted"]], max_examples=0)
    assert verification.findings == ()
