"""What deployments that share no code with the emulator showed: findings are told apart, and nothing ends too soon."""

from __future__ import annotations

from zof_contracts.evidence.findings import Verdict
from zof_contracts.report.document import build_report
from zof_contracts.verification.run import run

from tests.mutants.catalogue import MUTANTS, target


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
