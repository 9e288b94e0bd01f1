"""The command `zof-contracts diff`.

The comparison needs the packages of the extra `contracts`; this module loads them when the command runs.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from zof_contracts.cli.numbers import Number, WholeNumber
from zof_contracts.cli.options import Duration, add_target_options, define_option
from zof_contracts.cli.verify import load_with_extra
from zof_contracts.target.target import KEYS


class NamedKey(click.ParamType[Any]):
    """A name of a key and the key: main=zof_example."""

    name = "NAME=KEY"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[str, str]:  # noqa: ANN401
        """Return the name and the key."""
        if isinstance(value, tuple):
            return value
        name, equals, key = str(value).partition("=")
        if not equals or name not in KEYS or not key:
            self.fail(f"invalid key named {name[:20]!r}: use NAME=KEY, with a NAME of {', '.join(KEYS)}", param, ctx)
        return name, key


@click.command()
@add_target_options
@click.option(
    "--against",
    metavar="URL",
    default="",
    help="Base URL of the deployment to compare with.  [default: an emulator that is started for it]",
)
@click.option(
    "--against-key",
    multiple=True,
    type=NamedKey(),
    help="API key of --against, such as main=zof_example. May be repeated.  [default: the keys of --url]",
)
@define_option(
    "--patience",
    type=Duration(),
    default="30s",
    help="Time to wait for a run to end.",
)
@define_option(
    "--seed", default=0, type=WholeNumber(0), help="Seed for the stories; the same seed sends the same requests."
)
@click.option(
    "--stories",
    type=WholeNumber(0, 10_000),
    default=20,
    show_default=True,
    help="Maximum number of stories to play on both; 0 compares the verdicts on rules only.",
)
@click.option(
    "--max-time",
    type=Number(0, min_open=True),
    metavar="S",
    help="Maximum duration in seconds, clean-up included.",
)
@click.option(
    "--output",
    type=click.Path(dir_okay=False, path_type=Path),
    help="File to write the differences to, as JSON.",
)
def diff(**options: Any) -> int:  # noqa: ANN401
    """Compare two deployments: verify both, and play the same stories on both.

    Exit status: 0 if nothing differs; 1 if a rule or an answer differs; 2 if the comparison could not be finished or
    nothing was compared; 130 if it was interrupted. What was found until the end is printed and written in each case.
    """
    code: int = load_with_extra("zof_contracts.cli.comparing").compare_deployments(options)
    return code
