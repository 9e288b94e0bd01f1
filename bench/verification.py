"""Verification: the seconds that `zof-contracts` takes for an emulator whose clock cannot be moved.

The rate limit is off: where there is one, a verification takes at least as many windows as its requests fill.
"""

from __future__ import annotations

import subprocess
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import orjson

from bench.machine import ROOT, CannotMeasure, find_tool
from bench.servers import make_emulator, run_server

if TYPE_CHECKING:
    from bench.servers import Server
    from bench.session import Session

_WORKERS: Final = 4
_EXAMPLES: Final = 30


@dataclass(frozen=True, slots=True)
class _Case:
    """A deployment to verify, and the options for it."""

    title: str
    server: Server
    workers: int
    examples: int
    target: float | None
    """The seconds that it may take; None if it is measured for comparison."""


def _list_cases() -> tuple[_Case, ...]:
    real, still = make_emulator("--clock", "real"), make_emulator("--clock", "manual")
    return (
        _Case("probes alone", real, _WORKERS, 0, 20.0),
        _Case("all parts, one sequence at a time", real, 1, _EXAMPLES, None),
        _Case(f"all parts, {_WORKERS} sequences at once", real, _WORKERS, _EXAMPLES, 60.0),
        _Case("all parts, and runs that never end", still, _WORKERS, _EXAMPLES, 120.0),
    )


def measure(session: Session) -> dict[str, Any]:
    """Verify a new emulator once for each case; the harness is on the core of the client."""
    cores = session.cores
    install_harness()
    rows = []
    for case in _list_cases():
        session.log(f"verification: {case.title}")
        with run_server(case.server, cores.server, session.folder / "verify.log") as server:
            command = ("bench.verify_once", str(server.port), str(case.workers), str(case.examples))
            found = _run_module(cores.client, *command)
            found["server_cpu_seconds"] = server.measure_cpu_seconds()
        met = None if case.target is None else found["seconds"] < case.target
        rows.append({"title": case.title, "target": case.target, "met": met, **found})
    single, several = (row for row in rows if row["title"].startswith("all parts, ") and "sequence" in row["title"])
    same = all(single[name] == several[name] for name in ("exercised", "findings"))
    return {"rows": rows, "same": same}


def install_harness() -> None:
    """Install what `zof-contracts` needs. Raises `CannotMeasure` if that fails."""
    if subprocess.run((str(ROOT / "scripts" / "venv"), "contracts"), check=False).returncode:  # noqa: S603  our own
        raise CannotMeasure("the harness could not be installed")


def _run_module(core: int, name: str, *arguments: str) -> dict[str, Any]:
    command = (find_tool("taskset", "util-linux"), "-c", str(core), sys.executable, "-m", name, *arguments)
    done = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, check=False)  # noqa: S603  a command of ours
    if done.returncode:
        raise CannotMeasure(f"{name} {' '.join(arguments)} failed with exit status {done.returncode}")
    found: dict[str, Any] = orjson.loads(done.stdout)
    return found
