"""Where recordings come from: files, standard input, and the journal of a running emulator."""

from __future__ import annotations

import re
import sys
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Final, Protocol

import httpcore

from zof_contracts.target.base_url import BaseUrl
from zof_contracts.traffic.exchanges import ExchangeReader
from zof_contracts.traffic.har import read_har
from zof_contracts.traffic.journal import is_journal, read_journal
from zof_contracts.traffic.recording import UnusableRecording

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from zof_contracts.traffic.keys import KeyNames
    from zof_contracts.traffic.recording import Recorded, Skips

STANDARD_INPUT: Final = "-"
_BOM: Final = b"\xef\xbb\xbf"
_LONGEST_START: Final = 1 << 16
"""Bytes in which the first line of a journal ends."""
_PIECE: Final = 1 << 16
_OK: Final = 200
_NOT_FOUND: Final = 404
_WORLD: Final = re.compile(r"(?P<root>.*)/w/(?P<name>[^/]+)")
"""The path of an address that selects a world."""
_SECONDS: Final = 60.0
_EXTENSIONS: Final = {"timeout": dict.fromkeys(("connect", "read", "write", "pool"), _SECONDS)}


class ByteSource(Protocol):
    """A source of bytes."""

    def read(self, size: int = -1, /) -> bytes:
        """The next bytes; empty at the end."""
        ...


class _Restarted:
    """A source whose first bytes were read already."""

    def __init__(self, start: bytes, source: ByteSource) -> None:
        self._start = start
        self._source = source

    def read(self, size: int = -1, /) -> bytes:
        """The next bytes."""
        if not self._start:
            return self._source.read(_PIECE if size < 0 else size)
        size = len(self._start) if size < 0 else size
        piece, self._start = self._start[:size], self._start[size:]
        return piece


def read_files(names: Sequence[str], keys: KeyNames, skips: Skips, *, base_url: str = "") -> Iterator[Recorded]:
    """The contents of files, one after another; `-` is standard input.

    Raises:
        UnusableRecording: a file cannot be opened or read, or is no recording; the message names it.
    """
    for name in names:
        try:
            with _open(name) as source:
                yield from read_source(source, keys, skips, name=name, base_url=base_url)
        except OSError as error:
            raise UnusableRecording(f"cannot read {name}: {error.strerror or error}") from error


@contextmanager
def _open(name: str) -> Iterator[ByteSource]:
    if name == STANDARD_INPUT:
        yield sys.stdin.buffer
        return
    with Path(name).open("rb") as file:
        yield file


def read_source(
    source: ByteSource, keys: KeyNames, skips: Skips, *, name: str, base_url: str = ""
) -> Iterator[Recorded]:
    """The contents of one recording, a journal or a HAR file.

    Raises:
        UnusableRecording: it is neither; the message names it.
    """
    start = b""
    while len(start) < _LONGEST_START and b"\n" not in start and (piece := source.read(_PIECE)):
        start += piece
    start = start.removeprefix(_BOM)
    if not start.strip():
        raise UnusableRecording(f"cannot read {name}: it is empty")
    reader, restarted = ExchangeReader(keys, skips, base_url), _Restarted(start, source)
    try:
        if is_journal(start.lstrip().partition(b"\n")[0]):
            yield from read_journal(restarted, reader, skips, name)
        else:
            yield from read_har(restarted, reader, skips, name, start)
    except UnusableRecording as error:
        raise UnusableRecording(f"cannot read {name}: {error}") from error


class _Stream:
    """The body of an answer as a source of bytes."""

    def __init__(self, pieces: Iterator[bytes]) -> None:
        self._pieces = pieces
        self._rest = b""

    def read(self, size: int = -1, /) -> bytes:
        """The next bytes."""
        if not self._rest:
            self._rest = next((piece for piece in self._pieces if piece), b"")
        if size < 0:
            size = len(self._rest)
        piece, self._rest = self._rest[:size], self._rest[size:]
        return piece


def read_emulator(url: str, keys: KeyNames, skips: Skips) -> Iterator[Recorded]:
    """The journal of a world of a running emulator, such as `http://127.0.0.1:9630/w/beta`.

    Raises:
        UnusableRecording: the address is wrong, nothing answers there, or it has no journal.
    """
    try:
        base = BaseUrl.parse(url)
    except ValueError as error:
        raise UnusableRecording(f"invalid --url: {error}") from error
    address = f"{base}/_emulator/journal.ndjson"
    try:
        with (
            httpcore.ConnectionPool() as pool,
            pool.stream("GET", address, headers={"Host": base.authority}, extensions=_EXTENSIONS) as answer,
        ):
            _require_world(pool, base)
            if answer.status != _OK:
                raise UnusableRecording(f"cannot read {address}: status {answer.status}, so it keeps no journal")
            yield from read_source(_Stream(answer.iter_stream()), keys, skips, name=str(base))
    except (httpcore.NetworkError, httpcore.TimeoutException, httpcore.ProtocolError, OSError) as error:
        raise UnusableRecording(f"cannot read {address}: {str(error) or type(error).__name__}") from error


def _require_world(pool: httpcore.ConnectionPool, base: BaseUrl) -> None:
    """Find out whether the world that an address selects exists; the journal of one that does not exist is empty.

    Raises:
        UnusableRecording: the emulator has no such world.
    """
    if (selected := _WORLD.fullmatch(base.path)) is None:
        return
    address = f"{replace(base, path=selected['root'])}/_emulator/worlds/{selected['name']}"
    answer = pool.request("GET", address, headers={"Host": base.authority}, extensions=_EXTENSIONS)
    if answer.status == _NOT_FOUND:
        raise UnusableRecording(f"cannot read {base}: the emulator has no world {selected['name']!r}")
