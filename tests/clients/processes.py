"""Runs a command that must end by itself, and keeps its output."""

from __future__ import annotations

import os
import subprocess
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path


def run_command(
    command: Sequence[str], *, seconds: int, folder: Path | None = None, variables: Mapping[str, str]
) -> subprocess.CompletedProcess[str]:
    """The ended process; one that takes too long has status 1 and says so in its error output."""
    try:
        return subprocess.run(
            command,
            cwd=folder,
            env={**os.environ, **variables},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=seconds,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return subprocess.CompletedProcess(command, 1, "", f"took more than {seconds} s")
