"""Reads baselines and writes the reports that the options name: to files, to standard output, to the pipeline."""

from __future__ import annotations

import json
import os
import secrets
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from zof_contracts.cli.terminal import print_notice, print_text
from zof_contracts.report import FILES, write_form
from zof_contracts.report.ci import guard_commands, render_annotations, render_summary
from zof_contracts.report.document import FORMAT, build_report
from zof_contracts.report.progress import can_color
from zof_contracts.report.text import REPORT_PARTS, SHORT_PARTS, list_limitations, render_parts

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from zof_contracts.evidence.verification import Verification

_COLORS: Final = {"VIOLATED": "red", "DIFFERS": "yellow", "FLAKY": "cyan"}


def read_baseline(path: Path | None) -> frozenset[str]:
    """Read the keys of the findings in an earlier JSON report; none without a path.

    Raises:
        click.UsageError: the file cannot be read, is no JSON report, or has another format version.
    """
    if path is None:
        return frozenset()
    try:
        report = json.loads(path.read_text(encoding="utf-8"))
        version = report["format"]
        if version == FORMAT:
            return frozenset(one["key"] for finding in report["findings"] for one in (finding, *finding["also"]))
    except OSError as error:
        raise click.UsageError(f"cannot read --baseline {path}: {error.strerror or error}") from error
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise click.UsageError(f"invalid --baseline {path}: use a report that --report json wrote") from error
    raise click.UsageError(
        f"--baseline {path} has format {version!r}: use a report of format {FORMAT}, which --report json writes"
    )


def prepare_folder(formats: Sequence[str], folder: Path) -> None:
    """Make the folder of the report files before anything is sent."""
    if set(formats) - {"text"}:
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise click.UsageError(f"cannot make --report-dir {folder}: {error.strerror or error}") from error


def write_reports(verification: Verification, options: Mapping[str, Any]) -> Verification:
    """Write the limitations to standard error, whatever the options are, then the reports.

    The files come first, because standard output may be a pipe that nobody reads. A report that cannot be written does
    not prevent the others: the verification that is returned names it.

    Raises:
        click.ClickException: standard output cannot be written.
    """
    formats, report = options["report"], build_report(verification)
    is_github = _is_pipeline("GITHUB_ACTIONS")
    for limitation in list_limitations(report):
        print_notice(limitation)
    problems = write_files(verification, options)
    if is_github and (summary := os.environ.get("GITHUB_STEP_SUMMARY")):
        problems += _append_summary(Path(summary), render_summary(report))
    if problems:
        for problem in problems:
            print_notice(f"zof-contracts: error: {problem}")
        verification = replace(verification, unwritten="; ".join(problems))
        report = build_report(verification)
    parts = REPORT_PARTS if "text" in formats and not options["quiet"] else SHORT_PARTS if "text" in formats else ()
    text = render_parts(report, parts)
    if is_github:
        text = guard_commands(text, secrets.token_hex(16)) + render_annotations(report)
    print_text(_color_text(text) if can_color(sys.stdout) else text)
    return verification


def write_files(verification: Verification, options: Mapping[str, Any]) -> list[str]:
    """Write the report files that the options and the pipeline name; return what could not be written, and why."""
    forms = dict.fromkeys((*options["report"], *(("gitlab",) if _is_pipeline("GITLAB_CI") else ())))
    forms.pop("text", None)
    folder, problems = options["report_dir"], list[str]()
    for form in forms:
        try:
            folder.mkdir(parents=True, exist_ok=True)
            path = write_form(verification, form, folder)
        except OSError as error:
            problems.append(f"cannot write {folder / FILES[form]}: {error.strerror or error}")
        else:
            if not options["quiet"]:
                print_notice(f"wrote {path}")
    return problems


def _append_summary(path: Path, text: str) -> list[str]:
    """Append to the step summary of GitHub Actions; return why that is not possible, if it is not."""
    try:
        with path.open("a", encoding="utf-8", errors="backslashreplace") as file:
            file.write(text)
    except OSError as error:
        return [f"cannot write GITHUB_STEP_SUMMARY {path}: {error.strerror or error}"]
    return []


def _is_pipeline(variable: str) -> bool:
    """Whether a pipeline has set its variable."""
    return os.environ.get(variable) == "true"


def _color_text(text: str) -> str:
    return "".join(_color_line(line) for line in text.splitlines(keepends=True))


def _color_line(line: str) -> str:
    number, dot, rest = line.partition(". ")
    word = rest.partition(" ")[0]
    if dot and number.isdigit() and word in _COLORS:
        return f"{number}. {click.style(word, fg=_COLORS[word], bold=True)}{rest.removeprefix(word)}"
    return line
