"""The real server: `zof-emulator serve` as a process, and a bare socket to talk to it."""

from __future__ import annotations

import json
import os
import re
import selectors
import signal
import socket
import subprocess
import sys
import tempfile
from contextlib import AbstractContextManager, ExitStack, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, ClassVar, Final, Protocol, Self

from tests.zof import ADMIN, STAGING

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

ROOT: Final = Path(__file__).parents[1]
PATIENCE: Final = 30.0
"""Seconds that anything here may take; what takes longer hangs, and fails the test."""

CHUNKED: Final = b"Transfer-Encoding: chunked"
CLOSE: Final = b"Connection: close"

_REQUEST_ID: Final = re.compile(r"req_[A-Za-z0-9_-]{20}")
_OURS: Final = re.compile(r"ZOF_EMULATOR_|PYTEST_XDIST_|WEB_CONCURRENCY$|NO_COLOR$|FORCE_COLOR$|CI$")
_COVERAGE: Final = re.compile(r"COVERAGE_|COV_CORE_")


def environment(variables: Mapping[str, str], *, measured: bool = True) -> dict[str, str]:
    """The environment for a process: ours without what would set up an emulator, and the variables given.

    `measured` is false for code that is not this checkout's, or not on this Python: its coverage is nobody's.
    """
    kept = {name: value for name, value in os.environ.items() if not _OURS.match(name)}
    if not measured:
        kept = {name: value for name, value in kept.items() if not _COVERAGE.match(name)}
    return {**kept, **variables}


class Approach(Protocol):
    """The ways to a port of a server."""

    def __call__(self, port: int, /) -> AbstractContextManager[int]:
        """The port to connect to."""


class Server:
    """A running `python -m zof_emulator serve`, on a free port unless flags say otherwise; ends with its `with`."""

    approach: ClassVar[Approach] = nullcontext
    """Leads to the port on which a server listens: `tests/through_proxy.py` puts a proxy there."""

    def __init__(self, *flags: str, variables: Mapping[str, str] | None = None, python: str = sys.executable) -> None:
        measured = python == sys.executable
        self._log = tempfile.TemporaryFile()  # noqa: SIM115  closed by __exit__
        self._state = tempfile.TemporaryDirectory()
        self._approach = ExitStack()
        self._port = 0
        self.process = subprocess.Popen(
            [python, "-m", "zof_emulator", "serve", *(() if "--port" in flags else ("--port", "0")), *flags],
            cwd=ROOT,
            env=environment({"XDG_RUNTIME_DIR": self._state.name, **(variables or {})}, measured=measured),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=self._log,
        )
        self.ready: dict[str, Any] = {}

    @property
    def port(self) -> int:
        """The port for its clients."""
        return self._port

    @property
    def log(self) -> str:
        """The output of the server on stderr."""
        return os.pread(self._log.fileno(), 1 << 24, 0).decode()

    def stop(self, number: signal.Signals = signal.SIGINT, within: float = PATIENCE) -> tuple[int, bytes]:
        """End it with a signal, within so many seconds: its exit status, and the rest of its stdout."""
        self.process.send_signal(number)
        rest = self.process.communicate(timeout=within)[0]
        return self.process.returncode, rest

    def __enter__(self) -> Self:
        try:
            self.ready = json.loads(first_line(self.process))
            self._port = self._approach.enter_context(type(self).approach(self.ready["port"]))
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        try:
            self._approach.close()
        finally:
            self._end()

    def _end(self) -> None:
        try:
            if self.process.poll() is None and any(_COVERAGE.match(name) for name in os.environ):
                self.stop(signal.SIGTERM)  # so that it writes down what was covered
        finally:
            self.process.kill()
            self.process.wait()
            if self.process.stdout is not None:
                self.process.stdout.close()
            self._log.close()
            self._state.cleanup()


def first_line(process: subprocess.Popen[bytes]) -> bytes:
    """The first line that a process writes on stdout; fails when there is none, or not in time."""
    assert process.stdout is not None
    return until(process.stdout, b"\n")


def until(pipe: IO[bytes], end: bytes) -> bytes:
    """The output of a pipe up to these bytes; fails if they do not come in time."""
    read = b""
    with selectors.DefaultSelector() as selector:
        selector.register(pipe, selectors.EVENT_READ)
        while not read.endswith(end):
            byte = os.read(pipe.fileno(), 1) if selector.select(PATIENCE) else b""
            assert byte, f"ended with {read[-200:]!r}"
            read += byte
    return read


@dataclass(frozen=True)
class Answer:
    """An answer, as it stood on the wire."""

    status: int
    headers: tuple[tuple[str, str], ...]
    content: bytes
    raw: bytes

    def __getitem__(self, name: str) -> str | None:
        """The value of a header that is there at most once."""
        values = [value for one, value in self.headers if one == name]
        assert len(values) < 2, f"{name} is there {len(values)} times"
        return values[0] if values else None

    @property
    def json(self) -> Any:  # noqa: ANN401  a JSON value
        """The body, as JSON."""
        return json.loads(self.content)

    @property
    def refusal(self) -> tuple[int, str, str | None]:
        """Status, code and param of an error; fails unless it has exactly the shape that the API's errors have."""
        assert 400 <= self.status < 500, self.raw[:500]
        assert _REQUEST_ID.fullmatch(self["x-request-id"] or ""), self.raw[:500]
        assert self["content-type"] == "application/json"
        assert self["content-length"] == str(len(self.content))
        (name, error), *more = self.json.items()
        assert (name, more) == ("error", [])
        assert error.keys() - {"param"} == {"code", "message"}
        assert all(isinstance(text, str) for text in error.values())
        assert error["message"]
        return self.status, error["code"], error.get("param")


class Wire:
    """A connection to a server, that sends and reads bytes as they are."""

    def __init__(self, port: int, *, most_waiting: int | None = None) -> None:
        """`most_waiting` bytes lie unread with us before the server has to wait."""
        self._socket = socket.socket()
        self._socket.settimeout(PATIENCE)
        if most_waiting is not None:
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, most_waiting)
        try:
            self._socket.connect(("127.0.0.1", port))
        except OSError:
            self._socket.close()
            raise
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._read = b""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.close()

    def send(self, content: bytes) -> None:
        """Send all of it."""
        self._socket.sendall(content)

    def pour(self, pieces: Iterable[bytes]) -> bool:
        """Send piece after piece; whether the server cut us off before the last."""
        try:
            for piece in pieces:
                self._socket.sendall(piece)
        except ConnectionError:
            return True
        return False

    def finish(self) -> None:
        """Send no more, but go on reading."""
        self._socket.shutdown(socket.SHUT_WR)

    def drop(self) -> None:
        """Go away as a process that was killed does: with a reset."""
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        self._socket.close()

    def rest(self) -> bytes:
        """All that comes until the server closes the connection."""
        while self._more():
            pass
        rest, self._read = self._read, b""
        return rest

    def answer(self, method: str = "GET") -> Answer:
        """The next answer, to a request of a method; an interim one (100) is an answer of its own."""
        head = self._until(b"\r\n\r\n")
        first, *lines = head.decode("latin-1").removesuffix("\r\n\r\n").split("\r\n")
        version, status, _ = first.split(" ", 2)
        assert version == "HTTP/1.1"
        headers = tuple((name.lower(), value) for name, _, value in (line.partition(": ") for line in lines))
        given = dict(headers)
        if method == "HEAD" or status.startswith("1"):
            content = raw = b""
        elif given.get("transfer-encoding") == "chunked":
            content, raw = self._chunks()
        elif "content-length" in given:
            content = raw = self._take(int(given["content-length"]))
        else:
            content = raw = self.rest()
        return Answer(int(status), headers, content, head + raw)

    def _more(self) -> bool:
        try:
            piece = self._socket.recv(1 << 16)
        except ConnectionError:
            return False
        self._read += piece
        return bool(piece)

    def _until(self, end: bytes) -> bytes:
        while end not in self._read:
            assert self._more(), f"the connection ended in {self._read[:500]!r}"
        return self._take(self._read.index(end) + len(end))

    def _take(self, size: int) -> bytes:
        while len(self._read) < size:
            assert self._more(), f"the connection ended {size - len(self._read)} bytes early"
        taken, self._read = self._read[:size], self._read[size:]
        return taken

    def _chunks(self) -> tuple[bytes, bytes]:
        content = raw = b""
        while True:
            line = self._until(b"\r\n")
            size = int(line, 16)
            chunk = self._take(size + 2)
            raw += line + chunk
            if not size:
                return content, raw
            content += chunk[:-2]


def request(  # noqa: PLR0913  what a request has
    method: str,
    target: str | bytes,
    body: bytes | object = b"",
    *lines: bytes,
    key: str | None = ADMIN,
    kind: bytes = b"application/json",
    version: bytes = b"HTTP/1.1",
) -> bytes:
    """The bytes of a request. A body that is no bytes is sent as JSON; `lines` are header lines without their end."""
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    path = target.encode() if isinstance(target, str) else target
    head = [b"%s %s %s" % (method.encode(), path, version), b"Host: localhost"]
    if key is not None:
        head.append(b"Authorization: Bearer " + key.encode())
    if content:
        head += [b"Content-Type: " + kind, b"Content-Length: %d" % len(content)]
    return b"\r\n".join((*head, *lines, b"", content))


def ask(port: int, content: bytes, method: str = "GET") -> Answer:
    """The answer to the bytes of one request, on a connection of its own."""
    with Wire(port) as wire:
        wire.send(content)
        return wire.answer(method)


BAD: Final = (400, "invalid_request", None)
"""The refusal of a request that cannot be read at all."""
START: Final = {**STAGING, "test_case_ids": ["tc_login_001"]}
"""A run of one case."""
MIB: Final = 1 << 20
LIST: Final = request("GET", "/v1/runs")


class World:
    """The world of the server, and which runs it must hold: the samples, and what was accepted since."""

    def __init__(self, port: int) -> None:
        self.port = port
        assert ask(port, request("POST", "/_emulator/reset")).status == 200
        self.runs = self.list_runs()

    def list_runs(self) -> dict[str, int]:
        """The number of cases of each run, by the run's ID."""
        runs: list[Any] = []
        more = ""
        while True:
            page = ask(self.port, request("GET", f"/v1/runs?limit=100{more}")).json
            runs += page["data"]
            more = f"&starting_after={page['next_cursor']}"
            if not page["has_more"]:
                return {run["id"]: run["summary"]["total"] for run in runs}

    def record_accepted(self, answer: Answer) -> str:
        """The ID of the run that an answer says was started."""
        assert answer.status == 201, answer.raw[:500]
        run = answer.json
        self.runs[run["id"]] = run["summary"]["total"]
        name: str = run["id"]
        return name

    def refusal(self, content: bytes) -> tuple[int, str, str | None]:
        """The refusal of the bytes of a request: status, code and param."""
        return ask(self.port, content).refusal

    def start(self) -> str:
        """Start a run as a client in order would."""
        return self.record_accepted(ask(self.port, request("POST", "/v1/runs", START)))


def has_ipv6() -> bool:
    """Whether this machine has the IPv6 loopback address."""
    try:
        socket.create_server(("::1", 0), family=socket.AF_INET6).close()
    except OSError:
        return False
    return True
