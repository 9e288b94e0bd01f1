"""A deployment for programs that use the API: the emulator in process under a clock of its own, which records a HAR.

`Rig.sleep` moves the clock, so that a program waits without time passing. `Rig.fail` plans failures. `serve` puts the
rig behind a port, for programs in other processes; these wait with `POST /clock?seconds=…`.
"""

from __future__ import annotations

import base64
import json
import re
import threading
from collections import defaultdict, deque
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import parse_qs, urlsplit

import httpx
from zof_emulator.app import EPOCH
from zof_emulator.core.limits import Rate
from zof_emulator.settings import OFF

from tests.zof import Zof

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

BASE: Final = "http://127.0.0.1:9630"
LOST: Final = "lost"
"""A failure: the request is carried out, and its answer is lost."""

Headers = list[tuple[str, str]]


@dataclass
class Answer:
    """The answer."""

    status: int
    headers: Headers
    body: bytes

    @property
    def json(self) -> Any:  # noqa: ANN401  a JSON value
        """The body as JSON."""
        return json.loads(self.body)


class LostAnswerError(Exception):
    """The connection ends without an answer."""


@dataclass
class Rig:
    """The emulator, its clock, the failures that are planned, and what was recorded."""

    rate: int | None = None
    """Requests a minute; None for no limit."""
    base: str = BASE
    now: float = EPOCH / 1000
    """Unix seconds."""
    entries: list[dict[str, Any]] = field(default_factory=list)
    extra: dict[str, str] = field(default_factory=dict)
    """Fields that are added to each JSON object that is answered."""
    failures: defaultdict[str, deque[int | str]] = field(default_factory=lambda: defaultdict(deque))

    def __post_init__(self) -> None:
        self.zof = Zof(
            clock="real", rate=OFF if self.rate is None else Rate(self.rate), system=lambda: round(self.now * 1000)
        )
        self.lock = threading.Lock()

    def restart(self, *, rate: int) -> Rig:
        """Another rig, which admits so many requests a minute."""
        return Rig(rate=rate)

    def sleep(self, seconds: float) -> None:
        """Wait: the clock moves."""
        self.now += seconds

    def fail(self, method_and_path: str, failures: Sequence[int | str]) -> None:
        """Plan failures of the next requests whose method and path match a pattern: statuses, or `LOST`."""
        self.failures[method_and_path].extend(failures)

    def call(self, method: str, target: str, headers: Headers, body: bytes = b"") -> Answer:
        """Answer a request, and record both; `LostAnswerError` where the answer is lost."""
        with self.lock:
            began = self.now
            self.now += 0.002
            failure = next(
                (
                    planned.popleft()
                    for pattern, planned in self.failures.items()
                    if planned and re.fullmatch(pattern, f"{method} {target.partition('?')[0]}")
                ),
                None,
            )
            answer = (
                self._answer(method, target, headers, body) if failure in {None, LOST} else _refuse(int(failure or 0))
            )
            self.now += 0.001
            is_lost = failure == LOST
            self._record(began, (method, target, headers, body), Answer(0, [], b"") if is_lost else answer)
            if is_lost:
                raise LostAnswerError
            return answer

    def _answer(self, method: str, target: str, headers: Headers, body: bytes) -> Answer:
        given = [(name, value) for name, value in headers if name.lower() not in {"host", "content-length"}]
        found = self.zof.send(method, target, key=None, headers=given, body=body, base=self.base)
        pairs = [(name.decode("latin-1"), value.decode("latin-1")) for name, value in found.raw_headers]
        content = found.content
        if self.extra and found.status < 300 and content.startswith(b"{"):
            content = json.dumps({**json.loads(content), **self.extra}).encode()
            pairs = [pair for pair in pairs if pair[0] != "content-length"]
        return Answer(found.status, pairs, content)

    def _record(self, began: float, request: tuple[str, str, Headers, bytes], answer: Answer) -> None:
        method, target, headers, body = request
        moment = datetime.fromtimestamp(began, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        sent = {"postData": {"mimeType": "application/json", "text": body.decode()}} if body else {}
        content = {"size": len(answer.body), "encoding": "base64", "text": base64.b64encode(answer.body).decode()}
        self.entries.append(
            {
                "startedDateTime": moment,
                "time": (self.now - began) * 1000,
                "request": {"method": method, "url": self.base + target, "headers": _pairs(headers), **sent},
                "response": {"status": answer.status, "headers": _pairs(answer.headers), "content": content},
            }
        )

    def har(self) -> bytes:
        """The recording, as HAR."""
        return json.dumps({"log": {"version": "1.2", "creator": {"name": "rig"}, "entries": self.entries}}).encode()

    def transport(self) -> httpx.BaseTransport:
        """A transport for httpx."""
        return _Transport(self)


def _pairs(headers: Headers) -> list[dict[str, str]]:
    return [{"name": name, "value": value} for name, value in headers]


def _refuse(status: int) -> Answer:
    error = {"error": {"code": "internal_server_error", "message": "Planned."}}
    return Answer(status, [("content-type", "application/json")], json.dumps(error).encode())


class _Transport(httpx.BaseTransport):
    def __init__(self, rig: Rig) -> None:
        self.rig = rig

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        headers = [(name.decode("latin-1"), value.decode("latin-1")) for name, value in request.headers.raw]
        try:
            answer = self.rig.call(request.method, request.url.raw_path.decode(), headers, request.read())
        except LostAnswerError as error:
            raise httpx.ReadError("lost") from error
        return httpx.Response(answer.status, headers=answer.headers, content=answer.body)


@contextmanager
def serve(rig: Rig) -> Iterator[str]:
    """Put a rig behind a port; the address without `/v1`."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _make_handler(rig))
    server.daemon_threads = True
    rig.base = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield rig.base
    finally:
        server.shutdown()
        server.server_close()
        thread.join(5)


def _make_handler(rig: Rig) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        """Hands requests to the rig."""

        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            """Answer a request."""
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            if self.path.startswith("/clock"):
                rig.sleep(float(parse_qs(urlsplit(self.path).query)["seconds"][0]))
                answer = Answer(204, [], b"")
            else:
                try:
                    answer = rig.call(self.command, self.path, list(self.headers.items()), body)
                except LostAnswerError:
                    self.close_connection = True
                    return
            self.send_response_only(answer.status)
            for name, value in answer.headers:
                if name.lower() not in {"content-length", "transfer-encoding"}:
                    self.send_header(name, value)
            self.send_header("Content-Length", str(len(answer.body)))
            self.end_headers()
            self.wfile.write(answer.body)

        do_POST = do_GET  # noqa: N815  the name that http.server calls

        def log_message(self, *_: Any) -> None:  # noqa: ANN401
            """Print nothing."""

    return Handler
