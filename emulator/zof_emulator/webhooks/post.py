"""What is sent: the request of one attempt, and who may be called with it."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import Final, NamedTuple

from zof_emulator.core.endpoints import authority_of

LIMIT_MS: Final = 10_000
"""How long a receiver has to answer, in ms of real time."""
_DEFAULT_PORTS: Final = {"http": 80, "https": 443}


class Post(NamedTuple):
    """One signed request, as it is sent."""

    url: str
    headers: tuple[tuple[str, str], ...]
    body: bytes


class CallPolicy:
    """Who may be called: loopback addresses, and whatever the allowed host names stand for."""

    __slots__ = ("_allowed",)

    def __init__(self, allowed: tuple[str, ...] = ()) -> None:
        self._allowed = frozenset(host.lower() for host in allowed)

    def permits(self, host: str, address: str) -> bool:
        """Whether the address may be called that a URL's host stands for."""
        return host.lower() in self._allowed or is_loopback(address)


def is_loopback(address: str) -> bool:
    """Whether an IP address, in text, leads back to this machine; one that maps an IPv4 address is that one."""
    found: IPv4Address | IPv6Address = ip_address(address.partition("%")[0])
    if isinstance(found, IPv6Address) and found.ipv4_mapped is not None:
        found = found.ipv4_mapped
    return found.is_loopback


def host_header(url: str) -> str:
    """The `Host` header for a URL."""
    scheme, host, port = authority_of(url)
    name = f"[{host}]" if ":" in host else host
    return name if port == _DEFAULT_PORTS[scheme] else f"{name}:{port}"
