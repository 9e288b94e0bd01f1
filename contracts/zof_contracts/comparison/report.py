"""The report of a comparison: JSON, which `differences.schema.json` in this folder describes, and text."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

from zof_contracts.comparison.compare import Party
from zof_contracts.report.curl import write_script
from zof_contracts.report.document import BASES, make_redactor, read_version, redact_value
from zof_contracts.report.escape import escape_controls

if TYPE_CHECKING:
    from collections.abc import Iterator

    from zof_contracts.comparison.compare import AnswerDifference, Comparison, RuleDifference
    from zof_contracts.contract.rules import Rule
    from zof_contracts.evidence.findings import Finding
    from zof_contracts.target.target import Target

FORMAT: Final = 1
"""The version of the JSON report. It grows when a reader of the previous version would misread the report."""

_PLURALS: Final = {"rule": "rules", "story": "stories", "request": "requests"}

Report = dict[str, Any]


def build_differences(comparison: Comparison) -> Report:
    """Build the report of a comparison, without secrets, and with control characters escaped."""
    redactors = [make_redactor(each) for each in comparison.verifications]

    def redact(text: str) -> str:
        for redactor in redactors:
            text = redactor.text(text)
        return escape_controls(text)

    report: Report = redact_value(_build(comparison), redact)
    return report


def render_json(report: Report) -> str:
    """Render the report as JSON."""
    return json.dumps(report, indent=2, ensure_ascii=False) + "\n"


def render_text(report: Report) -> str:
    """Render the report for a terminal, as UTF-8 or what a terminal makes of it."""
    return "\n".join(_list_lines(report)) + "\n"


def _build(comparison: Comparison) -> Report:
    target = comparison.url
    return {
        "format": FORMAT,
        "tool": {"name": "zof-contracts", "version": read_version()},
        "url": target.base,
        "against": comparison.against.base,
        "seed": comparison.seed,
        "compared_rules": comparison.compared_rule_count,
        "stories": comparison.stories,
        "drawn_stories": comparison.drawn_story_count,
        "requests": comparison.requests,
        "references": {
            "project": target.project,
            "environment": target.environment,
            "cases": list(target.cases),
            "suite": target.suite,
            "failing_case": target.failing_case,
            "error_case": target.error_case,
        },
        "rules": [_describe_rule_difference(each, comparison) for each in comparison.rules],
        "answers": [_describe_answer_difference(each, comparison) for each in comparison.answers],
        "errors": list(comparison.errors),
        "interrupted": comparison.is_interrupted,
        "notes": list(comparison.notes),
    }


def _describe_rule(rule: Rule, party: Party) -> Report:
    return {
        "rule": rule.name,
        "sentence": rule.sentence,
        "basis": BASES[rule.basis.tag],
        "at": rule.at,
        "broken_by": party.value,
    }


def _describe_rule_difference(each: RuleDifference, comparison: Comparison) -> Report:
    target = comparison.url if each.party is Party.URL else comparison.against
    return {
        **_describe_rule(each.rule, each.party),
        "kind": each.kind.value,
        "other_verdict": each.other.value,
        "findings": [_describe_finding(finding, target) for finding in each.findings],
    }


def _describe_finding(finding: Finding, target: Target) -> Report:
    return {
        "operation": finding.operation,
        "place": finding.place,
        "expected": finding.expected,
        "got": finding.got,
        "script": write_script(finding.trace, base=target.base, keys=target.keys),
    }


def _describe_answer_difference(each: AnswerDifference, comparison: Comparison) -> Report:
    divergence, target = each.divergence, comparison.url
    return {
        "kind": each.kind.value,
        "operation": divergence.operation,
        "place": divergence.difference.place,
        "url": divergence.difference.url,
        "against": divergence.difference.against,
        "rules": [_describe_rule(rule, party) for rule, party in each.rules],
        "script": write_script(divergence.url_trace, base=target.base, keys=target.keys),
    }


def _list_lines(report: Report) -> Iterator[str]:
    yield f"{report['url']} (--url) beside {report['against']} (--against)"
    if rules := report["rules"]:
        yield from ("", "Rules that one of them breaks, and the other does not:")
    for number, each in enumerate(rules, 1):
        yield from ("", f"{number}. {each['kind'].upper()} {each['rule']} ({each['basis']}), by --{each['broken_by']}")
        yield f"   {each['sentence']}"
        for finding in each["findings"][:1]:
            yield f"   {finding['operation'] or 'a request'}: expected {finding['expected']}; got {finding['got']}"
    if answers := report["answers"]:
        yield from ("", "Answers to the same request that differ:")
    for number, each in enumerate(answers, 1):
        yield from ("", f"{number}. {each['kind'].upper()} {each['operation'] or 'a request'}, {each['place']}")
        yield f"   --url: {each['url']}"
        yield f"   --against: {each['against']}"
        for rule in each["rules"]:
            yield f"   {rule['rule']} ({rule['basis']}) is broken by --{rule['broken_by']}"
        yield from (f"   | {line}".rstrip() for line in each["script"].splitlines())
    yield ""
    yield from (f"note: {note}" for note in report["notes"])
    yield from (f"error: {error}" for error in report["errors"])
    if report["interrupted"]:
        yield "interrupted: the differences are those found until then"
    count = len(rules) + len(answers)
    found = "no difference" if not count else f"{count} difference{'' if count == 1 else 's'}"
    compared = _format_count(report["compared_rules"], "rule")
    if report["stories"]:
        fixed = report["stories"] - report["drawn_stories"]
        compared += f", and in {_format_count(report['drawn_stories'], 'story')} and {fixed} that each comparison has"
        compared += f", with {_format_count(report['requests'], 'request')} and the seed {report['seed']}"
    yield f"{found} in {compared}"


def _format_count(count: int, noun: str) -> str:
    return f"{count} {noun if count == 1 else _PLURALS[noun]}"
