"""The courier: sends one request to one receiver, and returns the result.

A host name is resolved once. The address that was checked is the address that is called, so the name cannot resolve to
another one in between. Redirects are not followed, proxies and other settings of the environment are not read, and the
time and size of an answer are limited.

It uses httpcore, the transport of httpx, since a client of httpx takes twice as long for a request. In the server, only
this module imports it.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
from contextlib import suppress
from ipaddress import ip_address
from typing import TYPE_CHECKING, Final, NamedTuple
from urllib.parse import urlsplit

import httpcore

from zof_emulator.core.deliveries import AttemptResult
from zof_emulator.core.endpoints import parse_authority
from zof_emulator.core.refusal import Refused
from zof_emulator.webhooks.post import LIMIT_MS, CallPolicy, Post

if TYPE_CHECKING:
    from collections.abc import Sequence

MOST_READ: Final = 1 << 16
"""The number of bytes of an answer's body that are read; then the connection is closed."""
MOST_KEPT: Final = 4_096
"""The number of bytes of an answer's body that are kept, and likewise of its headers."""
MOST_IDLE: Final = 200
"""The number of connections that stay open after their answer, for the next request to the same address."""
_LONGEST_IDLE: Final = 5.0
"""Seconds after which an idle connection is not used again."""
_PAUSE: Final = 1.0
"""Seconds between two checks of the idle connections."""
_SECOND_MS: Final = 1_000
_FAILURES: Final = (
    httpcore.NetworkError,
    httpcore.ProtocolError,
    httpcore.TimeoutException,
    httpcore.UnsupportedProtocol,
)


class _Receiver(NamedTuple):
    """An address that may be called, for a host name."""

    scheme: str
    host: str
    address: str
    port: int


class Courier:
    """Sends requests. Use it in one event loop, and close it with `aclose`."""

    def __init__(self, policy: CallPolicy, limit_ms: int = LIMIT_MS) -> None:
        """`policy` says who may be called; a receiver has `limit_ms` of real time to answer."""
        self._policy = policy
        self._limit_ms = limit_ms
        self._idle: dict[_Receiver, list[httpcore.AsyncHTTPConnection]] = {}
        self._idle_count = 0
        self._closing: asyncio.Task[None] | None = None
        """Closes idle connections; None or done if there are none."""
        self._tls: ssl.SSLContext | None = None

    async def send(self, post: Post) -> AttemptResult:
        """Send a request; return the result of the attempt. Raises nothing."""
        try:
            async with asyncio.timeout(self._limit_ms / _SECOND_MS):
                return await self._send(post)
        except TimeoutError:
            return _describe_failure(f"there was no complete answer within {self._limit_ms} ms")
        except _FAILURES as error:
            return _describe_failure(_explain(error))
        except (OSError, ValueError) as error:
            return _describe_failure(f"the request could not be sent: {error}")

    async def aclose(self) -> None:
        """Close all connections."""
        if self._closing is not None:
            self._closing.cancel()
            await asyncio.gather(self._closing, return_exceptions=True)
        for connection in [one for idle in self._idle.values() for one in idle]:
            await connection.aclose()
        self._idle.clear()
        self._idle_count = 0

    async def _send(self, post: Post) -> AttemptResult:
        try:
            scheme, host, port = parse_authority(post.url)
        except Refused:
            return _describe_refusal("this is no URL that can be called")
        try:
            addresses = await _resolve(host, port)
        except (socket.gaierror, UnicodeError):
            return _describe_failure(f"the host name {host} cannot be resolved")
        allowed = [_Receiver(scheme, host, one, port) for one in addresses if self._policy.permits(host, one)]
        if not allowed:
            found = ", ".join(addresses)
            return _describe_refusal(f"{host} is not this machine ({found}); to allow it: --webhook-allow {host}")
        for receiver in allowed[:-1]:
            try:
                return await self._call(receiver, post)
            except httpcore.ConnectError:
                continue
        return await self._call(allowed[-1], post)

    async def _call(self, receiver: _Receiver, post: Post) -> AttemptResult:
        connection = await self._take(receiver)
        try:
            response = await connection.handle_async_request(_request(receiver, post))
            try:
                return await _read(response)
            finally:
                await response.aclose()
        finally:
            await self._give_back(receiver, connection)

    async def _take(self, receiver: _Receiver) -> httpcore.AsyncHTTPConnection:
        """An idle connection to a receiver, or a new one."""
        idle = self._idle.get(receiver)
        while idle:
            connection = idle.pop()
            self._idle_count -= 1
            if not connection.has_expired():
                return connection
            await connection.aclose()
        origin = httpcore.Origin(receiver.scheme.encode(), receiver.address.encode(), receiver.port)
        if receiver.scheme == "https" and self._tls is None:
            self._tls = ssl.create_default_context()
        return httpcore.AsyncHTTPConnection(origin, self._tls, keepalive_expiry=_LONGEST_IDLE)

    async def _give_back(self, receiver: _Receiver, connection: httpcore.AsyncHTTPConnection) -> None:
        """Keep a connection for the next request, or close it."""
        if connection.is_idle() and self._idle_count < MOST_IDLE:
            self._idle.setdefault(receiver, []).append(connection)
            self._idle_count += 1
            if self._closing is None or self._closing.done():
                self._closing = asyncio.create_task(self._close_expired())
        else:
            await connection.aclose()

    async def _close_expired(self) -> None:
        """Close the idle connections that their receivers have closed, or that were idle for too long."""
        while self._idle_count:
            await asyncio.sleep(_PAUSE)
            expired = []
            for receiver, idle in tuple(self._idle.items()):
                expired += [one for one in idle if one.has_expired()]
                idle[:] = [one for one in idle if one not in expired]
                if not idle:
                    del self._idle[receiver]
            self._idle_count -= len(expired)
            for connection in expired:
                await connection.aclose()


def _request(receiver: _Receiver, post: Post) -> httpcore.Request:
    parts = urlsplit(post.url)
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    url = httpcore.URL(
        scheme=receiver.scheme.encode(), host=receiver.address.encode(), port=receiver.port, target=target.encode()
    )
    headers = [(name.encode(), value.encode()) for name, value in post.headers]
    # TLS compares the certificate with the name, not with the address that is called.
    extensions = {"sni_hostname": receiver.host} if receiver.scheme == "https" else {}
    return httpcore.Request("POST", url, headers=headers, content=post.body, extensions=extensions)


async def _resolve(host: str, port: int) -> Sequence[str]:
    """The addresses of a host name, each once; an IP address is its own address."""
    with suppress(ValueError):
        return [str(ip_address(host))]
    found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(one[4][0]) for one in found))


async def _read(response: httpcore.Response) -> AttemptResult:
    kept, size = b"", 0
    async for piece in response.aiter_stream():
        kept += piece[: MOST_KEPT - len(kept)]
        size += len(piece)
        if size >= MOST_READ:
            break
    headers, room = list[tuple[str, str]](), MOST_KEPT
    for name, value in response.headers:
        room -= len(name) + len(value)
        if room < 0:
            break
        headers.append((name.decode("latin-1").lower(), value.decode("latin-1")))
    body = kept.decode(errors="replace")
    return AttemptResult(response.status, "", tuple(headers), body, truncated=size > len(kept))


def _explain(error: Exception) -> str:
    if isinstance(error, httpcore.ConnectError):
        is_tls = "SSL" in str(error) or "certificate" in str(error)
        return "the TLS connection failed" if is_tls else "the connection was refused"
    if isinstance(error, httpcore.RemoteProtocolError):
        return "the answer is not valid HTTP, or ended early"
    return "the connection was lost"


def _describe_failure(why: str) -> AttemptResult:
    return AttemptResult(None, why)


def _describe_refusal(why: str) -> AttemptResult:
    return AttemptResult(None, why, is_refused=True)
