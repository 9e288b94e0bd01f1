"""Runs the command line of the emulator in a process that must end by itself."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

from tests.served import PATIENCE, ROOT, environment

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path


def command(
    *arguments: str, root: Path = ROOT, variables: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """Runs `python -m zof_emulator` where it must end by itself."""
    return subprocess.run(
        [sys.executable, "-m", "zof_emulator", *arguments],
        cwd=root,
        env=environment({"PYTHONPATH": str(root / "emulator"), **(variables or {})}, measured=root == ROOT),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )


def complaint(done: subprocess.CompletedProcess[str]) -> str:
    """The one line in which a command said that it could not, exit status 2; fails if it said it otherwise."""
    assert (done.returncode, done.stdout) == (2, ""), done.stderr
    (line,) = done.stderr.splitlines()
    assert line.startswith("zof-emulator: error: ")
    return line
