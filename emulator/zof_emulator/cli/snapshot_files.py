"""Keeping: worlds and journals in files; what cannot be read or written is one line."""

from __future__ import annotations

import os
import tempfile
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import orjson

from zof_emulator.control import snapshots
from zof_emulator.core.refusal import Refused

if TYPE_CHECKING:
    from pathlib import Path

    from zof_emulator.http.hosted_world import HostedWorld


class UnusableFile(Exception):  # noqa: N818  it says what cannot be done
    """A file cannot be read, or written; the message names it and says why."""


def read(file: Path) -> bytes:
    """What is in a file; `UnusableFile` when that cannot be read."""
    try:
        return file.read_bytes()
    except OSError as error:
        raise UnusableFile(f"cannot read {file}: {error.strerror}") from error


def load(hosted: HostedWorld, file: Path) -> None:
    """Put the world of a snapshot in a hosted world; `UnusableFile` when it is none."""
    try:
        found: Any = orjson.loads(read(file))
        snapshots.restore(hosted, found if isinstance(found, dict) else {})
    except orjson.JSONDecodeError as error:
        raise UnusableFile(f"cannot load {file}: it is not valid JSON") from error
    except Refused as refused:
        raise UnusableFile(f"cannot load {file}: {refused.words['why']}") from refused


def check_writable(file: Path) -> None:
    """Find out before it is too late whether a file can be written; `UnusableFile` when it cannot."""
    if file.is_dir():
        raise UnusableFile(f"cannot write {file}: it is a directory")
    try:
        with tempfile.TemporaryFile(dir=file.parent):
            pass
    except OSError as error:
        raise UnusableFile(f"cannot write {file}: {error.strerror}") from error


def save(hosted: HostedWorld, file: Path) -> None:
    """Write a snapshot of a hosted world, whole or not at all; `UnusableFile` when it cannot be written."""
    try:
        handle, name = tempfile.mkstemp(dir=file.parent, prefix=f".{file.name}.")
    except OSError as error:
        raise UnusableFile(f"cannot write {file}: {error.strerror}") from error
    try:
        with os.fdopen(handle, "wb") as written:
            written.writelines(snapshots.document(hosted)())
        os.replace(name, file)  # noqa: PTH105  there is no Path to begin with
    except OSError as error:
        with suppress(OSError):
            os.unlink(name)  # noqa: PTH108
        raise UnusableFile(f"cannot write {file}: {error.strerror}") from error
