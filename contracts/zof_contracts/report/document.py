"""The JSON report, of which every other report but HAR is a rendering: plain values, and no key among them.

`report.schema.json` beside this file says what is in it.
"""

from __future__ import annotations

import time
from importlib import metadata
from typing import TYPE_CHECKING, Any, Final

from zof_contracts.contract.rules import NEEDS, SECTIONS
from zof_contracts.evidence.findings import Verdict
from zof_contracts.report.curl import script
from zof_contracts.target.redaction import Redactor

if TYPE_CHECKING:
    from zof_contracts.contract.rules import Rule
    from zof_contracts.evidence.exchange import Exchange
    from zof_contracts.evidence.findings import Finding, RuleResult
    from zof_contracts.evidence.verification import Verification

FORMAT: Final = 1
"""Grows when a reader of an earlier report would be led astray."""
DOCS: Final = "https://zof.ai"
"""Where the pages are that a rule names by their path."""
PAGES: Final = {"S0": "Runs API", "S1": "Start run", "S2": "Results API", "S3": "Retrieve result", "S4": "Errors"}
"""The pages that a rule names in short."""
BASES: Final = {"D": "documented", "I": "inferred", "A": "assumed"}

Document = dict[str, Any]


def version() -> str:
    """The installed version; `0` in a checkout."""
    try:
        return metadata.version("zof-emulator")
    except metadata.PackageNotFoundError:
        return "0"


def document(facts: Verification) -> Document:
    """Everything that a report says."""
    made: Document = redacted(_document(facts), Redactor(facts.target.keys))
    return made


def redacted(node: Any, redactor: Redactor) -> Any:  # noqa: ANN401  a JSON value
    """The value with every text in it free of keys."""
    if isinstance(node, str):
        return redactor.text(node)
    if isinstance(node, dict):
        return {name: redacted(value, redactor) for name, value in node.items()}
    if isinstance(node, list):
        return [redacted(value, redactor) for value in node]
    return node


def rule_of(rule: Rule) -> Document:
    """What a rule promises and rests on."""
    return {
        "name": rule.name,
        "section": rule.section,
        "sentence": rule.sentence,
        "basis": BASES[rule.basis.tag],
        "sources": [source_of(source) for source in rule.basis.sources],
        "at": rule.at,
        "needs": [NEEDS[need] for need in sorted(rule.needs)],
        "least": rule.least,
        "how": rule.how,
        "mend": rule.mend,
    }


def source_of(source: str) -> Document:
    """A page: what it is called, and where it is if that is known."""
    if source.startswith("/"):
        return {"name": source, "url": DOCS + source}
    return {"name": PAGES.get(source, source)}


def _document(facts: Verification) -> Document:
    defects = _defects(facts)
    return {
        "format": FORMAT,
        "tool": {"name": "zof-contracts", "version": version()},
        "target": _target(facts),
        "summary": _summary(facts),
        "sections": [_section(facts, number, title) for number, title in SECTIONS.items()],
        "rules": [_rule(each, [one[0].key for one in defects if one[0].rule == each.rule]) for each in facts.settled],
        "findings": [_finding(facts, *defect) for defect in defects],
        "receipt": [{"run": one.run, "key": one.key, "state": one.state} for one in facts.receipt],
    }


def _defects(facts: Verification) -> list[list[Finding]]:
    """The findings in groups that are one defect, met in several operations; the one that is shortest to show first."""
    groups: dict[tuple[object, ...], list[Finding]] = {}
    for one in facts.findings:
        groups.setdefault((one.rule.name, one.place, one.flaky, one.key in facts.known), []).append(one)
    return [sorted(group, key=lambda one: len(one.trace)) for group in groups.values()]


def _target(facts: Verification) -> Document:
    target = facts.target
    return {
        "url": target.base,
        "in_process": target.in_process,
        "profile": target.profile,
        "strict": target.strict,
        "keys": sorted(target.keys),
        "project": target.project,
        "environment": target.environment,
        "cases": list(target.cases),
    }


def _summary(facts: Verification) -> Document:
    requests, seconds = len(facts.journal), max(facts.seconds, 1e-9)
    return {
        "outcome": _outcome(facts),
        "began": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(facts.began)),
        "seconds": round(facts.seconds, 3),
        "seed": facts.seed,
        "rules": len(facts.settled),
        **_counts(facts.settled),
        "flaky": sum(one.flaky for one in facts.findings),
        "known": sum(one.key in facts.known for one in facts.findings),
        "requests": requests,
        "requests_per_second": round(requests / seconds, 1),
        "examples": facts.examples,
        "examples_per_second": round(facts.examples / seconds, 1),
        "throttled": facts.throttled,
        "interrupted": facts.interrupted,
        "stopped": facts.stopped,
    }


def _outcome(facts: Verification) -> str:
    if not facts.tested:
        return "nothing was tested"
    verdicts = {one.verdict for one in facts.fresh}
    if Verdict.VIOLATED in verdicts:
        return "violations"
    return "differences" if verdicts else "nothing found"


def _counts(settled: tuple[RuleResult, ...]) -> dict[str, int]:
    return {name_of(verdict): sum(each.verdict is verdict for each in settled) for verdict in Verdict}


def name_of(verdict: Verdict) -> str:
    """A verdict as a field is called."""
    return verdict.value.replace(" ", "_")


def _section(facts: Verification, number: int, title: str) -> Document:
    mine = tuple(each for each in facts.settled if each.rule.section == number)
    return {"number": number, "title": title, "rules": len(mine), **_counts(mine)}


def _rule(each: RuleResult, findings: list[str]) -> Document:
    return {
        **rule_of(each.rule),
        "verdict": each.verdict.value,
        "evidence": each.evidence,
        "reason": each.reason,
        "findings": findings,
    }


def _finding(facts: Verification, finding: Finding, *others: Finding) -> Document:
    return {
        "key": finding.key,
        "rule": finding.rule.name,
        "verdict": finding.verdict.value,
        "operation": finding.operation,
        "expected": finding.expected,
        "got": finding.got,
        "times": finding.times,
        "flaky": finding.flaky,
        "known": finding.key in facts.known,
        "seed": facts.seed if finding.seed is None else finding.seed,
        "request_id": finding.request_id,
        "steps": [_step(exchange) for exchange in finding.trace],
        "also": [_elsewhere(other) for other in others],
        "script": script(finding.trace, base=facts.target.base, keys=facts.target.keys),
    }


def _elsewhere(other: Finding) -> Document:
    return {
        "key": other.key,
        "operation": other.operation,
        "got": other.got,
        "times": other.times,
        "request_id": other.request_id,
    }


def _step(exchange: Exchange) -> Document:
    return {
        "number": exchange.number,
        "method": exchange.request.method,
        "target": exchange.request.target,
        "key": exchange.request.key,
        "status": exchange.response.status,
        "request_id": exchange.response.header("x-request-id"),
        "took_ms": round(exchange.took * 1000, 1),
    }
