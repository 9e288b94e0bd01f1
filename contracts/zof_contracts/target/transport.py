"""Carries requests to a deployment and answers back: to an ASGI application in process, and over HTTP with httpx.

A transport knows neither keys by name nor budgets nor rules; those are for `zof_contracts.target.client`. It sends each
request once, follows no redirect, and never waits longer for a whole answer than it is told.
"""

from __future__ import annotations

import asyncio
import ssl
import threading
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Protocol
from urllib.request import getproxies, proxy_bypass

import httpx

from zof_contracts.evidence.exchange import Headers, Response
from zof_contracts.target.base_url import BaseUrl
from zof_contracts.target.content_coding import ACCEPT_ENCODING, BodyReader, BodyTooLong

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, MutableMapping

    App = Callable[
        [MutableMapping[str, Any], Callable[[], Awaitable[Any]], Callable[[Any], Awaitable[None]]], Awaitable[None]
    ]
    """An ASGI application."""

TIMEOUT: Final = 30.0
"""Seconds for a whole answer, from the connection to its last byte."""
_CONNECT_TIMEOUT: Final = 10.0
MAX_BODY: Final = 16 << 20
"""Bytes of a body that are read."""
_KEPT_OF_LONG_BODY: Final = 1 << 12
"""Bytes that an answer keeps of a body that is too long."""
_METHODS_WITH_BODY: Final = frozenset({"POST", "PUT", "PATCH"})


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


# --- in process


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
            "path": path,
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


# --- over HTTP


class _ExactUrl(httpx.URL):
    """An address whose path and query are sent byte for byte; httpx would normalize them."""

    def __init__(self, base: BaseUrl, target: str) -> None:
        super().__init__(f"{base.scheme}://{base.authority}")
        self._target = (base.path + target).encode("latin-1")

    @property
    def raw_path(self) -> bytes:
        """Path and query as they are."""
        return self._target


@dataclass(slots=True)
class _Clients:
    """The two clients of a transport; they are made by the first request, since only that needs them."""

    kept: httpx.AsyncClient
    """Keeps connections open."""
    fresh: httpx.AsyncClient
    """Opens a connection for each request."""
    proxy: str
    """The proxy's host and port; empty for none."""


@dataclass(slots=True)
class HttpTransport:
    """A server over HTTP or HTTPS.

    A proxy that the environment names is used, except for a target on this machine. Certificates are checked against
    the system's authorities (or SSL_CERT_FILE), and those of `ca_file`.
    """

    address: str
    ca_file: str = ""
    max_body: int = MAX_BODY
    base: BaseUrl = field(init=False)
    is_parallel: bool = field(default=True, init=False)
    _clients: _Clients | None = field(default=None, init=False, repr=False)
    _lock: threading.Lock = field(default_factory=threading.Lock, init=False, repr=False)

    def __post_init__(self) -> None:
        self.base = BaseUrl.parse(self.address)

    def carry(  # noqa: PLR0913  see Transport
        self, method: str, target: str, headers: Headers, body: bytes, *, seconds: float = TIMEOUT, fresh: bool = False
    ) -> Response:
        """Send a request once and wait for its answer, at most for these seconds."""
        with self._lock:
            self._clients = clients = self._clients or self._connect()
        client = clients.fresh if fresh else clients.kept
        request = self._build(method, target, headers, body, seconds)
        future = asyncio.run_coroutine_threadsafe(self._exchange(client, request, seconds), _run_loop())
        try:
            return future.result()
        except BaseException:
            future.cancel()
            raise

    def close(self) -> None:
        """Close the connections that are kept open."""
        if self._clients is not None:
            for client in (self._clients.kept, self._clients.fresh):
                asyncio.run_coroutine_threadsafe(client.aclose(), _run_loop()).result()
            self._clients = None

    def _connect(self) -> _Clients:
        proxy = None if self.base.is_loopback else find_proxy(self.base)
        needs_tls = self.base.scheme == "https" or (proxy is not None and proxy.url.scheme == "https")
        context = make_ssl_context(self.ca_file) if needs_tls else ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        pools = (httpx.Limits(keepalive_expiry=2.0), httpx.Limits(max_keepalive_connections=0))
        kept, fresh = (
            httpx.AsyncClient(verify=context, proxy=proxy, trust_env=False, limits=limits) for limits in pools
        )
        return _Clients(kept, fresh, f"{proxy.url.host}:{proxy.url.port}" if proxy else "")

    def _build(self, method: str, target: str, headers: Headers, body: bytes, seconds: float) -> httpx.Request:
        pairs = [(b"Host", self.base.authority.encode())]
        pairs += [(name.encode("latin-1"), value.encode("latin-1")) for name, value in headers]
        pairs.append((b"Accept-Encoding", ACCEPT_ENCODING.encode()))
        if method in _METHODS_WITH_BODY and not body:
            pairs.append((b"Content-Length", b"0"))
        timeout = httpx.Timeout(None, connect=min(seconds, _CONNECT_TIMEOUT))
        url = _ExactUrl(self.base, target)
        request = httpx.Request(
            method, str(self.base), headers=pairs, content=body or None, extensions={"timeout": timeout.as_dict()}
        )
        request.url = url
        return request

    async def _exchange(self, client: httpx.AsyncClient, request: httpx.Request, seconds: float) -> Response:
        try:
            async with asyncio.timeout(seconds):
                return await self._send(client, request)
        except TimeoutError as error:
            raise NoAnswer(f"it gave no whole answer within {seconds:.3g} s", timed_out=True) from error
        except httpx.ProxyError as error:
            raise Unreachable(f"the proxy {self._via} refuses the connection to {self.base.authority}") from error
        except (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout) as error:
            raise Unreachable(self._explain(error)) from error
        except httpx.LocalProtocolError as error:
            raise ValueError("the request holds a character that HTTP does not allow") from error
        except httpx.RemoteProtocolError as error:
            raise NoAnswer(_explain_break(error)) from error
        except (httpx.HTTPError, OSError) as error:
            raise NoAnswer("it reset the connection before its answer was complete") from error

    async def _send(self, client: httpx.AsyncClient, request: httpx.Request) -> Response:
        answer = await client.send(request, stream=True, follow_redirects=False)
        try:
            pairs = tuple(
                (name.decode("latin-1").lower(), value.decode("latin-1")) for name, value in answer.headers.raw
            )
            body, flaw = await self._read(answer, ",".join(value for name, value in pairs if name == "content-encoding"))
            return Response(answer.status_code, pairs, body, flaw)
        finally:
            with suppress(httpx.HTTPError, OSError):
                await answer.aclose()

    async def _read(self, answer: httpx.Response, codings: str) -> tuple[bytes, str]:
        """The body, and what is wrong with it."""
        raw = BodyReader("", self.max_body)
        try:
            reader = BodyReader(codings, self.max_body)
            async for chunk in answer.aiter_raw():
                if codings:
                    raw.feed(chunk)
                reader.feed(chunk)
            reader.finish()
        except BodyTooLong:
            return reader.body[:_KEPT_OF_LONG_BODY], f"the body is longer than {self.max_body} bytes"
        except ValueError as error:
            return raw.body[:_KEPT_OF_LONG_BODY], str(error)
        return reader.body, ""

    @property
    def _via(self) -> str:
        return self._clients.proxy if self._clients else ""

    def _explain(self, error: httpx.HTTPError) -> str:
        """Why there is no connection; nothing of the library's message, which may hold what the target sent."""
        place = f"{self.base.authority} cannot be reached through the proxy {self._via}" if self._via else ""
        causes = list(_iterate_causes(error))
        if tls := next((cause for cause in causes if isinstance(cause, ssl.SSLError)), None):
            return f"{self.base.authority} offers no TLS that is trusted: {tls.reason or type(tls).__name__}"
        if isinstance(error, httpx.ConnectTimeout):
            return f"{place or f'{self.base.authority} cannot be reached'}: no connection in time"
        system = next((cause for cause in causes if isinstance(cause, OSError) and cause.strerror), None)
        reason = system.strerror if system else "no connection"
        return f"{place or f'{self.base.authority} cannot be reached'}: {reason}"


def _iterate_causes(error: BaseException) -> list[BaseException]:
    """The error and what led to it."""
    found: list[BaseException] = []
    waiting: list[BaseException | None] = [error]
    while waiting:
        each = waiting.pop(0)
        if each is None or each in found:
            continue
        found.append(each)
        waiting += [each.__cause__, each.__context__]
        if isinstance(each, BaseExceptionGroup):
            waiting += each.exceptions
    return found


def _explain_break(error: httpx.RemoteProtocolError) -> str:
    said = str(error)
    if "without sending a response" in said:
        return "it closed the connection without an answer"
    if "incomplete" in said or "without sending complete" in said:
        return "it closed the connection before its answer was complete"
    return "its answer is not HTTP/1.1"


def find_proxy(base: BaseUrl) -> httpx.Proxy | None:
    """The proxy that the environment (or the system) names for an address; `Unreachable` if it is no usable one."""
    if proxy_bypass(base.host) or proxy_bypass(f"{base.host}:{base.port}"):
        return None
    proxies = getproxies()
    address = proxies.get(base.scheme) or proxies.get("all")
    if not address:
        return None
    try:
        proxy = httpx.Proxy(address if "://" in address else f"http://{address}")
    except (ValueError, httpx.InvalidURL) as error:
        raise Unreachable("the environment names a proxy that is not an http:// or https:// address") from error
    if proxy.url.scheme not in {"http", "https"} or not proxy.url.host:
        raise Unreachable("the environment names a proxy that is not an http:// or https:// address")
    return proxy


def make_ssl_context(ca_file: str = "") -> ssl.SSLContext:
    """A context that trusts the system's authorities (or SSL_CERT_FILE) and those of a file; else `Unreachable`."""
    paths = ssl.get_default_verify_paths()
    has_authorities = paths.cafile is not None or paths.capath is not None
    context = ssl.create_default_context() if has_authorities else httpx.create_ssl_context()  # the latter brings some
    if ca_file:
        try:
            context.load_verify_locations(Path(ca_file))
        except (OSError, ValueError) as error:
            raise Unreachable(f"the file of authorities {ca_file!r} cannot be read, or holds no certificate") from error
    return context


@cache
def _run_loop() -> asyncio.AbstractEventLoop:
    """An event loop that runs in a thread of its own until the process ends."""
    loop = asyncio.new_event_loop()
    threading.Thread(target=loop.run_forever, name="zof-contracts-http", daemon=True).start()
    return loop
