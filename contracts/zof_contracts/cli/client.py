"""The command `zof-contracts client`."""

from __future__ import annotations

from typing import Any

import click

from zof_contracts.cli.recording_options import EMULATOR_OPTION, add_recording_options
from zof_contracts.cli.verify import load_with_extra


@click.command()
@EMULATOR_OPTION
@add_recording_options
def client(**options: Any) -> int:  # noqa: ANN401
    """Judge a client of the API by the requests that it sent.

    The requests are read from FILE: a journal of zof-emulator (NDJSON) or a HAR file; `-` is standard input. With --url
    they are read from a running emulator. Nothing is sent to the API.

    Exit status: 0 if no rule was broken; 1 if one was, or with --strict one that is only assumed; 2 if a file cannot
    be read or holds nothing of the API, or fewer rules were exercised than --fail-under demands; 130 if it was
    interrupted.
    """
    code: int = load_with_extra("zof_contracts.cli.recordings").judge_client(options)
    return code
