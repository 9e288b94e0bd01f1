"""The files in which running emulators leave their state for other commands: one folder per user, named by port.

The folder is `zof-emulator` in `$XDG_RUNTIME_DIR`, or `zof-emulator-UID` in the folder for temporary files. Only its
user can enter it. `PORT.json` says how a detached emulator is reached, `PORT.token` holds the token of `/_emulator`
where one is required, and `PORT.log` is what a detached emulator logs.

A detached emulator inherits a lock on `PORT.json`, which the system releases when its process ends, however it ends.
So a file that was left behind never leads to another process that has been given the same number.
"""

from __future__ import annotations

import json
import os
import stat
import sys
import tempfile
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, TYPE_CHECKING, NamedTuple

from zof_emulator.cli.snapshot_files import UnusableFile

if sys.platform != "win32":
    import fcntl

if TYPE_CHECKING:
    from collections.abc import Iterator


class RunningEmulator(NamedTuple):
    """A detached emulator, as its state file describes it."""

    base_url: str
    host: str
    port: int
    pid: int
    token_file: str | None
    log_file: str


class LockedFile(NamedTuple):
    """A file with a lock, which processes that inherit it hold too."""

    opened: IO[str]
    path: Path

    def publish(self, state: RunningEmulator) -> None:
        """Write the state of an emulator, and give the file the name of its port."""
        json.dump(state._asdict(), self.opened)
        self.opened.flush()
        self.path.rename(self.path.parent / f"{state.port}.json")


def find_folder() -> Path:
    """The folder for the state of this user's emulators, which is made if it does not exist.

    Raises:
        UnusableFile: the folder cannot be made, or another user could enter it.
    """
    if sys.platform == "win32":
        raise UnusableFile("cannot detach an emulator on Windows: start it in a terminal of its own")
    runtime = os.environ.get("XDG_RUNTIME_DIR")
    folder = Path(runtime, "zof-emulator") if runtime else Path(tempfile.gettempdir(), f"zof-emulator-{os.getuid()}")
    try:
        folder.mkdir(0o700, exist_ok=True)
        found = folder.lstat()
    except OSError as error:
        raise UnusableFile(f"cannot make the folder {folder}: {error.strerror}") from error
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid() or found.st_mode & 0o077:
        raise UnusableFile(f"cannot use {folder}: it must be a folder that only this user can enter (mode 700)")
    return folder


def write_token(port: int, token: str) -> Path | None:
    """Write the token of a server that listens on a port to a file that only this user can read.

    Returns:
        The file; None if there is no token, or no place for the file.
    """
    if not token:
        return None
    with suppress(OSError, UnusableFile):
        file = find_folder() / f"{port}.token"
        file.unlink(missing_ok=True)
        with os.fdopen(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as opened:
            opened.write(token + "\n")
        return file
    return None


@contextmanager
def make_locked_file() -> Iterator[LockedFile]:
    """A new file in the folder, with a lock; it is deleted at the end of the block unless it was published.

    Raises:
        UnusableFile: there is no folder for it.
    """
    handle, name = tempfile.mkstemp(".new", dir=find_folder())
    with os.fdopen(handle, "w") as opened:
        if sys.platform != "win32":
            fcntl.flock(handle, fcntl.LOCK_EX)
        try:
            yield LockedFile(opened, Path(name))
        finally:
            Path(name).unlink(missing_ok=True)


def read_state(port: int) -> RunningEmulator | None:
    """The detached emulator on a port; None if there is none, or if its process has ended."""
    file = find_folder() / f"{port}.json"
    with suppress(OSError, ValueError, TypeError), file.open() as opened:
        if _is_locked(opened):
            return RunningEmulator(**json.load(opened))
        file.unlink(missing_ok=True)
    return None


def has_detached_emulator(port: int) -> bool:
    """Whether a detached emulator of this user listens on a port."""
    try:
        return read_state(port) is not None
    except UnusableFile:  # it cannot have a state file
        return False


def _is_locked(opened: IO[str]) -> bool:
    if sys.platform != "win32":
        try:
            fcntl.flock(opened, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False
