"""`zof-emulator serve --detach`: starts an emulator in the background, and returns when it is ready."""

from __future__ import annotations

import json
import os
import selectors
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click

from zof_emulator.cli.state import RunningEmulator, find_folder, make_locked_file

if TYPE_CHECKING:
    from collections.abc import Sequence

DETACH: Final = "--detach"
VARIABLE: Final = "ZOF_EMULATOR_DETACH"
_PATIENCE: Final = 120.0
"""Seconds that an emulator has until it is ready; loading a large snapshot takes some of them."""
_PIECE: Final = 1 << 16


def start_detached(arguments: Sequence[str]) -> str:
    """Start a server in the background, with a session of its own, and write its state file.

    Args:
        arguments: the command line, which contains `serve` and its flags.

    Returns:
        The ready line of the server.

    Raises:
        ClickException: the server ended before it was ready, or was not ready in time.
        UnusableFile: there is no folder for its state.
    """
    folder = find_folder()
    handle, log_name = tempfile.mkstemp(".new", dir=folder)
    log = Path(log_name)
    with os.fdopen(handle, "wb") as errors, make_locked_file() as locked:
        process = subprocess.Popen(  # noqa: S603  this command itself
            [sys.executable, "-m", "zof_emulator", *(one for one in arguments if one != DETACH)],
            env={name: value for name, value in os.environ.items() if name != VARIABLE},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=errors,
            start_new_session=True,
            pass_fds=[locked.opened.fileno()],
        )
        try:
            line = _read_ready_line(process)
        except BaseException:
            process.kill()
            process.wait()
            log.unlink()
            raise
        if line is None:
            process.wait()
            reason = _find_reason(log)
            log.unlink()
            raise click.ClickException(reason)
        ready = json.loads(line)
        log_file = folder / f"{ready['port']}.log"
        log.rename(log_file)
        fields = {name: ready[name] for name in ("base_url", "host", "port", "pid", "token_file")}
        locked.publish(RunningEmulator(**fields, log_file=str(log_file)))
    return line


def _read_ready_line(process: subprocess.Popen[bytes]) -> str | None:
    """The first line that a server prints; None if it ends before that."""
    assert process.stdout is not None  # noqa: S101  it was opened as a pipe
    until, line = time.monotonic() + _PATIENCE, b""
    with process.stdout as output, selectors.DefaultSelector() as selector:
        selector.register(output, selectors.EVENT_READ)
        while not line.endswith(b"\n"):
            if not selector.select(max(0.0, until - time.monotonic())):
                raise click.ClickException(f"the emulator was not ready within {_PATIENCE:.0f} seconds")
            piece = os.read(output.fileno(), _PIECE)
            if not piece:
                return None
            line += piece
    return line.decode().strip()


def _find_reason(log: Path) -> str:
    """The last line that a server logged, without the name of the program."""
    lines = log.read_text(errors="replace").strip().splitlines() or ["the emulator ended before it was ready"]
    return lines[-1].removeprefix("zof-emulator: error: ")
