"""The text report: the findings, the verdicts by section, the reasons, the receipt, the figures and the outcome."""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from zof_contracts.report.document import Report

WIDTH: Final = 80
RECORDED: Final = "recorded"
"""The profile of a verification that sent no request itself."""
"""The columns of a line; only commands and words that cannot be broken are longer."""
_VERDICTS: Final = ("kept", "violated", "differs", "not exercised")
_OTHER_SCRIPTS: Final = 3
"""The number of scripts that a finding has for operations other than its first; the JSON report holds all."""
_ABOUT_CLIENTS: Final = "client."
"""The beginning of the names of the rules for clients."""
_REASONS: Final = 12
"""The number of reasons for "not exercised" that are printed; the other formats hold all."""

Part = Callable[[Any], Iterator[str]]
"""Yields the lines of a part of the report."""


def render(report: Report) -> str:
    """Render the report as plain text."""
    return render_parts(report, REPORT_PARTS)


def render_parts(report: Report, parts: tuple[Part, ...]) -> str:
    """Render some parts of the report, and the outcome, which is never left out."""
    return "\n".join(line for part in (*parts, _render_outcome) for line in part(report)) + "\n"


def _render_findings(report: Report) -> Iterator[str]:
    rules = {rule["name"]: rule for rule in report["rules"]}
    for number, finding in enumerate(report["findings"], 1):
        yield from _render_finding(number, finding, rules[finding["rule"]], report["target"]["profile"])


def _render_finding(number: int, finding: dict[str, Any], rule: dict[str, Any], profile: str) -> Iterator[str]:
    yield f"{number}. {format_verdict(finding)}  {finding['rule']}"
    yield from _wrap("", rule["sentence"])
    yield from _wrap("basis     ", f"{rule['basis']}{_render_sources(rule)}; openapi.yaml: {rule['at']}")
    yield from _wrap("expected  ", finding["expected"])
    yield from _wrap("got       ", finding["got"])
    if finding["unless"]:
        yield from _wrap("unless    ", finding["unless"])
    if finding["times"] > 1 or finding["also"]:
        yield from _wrap("seen      ", describe_occurrences(finding))
    if recordings := list_recordings(finding):
        yield from _wrap("recorded  ", f"in {', '.join(recordings)}")
    request = f"request {finding['request_id']}, " if finding["request_id"] else ""
    if profile == RECORDED:
        yield from _wrap("requests  ", f"{request}as a script:" if request else "as a script:")
    else:
        yield from _wrap("repeat    ", f"{request}seed {finding['seed']}, --include {finding['rule']}, or:")
    yield from _render_script(finding["script"])
    for other in finding["also"][:_OTHER_SCRIPTS]:
        yield from _wrap("repeat    ", f"in {name_place(other)}:")
        yield from _render_script(other["script"])
    if finding["also"][_OTHER_SCRIPTS:]:
        yield from _wrap("repeat    ", f"{len(finding['also']) - _OTHER_SCRIPTS} more scripts are in --report json")
    yield ""


def _render_script(text: str) -> Iterator[str]:
    return (f"     {line}".rstrip() for line in text.strip().splitlines())


def describe_occurrences(finding: dict[str, Any]) -> str:
    """Describe how often a finding was observed, in which operations, and at which places of them."""
    seen = (finding, *finding["also"])
    times = sum(one["times"] for one in seen)
    places: dict[str, dict[str, None]] = {}
    for one in seen:
        places.setdefault(one["operation"] or "an undocumented path", {})[one["place"]] = None
    are_many = len({one["place"] for one in seen}) > 1
    where = [f"{name} ({', '.join(places[name])})" if are_many else name for name in places]
    return f"{'once' if times == 1 else f'{times} times'}, in {', '.join(where)}"


def list_recordings(finding: dict[str, Any]) -> list[str]:
    """The recordings that show a finding, at any of its places."""
    return list(dict.fromkeys(name for one in (finding, *finding["also"]) for name in one["recordings"]))


def name_place(finding: dict[str, Any]) -> str:
    """Name the operation of a finding, and its place in it where it has one."""
    operation = finding["operation"] or "an undocumented path"
    return f"{operation} ({finding['place']})" if finding["place"] else operation


def format_verdict(finding: dict[str, Any]) -> str:
    """Return a finding's verdict in capitals, with a note if the baseline holds it."""
    word = "FLAKY" if finding["flaky"] else finding["verdict"].upper()
    return f"{word} (in the baseline)" if finding["known"] else word


def _render_sources(rule: dict[str, Any]) -> str:
    names = [source.get("url", source["name"]) for source in rule["sources"]]
    return f"{' by' if rule['basis'] == 'documented' else ', see'} {', '.join(names)}" if names else ""


def _render_sections(report: Report) -> Iterator[str]:
    width = max(len(_render_title(section)) for section in report["sections"])
    yield f"{'':{width}}  {'  '.join(_VERDICTS)}"
    for section in report["sections"]:
        if section["rules"]:
            yield f"{_render_title(section):{width}}  {_render_row(section)}"
    yield f"{'all':{width}}  {_render_row(report['summary'])}"


def _render_title(section: dict[str, Any]) -> str:
    return f"{section['number']:>2} {section['title']}"


def _render_row(counts: dict[str, Any]) -> str:
    return "  ".join(f"{counts[verdict.replace(' ', '_')] or '-':>{len(verdict)}}" for verdict in _VERDICTS)


def _render_reasons(report: Report) -> Iterator[str]:
    reasons: dict[str, list[str]] = {}
    for rule in report["rules"]:
        if rule["verdict"] == "not exercised":
            reasons.setdefault(rule["reason"], []).append(rule["name"])
    if reasons:
        yield from ("", "Not exercised, because:")
    most = sorted(reasons.items(), key=lambda pair: -len(pair[1]))
    for reason, names in most[:_REASONS]:
        yield from _render_count(len(names), f"{reason}: {_list_first_names(names)}")
    if most[_REASONS:]:
        yield from _render_count(
            sum(len(names) for _, names in most[_REASONS:]), "other reasons; see --report json or html"
        )


def _render_count(number: int, text: str) -> list[str]:
    return _fill(f"{number:>4}  {text}", " " * 6)


def _list_first_names(names: list[str]) -> str:
    return ", ".join(names[:3]) + (f" and {len(names) - 3} more" if names[3:] else "")


def _render_receipt(report: Report) -> Iterator[str]:
    receipt = report["receipt"]
    if not receipt:
        return
    states: dict[str, list[str]] = {}
    for one in receipt:
        states.setdefault(one["state"], []).append(one["run"])
    webhooks = sum(one["run"].startswith("wh_") for one in receipt)
    also = f", and {_format_count(webhooks, 'webhook')} registered" if webhooks else ""
    runs = _format_count(len(receipt) - webhooks, "run")
    yield from ("", *_fill(f"Receipt: {runs} started in {report['target']['project']}{also}."))
    for state, names in states.items():
        yield from _render_count(len(names), f"{state}: {_list_first_names(names)}")


def _render_figures(report: Report) -> Iterator[str]:
    summary = report["summary"]
    yield ""
    if report["target"]["profile"] == RECORDED:
        yield from _fill(
            f"{_format_count(summary['requests'], 'recorded exchange')}, judged in {summary['seconds']:.1f} s"
        )
        yield from (line for note in list_notes(report) for line in _fill(note))
        return
    yield from _fill(
        f"{summary['requests']} requests ({summary['requests_per_second']:g}/s), "
        f"{summary['examples']} examples ({summary['examples_per_second']:g}/s) "
        f"in {summary['seconds']:.1f} s; seed {summary['seed']}"
    )
    for note in list_notes(report):
        yield from _fill(note)


def list_notes(report: Report) -> list[str]:
    """List what a reader must know to judge the figures: throttling, and why the verification ended early."""
    summary, notes = report["summary"], []
    if summary["throttled"]:
        notes.append(f"The target throttled {summary['throttled']} requests; they were repeated.")
    if summary["interrupted"]:
        notes.append("Interrupted: the report covers what was done until then.")
    elif summary["error"]:
        notes.append(f"Not finished: {summary['error']}. The report covers what was done until then.")
    return [*notes, *list_limitations(report)]


def list_limitations(report: Report) -> list[str]:
    """List what changed what was tested, and is no reason for an exit status other than 0."""
    summary = report["summary"]
    is_finished = not summary["interrupted"] and not summary["error"]
    early = [f"Ended early: {summary['stopped']}."] if summary["stopped"] and is_finished else []
    return [*early, *(f"Note: {note}." for note in summary["notes"])]


def _render_outcome(report: Report) -> Iterator[str]:
    summary = report["summary"]
    yield from _fill(f"Rules: {summary['kept']} kept, {summary['exercised']} exercised, {summary['rules']} asked for.")
    yield from _fill(format_verdict_line(report))
    yield from _fill(f"Exit status {summary['exit_status']}: {summary['exit_reason']}.")


def format_verdict_line(report: Report) -> str:
    """Summarize the outcome in one line."""
    summary, where = report["summary"], _name_subject(report)
    counted = [one for one in report["findings"] if not one["flaky"] and not one["known"]]
    rules = {
        verdict: {one["rule"] for one in counted if one["verdict"] == verdict} for verdict in ("violated", "differs")
    }
    if summary["outcome"] == "nothing was tested":
        return f"Nothing was tested: no rule was exercised on {report['target']['url']}."
    if not counted:
        rules_kept = "rule that was" if summary["kept"] == 1 else f"{summary['kept']} rules that were"
        return f"{where} keeps the {rules_kept} exercised."
    violated, differs = (_format_count(len(names), "rule") for names in rules.values())
    return f"{where}: {violated} violated, {differs} different from an assumption."


def _name_subject(report: Report) -> str:
    """Name what the rules are about: clients, or the deployment."""
    is_about_clients = all(rule["name"].startswith(_ABOUT_CLIENTS) for rule in report["rules"])
    url: str = report["target"]["url"]
    return "The client" if is_about_clients else url


def _format_count(count: int, noun: str) -> str:
    return f"{count or 'no'} {noun}{'' if count == 1 else 's'}"


def _wrap(head: str, text: str) -> list[str]:
    lines = _fill(f"   {head}{' '.join(text.split())}", " " * (3 + len(head)))
    return lines or [f"   {head}".rstrip()]


def _fill(text: str, indent: str = "") -> list[str]:
    return textwrap.wrap(text, WIDTH, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False)


SHORT_PARTS: Final[tuple[Part, ...]] = (_render_findings,)
"""The parts that --quiet leaves."""
REPORT_PARTS: Final[tuple[Part, ...]] = (
    _render_findings,
    _render_sections,
    _render_reasons,
    _render_receipt,
    _render_figures,
)
"""All parts, in order."""
