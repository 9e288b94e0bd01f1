"""Access to the control operations: refuses web pages of other sites and clients on other machines."""

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
"""The path prefix of the control operations."""


class ControlGuard:
    """Admits clients on this machine and clients with the token, but no web page of another site."""

    def __init__(self, *, loopback: bool, token: str = "", public_url: str = "") -> None:
        """Make a guard.

        Args:
            loopback: whether only clients on this machine can connect.
            token: the token that every client must send; empty for none.
            public_url: a URL whose host the `Host` header may name.
        """
        self._loopback = loopback
        self._token = f"Bearer {token}".encode() if token else b""
        self._own = urlsplit(public_url).hostname

    def check(self, scope: Scope, headers: Mapping[bytes, bytes]) -> None:
        """Check a request.

        Raises:
            Refused: the client may not use the control operations.
        """
        reason = self._reason(scope, headers)
        if reason:
            raise Refused(reason)

    def _reason(self, scope: Scope, headers: Mapping[bytes, bytes]) -> str:
        """The reason to refuse a request; empty if it is admitted."""
        host = _host(headers.get(b"host", b""))
        if self._loopback and not self._is_ours(host):
            return "foreign_host"
        origin = headers.get(b"origin")
        if origin is not None and _host(origin.partition(b"://")[2]) not in {host} - {None}:
            return "foreign_origin"
        if self._token:
            given = headers.get(b"authorization")
            return "" if given and compare_digest(given, self._token) else "token_wrong" if given else "token_missing"
        return "" if self.is_local(scope) else "not_loopback"

    def is_local(self, scope: Scope) -> bool:
        """Whether the client is on this machine."""
        return self._loopback or _is_loopback((scope.get("client") or ("",))[0])

    def _is_ours(self, host: str | None) -> bool:
        if host is None:
            return False
        return host in {self._own, "localhost"} or host.endswith(".localhost") or _is_loopback(host)


def _host(authority: bytes) -> str | None:
    """The host in `host:port`; None if the text has another form."""
    try:
        return urlsplit(b"//" + authority).hostname.decode("ascii")  # type: ignore[union-attr]
    except (AttributeError, ValueError):
        return None


def _is_loopback(address: str) -> bool:
    try:
        parsed = ip_address(address)
    except ValueError:
        return False
    mapped = parsed.ipv4_mapped if isinstance(parsed, IPv6Address) else None
    return (mapped or parsed).is_loopback
