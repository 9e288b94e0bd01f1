"""The options that the commands on recorded traffic share."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from zof_contracts.cli.numbers import Number
from zof_contracts.cli.options import REPORT_FORMATS, ReportFormats

if TYPE_CHECKING:
    from collections.abc import Callable

    Decorator = Callable[[Callable[..., Any]], Callable[..., Any]]

_FORMATS: Final = tuple(name for name in REPORT_FORMATS if name != "har")
"""The formats of reports on recorded traffic; a HAR file would only repeat the recording."""

_SOURCES: Final[list[Decorator]] = [
    click.argument("files", metavar="[FILE]...", nargs=-1),
    click.option(
        "--base-url",
        default="",
        metavar="URL",
        help="URL of the API in the recordings, with or without /v1. Entries for other URLs are left out."
        "  [default: recognized by host, paths and answers]",
    ),
]
EMULATOR_OPTION: Final = click.option(
    "--url",
    default="",
    metavar="URL",
    help="Running emulator whose journal is read instead of files; http://127.0.0.1:9630/w/NAME is one of its worlds.",
)
_FINDINGS: Final[list[Decorator]] = [
    click.option(
        "--include",
        multiple=True,
        metavar="RULE",
        help="Check only this rule, or the rules that match a pattern. May be repeated.",
    ),
    click.option(
        "--exclude",
        multiple=True,
        metavar="RULE",
        help="Leave out this rule, or the rules that match a pattern. May be repeated.",
    ),
    click.option("--strict", is_flag=True, help="Fail for differences from assumptions too."),
    click.option(
        "--fail-under",
        type=Number(0, 100),
        metavar="PERCENT",
        default=0.0,
        show_default=True,
        help="Fail if fewer than this percentage of the selected rules were exercised.",
    ),
    click.option(
        "--baseline",
        type=click.Path(dir_okay=False, path_type=Path),
        help="Earlier JSON report, whose findings do not fail again.",
    ),
]
_REPORTS: Final[list[Decorator]] = [
    click.option(
        "--report",
        type=ReportFormats(_FORMATS),
        default="text",
        show_default=True,
        help=f"Reports to write: {', '.join(_FORMATS)}. text goes to standard output, the others to files.",
    ),
    click.option(
        "--report-dir",
        default="contract-report",
        show_default=True,
        type=click.Path(file_okay=False, path_type=Path),
        help="Folder for the report files.",
    ),
    click.option(
        "--quiet", is_flag=True, help="Print no notices, and of the text report only the findings and the outcome."
    ),
]


def add_report_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options of reports to a command."""
    for option in reversed(_REPORTS):
        command = option(command)
    return command


def add_recording_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the files, the options of findings and those of reports to a command."""
    for option in reversed([*_SOURCES, *_FINDINGS, *_REPORTS]):
        command = option(command)
    return command


def add_source_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the files alone to a command."""
    for option in reversed(_SOURCES):
        command = option(command)
    return command
