"""`zof-emulator status` and `zof-emulator stop`: whether an emulator takes requests, and the end of a detached one."""

from __future__ import annotations

import json
import os
import signal
import time
from contextlib import closing, suppress
from http.client import HTTPConnection, HTTPException
from typing import Final

import click

from zof_emulator.cli.environment import quote_host
from zof_emulator.cli.option_types import WholeNumber
from zof_emulator.cli.output import print_line
from zof_emulator.cli.state import find_folder, read_state
from zof_emulator.settings import Settings

_LONGEST: Final = 3_600
_PAUSE: Final = 0.05
"""Seconds between two looks at an emulator."""
_ANSWER: Final = 5.0
"""Seconds that an emulator has to say that it is ready."""
_OK: Final = 200
_PORT: Final = click.option(
    "-p",
    "--port",
    default=Settings().port,
    show_default=True,
    type=WholeNumber(1, 65_535),
    help="Port of the emulator.",
)


@click.command("status", short_help="Print the address of an emulator that is ready, as JSON.")
@click.option("--host", default=Settings().host, show_default=True, help="Host of the emulator.")
@_PORT
@click.option(
    "--wait",
    default=0,
    show_default=True,
    type=WholeNumber(0, _LONGEST),
    help="Seconds to wait until the emulator is ready.",
)
def print_status(host: str, port: int, wait: int) -> None:
    """Print the address of an emulator that is ready, as JSON; exit with 2 if there is none.

    The emulator may have been started in any way. For a detached one the output also holds its process ID, and the
    files that hold its token and its log.
    """
    until = time.monotonic() + wait
    while not _is_ready(host, port):
        if time.monotonic() >= until:
            raise click.ClickException(f"no emulator is ready at {quote_host(host)}:{port}; start one, or use --wait")
        time.sleep(_PAUSE)
    state = read_state(port) if Settings(host=host).loopback else None
    found = {"base_url": f"http://{quote_host(host)}:{port}/v1", "host": host, "port": port}
    print_line(json.dumps({"event": "ready", **(found if state is None else state._asdict())}))


@click.command("stop", short_help="Stop an emulator that `serve --detach` started.")
@_PORT
@click.option(
    "--wait",
    default=10,
    show_default=True,
    type=WholeNumber(0, _LONGEST),
    help="Seconds that the emulator has to save its world and end; then it is killed.",
)
def stop(port: int, wait: int) -> None:
    """Stop an emulator that `serve --detach` started; exit with 2 if there is none."""
    state = read_state(port)
    if state is None:
        raise click.ClickException(
            f"no detached emulator listens on port {port}: {find_folder() / f'{port}.json'} names none"
        )
    _end(state.pid, signal.SIGTERM)
    if not _wait_for_end(port, wait):
        _end(state.pid, getattr(signal, "SIGKILL", signal.SIGTERM))
        _wait_for_end(port, _LONGEST)
        raise click.ClickException(f"the emulator did not end within {wait} seconds and was killed")


def _end(pid: int, number: signal.Signals) -> None:
    with suppress(ProcessLookupError):
        os.kill(pid, number)


def _wait_for_end(port: int, seconds: float) -> bool:
    """Wait until the emulator on a port has ended; whether it has in time."""
    until = time.monotonic() + seconds
    while read_state(port) is not None:
        if time.monotonic() >= until:
            return False
        time.sleep(_PAUSE)
    return True


def _is_ready(host: str, port: int) -> bool:
    """Whether an emulator at an address says that it takes requests."""
    try:
        with closing(HTTPConnection(host, port, timeout=_ANSWER)) as connection:
            connection.request("HEAD", "/_emulator/ready")
            answer = connection.getresponse()
            return answer.status == _OK and answer.getheader("x-request-id") is not None
    except (OSError, HTTPException, UnicodeError):
        return False
