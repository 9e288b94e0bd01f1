"""JUnit XML: one test case per rule. A rule that was not exercised is a skipped test case, with the reason."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final
from xml.etree.ElementTree import Element, SubElement, indent, tostring

from zof_contracts.report.text import describe_occurrences, name_place

if TYPE_CHECKING:
    from zof_contracts.report.document import Report

_FORBIDDEN: Final = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def render(report: Report) -> str:
    """Render the report as XML. A difference from an assumption fails its test case in strict mode only."""
    summary = report["summary"]
    root = Element("testsuites", name="zof-contracts", time=f"{summary['seconds']:.3f}")
    findings = {finding["key"]: finding for finding in report["findings"]}
    strict = report["target"]["strict"]
    for section in report["sections"]:
        rules = [
            (rule, [findings[key] for key in rule["findings"]])
            for rule in report["rules"]
            if rule["section"] == section["number"]
        ]
        if rules:
            _add_suite(root, section, rules, strict=strict)
    for name in ("tests", "failures", "errors"):
        root.set(name, str(sum(int(suite.get(name, "0")) for suite in root)))
    indent(root)
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + tostring(root, encoding="unicode") + "\n"


def _add_suite(root: Element, section: dict[str, Any], rules: list[Any], *, strict: bool) -> None:
    suite = SubElement(root, "testsuite", name=f"{section['number']} {section['title']}", errors="0", time="0")
    for rule, findings in rules:
        _add_case(suite, rule, findings, strict=strict)
    suite.set("tests", str(len(rules)))
    suite.set("failures", str(len(suite.findall("testcase/failure"))))
    suite.set("skipped", str(len(suite.findall("testcase/skipped"))))


def _add_case(suite: Element, rule: dict[str, Any], findings: list[dict[str, Any]], *, strict: bool) -> None:
    case = SubElement(suite, "testcase", name=rule["name"], classname=f"contract.{rule['section']}", time="0")
    counted = [one for one in findings if is_failing(one, strict=strict)]
    if counted:
        first = counted[0]
        failure = SubElement(case, "failure", type=rule["verdict"])
        failure.set(
            "message", _replace_forbidden(f"{rule['sentence']} Expected {first['expected']}; got {first['got']}")
        )
        failure.text = _replace_forbidden("\n\n".join(explain_finding(rule, one) for one in counted))
    elif rule["verdict"] == "not exercised":
        SubElement(case, "skipped", message=_replace_forbidden(rule["reason"]))
    elif findings:
        SubElement(case, "system-out").text = _replace_forbidden(
            "\n\n".join(explain_finding(rule, one) for one in findings)
        )


def is_failing(finding: dict[str, Any], *, strict: bool) -> bool:
    """Whether a finding fails a pipeline."""
    return not finding["flaky"] and not finding["known"] and (strict or finding["verdict"] == "violated")


def explain_finding(rule: dict[str, Any], finding: dict[str, Any]) -> str:
    """Describe a finding with everything that is needed to repeat it."""
    return "\n".join(
        (
            f"{finding['rule']} ({finding['verdict']}): {rule['sentence']}",
            f"expected: {finding['expected']}",
            f"got: {finding['got']}",
            *([f"unless: {finding['unless']}"] if finding["unless"] else []),
            f"rests on: {rule['basis']} {', '.join(source['name'] for source in rule['sources'])}".rstrip(),
            f"request: {finding['request_id']}; seed: {finding['seed']}; seen {describe_occurrences(finding)}",
            finding["script"],
            *(f"in {name_place(one)}:\n{one['script']}" for one in finding["also"]),
        )
    )


def _replace_forbidden(text: str) -> str:
    """Replace the characters that XML does not permit."""
    return _FORBIDDEN.sub("\ufffd", text)
