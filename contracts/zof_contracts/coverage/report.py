"""Reports of coverage: a table, JSON and a page of HTML.

`coverage.schema.json` in this folder describes the JSON.
"""

from __future__ import annotations

import textwrap
from html import escape
from typing import TYPE_CHECKING, Any, Final

from zof_contracts.coverage.parts import list_parts

if TYPE_CHECKING:
    from collections.abc import Sequence

    from zof_contracts.coverage.collector import CoverageCollector

FORMAT: Final = 1
"""The version of the JSON report."""
_WIDTH: Final = 80
_JOINER: Final = "\x1f"
"""Stands for a space at which a line is not broken."""

Report = dict[str, Any]


def build_coverage(collector: CoverageCollector, *, recordings: Sequence[str], notes: Sequence[str]) -> Report:
    """The report as a JSON value."""
    groups: list[Report] = []
    for group, names in list_parts().items():
        counts = collector.counts[group]
        parts = [{"name": name, "count": counts[name]} for name in names]
        groups.append(
            {"name": group.value, "seen": sum(counts[name] > 0 for name in names), "all": len(names), "parts": parts}
        )
    seen, total = sum(group["seen"] for group in groups), sum(group["all"] for group in groups)
    return {
        "format": FORMAT,
        "recordings": list(recordings),
        "exchanges": collector.exchange_count,
        "notes": list(notes),
        "seen": seen,
        "all": total,
        "percent": round(100 * seen / total, 1),
        "groups": groups,
    }


def render_text(report: Report) -> str:
    """The report as a table, and what was never seen."""
    width = max(len(group["name"]) for group in report["groups"])
    lines = [f"{'':{width}}  seen   all  percent"]
    for group in [*report["groups"], {"name": "all", "seen": report["seen"], "all": report["all"]}]:
        percent = 100 * group["seen"] / group["all"]
        lines.append(f"{group['name']:{width}}  {group['seen']:>4}  {group['all']:>4}  {percent:>6.1f}%")
    for group in report["groups"]:
        never = [part["name"] for part in group["parts"] if not part["count"]]
        if never:
            lines += ["", f"Never seen, {group['name']}:"]
            lines += _wrap(never)
    lines += ["", f"{report['exchanges']} exchanges in {len(report['recordings'])} recordings."]
    lines += [f"Note: {note}." for note in report["notes"]]
    return "\n".join(lines) + "\n"


def _wrap(names: Sequence[str]) -> list[str]:
    """The names in lines, none of them broken at a space."""
    text = ", ".join(name.replace(" ", _JOINER) for name in names)
    lines = textwrap.wrap(text, _WIDTH, initial_indent="  ", subsequent_indent="  ", break_on_hyphens=False)
    return [line.replace(_JOINER, " ") for line in lines]


_STYLE: Final = (
    "body{font:14px system-ui,sans-serif;margin:2rem auto;max-width:60rem;padding:0 1rem}"
    "table{border-collapse:collapse;width:100%}td,th{border-bottom:1px solid #8884;padding:.3rem;text-align:left}"
    ".n{text-align:right}.never{color:#b00020}progress{width:8rem}"
)


def render_html(report: Report) -> str:
    """The report as a page that works offline."""
    rows = "".join(
        f"<tr><td><a href='#g{index}'>{escape(group['name'])}</a></td><td class=n>{group['seen']}</td>"
        f"<td class=n>{group['all']}</td><td><progress value={group['seen']} max={group['all']}></progress></td></tr>"
        for index, group in enumerate(report["groups"])
    )
    groups = "".join(_render_group(index, group) for index, group in enumerate(report["groups"]))
    facts = f"{report['percent']:g}% of {report['all']} parts, {report['exchanges']} exchanges"
    notes = "".join(f"<p>{escape(note)}.</p>" for note in report["notes"])
    return (
        "<!doctype html><html lang=en><meta charset=utf-8><title>Coverage of the contract</title>"
        f"<style>{_STYLE}</style><h1>Coverage of the contract</h1><p>{escape(facts)}</p>{notes}"
        "<table><tr><th>Parts</th><th class=n>seen</th><th class=n>all</th><th></th></tr>"
        f"{rows}</table>{groups}</html>\n"
    )


def _render_group(index: int, group: Report) -> str:
    rows = "".join(
        f"<tr{'' if part['count'] else ' class=never'}><td>{escape(part['name'])}</td>"
        f"<td class=n>{part['count'] or 'never'}</td></tr>"
        for part in group["parts"]
    )
    return f"<h2 id=g{index}>{escape(group['name'])}</h2><table>{rows}</table>"
