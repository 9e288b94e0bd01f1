"""Boot: the time from the start of each server to its first answer, and the memory that it then holds."""

from __future__ import annotations

from http.client import HTTPConnection
from typing import TYPE_CHECKING, Any, Final

from bench import baseline
from bench.servers import EMULATOR, Server, ask, make_baselines, make_emulator, run_server
from bench.stats import Spread
from bench.throughput import capture_answers

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bench.session import Session

REQUESTS: Final = 10_000
SECONDS: Final = 0.5
MEBIBYTES: Final = 60.0
_SAMPLE: Final = "/run_sample_passed"


def measure(others: Sequence[Server], session: Session) -> dict[str, Any]:
    """Start each server once per round. In the last round, retrieve a run `REQUESTS` times from each."""
    cores, folder = session.cores, session.folder
    file = folder / "boot-answers.json"
    file.write_bytes(baseline.dump_answers(capture_answers(cores.server, folder)[0]))
    servers = (make_emulator(), *make_baselines(file), *others)
    seconds: dict[str, list[float]] = {one.name: [] for one in servers}
    idle: dict[str, list[float]] = {one.name: [] for one in servers}
    work: dict[str, list[float]] = {one.name: [] for one in servers}
    busy: dict[str, float] = {}
    for number in session.iterate_rounds("start to the first answer"):
        for server in servers:
            with run_server(server, cores.server, folder / "boot.log") as one:
                if number:
                    seconds[server.name].append(one.seconds)
                    work[server.name].append(one.measure_cpu_seconds())
                    idle[server.name].append(one.measure_mebibytes())
                if number == session.rounds:
                    connection = HTTPConnection("127.0.0.1", one.port)
                    for _ in range(REQUESTS):
                        ask(connection, one, _SAMPLE)
                    connection.close()
                    busy[server.name] = one.measure_mebibytes()
    reached = Spread.from_values(seconds[EMULATOR]).median
    return {
        "seconds": {"target": SECONDS, "reached": reached, "met": reached < SECONDS},
        "memory": {"target": MEBIBYTES, "reached": busy[EMULATOR], "met": busy[EMULATOR] < MEBIBYTES},
        "servers": {
            name: {
                "seconds": Spread.from_values(found).to_json(),
                "cpu_seconds": Spread.from_values(work[name]).to_json(),
                "idle_mib": Spread.from_values(idle[name]).to_json(),
                "busy_mib": busy[name],
            }
            for name, found in seconds.items()
        },
    }
