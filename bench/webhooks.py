"""Webhooks: what an endpoint costs a start, and how long 10,000 deliveries to a fast receiver take."""

from __future__ import annotations

import sys
import time
from contextlib import ExitStack
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

import orjson

from bench.machine import CannotMeasure
from bench.servers import Server, emulator, run_server
from bench.stats import Spread, ratios
from bench.throughput import Loader, operations
from bench.wire import Wire

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from bench.machine import Cores
    from bench.servers import Running
    from bench.throughput import Load

DELIVERIES: Final = 10_000
SECONDS: Final = 15.0
"""Target: the seconds that they may take on one core, which server and receiver share."""
_WITHOUT: Final = "no endpoint"
_WITH: Final = "an endpoint"
_WARM_UP: Final = 1
_BETWEEN_LOOKS: Final = 0.05
_PATIENCE: Final = 300.0


def measure(*, rounds: int, seconds: int, cores: Cores, folder: Path, log: Callable[[str], None]) -> dict[str, Any]:
    """Measure starts with and without an endpoint, and the deliveries."""
    paths = folder / "webhooks.txt"
    paths.write_text("")
    loader = Loader(cores.client, paths)
    bare = emulator("--journal", "0")
    receiver = Server("receiver", (sys.executable, "-m", "bench.receiver", "{port}"))
    with ExitStack() as stack:
        sink = stack.enter_context(run_server(receiver, cores.client, folder / "receiver.log"))
        found = [
            stack.enter_context(run_server(replace(bare, name=name), cores.server, folder / f"webhooks-{place}.log"))
            for place, name in enumerate((_WITHOUT, _WITH))
        ]
        _register(found[1], sink, "run.started", "run.completed", "run.failed")
        starts = _measure_starts(found, loader, rounds, seconds, log)
    with ExitStack() as stack:
        sink = stack.enter_context(run_server(receiver, cores.server, folder / "receiver.log"))
        one = stack.enter_context(run_server(bare, cores.server, folder / "deliveries.log"))
        _register(one, sink, "integration.error")
        deliveries = _measure_deliveries(one, sink, log)
    return {"starts": starts, "deliveries": deliveries}


def _register(server: Running, sink: Running, *events: str) -> None:
    body = orjson.dumps({"url": f"http://127.0.0.1:{sink.port}/", "events": events})
    with Wire(server.port) as wire:
        wire.ask("POST", "/v1/webhooks", body)


def _measure_starts(
    found: list[Running], loader: Loader, rounds: int, seconds: int, log: Callable[[str], None]
) -> dict[str, Any]:
    start = next(one for one in operations("") if one.name == "start")
    loads: dict[str, list[Load]] = {one.server.name: [] for one in found}
    for nth in range(rounds + 1):  # the first round warms up
        log(f"start a run, with and without a webhook, {f'round {nth} of {rounds}' if nth else 'warming up'}")
        for server in found[nth % 2 :] + found[: nth % 2]:
            load = loader.load(server, start, seconds if nth else _WARM_UP)
            if nth:
                loads[server.server.name].append(load)
    rates = {name: [one.rate for one in all_of] for name, all_of in loads.items()}
    work = {name: [1 / one.cpu_us for one in all_of] for name, all_of in loads.items()}
    return {
        name: {
            "rate": Spread.of(rates[name]).to_json(),
            "ratio": ratios(rates[name], rates[_WITHOUT]).to_json(),
            "cpu_us": Spread.of([one.cpu_us for one in all_of]).to_json(),
            "cpu_ratio": ratios(work[name], work[_WITHOUT]).to_json(),
        }
        for name, all_of in loads.items()
    }


def _measure_deliveries(server: Running, sink: Running, log: Callable[[str], None]) -> dict[str, Any]:
    """Measure the deliveries from a server to a receiver on the same core.

    The CPU time of both decides: it is the time that the deliveries take on a core that does nothing else.
    """
    log(f"{DELIVERIES:,} deliveries")
    event = b'{"type": "integration.error"}'
    with Wire(server.port) as wire:
        wire.ask("POST", "/_emulator/events", event)  # the first one imports the client
        cpu, cpu_of_sink, began = server.cpu_seconds(), sink.cpu_seconds(), time.monotonic()
        for _ in range(DELIVERIES):
            wire.ask("POST", "/_emulator/events", event)
        while orjson.loads(wire.ask("GET", "/_emulator/deliveries?limit=1").content)["open"]:
            if time.monotonic() - began > _PATIENCE:
                raise CannotMeasure(f"{DELIVERIES:,} deliveries took longer than {_PATIENCE:.0f} s")
            time.sleep(_BETWEEN_LOOKS)
        taken, used = time.monotonic() - began, server.cpu_seconds() - cpu
    reached = used + sink.cpu_seconds() - cpu_of_sink
    return {
        "count": DELIVERIES,
        "target": SECONDS,
        "reached": reached,
        "met": reached < SECONDS,
        "seconds": taken,
        "cpu_us": used / DELIVERIES * 1e6,
    }
