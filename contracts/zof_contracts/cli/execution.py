"""Executes `zof-contracts verify`: reads the configuration, verifies the target, writes the reports."""

from __future__ import annotations

import json
import os
import secrets
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from zof_contracts.cli.config import read_config
from zof_contracts.cli.terminal import describe_internal_error, hold_signals, print_notice, print_text
from zof_contracts.report import write
from zof_contracts.report.ci import guard_commands, render_annotations, render_summary
from zof_contracts.report.document import FORMAT, build_report
from zof_contracts.report.progress import can_color, show_progress
from zof_contracts.report.text import REPORT_PARTS, SHORT_PARTS, render_parts
from zof_contracts.target.budget import Stopped
from zof_contracts.target.redaction import Redactor
from zof_contracts.target.transport import Unreachable
from zof_contracts.verification.run import run

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from zof_contracts.evidence.events import Listener
    from zof_contracts.evidence.verification import Verification

_COLORS: Final = {"VIOLATED": "red", "DIFFERS": "yellow", "FLAKY": "cyan"}


def execute(options: Mapping[str, Any]) -> int:
    """Verify the target that the options name, write the reports and return the exit status.

    Raises:
        click.ClickException: the verification could not be done, or a report cannot be written.
    """
    _prepare_folder(options["report"], options["report_dir"])
    with show_progress(None if options["quiet"] else sys.stderr) as listener:
        verification = run_verification(options, listener)
    with hold_signals():
        _write_reports(verification, options)
    return verification.exit_code(strict=options["strict"])


def run_verification(options: Mapping[str, Any], *listeners: Listener) -> Verification:
    """Run the verification that the options describe.

    Raises:
        click.ClickException: an option is invalid, or the target cannot be verified.
    """
    config, known = read_config(options), read_baseline(options["baseline"])
    try:
        verification = run(
            config.target,
            rules=config.rules,
            budget=config.budget,
            seed=config.seed,
            max_examples=config.max_examples,
            listeners=listeners,
            known=known,
        )
    except Exception as error:
        message = str(error) if isinstance(error, Unreachable | Stopped) else describe_internal_error(error)
        raise click.ClickException(Redactor(config.target.keys).text(message)) from error
    return replace(verification, fail_under=options["fail_under"], has_baseline=options["baseline"] is not None)


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


def _prepare_folder(formats: Sequence[str], folder: Path) -> None:
    """Make the folder of the report files before anything is sent."""
    if set(formats) - {"text"}:
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise click.UsageError(f"cannot make --report-dir {folder}: {error.strerror or error}") from error


def _write_reports(verification: Verification, options: Mapping[str, Any]) -> None:
    """Write the files first, because standard output may be a pipe that nobody reads."""
    formats, folder, report = options["report"], options["report_dir"], build_report(verification)
    is_github, is_gitlab = (os.environ.get(name) == "true" for name in ("GITHUB_ACTIONS", "GITLAB_CI"))
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
