"""The command `zof-contracts verify`.

The verification itself needs the packages of the extra `contracts`; this module loads them when the command runs.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

import click

from zof_contracts.cli.options import add_options


@click.command()
@add_options
def verify(**options: Any) -> int:  # noqa: ANN401
    """Verify a deployment against the contract.

    Exit status: 0 if no violation was found; 1 if one was found, or with --strict a difference from an assumption;
    2 if the verification could not be finished, a report could not be written, no rule was exercised, or fewer than
    --fail-under demands; 130 if it was interrupted. The reports are written also after an interruption, and the runs
    that were started are canceled.
    """
    code: int = load_with_extra("zof_contracts.cli.execution").verify_and_report(options)
    return code


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
        raise click.ClickException(
            f"package {error.name} is not installed: pip install 'PATH/zof_emulator-VERSION.whl[contracts]'"
        ) from error
