"""Processes that a command leaves behind, also those that have left its process group and its session.

On Linux this process adopts them: a process whose parent has ended becomes a child of ours (`PR_SET_CHILD_SUBREAPER`).
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import Final

_PR_SET_CHILD_SUBREAPER: Final = 36
_PAUSE: Final = 0.02


def adopt_orphans() -> bool:
    """Become the parent of descendants whose own parent ends; whether the system can do that."""
    if sys.platform != "linux":
        return False
    status: int = ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    return status == 0


def end_children(grace: float) -> None:
    """End all child processes, and those that become ours when their parent ends.

    Each gets SIGTERM first, and SIGKILL when `grace` seconds are over.
    """
    began = time.monotonic()
    signalled: set[int] = set()
    while children := _list_children():
        is_late = time.monotonic() > began + grace
        for child in children:
            if is_late or child not in signalled:
                signalled.add(child)
                with suppress(ProcessLookupError):
                    os.kill(child, signal.SIGKILL if is_late else signal.SIGTERM)
        _reap()
        if time.monotonic() > began + 2 * grace:  # a process that the system cannot end, as in a broken file system
            return
        time.sleep(_PAUSE)


def _reap() -> None:
    """Take note of the children that have ended."""
    with suppress(ChildProcessError):
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass


def _list_children() -> list[int]:
    """The child processes that have not been reaped."""
    _reap()
    found: list[int] = []
    for file in Path("/proc/self/task").glob("*/children"):
        with suppress(OSError):
            found += map(int, file.read_text().split())
    return found
