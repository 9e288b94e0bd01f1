"""Access to the control operations and the pages, which other sites and other machines do not have."""

from __future__ import annotations

from hmac import compare_digest
from ipaddress import IPv6Address, ip_address
from typing import TYPE_CHECKING, Final, NamedTuple
from urllib.parse import urlsplit

from zof_emulator.core.refusal import Refused
from zof_emulator.handlers.authorization import normalize_bearer

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from starlette.types import Scope

_SAFE: Final = frozenset({"GET", "HEAD", "OPTIONS"})
"""The methods that change nothing. A page of another site cannot read their answers."""
_OWN_SITES: Final = frozenset({b"same-origin", b"none"})
"""The values of `Sec-Fetch-Site` with which a browser marks a request that no page of another origin caused."""
_PORTS: Final = {"http": 80, "https": 443}
_TEST_HOST: Final = "testserver"
PREFIX: Final = "/_emulator"
"""The path prefix of the control operations."""


class ControlGuard:
    """Admits clients that are on this machine or have the token; never a page of another site."""

    def __init__(
        self,
        *,
        loopback: bool,
        has_proxies: bool = False,
        token: str = "",
        public_url: str = "",
        origins: Iterable[str] = (),
    ) -> None:
        """Make a guard.

        Args:
            loopback: whether only clients on this machine can connect.
            has_proxies: whether a connection may come from a proxy, whose clients are on other machines.
            token: the token that every client must send; empty for none.
            public_url: a URL whose host the `Host` header may name.
            origins: the origins of other sites whose pages are allowed.
        """
        self._loopback = loopback
        self._is_direct = loopback and not has_proxies
        self._token = f"Bearer {token}".encode() if token else b""
        self._public = _parse_origin(remove_path(public_url))
        self._origins = {_parse_origin(one) for one in (*origins, remove_path(public_url))} - {None}

    def check(self, scope: Scope, headers: Mapping[bytes, bytes]) -> None:
        """Admit a request for a control operation; `Refused` if its client may not use them."""
        reason = self._find_foreigner(scope, headers, any_host=not self._loopback) or self._check_token(scope, headers)
        if reason:
            raise Refused(reason)

    def check_page(self, scope: Scope, headers: Mapping[bytes, bytes]) -> None:
        """Admit a request for a page from a client on this machine; `Refused` if another site sent it."""
        reason = self._find_foreigner(scope, headers, any_host=False)
        if reason:
            raise Refused(reason)

    def is_local(self, scope: Scope) -> bool:
        """Whether the client is on this machine."""
        return self._is_direct or _is_loopback((scope.get("client") or ("",))[0])

    def _find_foreigner(self, scope: Scope, headers: Mapping[bytes, bytes], *, any_host: bool) -> str:
        """Why a request comes from another site, by its `Host` and `Origin`; empty when it does not."""
        own = _parse_origin(f"{scope['scheme']}://{headers.get(b'host', b'').decode('latin-1')}")
        if not any_host and not self._is_ours(own) and not _is_in_process(scope, own):
            return "foreign_host"
        origin = headers.get(b"origin")
        if origin is None:
            is_foreign = headers.get(b"sec-fetch-site", b"none") not in _OWN_SITES
            return "foreign_site" if is_foreign and scope["method"] not in _SAFE else ""
        found = _parse_origin(origin.decode("latin-1"))
        return "" if found is not None and (found == own or found in self._origins) else "foreign_origin"

    def _check_token(self, scope: Scope, headers: Mapping[bytes, bytes]) -> str:
        """Why a request is refused for the token; empty when it is not."""
        if not self._token:
            return "" if self.is_local(scope) else "not_loopback"
        given = headers.get(b"authorization")
        if not given:
            return "token_missing"
        return "" if compare_digest(normalize_bearer(given), self._token) else "token_wrong"

    def _is_ours(self, origin: Origin | None) -> bool:
        if origin is None:
            return False
        host = origin.host
        is_public = self._public is not None and host == self._public.host
        return is_public or host == "localhost" or host.endswith(".localhost") or _is_loopback(host)


class Origin(NamedTuple):
    """The scheme, host and port that all URLs of a site share (RFC 6454)."""

    scheme: str
    host: str
    port: int | None


def _parse_origin(url: str) -> Origin | None:
    """The origin of a URL that has nothing else; None when it has more, or is none."""
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError:
        return None
    if not host or not host.isascii() or "@" in parts.netloc or parts.path or parts.query or parts.fragment:
        return None
    return Origin(parts.scheme, host, _PORTS.get(parts.scheme) if port is None else port)


def remove_path(url: str) -> str:
    """The scheme and host of a URL."""
    return "/".join(url.split("/", 3)[:3])


def _is_in_process(scope: Scope, origin: Origin | None) -> bool:
    """Whether Starlette's `TestClient` sent a request: a server on a socket has an address instead of this name."""
    return origin is not None and origin.host == _TEST_HOST == (scope.get("server") or ("",))[0]


def _is_loopback(address: str) -> bool:
    try:
        parsed = ip_address(address)
    except ValueError:
        return False
    mapped = parsed.ipv4_mapped if isinstance(parsed, IPv6Address) else None
    return (mapped or parsed).is_loopback
