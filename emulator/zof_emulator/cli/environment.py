"""`zof-emulator env`: the environment variables that point a client at a running emulator, as shell commands."""

from __future__ import annotations

import shlex

import click

from zof_emulator.cli.option_types import Parsed, WholeNumber
from zof_emulator.cli.output import print_line
from zof_emulator.core.scenario import Scenario
from zof_emulator.core.tenants import DEFAULT
from zof_emulator.scenarios.load import load_scenario
from zof_emulator.settings import parse_host


def list_client_variables(root: str, api_key: str) -> dict[str, str]:
    """The variables for a client of the emulator at `root`, a URL without a path."""
    return {
        "ZOF_BASE_URL": f"{root}/v1",
        "ZOF_API_KEY": api_key,
        "ZOF_EMULATOR_URL": root,
        "ZOF_CONTROL_URL": f"{root}/_emulator",
    }


def quote_host(host: str) -> str:
    """A host as a URL has it: an IPv6 address in brackets."""
    return f"[{host}]" if ":" in host else host


@click.command("env")
@click.option(
    "--host",
    default="127.0.0.1",
    show_default=True,
    type=Parsed("host", parse_host),
    help="Host at which clients reach the emulator.",
)
@click.option(
    "-p", "--port", default=9630, show_default=True, type=WholeNumber(1, 65_535), help="Port of the emulator."
)
@click.option(
    "--scenario",
    envvar="ZOF_EMULATOR_SCENARIO",
    show_envvar=True,
    metavar="FILE|NAME",
    help="Scenario that the emulator was started with; ZOF_API_KEY is then its key with the most permissions.",
)
@click.option("--key", help="API key to use instead of one of the scenario or of the default data.")
@click.option("--unset", is_flag=True, help="Print the commands that remove the variables.")
def print_environment(host: str, port: int, scenario: str | None, key: str | None, *, unset: bool) -> None:
    """Print the variables that point a client at an emulator.

    Usage: eval "$(zof-emulator env)"
    """
    chosen = Scenario.DEFAULT if key or not scenario else load_scenario(scenario).scenario
    api_key = key or chosen.choose_key(DEFAULT).secret
    variables = list_client_variables(f"http://{quote_host(host)}:{port}", api_key)
    lines = [f"unset {name}" if unset else f"export {name}={shlex.quote(one)}" for name, one in variables.items()]
    print_line("\n".join(lines))
