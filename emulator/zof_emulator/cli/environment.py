"""`zof-emulator env`: the environment variables that point a client at a running emulator, as shell commands."""

from __future__ import annotations

import shlex

import click

from zof_emulator.cli.output import print_line
from zof_emulator.core.tenants import DEFAULT


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
@click.option("--host", default="127.0.0.1", show_default=True, help="Host at which clients reach the emulator.")
@click.option(
    "-p", "--port", default=9630, show_default=True, type=click.IntRange(1, 65_535), help="Port of the emulator."
)
@click.option("--unset", is_flag=True, help="Print the commands that remove the variables.")
def print_environment(host: str, port: int, *, unset: bool) -> None:
    """Print the variables that point a client at an emulator.

    Usage: eval "$(zof-emulator env)"
    """
    variables = list_client_variables(f"http://{quote_host(host)}:{port}", DEFAULT.keys[0].secret)
    lines = [f"unset {name}" if unset else f"export {name}={shlex.quote(one)}" for name, one in variables.items()]
    print_line("\n".join(lines))
