"""The standard output of commands whose result is what they print."""

from __future__ import annotations

import os
import sys
from contextlib import suppress

import click


def print_line(text: str) -> None:
    """Print a text and the end of its line to standard output at once.

    Raises:
        click.ClickException: standard output is closed or full, or its reader has gone.
    """
    if sys.stdout is None:
        raise click.ClickException("cannot write the output: standard output is closed")
    try:
        sys.stdout.write(f"{text}\n")
        sys.stdout.flush()
    except (OSError, ValueError) as error:
        discard_output()
        reason = error.strerror if isinstance(error, OSError) else None
        raise click.ClickException(f"cannot write the output: {reason or error}") from error


def discard_output() -> None:
    """Discard the rest of the buffer of standard output, which Python would try to write again at exit."""
    with suppress(OSError, ValueError):  # it may be closed
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, sys.stdout.fileno())
        os.close(nowhere)
