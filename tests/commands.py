"""Runs command lines that must end by themselves: those of the emulator, and those of the manuals."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING, Final

from tests.served import PATIENCE, ROOT, environment

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

_MANUAL_SECONDS: Final = 120


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


def run_manual(script: str, port: int, folder: Path) -> subprocess.CompletedProcess[str]:
    """Run a block of commands as a manual prints it, in a folder and against the emulator on a port."""
    script = script.replace("9630", str(port)).replace("scripts/contracts", "contracts_of_the_tests")
    here = f'contracts_of_the_tests() {{ "{sys.executable}" -P -m zof_contracts "$@"; }}\nset -eu\n'
    return subprocess.run(
        ["/bin/sh"],
        input=here + script,
        capture_output=True,
        text=True,
        cwd=folder,
        env=environment({}),
        check=False,
        timeout=_MANUAL_SECONDS,
    )
