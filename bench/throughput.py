"""Throughput: requests per second of each server, measured in rounds and compared with the baselines."""

from __future__ import annotations

import subprocess
from contextlib import ExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import orjson

from bench import baseline
from bench.machine import ROOT, CannotMeasure, find_tool
from bench.servers import BARE, EMULATOR, STARLETTE, Running, Server, make_baselines, make_emulator, run_server
from bench.session import rotate
from bench.stats import Spread, compare
from bench.wire import TWO_CASES, Wire, build_request

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from bench.session import Session
    from bench.wire import Reply

RUNS: Final = 10_000
_CONNECTIONS: Final = 32
_WARM_UP_SECONDS: Final = 1
_BASELINES: Final = (BARE, STARLETTE)
_UNDISTURBED: Final = 0.8
"""The least share of its core that an undisturbed server uses; below it, ratios of rates favour the slower server."""
_SCRIPT: Final = ROOT / "bench" / "load.lua"


@dataclass(frozen=True, slots=True)
class Operation:
    """One measured operation: its names, its request, and the target as a share of the baseline."""

    name: str
    title: str
    method: str
    below: str
    """The path below `/runs`; `@` stands for the paths of all runs, one after another."""
    body: str = ""
    target: float | None = None
    mocked: bool = True
    """Whether the other mock servers are measured too."""


def list_operations(run: str) -> tuple[Operation, ...]:
    """The operations; `run` is the ID of the one that is retrieved."""
    return (
        Operation("retrieve", "Retrieve a run", "GET", f"/{run}", target=0.60),
        Operation("any", "Retrieve each of 10,000 runs in turn", "GET", "@", mocked=False),
        Operation("list", "List 20 of 10,000 runs", "GET", "", target=0.45),
        Operation("start", "Start a run", "POST", "", TWO_CASES.decode(), target=0.45),
    )


NAMES: Final = tuple(one.name for one in list_operations(""))


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

    def __init__(self, session: Session, paths: Path) -> None:
        """`paths` is a file with the paths of all runs, one a line."""
        core = str(session.cores.client)
        self._command = (find_tool("taskset", "util-linux"), "-c", core, find_tool("wrk", "wrk"))
        self._session = session
        self._paths = paths

    def measure_rounds(
        self, servers: list[Running], operation: Operation, title: str, prepare: Callable[[Running], None] | None = None
    ) -> dict[str, list[Load]]:
        """The loads of an operation by the names of the servers, one for each round. Each begins with `prepare`."""
        loads: dict[str, list[Load]] = {one.server.name: [] for one in servers}
        for number in self._session.iterate_rounds(title):
            for server in rotate(servers, number):
                if prepare is not None:
                    prepare(server)
                load = self.measure(server, operation, is_warm_up=not number)
                if number:
                    loads[server.server.name].append(load)
        return loads

    def measure(self, server: Running, operation: Operation, *, is_warm_up: bool) -> Load:
        """Send requests as fast as they are answered; `CannotMeasure` if one is refused or broken off."""
        seconds = _WARM_UP_SECONDS if is_warm_up else self._session.seconds
        path = f"@{self._paths}" if operation.below == "@" else server.make_path(operation.below)
        before = server.measure_cpu_seconds()
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
        used = server.measure_cpu_seconds() - before
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


def start_runs(port: int, runs: int) -> list[str]:
    """Start a number of runs of two cases, and return their IDs."""
    start = build_request("POST", "/v1/runs", TWO_CASES)
    with Wire(port) as wire:
        return [orjson.loads(reply.content)["id"] for reply in wire.flood(start for _ in range(runs))]


def capture_answers(core: int, folder: Path) -> tuple[dict[str, Reply], list[str]]:
    """The answers of an emulator with 10,000 runs to each operation, and the IDs of the runs."""
    with run_server(make_emulator(), core, folder / "capture.log") as source:
        runs = start_runs(source.port, RUNS)
        with Wire(source.port) as wire:
            return {
                baseline.RETRIEVE: wire.ask("GET", f"/v1/runs/{runs[-1]}"),
                baseline.LIST: wire.ask("GET", "/v1/runs"),
                baseline.START: wire.ask("POST", "/v1/runs", TWO_CASES),
            }, runs


def measure(names: Sequence[str], others: Sequence[Server], session: Session) -> list[dict[str, Any]]:
    """Measure the operations with these names on each server, once per round."""
    cores, folder = session.cores, session.folder
    answers, runs = capture_answers(cores.server, folder)
    file, paths = folder / "answers.json", folder / "paths.txt"
    file.write_bytes(baseline.dump_answers(answers))
    with ExitStack() as stack:

        def start(server: Server, mark: str = "") -> Running:
            log = folder / f"{server.name}{mark}.log".replace(" ", "-")
            return stack.enter_context(run_server(server, cores.server, log))

        ours, *rest = [start(server) for server in (make_emulator(), *make_baselines(file), *others)]
        for_starts = start(make_emulator(), "-start")
        runs = start_runs(ours.port, RUNS)
        paths.write_text("".join(f"/v1/runs/{run}\n" for run in runs))
        _check_baselines(rest, answers, runs[-1])
        loader = Loader(session, paths)
        chosen = [one for one in list_operations(runs[-1]) if one.name in names]
        series = {one.name: _choose_servers(one, ours, for_starts, rest) for one in chosen}
        found: dict[str, dict[str, list[Load]]] = {one.name: {} for one in chosen}
        for number in session.iterate_rounds("throughput"):
            for operation in chosen:
                session.log(operation.title.lower())
                for server in rotate(series[operation.name], number):
                    if server is for_starts:
                        _reset(server)
                    load = loader.measure(server, operation, is_warm_up=not number)
                    if number:
                        found[operation.name].setdefault(server.server.name, []).append(load)
    return [_build_row(operation, found[operation.name]) for operation in chosen]


def _choose_servers(operation: Operation, ours: Running, for_starts: Running, rest: Sequence[Running]) -> list[Running]:
    first = for_starts if operation.method == "POST" else ours
    return [first, *(one for one in rest if operation.mocked or one.server.command[1:3] == ("-m", "bench.baseline"))]


def _reset(server: Running) -> None:
    with Wire(server.port) as wire:
        wire.ask("POST", "/_emulator/reset")


def _check_baselines(servers: Sequence[Running], answers: Mapping[str, Reply], run: str) -> None:
    """Raise `CannotMeasure` if a baseline does not return the bytes that the emulator returned."""
    for server in servers:
        if server.server.name in _BASELINES:
            with Wire(server.port) as wire:
                got = {
                    baseline.RETRIEVE: wire.ask("GET", f"/v1/runs/{run}"),
                    baseline.LIST: wire.ask("GET", "/v1/runs"),
                    baseline.START: wire.ask("POST", "/v1/runs", TWO_CASES),
                }
            for name, reply in got.items():
                if reply.raw != answers[name].raw:
                    raise CannotMeasure(f"{server.server.name} does not return the emulator's bytes for {name}")


def _build_row(operation: Operation, loads: Mapping[str, Sequence[Load]]) -> dict[str, Any]:
    servers = compare_loads(loads, BARE)
    reached = servers[EMULATOR]["ratio"]["median"]
    shares = {name: Spread.from_values([one.share for one in found]).median for name, found in loads.items()}
    return {
        "name": operation.name,
        "title": operation.title,
        "target": operation.target,
        "reached": reached,
        "met": None if operation.target is None else reached >= operation.target,
        "by_cpu": servers[EMULATOR]["cpu_ratio"]["median"],
        "disturbed": min(shares.values()) < _UNDISTURBED,
        "servers": {
            name: {
                **servers[name],
                "share": shares[name],
                "p99_ms": Spread.from_values([one.p99_ms for one in found]).median,
                "rates": [round(one.rate) for one in found],
            }
            for name, found in loads.items()
        },
    }


def compare_loads(loads: Mapping[str, Sequence[Load]], reference: str) -> dict[str, dict[str, Any]]:
    """The rate and the CPU time of each server by its name, and their ratios to those of one server in each round."""
    rates = {name: [one.rate for one in found] for name, found in loads.items()}
    answers_by_cpu = {name: [1 / one.cpu_us for one in found] for name, found in loads.items()}
    return {
        name: {
            "rate": Spread.from_values(rates[name]).to_json(),
            "ratio": compare(rates[name], rates[reference]).to_json(),
            "cpu_us": Spread.from_values([one.cpu_us for one in found]).to_json(),
            "cpu_ratio": compare(answers_by_cpu[name], answers_by_cpu[reference]).to_json(),
        }
        for name, found in loads.items()
    }
