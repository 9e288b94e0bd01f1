"""The command `zof-contracts verify`.

The verification itself needs the packages of the extra `contracts`; this module loads them when the command runs.
"""

from __future__ import annotations

import sys
from importlib import import_module
from typing import Any

import click

from zof_contracts.cli.options import add_options


@click.command()
@add_options
def verify(**options: Any) -> None:  # noqa: ANN401
    """Verify a deployment against the contract.

    Exit status: 0 if no violation was found; 1 if one was found, or with --strict a difference from an assumption;
    2 if the verification could not be done or no rule was tested; 130 if it was interrupted, after it reported what
    was done until then.
    """
    sys.exit(load_with_extra("zof_contracts.cli.execution").execute(options))


def load_with_extra(module: str) -> Any:  # noqa: ANN401  a module
    """Load one of our modules that needs the extra `contracts`.

    Raises:
        click.ClickException: a package of the extra is not installed.
    """
    try:
        return import_module(module)
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] in {"zof_contracts", "zof_emulator"}:
            raise
        raise click.ClickException(f"package {error.name} is not installed: install zof-emulator[contracts]") from error
