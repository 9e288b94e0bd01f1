"""Boot: the time from the start of each server to its first answer, and the memory that it then holds."""

from __future__ import annotations

from http.client import HTTPConnection
from typing import TYPE_CHECKING, Any, Final

from bench import floor
from bench.servers import EMULATOR, Server, ask, emulator, floors, run_server
from bench.stats import Spread
from bench.throughput import capture_answers

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from bench.machine import Cores

REQUESTS: Final = 10_000
SECONDS: Final = 0.5
MEBIBYTES: Final = 60.0
_SAMPLE: Final = "/run_sample_passed"


def measure(
    others: Sequence[Server], *, rounds: int, cores: Cores, folder: Path, log: Callable[[str], None]
) -> dict[str, Any]:
    """Start each server once per round. In the last round, retrieve a run `REQUESTS` times from each."""
    file = folder / "boot-answers.json"
    file.write_bytes(floor.dump_answers(capture_answers(cores.server, folder)[0]))
    servers = (emulator(), *floors(file), *others)
    seconds: dict[str, list[float]] = {one.name: [] for one in servers}
    idle: dict[str, list[float]] = {one.name: [] for one in servers}
    work: dict[str, list[float]] = {one.name: [] for one in servers}
    busy: dict[str, float] = {}
    for nth in range(rounds + 1):  # the first round fills the cache of the file system
        log(f"start to the first answer, {f'round {nth} of {rounds}' if nth else 'warming up'}")
        for server in servers:
            with run_server(server, cores.server, folder / "boot.log") as one:
                if nth:
                    seconds[server.name].append(one.seconds)
                    work[server.name].append(one.cpu_seconds())
                    idle[server.name].append(one.mebibytes())
                if nth == rounds:
                    connection = HTTPConnection("127.0.0.1", one.port)
                    for _ in range(REQUESTS):
                        ask(connection, one, _SAMPLE)
                    connection.close()
                    busy[server.name] = one.mebibytes()
    reached = Spread.of(seconds[EMULATOR]).median
    return {
        "seconds": {"target": SECONDS, "reached": reached, "met": reached < SECONDS},
        "memory": {"target": MEBIBYTES, "reached": busy[EMULATOR], "met": busy[EMULATOR] < MEBIBYTES},
        "servers": {
            name: {
                "seconds": Spread.of(found).to_json(),
                "cpu_seconds": Spread.of(work[name]).to_json(),
                "idle_mib": Spread.of(idle[name]).to_json(),
                "busy_mib": busy[name],
            }
            for name, found in seconds.items()
        },
    }
