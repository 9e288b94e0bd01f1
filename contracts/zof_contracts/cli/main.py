"""The command `zof-contracts`: its subcommands, its signals and its exit status.

Help, version and catalogue work without the packages of the extra `contracts`; the other commands load them when they
run.
Whatever happens, the command ends with a documented exit status, and an error is one line on standard error.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, NoReturn

import click

from zof_contracts.cli.catalogue import explain, rules
from zof_contracts.cli.check import check
from zof_contracts.cli.client import client
from zof_contracts.cli.coverage import coverage
from zof_contracts.cli.diff import diff
from zof_contracts.cli.proxy import proxy
from zof_contracts.cli.terminal import (
    describe_internal_error,
    describe_write_error,
    prepare_streams,
    print_notice,
    raise_on_signals,
    release_streams,
)
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


for command in (verify, check, client, coverage, proxy, diff, rules, explain):
    commands.add_command(command)


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Run the command line and exit."""
    code, message = _run(sys.argv[1:] if arguments is None else arguments)
    if message:
        print_notice(f"zof-contracts: error: {' '.join(escape_controls(message).split())}")
    release_streams()
    sys.exit(code)


def _run(arguments: Sequence[str]) -> tuple[int, str]:
    """Run the command line; return the exit status and an error message, if any."""
    try:
        prepare_streams()
        with raise_on_signals():
            code = _invoke(arguments)
            sys.stdout.flush()
    except click.ClickException as error:
        return COULD_NOT, error.format_message()
    except (KeyboardInterrupt, click.Abort):
        return INTERRUPTED, "interrupted before there was anything to report"
    except OSError as error:  # of click, which prints help and lists: all others are click.ClickException here
        return COULD_NOT, describe_write_error(error)
    except Exception as error:  # noqa: BLE001  no error may end in a traceback, or with the status of a violation
        return COULD_NOT, describe_internal_error(error)
    return code, ""


def _invoke(arguments: Sequence[str]) -> int:
    try:
        with commands.make_context("zof-contracts", list(arguments)) as context:
            code = commands.invoke(context)
    except click.exceptions.Exit as end:  # of --help and --version
        return end.exit_code
    return code if isinstance(code, int) else 0
