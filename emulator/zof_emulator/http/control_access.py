"""Who may use the control operations, so that no page in a browser and no neighbour can."""

from __future__ import annotations

from hmac import compare_digest
from ipaddress import IPv6Address, ip_address
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from zof_emulator.core.refusal import Refused

if TYPE_CHECKING:
    from collections.abc import Mapping

    from starlette.types import Scope

PREFIX: Final = "/_emulator"
"""Where the control operations live under a base."""


class ControlGuard:
    """Lets in who is on this machine, or brings the token; never a page of another site."""

    def __init__(self, *, loopback: bool, token: str = "", public_url: str = "") -> None:
        """`loopback`: only clients on this machine can reach us at all. With a token, everybody must bring it."""
        self._loopback = loopback
        self._token = f"Bearer {token}".encode() if token else b""
        self._own = urlsplit(public_url).hostname

    def check(self, scope: Scope, headers: Mapping[bytes, bytes]) -> None:
        """Let a request in; `Refused` else."""
        reason = self._reason(scope, headers)
        if reason:
            raise Refused(reason)

    def _reason(self, scope: Scope, headers: Mapping[bytes, bytes]) -> str:
        """Why a request is refused; empty when it is let in."""
        host = _host(headers.get(b"host", b""))
        if self._loopback and not self._is_ours(host):
            return "foreign_host"
        origin = headers.get(b"origin")
        if origin is not None and _host(origin.partition(b"://")[2]) not in {host} - {None}:
            return "foreign_origin"
        if self._token:
            given = headers.get(b"authorization")
            return "" if given and compare_digest(given, self._token) else "token_wrong" if given else "token_missing"
        return "" if self.at_home(scope) else "not_loopback"

    def at_home(self, scope: Scope) -> bool:
        """Whether a client is on this machine."""
        return self._loopback or _is_loopback((scope.get("client") or ("",))[0])

    def _is_ours(self, host: str | None) -> bool:
        if host is None:
            return False
        return host in {self._own, "localhost"} or host.endswith(".localhost") or _is_loopback(host)


def _host(authority: bytes) -> str | None:
    """The host in `host:port`, without its port; None when it is none."""
    try:
        return urlsplit(b"//" + authority).hostname.decode("ascii")  # type: ignore[union-attr]
    except (AttributeError, ValueError):
        return None


def _is_loopback(address: str) -> bool:
    try:
        found = ip_address(address)
    except ValueError:
        return False
    mapped = found.ipv4_mapped if isinstance(found, IPv6Address) else None
    return (mapped or found).is_loopback
