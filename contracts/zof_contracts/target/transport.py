"""Carries a request to a deployment and its answer back: what a transport is, and the one for ASGI applications.

`zof_contracts.target.http_transport` has the one for servers. A transport
knows neither keys by name nor budgets nor rules; those are for `zof_contracts.target.client`. It sends each
request once, follows no redirect, and waits for a whole answer no longer than the given time.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, Protocol
from urllib.parse import unquote

from zof_contracts.evidence.exchange import Headers, Response
from zof_contracts.target.base_url import BaseUrl

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, MutableMapping

    App = Callable[
        [MutableMapping[str, Any], Callable[[], Awaitable[Any]], Callable[[Any], Awaitable[None]]], Awaitable[None]
    ]
    """An ASGI application."""

TIMEOUT: Final = 30.0
"""Seconds for a whole answer, from the connection to its last byte."""


class Unreachable(Exception):  # noqa: N818  a state of the world, not a fault of the program
    """The target cannot be reached; the message is one line."""


class NoAnswer(Exception):  # noqa: N818  a fault of the target, not of the program
    """The target took a request and gave no whole answer; the message says what it did instead."""

    def __init__(self, message: str, *, timed_out: bool = False) -> None:
        super().__init__(message)
        self.timed_out = timed_out


class Transport(Protocol):
    """Carries a request there and its answer back."""

    @property
    def is_parallel(self) -> bool:
        """Whether several threads may carry at once."""
        ...

    def carry(  # noqa: PLR0913  the parts of a request as they go over the wire
        self, method: str, target: str, headers: Headers, body: bytes, *, seconds: float = TIMEOUT, fresh: bool = False
    ) -> Response:
        """Send a request once and wait for its answer.

        Args:
            method: of the request.
            target: path and query, sent as they are.
            headers: without Host and Content-Length.
            body: may be empty.
            seconds: for the whole answer.
            fresh: whether to use a new connection, so that no connection that the target has closed is used.

        Raises:
            Unreachable: there is no connection.
            NoAnswer: the target took the request and gave no whole answer.
            ValueError: HTTP does not allow the request.
        """
        ...

    def close(self) -> None:
        """Close the connections that are kept open."""
        ...


class AsgiTransport:
    """An application in process: its coroutine runs without an event loop, a socket or a thread."""

    is_parallel: Final = False

    def __init__(self, app: App, base: str = "http://127.0.0.1:9630") -> None:
        self.app = app
        self.base = BaseUrl.parse(base)

    def carry(  # noqa: PLR0913  see Transport
        self,
        method: str,
        target: str,
        headers: Headers,
        body: bytes,
        *,
        seconds: float = TIMEOUT,  # noqa: ARG002  the application runs in this thread, which nothing can end
        fresh: bool = False,  # noqa: ARG002  there is no connection
    ) -> Response:
        """Call the application once."""
        path, _, query = (self.base.path + target).partition("?")
        given = [(b"host", self.base.authority.encode("latin-1"))]
        given += [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in headers]
        if body:
            given.append((b"content-length", b"%d" % len(body)))
        scope = {
            "type": "http",
            "asgi": {"version": "3.0"},
            "http_version": "1.1",
            "method": method,
            "scheme": self.base.scheme,
            "path": unquote(path),
            "raw_path": path.encode("latin-1"),
            "query_string": query.encode("latin-1"),
            "root_path": "",
            "headers": given,
            "client": ("127.0.0.1", 50_000),
            "server": (self.base.host, self.base.port),
        }
        sent = _call(self.app, scope, body)
        if not sent or sent[0]["type"] != "http.response.start":
            raise NoAnswer("the application sent no answer")
        pairs = tuple((name.decode("latin-1").lower(), value.decode("latin-1")) for name, value in sent[0]["headers"])
        return Response(sent[0]["status"], pairs, b"".join(part.get("body", b"") for part in sent[1:]))

    def close(self) -> None:
        """Do nothing: there is no connection."""


def _call(app: App, scope: dict[str, Any], body: bytes) -> list[Any]:
    """The messages that the application sends."""
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
    except Exception as error:
        raise NoAnswer(f"the application raised {type(error).__name__}") from error
