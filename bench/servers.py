"""Servers: starts each on its core, waits for its first answer, reads its memory and CPU time, and ends it."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from typing import TYPE_CHECKING, Final

import orjson

from bench.machine import ROOT, CannotMeasure, find_tool, read_output
from bench.wire import KEY

if TYPE_CHECKING:
    from collections.abc import Iterator

EMULATOR: Final = "emulator"
BARE: Final = "bare ASGI"
STARLETTE: Final = "Starlette"

_PEERS: Final = ROOT / "bench" / "peers"
_MODULES: Final = _PEERS / "node_modules"
_KIB: Final = 1024
_LONGEST_START: Final = 60.0
_LONGEST_END: Final = 5.0
_BETWEEN_TRIES: Final = 0.001
_REFUSED: Final = 400
_OLDEST_NODE: Final = 20
_OURS: Final = ("PYTHON", "ZOF_EMULATOR_", "WEB_CONCURRENCY", "NODE_OPTIONS")


@dataclass(frozen=True, slots=True)
class Server:
    """A kind of server: the command that starts it on a port, and the prefix of its path `/runs`."""

    name: str
    command: tuple[str, ...]
    """`{port}` stands for the port."""
    prefix: str = "/v1"
    environment: dict[str, str] = field(default_factory=dict)


def make_emulator(*flags: str) -> Server:
    """The emulator with its default settings and a rate limit that is never reached."""
    command = (sys.executable, "-m", "zof_emulator", "serve", "--port", "{port}", "--quiet")
    return Server(EMULATOR, (*command, "--rate-limit", "999999999/60", *flags))


def make_baselines(answers: Path) -> tuple[Server, Server]:
    """The bare ASGI function and the Starlette application, which both return the answers in a file."""
    return (
        Server(BARE, (sys.executable, "-m", "bench.baseline", "{port}", str(answers))),
        Server(STARLETTE, (sys.executable, "-m", "bench.starlette_baseline", "{port}", str(answers))),
    )


def install_peers() -> tuple[tuple[Server, ...], str]:
    """The mock servers from npm, installed on first use; or none, and the reason in one line."""
    node, npm = shutil.which("node"), shutil.which("npm")
    major = read_output("node", "--version").lstrip("v").split(".")[0]
    if node is None or npm is None or not major.isdigit() or int(major) < _OLDEST_NODE:
        return (), f"Prism and Mockoon are left out: they need Node.js {_OLDEST_NODE} or later, and npm"
    failure = _install(npm)
    if failure:
        return (), f"Prism and Mockoon are left out: npm ci failed: {failure}"
    document = str(ROOT / "openapi.yaml")
    prism = _MODULES / "@stoplight" / "prism-cli" / "dist" / "index.js"
    quiet = ("--disable-log-to-file", "--disable-admin-api")
    mockoon = _MODULES / "@mockoon" / "cli" / "bin" / "run.js"
    return (
        Server(
            f"Prism {_read_version('@stoplight/prism-cli')}",
            (node, str(prism), "mock", "--host", "127.0.0.1", "--port", "{port}", "--verboseLevel", "silent", document),
            prefix="",
            environment={"SCARF_ANALYTICS": "false"},
        ),
        Server(
            f"Mockoon {_read_version('@mockoon/cli')}",
            (node, str(mockoon), "start", "--data", document, "--hostname", "127.0.0.1", "--port", "{port}", *quiet),
        ),
    ), ""


class Running:
    """A running server; `seconds` is the time from its start to its first answer."""

    def __init__(self, server: Server, port: int, process: subprocess.Popen[bytes]) -> None:
        self.server = server
        self.port = port
        self.seconds = 0.0
        self._process = process

    def make_path(self, below: str = "") -> str:
        """The path of the list of runs, or a path below it."""
        return f"{self.server.prefix}/runs{below}"

    def measure_mebibytes(self) -> float:
        """The resident memory at this moment, in MiB."""
        lines = Path(f"/proc/{self._process.pid}/status").read_text("utf-8").splitlines()
        return next(int(line.split()[1]) for line in lines if line.startswith("VmRSS")) / _KIB

    def measure_cpu_seconds(self) -> float:
        """The CPU time used so far, in seconds."""
        fields = Path(f"/proc/{self._process.pid}/stat").read_text("utf-8").rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def check(self) -> None:
        """Raise `CannotMeasure` if the server has ended."""
        if self._process.poll() is not None:
            raise CannotMeasure(f"{self.server.name} ended with exit status {self._process.returncode}")


@contextmanager
def run_server(server: Server, core: int, log: Path) -> Iterator[Running]:
    """Start a server on a free loopback port and on one core, wait for its first answer, and end it after the block.

    Its stderr is written to `log`. If it does not start, the last line is part of the error.
    """
    port = _find_free_port()
    command = [find_tool("taskset", "util-linux"), "-c", str(core), *(one.format(port=port) for one in server.command)]
    environment = {name: value for name, value in os.environ.items() if not name.startswith(_OURS)}
    with log.open("wb") as errors:
        began = time.perf_counter()
        process = subprocess.Popen(  # noqa: S603  commands of ours
            command,
            cwd=ROOT,
            env=environment | server.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=errors,
            start_new_session=True,  # so that Ctrl-C reaches only this process, which then ends the server
        )
    found = Running(server, port, process)
    try:
        _await_answer(found, log)
        found.seconds = time.perf_counter() - began
        yield found
    finally:
        _end(process)


def ask(connection: HTTPConnection, running_server: Running, below: str = "") -> None:
    """Request the list of runs, or a path below it; `CannotMeasure` if the request is refused."""
    connection.request("GET", running_server.make_path(below), headers={"Authorization": f"Bearer {KEY}"})
    answer = connection.getresponse()
    answer.read()
    if answer.status >= _REFUSED:
        raise CannotMeasure(
            f"{running_server.server.name} answered {answer.status} to GET {running_server.make_path(below)}"
        )


def _await_answer(found: Running, log: Path) -> None:
    until = time.monotonic() + _LONGEST_START
    while time.monotonic() < until:
        connection = HTTPConnection("127.0.0.1", found.port, timeout=_LONGEST_START)
        try:
            ask(connection, found)
        except (OSError, HTTPException):
            time.sleep(_BETWEEN_TRIES)
        else:
            return
        finally:
            connection.close()
        try:
            found.check()
        except CannotMeasure as ended:
            lines = log.read_text(errors="replace").strip().splitlines()
            raise CannotMeasure(": ".join((str(ended), *lines[-1:]))) from None
    raise CannotMeasure(f"{found.server.name} gave no answer within {_LONGEST_START:.0f} seconds")


def _end(process: subprocess.Popen[bytes]) -> None:
    for sign in (signal.SIGTERM, signal.SIGKILL):
        with suppress(ProcessLookupError):
            os.killpg(process.pid, sign)
        with suppress(subprocess.TimeoutExpired):
            process.wait(_LONGEST_END)
            return


def _find_free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port: int = found.getsockname()[1]
    return port


def _install(npm: str) -> str:
    """Install the packages of the lock file, if they are missing; return the last line of an error, or nothing."""
    lock, mark = _PEERS / "package-lock.json", _MODULES / "installed.json"
    if mark.exists() and mark.read_bytes() == lock.read_bytes():
        return ""
    sys.stderr.write("bench: installing bench/peers/package-lock.json; this takes a moment, once\n")
    done = subprocess.run(  # noqa: S603  a command of ours
        (npm, "ci", "--silent", "--no-progress"), cwd=_PEERS, capture_output=True, text=True, check=False
    )
    if done.returncode:
        return next(reversed((done.stderr or done.stdout).strip().splitlines()), "no reason given")
    mark.write_bytes(lock.read_bytes())
    return ""


def _read_version(package: str) -> str:
    found: str = orjson.loads((_MODULES / package / "package.json").read_bytes())["version"]
    return found
