"""The command `zof-contracts coverage`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from zof_contracts.cli.numbers import Number
from zof_contracts.cli.recording_options import EMULATOR_OPTION, add_source_options
from zof_contracts.cli.verify import load_with_extra

if TYPE_CHECKING:
    from collections.abc import Sequence

FORMATS: Final = ("text", "json", "html")


class CoverageFormats(click.ParamType[Any]):
    """Formats of the coverage report, separated by commas."""

    name = "text,json,html"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Sequence[str]:  # noqa: ANN401
        """Return the formats without duplicates, in the order given."""
        words = value.split(",") if isinstance(value, str) else value
        names = tuple(dict.fromkeys(str(word).strip() for word in words if str(word).strip()))
        if unknown := [name for name in names if name not in FORMATS]:
            self.fail(f"unknown report {unknown[0]!r}: use {', '.join(FORMATS)}", param, ctx)
        return names


@click.command()
@EMULATOR_OPTION
@add_source_options
@click.option(
    "--fail-under",
    type=Number(0, 100),
    metavar="PERCENT",
    default=0.0,
    show_default=True,
    help="Fail if fewer than this percentage of the parts were seen.",
)
@click.option(
    "--report",
    type=CoverageFormats(),
    default="text",
    show_default=True,
    help="Reports to write: text, json, html. text goes to standard output, the others to files.",
)
@click.option(
    "--report-dir",
    default="contract-report",
    show_default=True,
    type=click.Path(file_okay=False, path_type=Path),
    help="Folder for the report files.",
)
def coverage(**options: Any) -> int:  # noqa: ANN401
    """Show which parts of the contract recorded traffic reaches, and which it never does.

    The traffic is that of FILE, journals of zof-emulator (NDJSON) or HAR files; several, such as those of parallel
    jobs, are merged. `-` is standard input. With --url it is read from a running emulator.

    Exit status: 0 if enough was seen; 1 if less than --fail-under demands; 2 if a file cannot be read or holds nothing
    of the API.
    """
    code: int = load_with_extra("zof_contracts.cli.recordings").report_coverage(options)
    return code
