"""The proxy: the time that `zof-contracts proxy` adds to an answer, and its CPU time for each exchange.

Each request is sent twice in a row, directly and through the proxy, so that a disturbance of the machine affects both.
"""

from __future__ import annotations

import sys
import time
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any, Final

from bench.servers import Server, make_emulator, run_server
from bench.stats import Spread
from bench.verification import install_harness
from bench.wire import TWO_CASES, Wire

if TYPE_CHECKING:
    from pathlib import Path

    from bench.servers import Running
    from bench.session import Session

MOST_ADDED_MS: Final = 1.0
"""Target: the milliseconds that the proxy may add at the median."""
_PAIRS: Final = 500
"""Requests of a round, each sent directly and through the proxy."""
_REQUESTS: Final[dict[str, tuple[str, str, bytes]]] = {
    "list runs": ("GET", "/v1/runs?limit=20", b""),
    "start a run": ("POST", "/v1/runs", TWO_CASES),
}


def measure(session: Session) -> dict[str, Any]:
    """Measure each kind of request in each round; the proxy is on the core of the client."""
    install_harness()
    cores, folder = session.cores, session.folder
    with ExitStack() as stack:
        upstream = stack.enter_context(run_server(make_emulator(), cores.server, folder / "upstream.log"))
        proxy = stack.enter_context(run_server(_make_proxy(upstream, folder), cores.client, folder / "proxy.log"))
        direct, through = stack.enter_context(Wire(upstream.port)), stack.enter_context(Wire(proxy.port))
        rows: dict[str, dict[str, Any]] = {}
        for name, request in _REQUESTS.items():
            session.log(f"through the proxy: {name}")
            _time_pairs(direct, through, request)  # warms up
            before = proxy.measure_cpu_seconds()
            found = [_time_pairs(direct, through, request) for _ in range(session.rounds)]
            cpu_us = (proxy.measure_cpu_seconds() - before) / (session.rounds * _PAIRS) * 1e6
            added = Spread.from_values([Spread.from_values(each).median for each in found])
            rows[name] = {"added_ms": added.to_json(), "cpu_us": cpu_us}
    reached = max(row["added_ms"]["median"] for row in rows.values())
    return {"rows": rows, "target": MOST_ADDED_MS, "reached": reached, "met": reached < MOST_ADDED_MS}


def _make_proxy(upstream: Running, folder: Path) -> Server:
    command = (sys.executable, "-m", "zof_contracts", "proxy", "--upstream", f"http://127.0.0.1:{upstream.port}")
    return Server("proxy", (*command, "--port", "{port}", "--report", "json", "--report-dir", str(folder)))


def _time_pairs(direct: Wire, through: Wire, request: tuple[str, str, bytes]) -> list[float]:
    """The milliseconds that each answer took longer through the proxy, which has judged them all at the end."""
    added = [_time(through, request) - _time(direct, request) for _ in range(_PAIRS)]
    through.ask("GET", "/_contracts/report")
    return added


def _time(wire: Wire, request: tuple[str, str, bytes]) -> float:
    began = time.perf_counter()
    wire.ask(*request)
    return (time.perf_counter() - began) * 1000
