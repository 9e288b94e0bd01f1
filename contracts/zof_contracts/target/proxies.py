"""The proxy that the environment names, and the certificate authorities that are trusted."""

from __future__ import annotations

import ssl
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Final
from urllib.parse import unquote, urlsplit
from urllib.request import getproxies, proxy_bypass

from zof_contracts.target.transport import Unreachable

if TYPE_CHECKING:
    from zof_contracts.target.base_url import BaseUrl

_DEFAULT_PORTS: Final = {"http": 80, "https": 443}


@dataclass(frozen=True, slots=True)
class Proxy:
    """An HTTP proxy."""

    scheme: str
    host: str
    port: int
    user: tuple[str, str] | None = field(default=None, repr=False)
    """User name and password; None for no authentication."""

    @property
    def authority(self) -> str:
        """Host and port, as they are printed."""
        return f"{self.host}:{self.port}"

    @property
    def url(self) -> str:
        """Its address without the user."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{self.scheme}://{host}:{self.port}"


def find_proxy(base: BaseUrl) -> Proxy | None:
    """The proxy that the environment (or the system) names for an address; none for one on this machine.

    Raises:
        Unreachable: the environment names something else than an HTTP proxy.
    """
    if base.is_loopback or proxy_bypass(base.host) or proxy_bypass(f"{base.host}:{base.port}"):
        return None
    proxies = getproxies()
    address = proxies.get(base.scheme) or proxies.get("all")
    if not address:
        return None
    try:
        parts = urlsplit(address if "://" in address else f"http://{address}")
        host, port = parts.hostname, parts.port
    except ValueError:
        host, port, parts = None, None, urlsplit("")
    if parts.scheme not in _DEFAULT_PORTS or not host:
        raise Unreachable("the environment names a proxy that is not an http:// or https:// address")
    user = (unquote(parts.username), unquote(parts.password or "")) if parts.username else None
    return Proxy(parts.scheme, host, port or _DEFAULT_PORTS[parts.scheme], user)


def make_ssl_context(ca_file: str = "") -> ssl.SSLContext:
    """A context that trusts the system's authorities (or those of SSL_CERT_FILE), and those of a file.

    Raises:
        Unreachable: the file cannot be read, or holds no certificate.
    """
    context = ssl.create_default_context()
    if ca_file:
        try:
            context.load_verify_locations(Path(ca_file))
        except (OSError, ValueError) as error:
            reason = (
                error.strerror if isinstance(error, FileNotFoundError | PermissionError | IsADirectoryError) else None
            )
            raise Unreachable(
                f"cannot read certificates (PEM) from {ca_file!r}: {reason or 'the file contains no certificate'}"
            ) from error
    return context
