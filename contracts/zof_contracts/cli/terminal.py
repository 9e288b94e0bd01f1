"""Standard output, standard error and signals, so that every end of the command is an orderly one."""

from __future__ import annotations

import io
import os
import signal
import sys
import traceback
from contextlib import contextmanager, suppress
from typing import IO, TYPE_CHECKING, Final

import click

from zof_contracts.target.interruption import INTERRUPTION

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import FrameType

_SIGNALS: Final = ("SIGINT", "SIGTERM", "SIGHUP", "SIGBREAK")
"""The signals that interrupt a verification, where the system has them."""
_LAST_STANDARD: Final = 2
"""The highest descriptor of a standard stream."""


def prepare_streams() -> None:
    """Let standard output and standard error escape the characters that their encoding lacks.

    Raises:
        click.ClickException: standard output is closed.
    """
    occupied = os.open(os.devnull, os.O_RDWR)
    while occupied <= _LAST_STANDARD:  # otherwise a file of ours would become standard output
        occupied = os.open(os.devnull, os.O_RDWR)
    os.close(occupied)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    if _is_missing(sys.stdout):
        raise click.ClickException("standard output is closed: redirect it to a file or to the null device")


def _is_missing(stream: IO[str] | None) -> bool:
    return stream is None


def print_text(text: str) -> None:
    """Print to standard output at once.

    Raises:
        click.ClickException: it is closed or full.
    """
    try:
        sys.stdout.write(text)
        sys.stdout.flush()
    except (OSError, ValueError) as error:
        raise click.ClickException(describe_write_error(error)) from error


def describe_write_error(error: Exception) -> str:
    """Describe why standard output cannot be written."""
    reason = error.strerror if isinstance(error, OSError) else None
    return f"cannot write to standard output: {reason or error}"


def describe_internal_error(error: Exception) -> str:
    """Describe an error of the harness itself, with its place in the source."""
    frame = traceback.extract_tb(error.__traceback__)[-1]
    return f"internal error: {type(error).__name__}: {error} ({frame.filename}:{frame.lineno})"


def print_notice(line: str) -> None:
    """Print a line to standard error, if it can be written."""
    if not _is_missing(sys.stderr):
        with suppress(OSError, ValueError):
            sys.stderr.write(f"{line}\n")
            sys.stderr.flush()


def release_streams() -> None:
    """Direct a stream that cannot be flushed to the null device, or the interpreter would fail at its end."""
    for stream in (sys.stdout, sys.stderr):
        if _is_missing(stream):
            continue
        try:
            stream.flush()
        except (OSError, ValueError):
            with suppress(OSError, ValueError):
                null = os.open(os.devnull, os.O_WRONLY)
                os.dup2(null, stream.fileno())
                os.close(null)


@contextmanager
def raise_on_signals() -> Iterator[None]:
    """Raise `KeyboardInterrupt` for each signal that asks the command to end.

    SIGINT and SIGTERM count even where the caller ignores them, as a shell does for background jobs. An ignored SIGHUP
    stays ignored, because `nohup` asks for that.
    """
    try:
        with _handle_signals(_raise_interrupt):
            yield
    finally:
        INTERRUPTION.acknowledge()


@contextmanager
def hold_signals() -> Iterator[None]:
    """Ignore the signals that ask the command to end, for the short time that reports are written."""
    with _handle_signals(signal.SIG_IGN):
        yield


def _raise_interrupt(_: int, __: FrameType | None) -> None:
    INTERRUPTION.request()
    raise KeyboardInterrupt


@contextmanager
def _handle_signals(handler: signal._HANDLER) -> Iterator[None]:
    numbers = [getattr(signal, name) for name in _SIGNALS if hasattr(signal, name)]
    before = {number: signal.getsignal(number) for number in numbers}
    hung_up = getattr(signal, "SIGHUP", None)
    for number in numbers:
        if number != hung_up or before[number] is not signal.SIG_IGN:
            signal.signal(number, handler)
    try:
        yield
    finally:
        for number, earlier in before.items():
            signal.signal(number, earlier)
