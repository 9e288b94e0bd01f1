"""Webhooks: the cost of an endpoint for a start, and the time of 10,000 deliveries to a fast receiver."""

from __future__ import annotations

import sys
import time
from contextlib import ExitStack
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

import orjson

from bench.machine import CannotMeasure
from bench.servers import Server, make_emulator, run_server
from bench.throughput import Loader, compare_loads, list_operations
from bench.wire import Wire

if TYPE_CHECKING:
    from collections.abc import Callable

    from bench.servers import Running
    from bench.session import Session

DELIVERIES: Final = 10_000
SECONDS: Final = 15.0
"""Target: the seconds that the deliveries may take on one core, which server and receiver share."""
_WITHOUT: Final = "no endpoint"
_WITH: Final = "an endpoint"
_PAUSE: Final = 0.05
_PATIENCE: Final = 300.0


def measure(session: Session) -> dict[str, Any]:
    """Measure starts with and without an endpoint, and the deliveries."""
    cores, folder = session.cores, session.folder
    paths = folder / "webhooks.txt"
    paths.write_text("")
    loader = Loader(session, paths)
    start = next(one for one in list_operations("") if one.name == "start")
    bare = make_emulator("--journal", "0")
    receiver = Server("receiver", (sys.executable, "-m", "bench.receiver", "{port}"))
    with ExitStack() as stack:
        sink = stack.enter_context(run_server(receiver, cores.client, folder / "receiver.log"))
        found = [
            stack.enter_context(run_server(replace(bare, name=name), cores.server, folder / f"webhooks-{place}.log"))
            for place, name in enumerate((_WITHOUT, _WITH))
        ]
        _register(found[1], sink, "run.started", "run.completed", "run.failed")
        loads = loader.measure_rounds(found, start, "start a run, with and without a webhook")
    with ExitStack() as stack:
        sink = stack.enter_context(run_server(receiver, cores.server, folder / "receiver.log"))
        one = stack.enter_context(run_server(bare, cores.server, folder / "deliveries.log"))
        _register(one, sink, "integration.error")
        deliveries = _measure_deliveries(one, sink, session.log)
    return {"starts": compare_loads(loads, _WITHOUT), "deliveries": deliveries}


def _register(server: Running, sink: Running, *events: str) -> None:
    body = orjson.dumps({"url": f"http://127.0.0.1:{sink.port}/", "events": events})
    with Wire(server.port) as wire:
        wire.ask("POST", "/v1/webhooks", body)


def _measure_deliveries(server: Running, sink: Running, log: Callable[[str], None]) -> dict[str, Any]:
    """Measure the deliveries from a server to a receiver on the same core.

    The CPU time of both decides: it is the time that the deliveries take on a core that does nothing else.
    """
    log(f"{DELIVERIES:,} deliveries")
    event = b'{"type": "integration.error"}'
    with Wire(server.port) as wire:
        wire.ask("POST", "/_emulator/events", event)  # the first one imports the client
        cpu, cpu_of_sink, began = server.measure_cpu_seconds(), sink.measure_cpu_seconds(), time.monotonic()
        for _ in range(DELIVERIES):
            wire.ask("POST", "/_emulator/events", event)
        while orjson.loads(wire.ask("GET", "/_emulator/deliveries?limit=1").content)["open"]:
            if time.monotonic() - began > _PATIENCE:
                raise CannotMeasure(f"{DELIVERIES:,} deliveries took longer than {_PATIENCE:.0f} s")
            time.sleep(_PAUSE)
        taken, used = time.monotonic() - began, server.measure_cpu_seconds() - cpu
    reached = used + sink.measure_cpu_seconds() - cpu_of_sink
    return {
        "count": DELIVERIES,
        "target": SECONDS,
        "reached": reached,
        "met": reached < SECONDS,
        "seconds": taken,
        "cpu_us": used / DELIVERIES * 1e6,
    }
