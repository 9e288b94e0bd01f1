"""The HTML report: one page that works offline and can be filtered. Every value in it is escaped.

`page.html` in this folder is its template, with placeholders such as `{{title}}`.
"""

from __future__ import annotations

import re
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from zof_contracts.report.text import describe_occurrences, format_verdict_line, list_notes, name_place

if TYPE_CHECKING:
    from zof_contracts.report.document import Report

_VERDICTS: Final = ("violated", "differs", "not exercised", "kept")
_NAMES: Final = ("operation", "request_id")
_PAGE: Final = Path(__file__).parent / "page.html"


def render(report: Report) -> str:
    """Render the report as an HTML page."""
    rules = {rule["name"]: rule for rule in report["rules"]}
    summary = report["summary"]
    parts = {
        "title": escape(f"Contract report: {report['target']['url']}"),
        "facts": escape(_render_facts(report)),
        "outcome": escape(format_verdict_line(report)),
        "outcome-class": {"violations": "violated", "differences": "differs", "nothing found": "kept"}.get(
            summary["outcome"], "not-exercised"
        ),
        "notes": _render_notes(report),
        "tiles": "".join(_render_tile(verdict, summary) for verdict in _VERDICTS),
        "sections": "".join(_render_section(section) for section in report["sections"] if section["rules"]),
        "verdicts": "".join(f"<option>{verdict}</option>" for verdict in _VERDICTS),
        "choices": "".join(_render_choice(section) for section in report["sections"] if section["rules"]),
        "findings": "".join(_render_finding(one, rules[one["rule"]]) for one in report["findings"])
        or "<p class=soft>None.</p>",
        "rules": "".join(_render_rule(rule) for rule in report["rules"]),
        "receipt": _render_receipt(report),
        "footer": escape(f"{report['tool']['name']} {report['tool']['version']}, report format {report['format']}"),
    }
    return re.sub(r"\{\{([a-z-]+)\}\}", lambda match: parts[match[1]], _PAGE.read_text(encoding="utf-8"))


def _render_facts(report: Report) -> str:
    summary, target = report["summary"], report["target"]
    words = [
        summary["began"].replace("T", " ").replace("Z", " UTC"),
        f"profile {target['profile']}" + (", strict" if target["strict"] else ""),
        f"{summary['requests']} requests ({summary['requests_per_second']:g}/s)",
        f"{summary['examples']} examples ({summary['examples_per_second']:g}/s)",
        f"{summary['seconds']:.1f} s",
        f"seed {summary['seed']}",
    ]
    return " · ".join(words)


def _render_notes(report: Report) -> str:
    summary = report["summary"]
    exit_line = f"Exit status {summary['exit_status']}: {summary['exit_reason']}."
    counts = f"Rules: {summary['kept']} kept, {summary['exercised']} exercised, {summary['rules']} asked for."
    return "".join(f"<p class=soft>{escape(note)}</p>" for note in (counts, exit_line, *list_notes(report)))


def _name_class(verdict: str) -> str:
    return verdict.replace(" ", "-")


def _render_tag(verdict: str) -> str:
    return f'<span class="tag {_name_class(verdict)}">{verdict}</span>'


def _render_tile(verdict: str, summary: dict[str, Any]) -> str:
    count = f"<b>{summary[verdict.replace(' ', '_')]}</b>"
    return (
        f'<button class="tile {_name_class(verdict)}" value="{verdict}" aria-pressed="false">{count}{verdict}</button>'
    )


def _render_choice(section: dict[str, Any]) -> str:
    return f'<option value="{section["number"]}">{section["number"]} {escape(section["title"])}</option>'


def _render_section(section: dict[str, Any]) -> str:
    kinds = ("kept", "violated", "differs", "not exercised")
    counts = {kind: section[kind.replace(" ", "_")] for kind in kinds}
    bar = "".join(
        f'<i class="{_name_class(kind)}" style="flex:{count}"></i>' for kind, count in counts.items() if count
    )
    cells = "".join(_render_count(kind, count) for kind, count in counts.items())
    title = f"{section['number']} {escape(section['title'])}"
    return f'<tr><td>{title}</td><td class="wide"><span class="bar">{bar}</span></td>{cells}</tr>'


def _render_count(kind: str, count: int) -> str:
    return f'<td class="number {_name_class(kind) if count else "soft"}">{count}</td>'


def _render_finding(finding: dict[str, Any], rule: dict[str, Any]) -> str:
    verdict = "not exercised" if finding["flaky"] else finding["verdict"]
    words = ["flaky"] * finding["flaky"] + ["in the baseline"] * finding["known"]
    extra = "".join(f' <span class="tag not-exercised">{word}</span>' for word in words)
    tags = extra if finding["flaky"] else f" {_render_tag(verdict)}{extra}"
    rows = {
        "Rests on": _render_sources(rule),
        "Request": " ".join(f"<code>{escape(finding[name])}</code>" for name in _NAMES if finding[name]),
        "Repeat": f"<code>--include {escape(finding['rule'])} --seed {finding['seed']}</code>",
        "Seen": escape(describe_occurrences(finding)),
        **({"Unless": escape(finding["unless"])} if finding["unless"] else {}),
        "How to fix it": escape(rule["mend"]),
    }
    others = "".join(f"<p>In {escape(name_place(one))}:</p>{_render_script(one)}" for one in finding["also"])
    return (
        f'<details class="card {_name_class(verdict)}" open data-verdict="{verdict}" data-section="{rule["section"]}">'
        f"<summary><h3>{escape(finding['rule'])}</h3>{tags}<p>{escape(rule['sentence'])}</p></summary>"
        f'<div class="pair"><div><span>Expected</span>{escape(finding["expected"])}</div>'
        f"<div><span>Got</span>{escape(finding['got'])}</div></div>{_render_list(rows)}"
        f"{_render_script(finding)}{others}</details>"
    )


def _render_script(finding: dict[str, Any]) -> str:
    return f'<div class="script"><button class="copy">Copy</button><pre>{escape(finding["script"])}</pre></div>'


def _render_rule(rule: dict[str, Any]) -> str:
    verdict = rule["verdict"]
    reason = f'<div class="soft">{escape(rule["reason"])}</div>' if rule["reason"] else ""
    rows = {"Rests on": _render_sources(rule), "Checked by": escape(rule["how"]), "How to fix it": escape(rule["mend"])}
    return (
        f'<tr data-verdict="{verdict}" data-section="{rule["section"]}"><td><details><summary>'
        f"<code>{escape(rule['name'])}</code> {escape(rule['sentence'])}</summary>{_render_list(rows)}</details></td>"
        f'<td>{_render_tag(verdict)}{reason}</td><td class="number wide">{rule["evidence"]}</td></tr>'
    )


def _render_sources(rule: dict[str, Any]) -> str:
    pages = ", ".join(_render_page(source) for source in rule["sources"])
    by = " by" if rule["basis"] == "documented" else ", see"
    return f"{escape(rule['basis'])}{f'{by} {pages}' if pages else ''}; <code>{escape(rule['at'])}</code>"


def _render_page(source: dict[str, str]) -> str:
    name = escape(source["name"])
    return f'<a href="{escape(source["url"])}">{name}</a>' if "url" in source else name


def _render_list(rows: dict[str, str]) -> str:
    return "<dl>" + "".join(f"<dt>{name}</dt><dd>{value}</dd>" for name, value in rows.items() if value) + "</dl>"


def _render_receipt(report: Report) -> str:
    receipt = report["receipt"]
    if not receipt:
        return ""
    lines = "\n".join(f"{one['run']}  {one['state']}  (key {one['key']})" for one in receipt)
    head = f"Runs started and webhooks registered on the target: {len(receipt)}"
    return f"<h2>Receipt</h2><details><summary>{head}</summary><pre>{escape(lines)}</pre></details>"
