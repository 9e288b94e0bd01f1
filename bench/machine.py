"""The machine: which cores there are, which tools, and what a reader must know to judge a number."""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parent.parent
_PACKAGES: Final = ("uvicorn", "uvloop", "httptools", "starlette", "orjson", "jsonschema-rs")
_TWO: Final = 2


class CannotMeasure(Exception):  # noqa: N818  it says what is lacking
    """Something that a measurement needs is not here, or did not do its part; the message is one line."""


@dataclass(frozen=True, slots=True)
class Cores:
    """The core that servers are pinned to, and the one for all that asks them."""

    server: int
    client: int


def cores() -> Cores:
    """The first two cores that this process may use; it moves to the second itself. `CannotMeasure` if it has one."""
    mine = sorted(os.sched_getaffinity(0))
    if len(mine) < _TWO:
        raise CannotMeasure("needs two cores: one for the server, one for what asks it")
    os.sched_setaffinity(0, {mine[1]})
    return Cores(mine[0], mine[1])


def tool(name: str, package: str) -> str:
    """The path of a program; `CannotMeasure`, with the Debian package that holds it, when it is not installed."""
    found = shutil.which(name)
    if found is None:
        raise CannotMeasure(f"no {name} found; install it (Debian: apt install {package})")
    return found


def output(*command: str) -> str:
    """What a command writes, or nothing when it cannot be run; some tools fail when asked for their version."""
    try:
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)  # noqa: S603  our own
    except OSError:
        return ""
    return (done.stdout or done.stderr).strip()


def described() -> dict[str, str]:
    """What tells this machine and this tree from others."""
    commit = output("git", "describe", "--always", "--dirty")
    return {
        "measured at": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "commit": commit or "no git checkout",
        "processor": _processor(),
        "cores": str(os.cpu_count()),
        "load before": " ".join(f"{one:.2f}" for one in os.getloadavg()),
        "system": f"{platform.system()} {platform.release()}",
        "python": f"{platform.python_implementation()} {platform.python_version()}",
        **{package: version(package) for package in _PACKAGES},
        "wrk": next(iter(output("wrk", "-v").split("[")[0].removeprefix("wrk ").split()), "?"),
        "node": output("node", "--version") or "none",
    }


def _processor() -> str:
    lines = Path("/proc/cpuinfo").read_text("utf-8").splitlines()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), platform.machine())
