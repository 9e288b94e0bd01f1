"""Carries requests to a server over HTTP/1.1 with httpcore, the engine of httpx.

httpcore sends path, query and headers byte for byte, as a contract harness must; httpx normalizes them.
"""

from __future__ import annotations

import ssl
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import httpcore

from zof_contracts.evidence.exchange import Headers, Response
from zof_contracts.target.base_url import BaseUrl
from zof_contracts.target.content_coding import ACCEPT_ENCODING, BodyReader, BodyTooLong
from zof_contracts.target.deadline import Deadline, DeadlineBackend, DeadlinePassed
from zof_contracts.target.proxies import Proxy, find_proxy, make_ssl_context
from zof_contracts.target.transport import TIMEOUT, NoAnswer, Unreachable

if TYPE_CHECKING:
    from collections.abc import Iterator

MAX_BODY: Final = 16 << 20
"""Bytes of a body that are read."""
_KEPT_OF_BAD_BODY: Final = 1 << 12
"""Bytes that an answer keeps of a body that is too long, or not in its content coding."""
_METHODS_WITH_BODY: Final = frozenset({"POST", "PUT", "PATCH"})
_MAX_CONNECTIONS: Final = 50
_KEEP_ALIVE: Final = 2.0
"""Seconds for which an unused connection is kept; servers close theirs after five seconds or more."""


@dataclass(frozen=True, slots=True)
class _Pools:
    """The connections of a transport."""

    kept: httpcore.ConnectionPool
    """Keeps connections open."""
    fresh: httpcore.ConnectionPool
    """Opens a connection for each request."""
    proxy: Proxy | None


class HttpTransport:
    """A server over HTTP or HTTPS.

    A proxy that the environment names is used, except for a server on this machine. Certificates are checked against
    the system's authorities (or SSL_CERT_FILE), and those of `ca_file`.
    """

    is_parallel: Final = True

    def __init__(self, address: str, *, ca_file: str = "", max_body: int = MAX_BODY) -> None:
        self.base = BaseUrl.parse(address)
        self._ca_file = ca_file
        self._max_body = max_body
        self._deadline = Deadline()
        self._lock = threading.Lock()
        self._pools: _Pools | None = None

    def carry(  # noqa: PLR0913  see Transport
        self, method: str, target: str, headers: Headers, body: bytes, *, seconds: float = TIMEOUT, fresh: bool = False
    ) -> Response:
        """Send a request once and wait for its whole answer, at most for these seconds."""
        pools = self._open()
        self._deadline.set(seconds)
        try:
            return self._exchange(pools.fresh if fresh else pools.kept, method, target, headers, body)
        except (DeadlinePassed, httpcore.ReadTimeout, httpcore.WriteTimeout) as error:
            raise NoAnswer(f"it gave no whole answer within {seconds:.3g} s", timed_out=True) from error
        except httpcore.ProxyError as error:
            via = pools.proxy.authority if pools.proxy else ""
            raise Unreachable(f"the proxy {via} refuses the connection to {self.base.authority}") from error
        except (httpcore.ConnectError, httpcore.ConnectTimeout) as error:
            raise Unreachable(self._explain(error, pools.proxy)) from error
        except (httpcore.LocalProtocolError, UnicodeEncodeError) as error:
            raise ValueError("the request holds a character that HTTP does not allow") from error
        except httpcore.RemoteProtocolError as error:
            raise NoAnswer(_explain_break(error)) from error
        except (httpcore.NetworkError, OSError) as error:
            raise NoAnswer("it reset the connection before its answer was complete") from error

    def close(self) -> None:
        """Close the connections that are kept open."""
        with self._lock:
            if self._pools is not None:
                self._pools.kept.close()
                self._pools.fresh.close()
                self._pools = None

    def _open(self) -> _Pools:
        with self._lock:
            if self._pools is None:
                proxy = find_proxy(self.base)
                needs_tls = self.base.scheme == "https" or (proxy is not None and proxy.scheme == "https")
                # Without TLS an empty context saves the time to read the authorities.
                context = make_ssl_context(self._ca_file) if needs_tls else ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
                self._pools = _Pools(
                    self._make_pool(proxy, context, _MAX_CONNECTIONS), self._make_pool(proxy, context, 0), proxy
                )
            return self._pools

    def _make_pool(self, proxy: Proxy | None, context: ssl.SSLContext, kept: int) -> httpcore.ConnectionPool:
        backend = DeadlineBackend(self._deadline)
        if proxy is None:
            return httpcore.ConnectionPool(
                ssl_context=context,
                max_connections=_MAX_CONNECTIONS,
                max_keepalive_connections=kept,
                keepalive_expiry=_KEEP_ALIVE,
                network_backend=backend,
            )
        return httpcore.HTTPProxy(
            proxy.url,
            proxy_auth=proxy.user,
            ssl_context=context,
            proxy_ssl_context=context if proxy.scheme == "https" else None,
            max_connections=_MAX_CONNECTIONS,
            max_keepalive_connections=kept,
            keepalive_expiry=_KEEP_ALIVE,
            network_backend=backend,
        )

    def _exchange(
        self, pool: httpcore.ConnectionPool, method: str, target: str, headers: Headers, body: bytes
    ) -> Response:
        url = httpcore.URL(
            scheme=self.base.scheme.encode(),
            host=self.base.host.encode(),
            port=self.base.port,
            target=(self.base.path + target).encode("latin-1"),
        )
        pairs = [(b"Host", self.base.authority.encode())]
        pairs += [(name.encode("latin-1"), value.encode("latin-1")) for name, value in headers]
        pairs.append((b"Accept-Encoding", ACCEPT_ENCODING.encode()))
        if method in _METHODS_WITH_BODY or body:
            pairs.append((b"Content-Length", b"%d" % len(body)))
        with pool.stream(method.encode("latin-1"), url, headers=pairs, content=body or None) as answer:
            given = tuple((name.decode("latin-1").lower(), value.decode("latin-1")) for name, value in answer.headers)
            content, flaw = self._read(answer, ",".join(value for name, value in given if name == "content-encoding"))
            return Response(answer.status, given, content, flaw)

    def _read(self, answer: httpcore.Response, codings: str) -> tuple[bytes, str]:
        """The body without its content coding, and what is wrong with it."""
        raw = reader = BodyReader("", self._max_body)
        try:
            reader = BodyReader(codings, self._max_body)
            for chunk in answer.iter_stream():
                if reader is not raw:
                    raw.feed(chunk)
                reader.feed(chunk)
            reader.finish()
        except BodyTooLong:
            return reader.body[:_KEPT_OF_BAD_BODY], f"the body is longer than {self._max_body} bytes"
        except ValueError as error:
            return raw.body[:_KEPT_OF_BAD_BODY], str(error)
        return reader.body, ""

    def _explain(self, error: Exception, proxy: Proxy | None) -> str:
        """Why there is no connection. The library's message is left out, since it may quote what the target sent."""
        causes = list(_iterate_causes(error))
        if tls := next((cause for cause in causes if isinstance(cause, ssl.SSLError)), None):
            return f"{self.base.authority} offers no TLS that is trusted: {tls.reason or type(tls).__name__}"
        place = f"{self.base.authority} cannot be reached"
        place = f"{place} through the proxy {proxy.authority}" if proxy else place
        if isinstance(error, httpcore.ConnectTimeout):
            return f"{place}: no connection in time"
        system = next((cause for cause in causes if isinstance(cause, OSError) and cause.strerror), None)
        return f"{place}: {system.strerror if system else 'no connection'}"


def _iterate_causes(error: BaseException) -> Iterator[BaseException]:
    """The error and those that led to it."""
    each: BaseException | None = error
    while each is not None:
        yield each
        each = each.__cause__ or each.__context__


def _explain_break(error: httpcore.RemoteProtocolError) -> str:
    message = str(error)
    if "without sending a response" in message:
        return "it closed the connection without an answer"
    if "without sending complete" in message or "incomplete" in message:
        return "it closed the connection before its answer was complete"
    return "its answer is not HTTP/1.1"
