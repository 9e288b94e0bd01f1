"""Files of worlds and journals. A file that cannot be read or written is reported in one line."""

from __future__ import annotations

import errno
import os
import secrets
import stat
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final

from zof_emulator.control import snapshots
from zof_emulator.control.snapshot_reader import SnapshotReader
from zof_emulator.core.refusal import Refused

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from io import FileIO

    from zof_emulator.http.hosted_world import HostedWorld


class UnusableFile(Exception):  # noqa: N818  the name says what is wrong
    """A file cannot be read or written. The message names the file and the reason."""


_PIECE: Final = 1 << 16


def read_file(file: Path) -> bytes:
    """The content of a file.

    Raises:
        UnusableFile: the file cannot be read.
    """
    try:
        return file.read_bytes()
    except OSError as error:
        raise UnusableFile(f"cannot read {file}: {error.strerror}") from error


def load_snapshot(hosted: HostedWorld, file: Path) -> None:
    """Replace a hosted world by the one in a snapshot file.

    Raises:
        UnusableFile: the file cannot be read, or is no snapshot.
    """
    reader = SnapshotReader()
    try:
        with file.open("rb") as source:
            while not reader.is_refused and (piece := source.read(_PIECE)):
                reader.feed(piece)
        value, _ = reader.finish()
        for _ in snapshots.restore(hosted, {**value, **reader.parts} if isinstance(value, dict) else {}):
            pass
    except OSError as error:
        raise UnusableFile(f"cannot read {file}: {error.strerror}") from error
    except Refused as refused:
        why = refused.values.get("why", "it is not valid JSON")
        raise UnusableFile(f"cannot load {file}: {why}") from refused


def check_writable(file: Path) -> Path:
    """Check that a file can be written, before there is content to lose.

    Returns:
        The file to write: the target of `file` if that is a symbolic link.

    Raises:
        UnusableFile: the file cannot be written.
    """
    target = Path(os.path.realpath(file))
    with _report_errors(file):
        mode = _check_target(target)
        try:
            handle, name = _make_beside(target)
        except OSError as error:
            if not _must_overwrite(mode, error):
                raise
        else:
            os.close(handle)
            name.unlink()
    return target


def save_snapshot(hosted: HostedWorld, file: Path) -> None:
    """Write a snapshot of a hosted world to a file that was checked; `UnusableFile` when it cannot be written."""
    write_file(file, snapshots.prepare_document(hosted))


def write_file(file: Path, pieces: Callable[[], Iterable[bytes]]) -> None:
    """Write a file that was checked; either its whole content changes, or nothing does.

    The file keeps its mode and its path. A file that cannot be replaced, such as one that a container mounts, is
    overwritten, and its old content is written back if that fails.

    Args:
        file: the file.
        pieces: returns the content in pieces, the same each time.

    Raises:
        UnusableFile: the file cannot be written.
    """
    with _report_errors(file):
        mode = _check_target(file)
        try:
            _replace(file, pieces(), mode)
        except OSError as error:
            if not _must_overwrite(mode, error):
                raise
            _overwrite(file, pieces)


_NOT_REPLACEABLE: Final = frozenset({errno.EBUSY, errno.EXDEV, errno.EACCES, errno.EPERM, errno.EROFS})
"""Errors of a writable file that cannot be replaced: it is a mount point, or its directory is not writable."""


def _must_overwrite(mode: int | None, error: OSError) -> bool:
    """Whether an existing file, with this mode, can be overwritten although it cannot be replaced."""
    return mode is not None and error.errno in _NOT_REPLACEABLE


@contextmanager
def _report_errors(file: Path) -> Iterator[None]:
    """Turn an `OSError` into an `UnusableFile` that names the file."""
    try:
        yield
    except OSError as error:
        raise UnusableFile(f"cannot write {file}: {error.strerror}") from error


def _check_target(target: Path) -> int | None:
    """The mode of the file to write; None if it does not exist. Raises `OSError` if it cannot be written."""
    try:
        mode = target.stat().st_mode
    except FileNotFoundError:
        return None
    if stat.S_ISDIR(mode):
        raise IsADirectoryError(errno.EISDIR, "it is a directory")
    if not stat.S_ISREG(mode):
        raise OSError(errno.EINVAL, "it is no regular file")
    if not os.access(target, os.W_OK):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
    return stat.S_IMODE(mode)


def _make_beside(target: Path) -> tuple[int, Path]:
    """A new file in the directory of another, with the mode that the process gives to new files."""
    name = target.with_name(f".zof-{secrets.token_hex(8)}")
    return os.open(name, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o666), name


def _replace(file: Path, pieces: Iterable[bytes], mode: int | None) -> None:
    """Replace a file by a new one with this mode."""
    handle, name = _make_beside(file)
    try:
        with os.fdopen(handle, "wb") as written:
            if mode is not None:
                name.chmod(mode)
            written.writelines(pieces)
            written.flush()
            os.fsync(handle)
        name.replace(file)
    finally:
        name.unlink(missing_ok=True)


def _overwrite(file: Path, pieces: Callable[[], Iterable[bytes]]) -> None:
    """Overwrite a file; if that fails, write its old content back."""
    size = sum(map(len, pieces()))
    with file.open("r+b", buffering=0) as target:
        before = target.read()
        try:
            if hasattr(os, "posix_fallocate") and size:
                os.posix_fallocate(target.fileno(), 0, size)  # a full disk raises before a byte changes
            _write_all(target, pieces())
        except OSError:
            _write_all(target, (before,))
            raise


def _write_all(target: FileIO, pieces: Iterable[bytes]) -> None:
    target.seek(0)
    for piece in pieces:
        rest = memoryview(piece)
        while rest:
            rest = rest[target.write(rest) :]
    target.truncate()
    os.fsync(target.fileno())
