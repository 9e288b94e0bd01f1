"""Installs the packages of Debian that generated clients need and the machine lacks."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tests.clients.recipes import Need

SECONDS: Final = 180
"""How long one command may take."""


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
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    install = ("install", "-y", "-qq", "--no-install-recommends", "-o", "DPkg::Lock::Timeout=60")
    downloads = (("update", "-qq"), (*install, "--download-only", *packages))  # these two may be ended at any time
    for command in (*downloads, (*install, *packages)):
        try:
            ran = subprocess.run(
                (client, *command),
                env=environment,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                timeout=SECONDS,
                check=False,
            )
        except subprocess.TimeoutExpired:
            return f"{problem} apt-get {command[0]} took more than {SECONDS} s"
        if ran.returncode:
            said = " ".join(ran.stderr.split())[:300]
            return f"{problem} apt-get {command[0]} ended with status {ran.returncode}: {said}"
    return ""
