"""Many runs: the memory that 100,000 runs add to a server process, and the time of pages of them over HTTP."""

from __future__ import annotations

import subprocess
import sys
import time
from statistics import median
from typing import TYPE_CHECKING, Any, Final

import orjson

from bench.in_process import FEW, MANY
from bench.machine import ROOT, CannotMeasure, find_tool
from bench.servers import make_emulator, run_server
from bench.throughput import start_runs
from bench.wire import Wire

if TYPE_CHECKING:
    from bench.servers import Running, Server
    from bench.session import Session

BYTES: Final = 2_048
RATIO: Final = 1.5
_MIB: Final = 1 << 20
_TIMES: Final = 200
_OVER_HTTP: Final = (
    "/v1/runs",
    "/v1/runs?project_id=proj_abc123",
    "/v1/runs?status=passed",
    "/v1/runs?created_after=2026-01-01T00:00:00Z",
    "/v1/runs?created_before=2026-12-31T00:00:00Z",
    "/v1/results",
    "/v1/results?status=passed",
    "/v1/results?created_after=2026-01-01T00:00:00Z",
    "/v1/results?created_before=2026-12-31T00:00:00Z",
)


def run_in_process(kind: str, core: int) -> dict[str, Any]:
    """The figures of `bench.in_process`, measured in a separate process on the core of the servers."""
    command = (find_tool("taskset", "util-linux"), "-c", str(core), sys.executable, "-m", "bench.in_process", kind)
    done = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, check=False)  # noqa: S603  a command of ours
    if done.returncode:
        raise CannotMeasure(f"bench.in_process {kind} failed with exit status {done.returncode}")
    found: dict[str, Any] = orjson.loads(done.stdout)
    return found


def measure_memory(session: Session) -> dict[str, Any]:
    """Bytes per run of two cases, as counted by Python and by the system."""
    session.log("100,000 runs in process, every allocation counted")
    counted = run_in_process("memory", session.cores.server)
    session.log("100,000 runs in a server process")
    with run_server(_make_server(), session.cores.server, session.folder / "memory.log") as server:
        start_runs(server.port, FEW)
        before = server.measure_mebibytes()
        began = time.perf_counter()
        start_runs(server.port, MANY)
        seconds = time.perf_counter() - began
        waiting = server.measure_mebibytes() - before
        _end_all(server)
        ended = server.measure_mebibytes() - before
        whole = server.measure_mebibytes()
    reached = max(*counted.values(), (waiting * _MIB) / MANY, (ended * _MIB) / MANY)
    return {
        "runs": MANY,
        "target": BYTES,
        "reached": reached,
        "met": reached < BYTES,
        "counted": counted,
        "resident": {"waiting": waiting * _MIB / MANY, "ended": ended * _MIB / MANY},
        "server_mib": whole,
        "load_seconds": seconds,
    }


def measure_pages(session: Session) -> dict[str, Any]:
    """The time of a page of 20 runs, of 100,000 and of 100 runs, for each filter, in process and over HTTP."""
    session.log("pages out of 100 and out of 100,000 runs, in process")
    found = run_in_process("pages", session.cores.server)
    session.log("pages out of 100 and out of 100,000 runs, over HTTP")
    with (
        run_server(_make_server(), session.cores.server, session.folder / "few.log") as few,
        run_server(_make_server(), session.cores.server, session.folder / "many.log") as many,
    ):
        for server, runs in ((few, FEW), (many, MANY)):
            start_runs(server.port, runs)
            _end_all(server)
        over_http = {target: _compare(few, many, target) for target in _OVER_HTTP}
    reached = max(one[name] for one in found.values() for name in ("ratio", "ratio_new"))
    reached = max(reached, *(one["ratio"] for one in over_http.values()))
    return {"target": RATIO, "reached": reached, "met": reached <= RATIO, "filters": found, "over_http": over_http}


def _make_server() -> Server:
    return make_emulator("--clock", "manual", "--capacity", "10000")


def _end_all(server: Running) -> None:
    with Wire(server.port) as wire:
        wire.ask("POST", "/_emulator/clock/advance", b'{"by_ms":3600000}')


def _compare(few: Running, many: Running, target: str) -> dict[str, float]:
    times: list[list[float]] = [[], []]
    with Wire(few.port) as one, Wire(many.port) as other:
        for _ in range(_TIMES):
            for wire, taken in zip((one, other), times, strict=True):
                began = time.perf_counter()
                wire.ask("GET", target)
                taken.append(time.perf_counter() - began)
    first, second = (median(taken) * 1e6 for taken in times)
    return {"few_us": first, "many_us": second, "ratio": second / first}
