"""Installs the packages of Debian that generated clients need and the machine lacks."""

from __future__ import annotations

import shutil
import subprocess
import sys
from typing import TYPE_CHECKING, Final

from tests.clients.processes import run_command

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tests.clients.recipes import Need

SECONDS: Final = 100
"""How long a download may take."""
_INSTALL_SECONDS: Final = 240
"""How long the installation may take, which leaves packages half configured when it is ended."""


def is_met(need: Need) -> bool:
    """Whether the machine has what a generator needs."""
    if shutil.which(need.probe[0]) is None:
        return False
    ran = subprocess.run(need.probe, stdin=subprocess.DEVNULL, capture_output=True, timeout=SECONDS, check=False)
    return ran.returncode == 0


def install_packages(needs: Iterable[Need]) -> str:
    """Install the packages for needs that are not met: why that was not possible, else an empty text."""
    packages = list(dict.fromkeys(need.package for need in needs if need.package and not is_met(need)))
    if not packages:
        return ""
    problem = f"cannot install {' '.join(packages)}:"
    client = shutil.which("apt-get")
    if client is None:
        return f"{problem} there is no apt-get"
    sys.stderr.write(f"zof-emulator: installing {' '.join(packages)}\n")
    install = ("install", "-y", "-qq", "--no-install-recommends", "-o", "DPkg::Lock::Timeout=60")
    commands = (
        (SECONDS, ("update", "-qq")),
        (SECONDS, (*install, "--download-only", *packages)),
        (_INSTALL_SECONDS, (*install, *packages)),
    )
    for seconds, command in commands:
        ran = run_command((client, *command), seconds=seconds, variables={"DEBIAN_FRONTEND": "noninteractive"})
        if ran.returncode:
            said = " ".join(ran.stderr.split())[:300]
            return f"{problem} apt-get {command[0]} ended with status {ran.returncode}: {said}"
    return ""
