"""The command `zof-contracts`: its subcommands, its signals and its exit status.

Only `verify` needs the packages of the extra `contracts`, so that help, version and catalogue work without them.
"""

from __future__ import annotations

import signal
import sys
from typing import TYPE_CHECKING, NoReturn

import click

from zof_contracts.cli.catalogue import explain, rules
from zof_contracts.cli.verify import verify
from zof_contracts.evidence.verification import COULD_NOT, INTERRUPTED
from zof_contracts.report.document import read_version
from zof_contracts.report.escape import escape_controls

if TYPE_CHECKING:
    from collections.abc import Sequence


@click.group(invoke_without_command=True, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(read_version(), prog_name="zof-contracts")
@click.pass_context
def commands(context: click.Context) -> None:
    """Verify that a deployment of the Zof API keeps its published contract."""
    if context.invoked_subcommand is None:
        click.echo(context.get_help())


for command in (verify, rules, explain):
    commands.add_command(command)


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Run the command line and exit."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        code = commands.main(arguments, prog_name="zof-contracts", standalone_mode=False)
    except click.ClickException as error:
        click.echo(f"zof-contracts: error: {' '.join(escape_controls(error.format_message()).split())}", err=True)
        sys.exit(COULD_NOT)
    except (KeyboardInterrupt, click.Abort):
        sys.exit(INTERRUPTED)
    except BrokenPipeError:
        sys.exit(COULD_NOT)
    sys.exit(code if isinstance(code, int) else 0)
