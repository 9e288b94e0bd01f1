"""The command `zof-contracts proxy`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from zof_contracts.cli.numbers import WholeNumber
from zof_contracts.cli.options import PROXY_VARIABLE
from zof_contracts.cli.recording_options import add_report_options
from zof_contracts.cli.verify import load_with_extra

DEFAULT_PORT = 9631


@click.command()
@click.option(
    "--upstream",
    required=True,
    metavar="URL",
    help="Deployment that traffic is forwarded to: scheme, host and port, with or without /v1.",
)
@click.option(
    "-p",
    "--port",
    type=WholeNumber(0, 65535),
    default=DEFAULT_PORT,
    show_default=True,
    help="Port to listen on; 0 picks a free one.",
)
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option(
    "--token",
    default="",
    envvar=PROXY_VARIABLE,
    show_envvar=True,
    help="Token that clients must send as Proxy-Authorization: Bearer TOKEN. Needed to listen beyond loopback.",
)
@click.option(
    "--mark",
    is_flag=True,
    help="Add the header X-Zof-Contracts-Finding, with the keys of the findings, to answers that break a rule.",
)
@click.option(
    "--keep-host/--rewrite-host",
    default=None,
    help="Forward the Host of requests as it is, or replace it by that of the upstream."
    "  [default: kept for an upstream on loopback]",
)
@click.option(
    "--ca-file",
    type=click.Path(dir_okay=False, path_type=Path),
    help="File of certificate authorities (PEM) to trust besides the system's.",
)
@click.option("--strict", is_flag=True, help="Fail for differences from assumptions too.")
@add_report_options
def proxy(**options: Any) -> int:  # noqa: ANN401
    """Forward traffic to a deployment unchanged, and judge each exchange as it passes.

    The answers are checked against the contract, the requests against the rules for clients, and the coverage of the
    contract is counted. GET /_contracts/report gives all three as JSON at any time; at the end they are written as
    reports. Keys are not stored.

    Exit status, when SIGINT or SIGTERM ends it: 0 if no rule was broken; 1 if one was; 2 if nothing passed or it could
    not listen.
    """
    code: int = load_with_extra("zof_contracts.cli.forwarding").forward(options)
    return code
