"""Throughput: requests per second of each server, measured in rounds and compared with the floor."""

from __future__ import annotations

import subprocess
from contextlib import ExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import orjson

from bench import floor
from bench.machine import ROOT, CannotMeasure, tool
from bench.servers import BARE, EMULATOR, STARLETTE, Running, Server, emulator, floors, run_server
from bench.stats import Spread, ratios
from bench.wire import TWO_CASES, Wire, request

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from bench.machine import Cores
    from bench.wire import Reply

RUNS: Final = 10_000
_CONNECTIONS: Final = 32
_WARM_UP: Final = 1
_FLOORS: Final = (BARE, STARLETTE)
_UNDISTURBED: Final = 0.8
"""The least share of its core that an undisturbed server uses; below it, ratios of rates favour the slower server."""
_SCRIPT: Final = ROOT / "bench" / "load.lua"


@dataclass(frozen=True, slots=True)
class Operation:
    """One measured operation: its names, its request, and the target as a share of the floor."""

    name: str
    title: str
    method: str
    below: str
    """The path below `/runs`; `@` stands for the paths of all runs, one after another."""
    body: str = ""
    target: float | None = None
    mocked: bool = True
    """Whether the other mock servers are measured too."""


def operations(run: str) -> tuple[Operation, ...]:
    """The operations; `run` is the ID of the one that is retrieved."""
    return (
        Operation("retrieve", "Retrieve a run", "GET", f"/{run}", target=0.60),
        Operation("any", "Retrieve each of 10,000 runs in turn", "GET", "@", mocked=False),
        Operation("list", "List 20 of 10,000 runs", "GET", "", target=0.45),
        Operation("start", "Start a run", "POST", "", TWO_CASES.decode(), target=0.45),
    )


NAMES: Final = tuple(one.name for one in operations(""))


@dataclass(frozen=True, slots=True)
class Load:
    """The figures of one run of wrk."""

    rate: float
    cpu_us: float
    """CPU time per answer, in microseconds; other processes on the machine disturb it least."""
    share: float
    """The share of its core that the server used."""
    p99_ms: float


class Loader:
    """Runs wrk on the core of the client."""

    def __init__(self, core: int, paths: Path) -> None:
        """`paths` holds the paths of all runs, one a line."""
        self._command = (tool("taskset", "util-linux"), "-c", str(core), tool("wrk", "wrk"))
        self._paths = paths

    def load(self, server: Running, operation: Operation, seconds: int) -> Load:
        """Ask as fast as it answers; `CannotMeasure` when it refuses or breaks off a request."""
        path = f"@{self._paths}" if operation.below == "@" else server.path(operation.below)
        before = server.cpu_seconds()
        done = subprocess.run(  # noqa: S603  a command of ours
            (
                *self._command,
                *("-t1", f"-c{_CONNECTIONS}", f"-d{seconds}s", "--timeout", "10s", "-s", str(_SCRIPT)),
                *(f"http://127.0.0.1:{server.port}", "--", operation.method, operation.body, path),
            ),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            check=False,
        )
        server.check()
        used = server.cpu_seconds() - before
        lines = [line for line in done.stdout.splitlines() if line.startswith(b"{")]
        if done.returncode or not lines:
            raise CannotMeasure(f"wrk failed: {done.stdout.decode(errors='replace').strip()[-200:]}")
        found: dict[str, Any] = orjson.loads(lines[-1])
        if found["refused"] or found["broken"] or not found["requests"]:
            raise CannotMeasure(
                f"{server.server.name}, {operation.title.lower()}: of {found['requests']} requests "
                f"{found['refused']} were refused and {found['broken']} broke off"
            )
        seconds_taken = found["seconds"]
        return Load(
            rate=found["requests"] / seconds_taken,
            cpu_us=used / found["requests"] * 1e6,
            share=used / seconds_taken,
            p99_ms=found["p99_ms"],
        )


def fill(port: int, runs: int) -> list[str]:
    """Start so many runs of two cases and return their IDs."""
    start = request("POST", "/v1/runs", TWO_CASES)
    with Wire(port) as wire:
        return [orjson.loads(reply.content)["id"] for reply in wire.flood(start for _ in range(runs))]


def capture_answers(core: int, folder: Path) -> tuple[dict[str, Reply], list[str]]:
    """The answers of an emulator with 10,000 runs to each operation, and the IDs of the runs."""
    with run_server(emulator(), core, folder / "capture.log") as source:
        runs = fill(source.port, RUNS)
        with Wire(source.port) as wire:
            return {
                floor.RETRIEVE: wire.ask("GET", f"/v1/runs/{runs[-1]}"),
                floor.LIST: wire.ask("GET", "/v1/runs"),
                floor.START: wire.ask("POST", "/v1/runs", TWO_CASES),
            }, runs


def measure(  # noqa: PLR0913  what a measurement depends on
    names: Sequence[str],
    others: Sequence[Server],
    *,
    rounds: int,
    seconds: int,
    cores: Cores,
    folder: Path,
    log: Callable[[str], None],
) -> list[dict[str, Any]]:
    """Measure the operations with these names on each server, once per round."""
    answers, runs = capture_answers(cores.server, folder)
    file, paths = folder / "answers.json", folder / "paths.txt"
    file.write_bytes(floor.dump_answers(answers))
    with ExitStack() as stack:

        def start(server: Server, mark: str = "") -> Running:
            log = folder / f"{server.name}{mark}.log".replace(" ", "-")
            return stack.enter_context(run_server(server, cores.server, log))

        ours, *rest = [start(server) for server in (emulator(), *floors(file), *others)]
        asked_to_start = start(emulator(), "-start")
        runs = fill(ours.port, RUNS)  # a second emulator has the same IDs today, but does not promise it
        paths.write_text("".join(f"/v1/runs/{run}\n" for run in runs))
        _check_floors(rest, answers, runs[-1])
        loader = Loader(cores.client, paths)
        chosen = [one for one in operations(runs[-1]) if one.name in names]
        series = {one.name: _series(one, ours, asked_to_start, rest) for one in chosen}
        found: dict[str, dict[str, list[Load]]] = {one.name: {} for one in chosen}
        for nth in range(rounds + 1):  # the first round warms up
            for operation in chosen:
                log(f"{operation.title.lower()}, {f'round {nth} of {rounds}' if nth else 'warming up'}")
                for server in _rotate(series[operation.name], nth):
                    if server is asked_to_start:
                        _reset(server)
                    load = loader.load(server, operation, seconds if nth else _WARM_UP)
                    if nth:
                        found[operation.name].setdefault(server.server.name, []).append(load)
    return [_row(operation, found[operation.name]) for operation in chosen]


def _series(operation: Operation, ours: Running, asked_to_start: Running, rest: Sequence[Running]) -> list[Running]:
    first = asked_to_start if operation.method == "POST" else ours
    return [first, *(one for one in rest if operation.mocked or one.server.command[1:3] == ("-m", "bench.floor"))]


def _rotate(servers: list[Running], nth: int) -> list[Running]:
    """Let a different server begin in every round, so that the order favours none."""
    first = nth % len(servers)
    return servers[first:] + servers[:first]


def _reset(server: Running) -> None:
    with Wire(server.port) as wire:
        wire.ask("POST", "/_emulator/reset")


def _check_floors(servers: Sequence[Running], answers: Mapping[str, Reply], run: str) -> None:
    """Raise `CannotMeasure` if a floor does not return the bytes that the emulator returned."""
    for server in servers:
        if server.server.name in _FLOORS:
            with Wire(server.port) as wire:
                got = {
                    floor.RETRIEVE: wire.ask("GET", f"/v1/runs/{run}"),
                    floor.LIST: wire.ask("GET", "/v1/runs"),
                    floor.START: wire.ask("POST", "/v1/runs", TWO_CASES),
                }
            for name, reply in got.items():
                if reply.raw != answers[name].raw:
                    raise CannotMeasure(f"{server.server.name} does not return the emulator's bytes for {name}")


def _row(operation: Operation, loads: Mapping[str, Sequence[Load]]) -> dict[str, Any]:
    rates = {name: [one.rate for one in found] for name, found in loads.items()}
    compared = {name: ratios(one, rates[BARE]) for name, one in rates.items()}
    work = {name: [1 / one.cpu_us for one in found] for name, found in loads.items()}
    worked = {name: ratios(one, work[BARE]) for name, one in work.items()}
    reached = compared[EMULATOR].median
    return {
        "name": operation.name,
        "title": operation.title,
        "target": operation.target,
        "reached": reached,
        "met": None if operation.target is None else reached >= operation.target,
        "by_cpu": worked[EMULATOR].median,
        "disturbed": min(Spread.of([one.share for one in found]).median for found in loads.values()) < _UNDISTURBED,
        "servers": {
            name: {
                "rate": Spread.of(rates[name]).as_json(),
                "ratio": compared[name].as_json(),
                "cpu_us": Spread.of([one.cpu_us for one in found]).as_json(),
                "cpu_ratio": worked[name].as_json(),
                "share": Spread.of([one.share for one in found]).median,
                "p99_ms": Spread.of([one.p99_ms for one in found]).median,
                "rates": [round(rate) for rate in rates[name]],
            }
            for name, found in loads.items()
        },
    }
