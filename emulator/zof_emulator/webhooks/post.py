"""The request of one attempt, and the policy that decides which receivers may be called."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import Final, NamedTuple

from zof_emulator.core.endpoints import parse_authority

LIMIT_MS: Final = 10_000
"""The time that a receiver has to answer, in ms of real time."""
_DEFAULT_PORTS: Final = {"http": 80, "https": 443}


class Post(NamedTuple):
    """One signed request."""

    url: str
    headers: tuple[tuple[str, str], ...]
    body: bytes


class CallPolicy:
    """The receivers that may be called: loopback addresses, and all addresses of the allowed host names."""

    __slots__ = ("_allowed",)

    def __init__(self, allowed: tuple[str, ...] = ()) -> None:
        self._allowed = frozenset(host.lower() for host in allowed)

    def permits(self, host: str, address: str) -> bool:
        """Whether a URL's host may be called at this address."""
        return host.lower() in self._allowed or is_loopback(address)


def is_loopback(address: str) -> bool:
    """Whether an IP address, as text, is a loopback address; an IPv6 address may map an IPv4 one."""
    parsed: IPv4Address | IPv6Address = ip_address(address.partition("%")[0])
    if isinstance(parsed, IPv6Address) and parsed.ipv4_mapped is not None:
        parsed = parsed.ipv4_mapped
    return parsed.is_loopback


def build_host_header(url: str) -> str:
    """The `Host` header for a URL."""
    scheme, host, port = parse_authority(url)
    name = f"[{host}]" if ":" in host else host
    return name if port == _DEFAULT_PORTS[scheme] else f"{name}:{port}"
