"""The courier: sends one request to one receiver, and returns the result.

A host name is resolved once. The address that was checked is the address that is called, so the name cannot resolve to
another one in between. Redirects are not followed, proxies and other settings of the environment are not read, and the
time and size of an answer are limited. In the server, only this module imports
httpx.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
from contextlib import suppress
from ipaddress import ip_address
from typing import TYPE_CHECKING, Final

import httpx

from zof_emulator.core.deliveries import AttemptResult
from zof_emulator.core.endpoints import authority_of
from zof_emulator.core.refusal import Refused
from zof_emulator.webhooks.post import LIMIT_MS, CallPolicy, Post

if TYPE_CHECKING:
    from collections.abc import Sequence

MOST_READ: Final = 1 << 16
"""The number of bytes of an answer's body that are read; then the connection is closed."""
MOST_KEPT: Final = 4_096
"""The number of bytes of an answer's body that are kept, and likewise of its headers."""
_SECOND_MS: Final = 1_000


class Courier:
    """Sends requests. Use it in one event loop, and close it with `aclose`."""

    def __init__(self, policy: CallPolicy, limit_ms: int = LIMIT_MS) -> None:
        """`policy` says who may be called; a receiver has `limit_ms` of real time to answer."""
        self._policy = policy
        self._limit_ms = limit_ms
        self._clients: dict[str, httpx.AsyncClient] = {}

    async def send(self, post: Post) -> AttemptResult:
        """Send a request; return the result of the attempt. Raises nothing."""
        try:
            async with asyncio.timeout(self._limit_ms / _SECOND_MS):
                return await self._send(post)
        except TimeoutError:
            return _describe_failure(f"there was no complete answer within {self._limit_ms} ms")
        except httpx.HTTPError as error:
            return _describe_failure(_explain(error))
        except (OSError, UnicodeError, ValueError, httpx.InvalidURL) as error:
            return _describe_failure(f"the request could not be sent: {error}")

    async def aclose(self) -> None:
        """Close all connections."""
        for client in self._clients.values():
            await client.aclose()
        self._clients.clear()

    async def _send(self, post: Post) -> AttemptResult:
        try:
            scheme, host, port = authority_of(post.url)
        except Refused:
            return _describe_refusal("this is no URL that can be called")
        try:
            addresses = await _resolve(host, port)
        except (socket.gaierror, UnicodeError):
            return _describe_failure(f"the host name {host} cannot be resolved")
        allowed = [one for one in addresses if self._policy.permits(host, one)]
        if not allowed:
            found = ", ".join(addresses)
            return _describe_refusal(f"{host} is not this machine ({found}); to allow it: --webhook-allow {host}")
        client = self._client(scheme)
        for address in allowed[:-1]:
            try:
                return await self._call(client, post, host, address)
            except httpx.ConnectError:
                continue
        return await self._call(client, post, host, allowed[-1])

    def _client(self, scheme: str) -> httpx.AsyncClient:
        if scheme not in self._clients:
            verify: ssl.SSLContext | bool = ssl.create_default_context() if scheme == "https" else False
            limits = httpx.Limits(max_connections=None, max_keepalive_connections=200)
            self._clients[scheme] = httpx.AsyncClient(
                verify=verify,
                trust_env=False,
                follow_redirects=False,
                timeout=self._limit_ms / _SECOND_MS,
                limits=limits,
            )
        return self._clients[scheme]

    async def _call(self, client: httpx.AsyncClient, post: Post, host: str, address: str) -> AttemptResult:
        url = httpx.URL(post.url).copy_with(host=address)
        extensions = {"sni_hostname": host} if url.scheme == "https" else {}
        request = httpx.Request("POST", url, headers=post.headers, content=post.body, extensions=extensions)
        response = await client.send(request, stream=True)
        try:
            return await _read(response)
        finally:
            await response.aclose()


async def _resolve(host: str, port: int) -> Sequence[str]:
    """The addresses of a host name, each once; an IP address is its own address."""
    with suppress(ValueError):
        return [str(ip_address(host))]
    found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(one[4][0]) for one in found))


async def _read(response: httpx.Response) -> AttemptResult:
    kept, size = b"", 0
    async for piece in response.aiter_raw():
        kept += piece[: MOST_KEPT - len(kept)]
        size += len(piece)
        if size >= MOST_READ:
            break
    headers, room = list[tuple[str, str]](), MOST_KEPT
    for name, value in response.headers.multi_items():
        room -= len(name) + len(value)
        if room < 0:
            break
        headers.append((name, value))
    body = kept.decode(errors="replace")
    return AttemptResult(response.status_code, "", tuple(headers), body, truncated=size > len(kept))


def _explain(error: httpx.HTTPError) -> str:
    if isinstance(error, httpx.ConnectError):
        is_tls = "SSL" in str(error) or "certificate" in str(error)
        return "the TLS connection failed" if is_tls else "the connection was refused"
    if isinstance(error, httpx.RemoteProtocolError):
        return "the answer is not valid HTTP, or ended early"
    return "the connection was lost"


def _describe_failure(why: str) -> AttemptResult:
    return AttemptResult(None, why)


def _describe_refusal(why: str) -> AttemptResult:
    return AttemptResult(None, why, is_refused=True)
