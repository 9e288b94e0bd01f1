"""The text report: the findings, the verdicts by section, the reasons, the receipt and the figures."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

    from zof_contracts.report.document import Report

_WIDTH: Final = 100
_HEADS: Final = ("kept", "violated", "differs", "not exercised")
_REASONS: Final = 12
"""The number of reasons for "not exercised" that are printed; the other formats hold all."""


def render(report: Report) -> str:
    """Render the report as plain text."""
    parts = (_findings(report), _sections(report), _reasons(report), _receipt(report), _figures(report))
    return "\n".join(line for part in parts for line in part) + "\n"


def _findings(report: Report) -> Iterator[str]:
    rules = {rule["name"]: rule for rule in report["rules"]}
    for number, finding in enumerate(report["findings"], 1):
        yield from _finding(number, finding, rules[finding["rule"]])


def _finding(number: int, finding: dict[str, Any], rule: dict[str, Any]) -> Iterator[str]:
    yield f"{number}. {format_verdict(finding)}  {finding['rule']}"
    yield from _wrapped("", rule["sentence"])
    yield from _wrapped("basis     ", f"{rule['basis']}{_sources(rule)}; openapi.yaml: {rule['at']}")
    yield from _wrapped("expected  ", finding["expected"])
    yield from _wrapped("got       ", finding["got"])
    if finding["times"] > 1 or finding["also"]:
        yield from _wrapped("seen      ", describe_occurrences(finding))
    said = f"request {finding['request_id']}, " if finding["request_id"] else ""
    yield f"   repeat    {said}seed {finding['seed']}, --include {finding['rule']}, or:"
    yield from (f"     {line}".rstrip() for line in finding["script"].strip().splitlines())
    yield ""


def describe_occurrences(finding: dict[str, Any]) -> str:
    """Describe how often a finding was observed, and in which operations."""
    times = sum(one["times"] for one in (finding, *finding["also"]))
    where = dict.fromkeys(one["operation"] or "an undocumented path" for one in (finding, *finding["also"]))
    return f"{'once' if times == 1 else f'{times} times'}, in {', '.join(where)}"


def format_verdict(finding: dict[str, Any]) -> str:
    """Return a finding's verdict in capitals, with a note if the baseline holds it."""
    word = "FLAKY" if finding["flaky"] else finding["verdict"].upper()
    return f"{word} (in the baseline)" if finding["known"] else word


def _sources(rule: dict[str, Any]) -> str:
    names = [source.get("url", source["name"]) for source in rule["sources"]]
    return f"{' by' if rule['basis'] == 'documented' else ', see'} {', '.join(names)}" if names else ""


def _sections(report: Report) -> Iterator[str]:
    width = max(len(_title(section)) for section in report["sections"])
    yield f"{'':{width}}  {'  '.join(f'{head:>13}' for head in _HEADS)}"
    for section in report["sections"]:
        if section["rules"]:
            yield f"{_title(section):{width}}  {_row(section)}"
    yield f"{'all':{width}}  {_row(report['summary'])}"


def _title(section: dict[str, Any]) -> str:
    return f"{section['number']:>2} {section['title']}"


def _row(counts: dict[str, Any]) -> str:
    return "  ".join(f"{counts[head.replace(' ', '_')] or '·':>13}" for head in _HEADS)


def _reasons(report: Report) -> Iterator[str]:
    reasons: dict[str, list[str]] = {}
    for rule in report["rules"]:
        if rule["verdict"] == "not exercised":
            reasons.setdefault(rule["reason"], []).append(rule["name"])
    if reasons:
        yield from ("", "Not exercised, because:")
    most = sorted(reasons.items(), key=lambda pair: -len(pair[1]))
    for reason, names in most[:_REASONS]:
        yield from textwrap.wrap(
            f"{len(names):>4}  {reason}: {_some(names)}", _WIDTH, subsequent_indent=" " * 6, break_on_hyphens=False
        )
    if most[_REASONS:]:
        yield f"{sum(len(names) for _, names in most[_REASONS:]):>4}  other reasons; see --report json or html"


def _some(names: list[str]) -> str:
    return ", ".join(names[:3]) + (" …" if names[3:] else "")


def _receipt(report: Report) -> Iterator[str]:
    receipt = report["receipt"]
    if not receipt:
        return
    states: dict[str, list[str]] = {}
    for one in receipt:
        states.setdefault(one["state"], []).append(one["run"])
    yield from ("", f"Receipt: {_many(len(receipt), 'run')} started in {report['target']['project']}.")
    for state, runs in states.items():
        yield from textwrap.wrap(
            f"{len(runs):>4}  {state}: {_some(runs)}", _WIDTH, subsequent_indent=" " * 6, break_on_hyphens=False
        )


def _figures(report: Report) -> Iterator[str]:
    summary = report["summary"]
    yield ""
    yield (
        f"{summary['requests']} requests ({summary['requests_per_second']:g}/s), "
        f"{summary['examples']} examples ({summary['examples_per_second']:g}/s) "
        f"in {summary['seconds']:.1f} s; seed {summary['seed']}"
    )
    if summary["throttled"]:
        yield f"The target throttled us {summary['throttled']} times; we waited, and that is no finding."
    if summary["stopped"] and not summary["interrupted"]:
        yield f"Ended early: {summary['stopped']}."
    if summary["interrupted"]:
        yield "Interrupted: the report covers what was done until then."
    yield format_verdict_line(report)


def format_verdict_line(report: Report) -> str:
    """Summarize the outcome in one line."""
    summary, where = report["summary"], report["target"]["url"]
    counted = [one for one in report["findings"] if not one["flaky"] and not one["known"]]
    rules = {
        verdict: {one["rule"] for one in counted if one["verdict"] == verdict} for verdict in ("violated", "differs")
    }
    if summary["outcome"] == "nothing was tested":
        return f"Nothing was tested: {where} let no rule be seen kept or broken."
    if not counted:
        return f"{where} keeps the {summary['kept']} rules that were exercised."
    violated, differs = (_many(len(names), "rule") for names in rules.values())
    return f"{where}: {violated} violated, {differs} different from an assumption."


def _many(number: int, word: str) -> str:
    return f"{number or 'no'} {word}{'' if number == 1 else 's'}"


def _wrapped(head: str, text: str) -> Iterator[str]:
    indent = " " * (3 + len(head))
    lines = textwrap.wrap(
        " ".join(text.split()), _WIDTH, initial_indent=f"   {head}", subsequent_indent=indent, break_on_hyphens=False
    )
    yield from lines or [f"   {head}".rstrip()]
