"""Watches a file, and calls a function when it has changed."""

from __future__ import annotations

import stat
from threading import Event, Thread
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

_PAUSE: Final = 0.3
"""Seconds between two looks at the file."""
_PATIENCE: Final = 5.0
"""Seconds that the function has to return at the end."""


class FileWatcher:
    """Looks at a file from a thread of its own, by its time of change, size and number."""

    def __init__(self, file: Path, on_change: Callable[[], None]) -> None:
        """`on_change` is called in the thread."""
        self._file = file
        self._on_change = on_change
        self._last = self._look()
        self._end = Event()
        self._thread = Thread(target=self._run, name="zof-watch", daemon=True)

    def start(self) -> None:
        """Begin to watch."""
        self._thread.start()

    def stop(self) -> None:
        """Watch no more."""
        self._end.set()
        if self._thread.is_alive():
            self._thread.join(_PATIENCE)

    def check(self) -> None:
        """Call the function if the file has changed since the last look. What is missing or no regular file has not."""
        found = self._look()
        if found is not None and found != self._last:
            self._last = found
            self._on_change()

    def _look(self) -> tuple[int, int, int] | None:
        try:
            found = self._file.stat()
        except OSError:
            return None
        # To read a pipe would block until something writes to it.
        return (found.st_mtime_ns, found.st_size, found.st_ino) if stat.S_ISREG(found.st_mode) else None

    def _run(self) -> None:
        while not self._end.wait(_PAUSE):
            self.check()
