"""The machine: its cores, the tools that it has, and what a reader must know to judge a figure."""

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


class CannotMeasure(Exception):  # noqa: N818  it names what is missing
    """A measurement is not possible. The one-line message says what is missing or has failed."""


@dataclass(frozen=True, slots=True)
class Cores:
    """The core to which servers are pinned, and the core of the processes that send requests."""

    server: int
    client: int


def pin_cores() -> Cores:
    """The first two cores of this process, which is then pinned to the second. `CannotMeasure` if it has one."""
    available = sorted(os.sched_getaffinity(0))
    if len(available) < _TWO:
        raise CannotMeasure("two cores are needed: one for the server, one for the client")
    os.sched_setaffinity(0, {available[1]})
    return Cores(available[0], available[1])


def find_tool(name: str, package: str) -> str:
    """The path of a program. Raises `CannotMeasure` with the name of its Debian package if it is not installed."""
    found = shutil.which(name)
    if found is None:
        raise CannotMeasure(f"no {name} found; install it (Debian: apt install {package})")
    return found


def read_output(*command: str) -> str:
    """The output of a command, empty if it cannot be run. The exit status is ignored: some tools fail for a version."""
    try:
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)  # noqa: S603  our own
    except OSError:
        return ""
    return (done.stdout or done.stderr).strip()


def describe() -> dict[str, str]:
    """The facts about this machine and this checkout that a report states."""
    commit = read_output("git", "describe", "--always", "--dirty")
    return {
        "measured at": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "commit": commit or "no git checkout",
        "processor": _read_processor(),
        "cores": str(os.cpu_count()),
        "load before": " ".join(f"{one:.2f}" for one in os.getloadavg()),
        "system": f"{platform.system()} {platform.release()}",
        "python": f"{platform.python_implementation()} {platform.python_version()}",
        **{package: version(package) for package in _PACKAGES},
        "wrk": next(iter(read_output("wrk", "-v").split("[")[0].removeprefix("wrk ").split()), "?"),
        "node": read_output("node", "--version") or "none",
    }


def _read_processor() -> str:
    lines = Path("/proc/cpuinfo").read_text("utf-8").splitlines()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), platform.machine())
