"""The report value: plain JSON values, without any API key, from which every format but HAR is rendered.

`report.schema.json` in this folder describes it.
"""

from __future__ import annotations

import time
from importlib import metadata
from typing import TYPE_CHECKING, Any, Final

from zof_contracts.contract.rules import NEEDS
from zof_contracts.evidence.findings import Verdict
from zof_contracts.report.curl import write_script
from zof_contracts.report.doubts import describe_doubt
from zof_contracts.report.escape import escape_controls
from zof_contracts.target.redaction import MIN_KEY, Redactor

if TYPE_CHECKING:
    from collections.abc import Callable

    from zof_contracts.contract.rules import Rule
    from zof_contracts.evidence.exchange import Exchange
    from zof_contracts.evidence.findings import Finding, RuleResult
    from zof_contracts.evidence.verification import Verification

FORMAT: Final = 2
"""The version of the JSON report. It grows when a reader of the previous version would misread the report."""
DOCS: Final = "https://zof.ai"
"""The site of the pages that rules name by path."""
PAGES: Final = {"S0": "Runs API", "S1": "Start run", "S2": "Results API", "S3": "Retrieve result", "S4": "Errors"}
"""The titles of the pages that rules name by abbreviation."""
BASES: Final = {"D": "documented", "I": "inferred", "A": "assumed"}
_ABOUT_REQUESTS: Final = frozenset({"conventions.answered", "conventions.no-server-error"})
"""Rules whose places are kinds of requests: each kind may have a cause of its own."""

Report = dict[str, Any]


def read_version() -> str:
    """Return the version of the installed distribution; `unknown` where it is not installed."""
    try:
        return metadata.version("zof-emulator")
    except metadata.PackageNotFoundError:
        return "unknown"


def build_report(verification: Verification) -> Report:
    """Build the report of a verification, without secrets, and with control characters escaped."""
    redactor = make_redactor(verification)
    report: Report = redact_value(_build_values(verification), lambda text: escape_controls(redactor.text(text)))
    return report


def make_redactor(verification: Verification) -> Redactor:
    """Make the redactor for the API keys of a verification, and for the webhook secrets that answers showed."""
    secrets = dict.fromkeys(
        secret
        for exchange in verification.journal
        if exchange.operation == "createWebhook" and isinstance(secret := exchange.response.fields.get("secret"), str)
    )
    named = {f"webhook {number}": secret for number, secret in enumerate(secrets, 1) if len(secret) >= MIN_KEY}
    return Redactor({**verification.target.keys, **named})


def redact_value(node: Any, redact: Callable[[str], str]) -> Any:  # noqa: ANN401  a JSON value
    """Return a JSON value with every string in it, names too, redacted."""
    if isinstance(node, str):
        return redact(node)
    if isinstance(node, dict):
        return {redact(name): redact_value(value, redact) for name, value in node.items()}
    if isinstance(node, list):
        return [redact_value(value, redact) for value in node]
    return node


def describe_rule(rule: Rule) -> Report:
    """Describe a rule: its promise, its basis and how it is checked."""
    return {
        "name": rule.name,
        "section": rule.section,
        "sentence": rule.sentence,
        "basis": BASES[rule.basis.tag],
        "sources": [describe_source(source) for source in rule.basis.sources],
        "at": rule.at,
        "needs": [NEEDS[need] for need in sorted(rule.needs)],
        "least": rule.least,
        "how": rule.how,
        "mend": rule.mend,
    }


def describe_source(source: str) -> Report:
    """Describe a source page: its name, and its URL if it is known."""
    if source.startswith("/"):
        return {"name": source, "url": DOCS + source}
    return {"name": PAGES.get(source, source)}


def _build_values(verification: Verification) -> Report:
    defects = _group_defects(verification)
    return {
        "format": FORMAT,
        "tool": {"name": "zof-contracts", "version": read_version()},
        "target": _describe_target(verification),
        "summary": _summarize(verification),
        "sections": [_describe_section(verification, number, title) for number, title in verification.sections.items()],
        "rules": [
            _describe_rule_result(each, [one[0].key for one in defects if one[0].rule == each.rule])
            for each in verification.results
        ],
        "findings": [_describe_finding(verification, *defect) for defect in defects],
        "receipt": [{"run": one.run, "key": one.key, "state": one.state} for one in verification.receipt],
    }


def _group_defects(verification: Verification) -> list[list[Finding]]:
    """Group the findings that are one defect; the one with the shortest trace comes first.

    A rule that is broken at one place of several operations is one defect. So is a rule that is broken in the same way
    at several places, such as errors without `param` for each of the fields.
    """
    groups: dict[tuple[object, ...], list[Finding]] = {}
    for one in verification.findings:
        deviation = ("place", one.place) if one.rule.name in _ABOUT_REQUESTS or not one.place else ("got", one.got)
        state = (one.flaky, one.key in verification.known)
        groups.setdefault((one.rule.name, *deviation, *state), []).append(one)
    return [sorted(group, key=lambda one: len(one.trace)) for group in groups.values()]


def _describe_target(verification: Verification) -> Report:
    target = verification.target
    return {
        "url": target.base,
        "in_process": target.is_in_process,
        "profile": target.profile,
        "strict": target.is_strict,
        "keys": sorted(target.keys),
        "project": target.project,
        "environment": target.environment,
        "cases": list(target.cases),
    }


def _summarize(verification: Verification) -> Report:
    requests, seconds = verification.request_count, max(verification.seconds, 1e-9)
    return {
        "outcome": _choose_outcome(verification),
        "began": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(verification.began)),
        "seconds": round(verification.seconds, 3),
        "seed": verification.seed,
        "exit_status": verification.exit_code(strict=verification.target.is_strict),
        "exit_reason": _explain_exit(verification),
        "notes": list(verification.notes),
        "fail_under": verification.fail_under,
        "baseline": verification.has_baseline,
        "rules": len(verification.results),
        "exercised": verification.exercised_count,
        **_count_verdicts(verification.results),
        "flaky": sum(one.flaky for one in verification.findings),
        "known": sum(one.key in verification.known for one in verification.findings),
        "requests": requests,
        "requests_per_second": round(requests / seconds, 1),
        "examples": verification.examples,
        "examples_per_second": round(verification.examples / seconds, 1),
        "throttled": verification.throttled,
        "interrupted": verification.interrupted,
        "stopped": verification.stopped,
        "error": verification.error,
    }


def _explain_exit(verification: Verification) -> str:
    """Return the reason for the exit status, in the order in which `Verification.exit_code` decides."""
    if verification.interrupted:
        return "the verification was interrupted"
    if verification.error or verification.unwritten:
        is_finished = not verification.error
        return (
            verification.unwritten if is_finished else f"the verification could not be finished: {verification.error}"
        )
    if not verification.has_evidence:
        return "no rule was exercised"
    if failing := verification.list_failing(strict=verification.target.is_strict):
        count = len({one.rule.name for one in failing})
        return f"{count} rule{' is' if count == 1 else 's are'} broken"
    if verification.is_thin:
        percent = 100 * verification.exercised_count / len(verification.results)
        return f"{percent:.1f}% of the rules were exercised, and --fail-under demands {verification.fail_under:g}%"
    return "no violation was found"


def _choose_outcome(verification: Verification) -> str:
    if not verification.has_evidence:
        return "nothing was tested"
    verdicts = {one.verdict for one in verification.new_findings}
    if Verdict.VIOLATED in verdicts:
        return "violations"
    return "differences" if verdicts else "nothing found"


def _count_verdicts(settled: tuple[RuleResult, ...]) -> dict[str, int]:
    return {name_field(verdict): sum(each.verdict is verdict for each in settled) for verdict in Verdict}


def name_field(verdict: Verdict) -> str:
    """Return the field name of a verdict: `not_exercised` for `not exercised`."""
    return verdict.value.replace(" ", "_")


def _describe_section(verification: Verification, number: int, title: str) -> Report:
    mine = tuple(each for each in verification.results if each.rule.section == number)
    return {"number": number, "title": title, "rules": len(mine), **_count_verdicts(mine)}


def _describe_rule_result(each: RuleResult, findings: list[str]) -> Report:
    return {
        **describe_rule(each.rule),
        "verdict": each.verdict.value,
        "evidence": each.evidence,
        "reason": each.reason,
        "findings": findings,
    }


def _describe_finding(verification: Verification, finding: Finding, *others: Finding) -> Report:
    return {
        "key": finding.key,
        "rule": finding.rule.name,
        "verdict": finding.verdict.value,
        "operation": finding.operation,
        "place": finding.place,
        "expected": finding.expected,
        "got": finding.got,
        "unless": describe_doubt(finding),
        "times": finding.times,
        "flaky": finding.flaky,
        "known": finding.key in verification.known,
        "seed": verification.seed if finding.seed is None else finding.seed,
        "request_id": finding.request_id,
        "recordings": list(finding.recordings),
        "steps": [_describe_step(exchange) for exchange in finding.trace],
        "also": [_describe_other_operation(verification, other) for other in others],
        "script": _write_script(verification, finding),
    }


def _write_script(verification: Verification, finding: Finding) -> str:
    target = verification.target
    return write_script(
        finding.trace,
        base=target.base,
        keys=target.keys,
        can_move_clock=target.can_move_clock,
        is_recorded=verification.recorded > 0,
    )


def _describe_other_operation(verification: Verification, other: Finding) -> Report:
    return {
        "key": other.key,
        "operation": other.operation,
        "place": other.place,
        "got": other.got,
        "times": other.times,
        "request_id": other.request_id,
        "recordings": list(other.recordings),
        "script": _write_script(verification, other),
    }


def _describe_step(exchange: Exchange) -> Report:
    return {
        "number": exchange.number,
        "method": exchange.request.method,
        "target": exchange.request.target,
        "key": exchange.request.key,
        "status": exchange.response.status,
        "request_id": exchange.response.header("x-request-id"),
        "took_ms": round(exchange.took * 1000, 1),
    }
