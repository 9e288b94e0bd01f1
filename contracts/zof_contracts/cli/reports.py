"""Reads baselines and writes the reports that the options name: to files, to standard output, to the pipeline."""

from __future__ import annotations

import json
import os
import secrets
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from zof_contracts.cli.terminal import print_notice, print_text
from zof_contracts.report import write
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


def write_reports(verification: Verification, options: Mapping[str, Any]) -> None:
    """Write the limitations to standard error, whatever the options are, then the reports.

    The files come first, because standard output may be a pipe that nobody reads.
    """
    formats, folder, report = options["report"], options["report_dir"], build_report(verification)
    is_github, is_gitlab = (os.environ.get(name) == "true" for name in ("GITHUB_ACTIONS", "GITLAB_CI"))
    for limitation in list_limitations(report):
        print_notice(limitation)
    files = dict.fromkeys((*formats, *(("gitlab",) if is_gitlab else ())))
    files.pop("text", None)
    try:
        for path in write(verification, files, folder) if files else ():
            if not options["quiet"]:
                print_notice(f"wrote {path}")
        if is_github and (summary := os.environ.get("GITHUB_STEP_SUMMARY")):
            with Path(summary).open("a", encoding="utf-8", errors="backslashreplace") as file:
                file.write(render_summary(report))
    except OSError as error:
        raise click.ClickException(f"cannot write a report: {error}") from error
    parts = REPORT_PARTS if "text" in formats and not options["quiet"] else SHORT_PARTS if "text" in formats else ()
    text = render_parts(report, parts)
    if is_github:
        text = guard_commands(text, secrets.token_hex(16)) + render_annotations(report)
    print_text(_color_text(text) if can_color(sys.stdout) else text)


def _color_text(text: str) -> str:
    return "".join(_color_line(line) for line in text.splitlines(keepends=True))


def _color_line(line: str) -> str:
    number, dot, rest = line.partition(". ")
    word = rest.partition(" ")[0]
    if dot and number.isdigit() and word in _COLORS:
        return f"{number}. {click.style(word, fg=_COLORS[word], bold=True)}{rest.removeprefix(word)}"
    return line
