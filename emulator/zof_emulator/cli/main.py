"""The group of commands and the exit status: 0 success, 1 differences, 2 failure, 130 interrupted."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Final

import click

from zof_emulator.cli.environment import print_environment
from zof_emulator.cli.execute import execute
from zof_emulator.cli.output import discard_output
from zof_emulator.cli.replay import replay_command
from zof_emulator.cli.scenario import scenario
from zof_emulator.cli.serve import INTERRUPTED, serve
from zof_emulator.cli.snapshot_files import UnusableFile
from zof_emulator.cli.status import print_status, stop
from zof_emulator.cli.webhooks import webhooks
from zof_emulator.control.operations import read_version
from zof_emulator.core.fields import suggest
from zof_emulator.scenarios.load import UnusableScenario
from zof_emulator.server.terminal import write_line
from zof_emulator.spec.document import SpecError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

_COULD_NOT: Final = 2
_OURS: Final = "ZOF_EMULATOR_"
"""The beginning of the names of the variables that set options."""
_OF_KUBERNETES: Final = ("ZOF_EMULATOR_SERVICE_", "ZOF_EMULATOR_PORT_")
"""The beginnings of the names of the variables that Kubernetes sets where a service is called `zof-emulator`."""


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(read_version(), prog_name="zof-emulator")
def _commands() -> None:
    """A stand-in for the Zof API, in memory and deterministic."""
    _check_variables(os.environ)


def _list_variables(command: click.Command) -> Iterator[str]:
    """List the environment variables that a command and its subcommands read."""
    for param in command.params:
        given = param.envvar or ()
        yield from [given] if isinstance(given, str) else given
    if isinstance(command, click.Group):
        for one in command.commands.values():
            yield from _list_variables(one)


def _check_variables(environment: Mapping[str, str]) -> None:
    """Refuse misspelled variables, which would leave an option at its default.

    Raises:
        click.UsageError: a variable begins as ours do, and no command reads it.
    """
    known = sorted(set(_list_variables(_commands)))
    for name in sorted(environment):
        if name.startswith(_OURS) and name not in known and not name.startswith(_OF_KUBERNETES):
            raise click.UsageError(f"unknown environment variable {ascii(name)[1:-1]}{suggest(name, known)}")


for _command in (serve, execute, print_environment, print_status, stop, replay_command, scenario, webhooks):
    _commands.add_command(_command)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line and exit; the status is 0 on success, 2 on failure, 130 after Ctrl-C."""
    given = sys.argv[1:] if arguments is None else list(arguments)
    try:
        code = _commands.main(given or ["--help"], prog_name="zof-emulator", standalone_mode=False, obj=given)
    except click.ClickException as error:
        _fail(error.format_message())
    except SpecError as error:
        _fail(f"the contract cannot be used: {error}")
    except (UnusableFile, UnusableScenario) as error:
        _fail(str(error))
    except OSError as error:  # commands report the files that they cannot use; the output is left, and has no name
        if error.filename is None:
            discard_output()
        what = "write the output" if error.filename is None else f"use {error.filename}"
        _fail(f"cannot {what}: {error.strerror or error}")
    except (KeyboardInterrupt, click.Abort):
        sys.exit(INTERRUPTED)
    else:
        sys.exit(code if isinstance(code, int) else 0)


def _fail(message: str) -> None:
    write_line(sys.stderr, f"zof-emulator: error: {' '.join(message.split())}")
    sys.exit(_COULD_NOT)
