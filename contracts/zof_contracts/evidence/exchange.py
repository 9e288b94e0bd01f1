"""Requests, answers and the two ways to carry them: to an ASGI application in process, and over HTTP.

Plug in: a `Transport` is anything with `carry`; a mutant may be one that wraps another, or an ASGI layer beneath
`AsgiTransport`. Neither knows keys by name, budgets or rules: that is `zof_contracts.target.client`'s.
"""

from __future__ import annotations

import http.client
import json
import ssl
import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, Protocol
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, MutableMapping

    App = Callable[
        [MutableMapping[str, Any], Callable[[], Awaitable[Any]], Callable[[Any], Awaitable[None]]], Awaitable[None]
    ]
    """An ASGI application."""

Headers = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Request:
    """What is asked; it never holds a key, only the name of one."""

    method: str
    path: str
    """With `/v1`, as it goes over the wire."""
    query: str = ""
    headers: Headers = ()
    """Without Authorization, which the client adds."""
    body: bytes = b""
    key: str = "main"
    """The name of the key in the target (`main`, `readonly`, …); empty for none."""
    authorization: str = "Bearer {key}"
    """The header as it is sent, with the key in place of `{key}`."""

    @property
    def target(self) -> str:
        """Path and query."""
        return f"{self.path}?{self.query}" if self.query else self.path

    def header(self, name: str) -> str | None:
        """A header's value, or None."""
        return next((value for key, value in self.headers if key.lower() == name.lower()), None)


@dataclass(frozen=True, slots=True)
class Response:
    """What came back."""

    status: int
    headers: Headers
    body: bytes
    _json: list[Any] = field(default_factory=list, repr=False, compare=False)

    def header(self, name: str) -> str | None:
        """A header's value, or None; `name` is in lower case."""
        return next((value for key, value in self.headers if key == name), None)

    @property
    def ok(self) -> bool:
        """Whether it is a success."""
        return 200 <= self.status < 300  # noqa: PLR2004  what HTTP calls a success

    @property
    def json(self) -> Any:  # noqa: ANN401  a JSON value
        """The body as JSON; None when it is none. Read once."""
        if not self._json:
            try:
                self._json.append(json.loads(self.body))
            except ValueError:
                self._json.append(None)
        return self._json[0]

    @property
    def fields(self) -> dict[str, Any]:
        """The body as a JSON object; empty when it is none."""
        return self.json if isinstance(self.json, dict) else {}

    @property
    def error(self) -> dict[str, Any]:
        """The error object; empty when there is none."""
        error = self.fields.get("error")
        return error if isinstance(error, dict) else {}

    @property
    def items(self) -> list[dict[str, Any]]:
        """The objects in `data`; empty when there is none."""
        data = self.fields.get("data")
        return [item for item in data if isinstance(item, dict)] if isinstance(data, list) else []


@dataclass(frozen=True, slots=True)
class Exchange:
    """A request and its answer."""

    number: int
    """Its place in the journal, from 1."""
    request: Request
    response: Response
    operation: str
    """The `operationId` it means; empty when there is none."""
    at: float
    """Unix seconds when the answer was there."""
    took: float
    """Seconds that it took."""


class Unreachable(Exception):  # noqa: N818  a state of the world, not a fault of the program
    """The target cannot be reached, or does not speak HTTP; the message is one clear line."""


class Transport(Protocol):
    """Carries bytes there and back."""

    @property
    def parallel(self) -> bool:
        """Whether several threads may carry at once."""
        ...

    def carry(self, method: str, target: str, headers: Headers, body: bytes) -> Response:
        """Send a request and wait for its answer; `Unreachable` when there is none."""
        ...


class AsgiTransport:
    """An application in process: the coroutine is driven by hand, without loop, socket or thread."""

    parallel: Final = False

    def __init__(self, app: App, base: str = "http://127.0.0.1:9630") -> None:
        self.app = app
        self.base = urlsplit(base)
        self.prefix = self.base.path.rstrip("/")

    def carry(self, method: str, target: str, headers: Headers, body: bytes) -> Response:
        """Call the application once."""
        path, _, query = (self.prefix + target).partition("?")
        given = [(b"host", self.base.netloc.encode("latin-1"))]
        given += [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in headers]
        if body:
            given.append((b"content-length", b"%d" % len(body)))
        scope = {
            "type": "http",
            "asgi": {"version": "3.0"},
            "http_version": "1.1",
            "method": method,
            "scheme": self.base.scheme,
            "path": path,
            "raw_path": path.encode("latin-1"),
            "query_string": query.encode("latin-1"),
            "root_path": "",
            "headers": given,
            "client": ("127.0.0.1", 50_000),
            "server": (self.base.hostname, self.base.port),
        }
        sent = _driven(self.app, scope, body)
        if not sent or sent[0]["type"] != "http.response.start":
            raise Unreachable("the application answered nothing")
        pairs = tuple((name.decode("latin-1").lower(), value.decode("latin-1")) for name, value in sent[0]["headers"])
        return Response(sent[0]["status"], pairs, b"".join(part.get("body", b"") for part in sent[1:]))


def _driven(app: App, scope: dict[str, Any], body: bytes) -> list[Any]:
    sent: list[Any] = []
    waiting = [{"type": "http.request", "body": body, "more_body": False}]

    async def receive() -> Any:  # noqa: ANN401  an ASGI message
        return waiting.pop() if waiting else {"type": "http.disconnect"}

    async def send(message: Any) -> None:  # noqa: ANN401  an ASGI message
        sent.append(message)

    steps: Any = app(scope, receive, send)
    try:
        while True:
            steps.send(None)
    except StopIteration:
        return sent


class HttpTransport:
    """A server over HTTP or HTTPS; one kept connection for each thread, no redirect followed."""

    parallel: Final = True

    def __init__(self, base: str, timeout: float = 30.0) -> None:
        self.base = urlsplit(base)
        self.timeout = timeout
        self.prefix = self.base.path.rstrip("/")
        self._kept = threading.local()
        self._open: list[http.client.HTTPConnection] = []

    def close(self) -> None:
        """Close every connection that is kept, of any thread."""
        for connection in self._open:
            connection.close()
        self._open.clear()
        self._kept = threading.local()

    def _connection(self) -> http.client.HTTPConnection:
        kept: http.client.HTTPConnection | None = getattr(self._kept, "connection", None)
        if kept is None:
            kind = http.client.HTTPSConnection if self.base.scheme == "https" else http.client.HTTPConnection
            kept = self._kept.connection = kind(self.base.hostname or "", self.base.port, timeout=self.timeout)
            self._open.append(kept)
        return kept

    def carry(self, method: str, target: str, headers: Headers, body: bytes) -> Response:
        """Send it, once more on a new connection when the kept one was closed before anything was answered."""
        fresh = getattr(self._kept, "connection", None) is None
        try:
            return self._once(method, target, headers, body)
        except (ConnectionResetError, BrokenPipeError, http.client.RemoteDisconnected) as error:
            self._drop()
            if fresh:
                raise Unreachable(f"{self.base.netloc} closed the connection: {error}") from error
            return self.carry(method, target, headers, body)
        except ssl.SSLError as error:
            self._drop()
            raise Unreachable(f"{self.base.netloc} speaks no TLS that we trust: {error.reason or error}") from error
        except (OSError, http.client.HTTPException) as error:
            self._drop()
            raise Unreachable(f"{self.base.netloc} cannot be reached: {str(error) or type(error).__name__}") from error

    def _once(self, method: str, target: str, headers: Headers, body: bytes) -> Response:
        connection = self._connection()
        connection.putrequest(method, self.prefix + target, skip_accept_encoding=True)
        for name, value in headers:
            connection.putheader(name, value)
        if body or method in {"POST", "PUT", "PATCH"}:
            connection.putheader("Content-Length", str(len(body)))
        connection.endheaders(body or None)
        answer = connection.getresponse()
        content = answer.read()
        return Response(answer.status, tuple((name.lower(), value) for name, value in answer.getheaders()), content)

    def _drop(self) -> None:
        kept = getattr(self._kept, "connection", None)
        if kept is not None:
            kept.close()
            self._kept.connection = None
