"""Extras: what a journal, a selected world and fault rules cost a request, compared with an emulator without them."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

import orjson

from bench.servers import Server, emulator, run_server
from bench.stats import Spread, ratios
from bench.throughput import Loader, operations
from bench.wire import TWO_CASES, Wire

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from bench.machine import Cores
    from bench.servers import Running
    from bench.throughput import Load, Operation

WITHOUT: Final = "no extra"
LEAST: Final = 0.9
"""Target: the answers per CPU second with an extra, as a share of those without. An extra may cost a tenth."""
LEAST_WITH_FAULTS: Final = 0.95
"""Target: the same share with fault rules that do not match. They may cost a twentieth."""
_FAULTS: Final = {"ten fault rules": 10, "10,000 fault rules": 10_000}
"""The number of fault rules by the name of a server. Every second rule is for one of the measured operations."""
_WORLD: Final = "/w/bench"
_RUNS: Final = 100
_RUN: Final = "run_sample_failed"
_WARM_UP: Final = 1
_OPERATIONS: Final = ("retrieve", "list", "start")


def servers() -> tuple[Server, ...]:
    """An emulator without extras, one with a journal, one whose requests select another world, and two with faults."""
    bare = emulator("--journal", "0")
    return (
        replace(bare, name=WITHOUT),
        replace(emulator(), name="a journal"),
        replace(bare, name="a world by path", prefix=_WORLD + bare.prefix),
        *(replace(bare, name=name) for name in _FAULTS),
    )


def measure(*, rounds: int, seconds: int, cores: Cores, folder: Path, log: Callable[[str], None]) -> dict[str, Any]:
    """Measure each operation on each server, once per round."""
    paths = folder / "extras.txt"
    paths.write_text("")
    loader = Loader(cores.client, paths)
    chosen = [one for one in operations(_RUN) if one.name in _OPERATIONS]
    with ExitStack() as stack:
        found = [
            stack.enter_context(run_server(one, cores.server, folder / f"extras-{place}.log"))
            for place, one in enumerate(servers())
        ]
        rows = [_measure(one, found, loader, rounds, seconds, log) for one in chosen]
    reached, with_faults = (min(row[name] for row in rows) for name in ("least", "least_with_faults"))
    faults = {"target": LEAST_WITH_FAULTS, "reached": with_faults, "met": with_faults >= LEAST_WITH_FAULTS}
    return {"target": LEAST, "reached": reached, "met": reached >= LEAST, "faults": faults, "rows": rows}


def _measure(  # noqa: PLR0913, PLR0917  what a measurement depends on
    operation: Operation,
    found: list[Running],
    loader: Loader,
    rounds: int,
    seconds: int,
    log: Callable[[str], None],
) -> dict[str, Any]:
    loads: dict[str, list[Load]] = {one.server.name: [] for one in found}
    for nth in range(rounds + 1):  # the first round warms up
        log(f"{operation.title.lower()}, with extras, {f'round {nth} of {rounds}' if nth else 'warming up'}")
        for server in found[nth % len(found) :] + found[: nth % len(found)]:
            _begin(server)
            load = loader.load(server, operation, seconds if nth else _WARM_UP)
            if nth:
                loads[server.server.name].append(load)
    return _row(operation, loads)


def _begin(server: Running) -> None:
    """Reset the world, start some runs in it, and add its fault rules."""
    mount = server.server.prefix.removesuffix("/v1")
    with Wire(server.port) as wire:
        wire.ask("POST", f"{mount}/_emulator/reset")
        for _ in range(_RUNS):
            wire.ask("POST", server.path(), TWO_CASES)
        rules = _list_rules(_FAULTS.get(server.server.name, 0))
        if rules:
            wire.ask("PATCH", f"{mount}/_emulator/config", orjson.dumps({"faults": rules}))


def _list_rules(count: int) -> list[dict[str, Any]]:
    """So many fault rules that match no request of the measurement; every second one is for a measured operation."""
    operations = ("getRun", "listProjects", "listRuns", "getRunLogs", "startRun", "listWebhooks")
    return [
        {
            "match": {"operation": operations[nth % len(operations)], "header": {"X-Test": str(nth)}},
            "effect": {"error": "internal_error"},
        }
        for nth in range(count)
    ]


def _row(operation: Operation, loads: Mapping[str, list[Load]]) -> dict[str, Any]:
    work = {name: [1 / one.cpu_us for one in found] for name, found in loads.items()}
    rates = {name: [one.rate for one in found] for name, found in loads.items()}
    by_cpu = {name: ratios(one, work[WITHOUT]) for name, one in work.items()}
    by_rate = {name: ratios(one, rates[WITHOUT]) for name, one in rates.items()}
    return {
        "title": operation.title.replace("10,000", f"{_RUNS:,}"),
        "least": min(by_cpu[name].median for name in loads if name != WITHOUT and name not in _FAULTS),
        "least_with_faults": min(by_cpu[name].median for name in _FAULTS),
        "servers": {
            name: {
                "rate": Spread.of(rates[name]).to_json(),
                "cpu_us": Spread.of([one.cpu_us for one in found]).to_json(),
                "ratio": by_rate[name].to_json(),
                "cpu_ratio": by_cpu[name].to_json(),
            }
            for name, found in loads.items()
        },
    }
