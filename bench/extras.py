"""Extras: the cost of a journal, a selected world and fault rules for a request, compared with an emulator without."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

import orjson

from bench.servers import Server, make_emulator, run_server
from bench.throughput import Loader, compare_loads, list_operations
from bench.wire import TWO_CASES, Wire

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from bench.servers import Running
    from bench.session import Session
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
_OPERATIONS: Final = ("retrieve", "list", "start")


def list_servers() -> tuple[Server, ...]:
    """An emulator without extras, one with a journal, one whose requests select another world, and two with faults."""
    bare = make_emulator("--journal", "0")
    return (
        replace(bare, name=WITHOUT),
        replace(make_emulator(), name="a journal"),
        replace(bare, name="a world by path", prefix=_WORLD + bare.prefix),
        *(replace(bare, name=name) for name in _FAULTS),
    )


def measure(session: Session) -> dict[str, Any]:
    """Measure each operation on each server, once per round."""
    paths = session.folder / "extras.txt"
    paths.write_text("")
    loader = Loader(session, paths)
    chosen = [one for one in list_operations(_RUN) if one.name in _OPERATIONS]
    with ExitStack() as stack:
        servers = [
            stack.enter_context(run_server(one, session.cores.server, session.folder / f"extras-{place}.log"))
            for place, one in enumerate(list_servers())
        ]
        rows = []
        for one in chosen:
            loads = loader.measure_rounds(servers, one, f"{one.title.lower()}, with extras", _prepare)
            rows.append(_build_row(one, loads))
    reached, with_faults = (min(row[name] for row in rows) for name in ("least", "least_with_faults"))
    faults = {"target": LEAST_WITH_FAULTS, "reached": with_faults, "met": with_faults >= LEAST_WITH_FAULTS}
    return {"target": LEAST, "reached": reached, "met": reached >= LEAST, "faults": faults, "rows": rows}


def _prepare(server: Running) -> None:
    """Reset the world, start some runs in it, and add its fault rules."""
    mount = server.server.prefix.removesuffix("/v1")
    with Wire(server.port) as wire:
        wire.ask("POST", f"{mount}/_emulator/reset")
        for _ in range(_RUNS):
            wire.ask("POST", server.make_path(), TWO_CASES)
        rules = _list_rules(_FAULTS.get(server.server.name, 0))
        if rules:
            wire.ask("PATCH", f"{mount}/_emulator/config", orjson.dumps({"faults": rules}))


def _list_rules(count: int) -> list[dict[str, Any]]:
    """Fault rules that match no request of the measurement; every second one is for a measured operation."""
    names = ("getRun", "listProjects", "listRuns", "getRunLogs", "startRun", "listWebhooks")
    return [
        {
            "match": {"operation": names[number % len(names)], "header": {"X-Test": str(number)}},
            "effect": {"error": "internal_error"},
        }
        for number in range(count)
    ]


def _build_row(operation: Operation, loads: Mapping[str, Sequence[Load]]) -> dict[str, Any]:
    servers = compare_loads(loads, WITHOUT)
    ratios = {name: one["cpu_ratio"]["median"] for name, one in servers.items()}
    return {
        "title": operation.title.replace("10,000", f"{_RUNS:,}"),
        "least": min(ratios[name] for name in servers if name != WITHOUT and name not in _FAULTS),
        "least_with_faults": min(ratios[name] for name in _FAULTS),
        "servers": servers,
    }
