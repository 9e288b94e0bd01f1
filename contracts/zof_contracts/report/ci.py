"""Reports for pipelines: GitHub annotations and step summary, and GitLab's code-quality report."""

from __future__ import annotations

import html
import re
from typing import TYPE_CHECKING, Any, Final

from zof_contracts.contract.document import load_contract
from zof_contracts.contract.lines import find_line
from zof_contracts.report.escape import dump_json
from zof_contracts.report.junit import is_failing
from zof_contracts.report.text import format_verdict_line

if TYPE_CHECKING:
    from zof_contracts.report.document import Report

DOCUMENT: Final = "openapi.yaml"
_SEVERITIES: Final = {"violated": "major", "differs": "info"}


def render_annotations(report: Report) -> str:
    """Render the findings that fail as GitHub workflow commands, each at its line of `openapi.yaml`."""
    strict = report["target"]["strict"]
    return "".join(
        f"::error file={DOCUMENT},line={_find_line(report, finding)},title={_escape_property(finding['rule'])}::"
        f"{_escape_data(_describe(finding))}\n"
        for finding in report["findings"]
        if is_failing(finding, strict=strict)
    )


def guard_commands(text: str, token: str) -> str:
    """Wrap a text for a GitHub log, so that no line of it is taken for a workflow command."""
    return f"::stop-commands::{token}\n{text}::{token}::\n"


def render_summary(report: Report) -> str:
    """Render the outcome and the findings as Markdown for GitHub's step summary."""
    summary = report["summary"]
    counts = f"{summary['kept']} rules kept, {summary['exercised']} exercised, {summary['rules']} asked for."
    lines = [
        "## Contract of the Zof API",
        "",
        _escape_markdown(format_verdict_line(report)),
        "",
        f"{counts} Exit status {summary['exit_status']}: {_escape_markdown(summary['exit_reason'])}.",
        "",
    ]
    if report["findings"]:
        lines += ["| verdict | rule | operation | expected | got |", "| --- | --- | --- | --- | --- |"]
    for finding in report["findings"]:
        verdict = (
            "flaky" if finding["flaky"] else finding["verdict"] + (" (in the baseline)" if finding["known"] else "")
        )
        cells = (verdict, finding["rule"], finding["operation"], finding["expected"], finding["got"])
        lines.append("| " + " | ".join(_escape_markdown(cell) for cell in cells) + " |")
    return "\n".join(lines) + "\n"


def render_code_quality(report: Report) -> str:
    """Render the findings as GitLab's code-quality report; flaky findings and those of the baseline are left out."""
    return dump_json(
        [
            {
                "description": f"{finding['rule']}: {_describe(finding)}",
                "check_name": finding["rule"],
                "fingerprint": finding["key"],
                "severity": _SEVERITIES[finding["verdict"]],
                "location": {"path": DOCUMENT, "lines": {"begin": _find_line(report, finding)}},
            }
            for finding in report["findings"]
            if is_failing(finding, strict=True)
        ]
    )


def _describe(finding: dict[str, Any]) -> str:
    operation = f"{finding['operation']}: " if finding["operation"] else ""
    unless = f"; unless {finding['unless']}" if finding["unless"] else ""
    return f"{operation}expected {finding['expected']}; got {finding['got']}{unless}"


def _find_line(report: Report, finding: dict[str, Any]) -> int:
    at = next(rule["at"] for rule in report["rules"] if rule["name"] == finding["rule"])
    return find_line(load_contract().pointer(at))


def _escape_data(text: str) -> str:
    """Escape the message of a workflow command as GitHub's toolkit does."""
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _escape_property(text: str) -> str:
    return _escape_data(text).replace(":", "%3A").replace(",", "%2C")


def _escape_markdown(text: str) -> str:
    """Return a text of one line that Markdown shows as it is."""
    return re.sub(r"([\\`*_{}\[\]()#+.!|~@-])", r"\\\1", html.escape(" ".join(text.split()), quote=False))
