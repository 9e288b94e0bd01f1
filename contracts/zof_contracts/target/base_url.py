"""The address of a deployment, parsed once, so that equal addresses compare equal and print the same."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from typing import Final
from urllib.parse import quote, urlsplit

_PORTS: Final = {"http": 80, "https": 443}
_SAFE_IN_PATH: Final = "/%:@!$&'()*+,;=-._~"


@dataclass(frozen=True, slots=True)
class BaseUrl:
    """Scheme, host, port and path of an address; the path is without `/v1` and without a slash at its end."""

    scheme: str
    host: str
    """In lower case; an IPv6 address is without brackets."""
    port: int
    path: str

    @classmethod
    def parse(cls, text: str) -> BaseUrl:
        """Parse an address such as `https://api.zof.ai/v1`. A user name and a password in it are dropped.

        Raises:
            ValueError: it is no such address; the message is one line that quotes no part that may be secret.
        """
        if any(character.isspace() or not character.isprintable() for character in text.strip()):
            raise ValueError("the address contains a space or a control character")
        try:
            parts = urlsplit(text.strip())
            host, port = parts.hostname or "", parts.port
        except ValueError as error:
            raise ValueError(
                "the address has an invalid host or port: use http://HOST:PORT with a port up to 65535"
            ) from (error)
        if parts.scheme not in _PORTS or not host:
            raise ValueError("the address must begin with http:// or https:// and name a host")
        if port == 0:
            raise ValueError("the address has port 0: use 1 to 65535")
        if "?" in text or "#" in text:
            raise ValueError("the address has a query or a fragment: remove what follows '?' or '#'")
        path = quote(parts.path, safe=_SAFE_IN_PATH).rstrip("/").removesuffix("/v1").rstrip("/")
        return cls(parts.scheme, _normalize_host(host), port or _PORTS[parts.scheme], path)

    @property
    def authority(self) -> str:
        """Host and port as a Host header has them; a default port is left out."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == _PORTS[self.scheme] else f"{host}:{self.port}"

    @property
    def is_loopback(self) -> bool:
        """Whether it is on this machine: `localhost`, or a loopback address. A name is not looked up."""
        if self.host == "localhost":
            return True
        try:
            address = ipaddress.ip_address(self.host)
        except ValueError:
            return False
        mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
        return (mapped or address).is_loopback

    def __str__(self) -> str:
        return f"{self.scheme}://{self.authority}{self.path}"


def has_user_info(text: str) -> bool:
    """Whether an address holds a user name or a password."""
    return "@" in text.partition("://")[2].partition("/")[0]


def _normalize_host(host: str) -> str:
    """The host in lower case and ASCII, as DNS has it."""
    try:
        return str(ipaddress.ip_address(host))
    except ValueError:
        pass
    try:
        name = host.rstrip(".").encode("idna").decode().lower()
    except UnicodeError as error:
        raise ValueError("the address has an invalid host name") from error
    if not name or not all(each.isalnum() or each in "-._" for each in name):
        raise ValueError("the address has an invalid host name: use letters, digits, '-' and '.'")
    return name
