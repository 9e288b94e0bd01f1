"""The command `zof-contracts check`."""

from __future__ import annotations

from typing import Any

import click

from zof_contracts.cli.recording_options import EMULATOR_OPTION, add_recording_options
from zof_contracts.cli.verify import load_with_extra


@click.command(short_help="Check recorded answers of a deployment.")
@EMULATOR_OPTION
@add_recording_options
def check(**options: Any) -> int:  # noqa: ANN401
    """Check recorded answers of a deployment against the contract, without sending a request.

    The answers are read from FILE: a HAR file, or a journal of zof-emulator (NDJSON); `-` is standard input. With --url
    they are read from a running emulator.

    Exit status: 0 if no violation was found; 1 if one was, or with --strict a difference from an assumption; 2 if a
    file cannot be read or holds nothing of the API, or fewer rules were exercised than --fail-under demands; 130 if it
    was interrupted.
    """
    code: int = load_with_extra("zof_contracts.cli.recordings").check_answers(options)
    return code
