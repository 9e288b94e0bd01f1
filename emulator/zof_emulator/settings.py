"""`Settings`: the configuration of an emulator, as one frozen value that validates itself."""

from __future__ import annotations

import re
from dataclasses import dataclass, fields
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network
from typing import Final

from zof_emulator.core import limits
from zof_emulator.core.config import WorldConfig, check_integer
from zof_emulator.core.limits import Rate, RateScope

OFF: Final = limits.OFF
"""The rate of `--rate-limit off`."""

_RATE: Final = re.compile(r"([1-9][0-9]{0,8})/([1-9][0-9]{0,4})(?::(key|organization))?")
_URL: Final = re.compile(
    r"(https?)://([A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\])(?::([0-9]{1,5}))?((?:/[A-Za-z0-9._~-]+)*/?)", re.IGNORECASE
)
_PORTS: Final = {"http": 80, "https": 443}
_HOST: Final = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]{0,252})|[0-9A-Fa-f:]*:[0-9A-Fa-f:.]*")
_LAST_PORT: Final = 65_535
BOUNDS: Final = {
    "port": (0, _LAST_PORT),
    "journal": (0, 1_000_000),
    "max_worlds": (1, 100_000),
    "world_idle": (1, 10_000_000),
}
"""The least and greatest value of each integer setting of the process; `WorldConfig` holds those of a world."""


def check_token(token: str) -> str:
    """The token, if the header `Authorization` can carry it; a `ValueError`, which does not show it, otherwise."""
    if not (token.isascii() and token.isprintable()) or " " in token:
        raise ValueError("invalid token: use printable ASCII characters without spaces")
    return token


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings(WorldConfig):
    """The configuration of an emulator: of its worlds, and of the process.

    The defaults are those of `zof-emulator serve`.

    Raises:
        ValueError: a value is not allowed; the message names the setting and the allowed values.
    """

    host: str = "127.0.0.1"
    """The address to listen on."""
    port: int = 9630
    """The port to listen on; 0 picks a free one."""
    public_url: str = ""
    """The scheme, host and path that links in answers begin with; if empty, the request decides."""
    cors: tuple[str, ...] = ()
    """The origins whose pages browsers let use the emulator."""
    trusted_proxy: tuple[str, ...] = ()
    """The addresses and networks of proxies whose `X-Forwarded-` headers are believed."""
    token: str = ""
    """The token that `/_emulator` requires; if empty, only clients on this machine may use it, without a token."""
    journal: int = 1_000
    """The number of exchanges that the journal of a world keeps; 0 turns the journal off."""
    max_worlds: int = 1_000
    """The largest number of worlds in the process."""
    prefer: bool = True
    """Whether a request may ask for an error or a delay with the header `Prefer`."""
    webhook_allow: tuple[str, ...] = ()
    """The hosts besides this machine that webhooks are sent to."""
    world_idle: int = 3_600
    """The seconds after which an unused world may be dropped to make room for another."""

    def __post_init__(self) -> None:
        WorldConfig.__post_init__(self)
        for name, (minimum, maximum) in BOUNDS.items():
            check_integer(name, getattr(self, name), minimum, maximum)
        for name in ("host", "token"):
            if not isinstance(getattr(self, name), str):
                raise ValueError(f"invalid {name} {getattr(self, name)!r}: use a string")  # noqa: TRY004
        check_token(self.token)
        if not isinstance(self.prefer, bool):
            raise ValueError(f"invalid prefer {self.prefer!r}: use True or False")  # noqa: TRY004  as for every setting
        object.__setattr__(self, "public_url", parse_url(self.public_url))
        object.__setattr__(self, "cors", tuple(parse_origin(one) for one in self.cors))
        object.__setattr__(self, "trusted_proxy", tuple(str(parse_network(one)) for one in self.trusted_proxy))
        object.__setattr__(self, "webhook_allow", tuple(parse_host(one) for one in self.webhook_allow))

    @property
    def world(self) -> WorldConfig:
        """The configuration of a world that is created without one."""
        return WorldConfig(**{one.name: getattr(self, one.name) for one in fields(WorldConfig)})

    @property
    def loopback(self) -> bool:
        """Whether only clients on this machine can reach the emulator."""
        if self.host == "localhost":
            return True
        try:
            return ip_address(self.host).is_loopback
        except ValueError:
            return False


def parse_rate(text: str) -> Rate:
    """The rate that `off` or `N/SECONDS[:key|organization]` names.

    Raises:
        ValueError: the text is neither.
    """
    if text == "off":
        return OFF
    match = _RATE.fullmatch(text)
    if match is None:
        raise ValueError(f"{text!r} is neither off nor N/SECONDS[:key|organization], as in 100/60:key")
    return Rate(int(match[1]), int(match[2]) * 1000, RateScope(match[3] or "key"))


def parse_host(text: object) -> str:
    """A host name or an IP address without a port.

    Raises:
        ValueError: the value is neither.
    """
    if isinstance(text, str) and _HOST.fullmatch(text):
        return text
    raise ValueError(
        f"invalid host {text!r}: use a host name or an IP address without a port, as in host.docker.internal"
    )


def parse_url(text: str) -> str:
    """The scheme, host and path of a URL such as `https://zof.test:8443/zof`, without a slash at its end.

    Raises:
        ValueError: the URL has other parts, or lacks a scheme or a host.
    """
    match = _URL.fullmatch(text)
    if not text or (match and int(match[3] or 0) <= _LAST_PORT):
        return text.rstrip("/")
    raise ValueError(f"invalid URL {text!r}: use a scheme, a host and a path, as in https://zof.test:8443/zof")


def parse_origin(text: object) -> str:
    """The origin of pages, such as `http://localhost:3000`, as browsers write it.

    Raises:
        ValueError: the value is no origin; `*` and `null` are refused, since every page could have them.
    """
    match = _URL.fullmatch(text) if isinstance(text, str) else None
    if match and not match[4].strip("/") and int(match[3] or 0) <= _LAST_PORT:
        scheme, host = match[1].lower(), match[2].lower()
        port = int(match[3]) if match[3] else _PORTS[scheme]
        return f"{scheme}://{host}" if port == _PORTS[scheme] else f"{scheme}://{host}:{port}"
    raise ValueError(f"invalid origin {text!r}: use a scheme and a host, as in http://localhost:3000")


def parse_network(text: object) -> IPv4Network | IPv6Network:
    """The network that an IP address or a network such as `10.0.0.0/8` names.

    Raises:
        ValueError: the value is neither.
    """
    try:
        return ip_network(str(text), strict=False)
    except ValueError:
        raise ValueError(f"invalid proxy {text!r}: use an IP address or a network, as in 172.16.0.0/12") from None
