"""The headers in which a reverse proxy describes the request of its client: `X-Forwarded-Proto` and its like."""

from __future__ import annotations

import re
from functools import lru_cache
from ipaddress import IPv6Address, ip_address
from typing import TYPE_CHECKING, Final

from zof_emulator.http.decode import is_host

if TYPE_CHECKING:
    from collections.abc import Sequence
    from ipaddress import IPv4Address, IPv4Network, IPv6Network

    from starlette.types import ASGIApp, Receive, Scope, Send

    Network = IPv4Network | IPv6Network

_FOR: Final = b"x-forwarded-for"
_HOST: Final = b"x-forwarded-host"
_PREFIX: Final = b"x-forwarded-prefix"
_PROTO: Final = b"x-forwarded-proto"
_NAMES: Final = frozenset({_FOR, _HOST, _PREFIX, _PROTO})
_PATH: Final = re.compile(rb"(?:/[A-Za-z0-9._~-]+)+/?")
_SCHEMES: Final = {b"http": "http", b"https": "https"}
_MOST_KNOWN: Final = 1024


class ForwardedRequests:
    """Shows an application the request that the client of a trusted proxy sent; other requests pass unchanged.

    Of a header with several values the last one counts, which the trusted proxy itself has added. A value that is no
    scheme, host, path or address is ignored.
    """

    def __init__(self, app: ASGIApp, networks: Sequence[Network]) -> None:
        """`networks` holds the addresses of the trusted proxies."""
        self._app = app
        self._networks = networks
        self._is_trusted = lru_cache(_MOST_KNOWN)(self._find_trust)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        if scope["type"] == "http" and self._is_trusted((scope.get("client") or ("",))[0]):
            scope = self._restore(scope)
        await self._app(scope, receive, send)

    def _restore(self, scope: Scope) -> Scope:
        """The request as the client of the proxy sent it."""
        values = {name: value for name, value in scope["headers"] if name in _NAMES}
        if not values:
            return scope
        found = dict(scope)
        found["scheme"] = _SCHEMES.get(_read_last(values.get(_PROTO, b"")).lower(), scope["scheme"])
        host = _read_last(values.get(_HOST, b""))
        if host and is_host(host):
            others = [header for header in scope["headers"] if header[0] != b"host"]
            found["headers"] = [(b"host", host), *others]
        prefix = _read_last(values.get(_PREFIX, b"")).rstrip(b"/")
        if _PATH.fullmatch(prefix):
            path = prefix.decode()
            found["root_path"] = path + scope.get("root_path", "")
            found["path"] = path + scope["path"]
            found["raw_path"] = prefix + (scope.get("raw_path") or b"")
        addresses = [b",".join(value for name, value in scope["headers"] if name == _FOR)]
        client = self._find_client(addresses[0].decode("latin-1"))
        if client:
            found["client"] = (client, 0)
        return found

    def _find_client(self, forwarded: str) -> str:
        """The last address that is no trusted proxy's; empty without one."""
        for address in reversed(forwarded.split(",")):
            found = _parse(address)
            if found is None:
                return ""
            if not self._is_trusted(str(found)):
                return str(found)
        return ""

    def _find_trust(self, address: str) -> bool:
        found = _parse(address)
        return found is not None and any(found in network for network in self._networks)


def _read_last(value: bytes) -> bytes:
    return value.rpartition(b",")[2].strip()


def _parse(address: str) -> IPv4Address | IPv6Address | None:
    """The address in a text, which may have a port; None if it is no address."""
    text = address.strip()
    if text.startswith("["):
        text = text[1:].partition("]")[0]
    elif text.count(":") == 1:
        text = text.partition(":")[0]
    try:
        found = ip_address(text)
    except ValueError:
        return None
    mapped = found.ipv4_mapped if isinstance(found, IPv6Address) else None
    return mapped or found
