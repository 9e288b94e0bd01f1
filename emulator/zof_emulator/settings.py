"""Settings: all that a user may choose, in one frozen value."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from ipaddress import ip_address
from typing import Final

from zof_emulator.core.limits import Rate

OFF: Final = Rate(limit=1_000_000_000)
"""The limit that nobody reaches: what `--rate-limit off` means, so that its headers are there all the same."""

_RATE: Final = re.compile(r"([1-9][0-9]{0,8})/([1-9][0-9]{0,4})(?::(key|organization))?")
_ORIGIN: Final = re.compile(r"https?://(?:[A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\])(?::([0-9]{1,5}))?/?")
_LAST_PORT: Final = 65_535
_LABEL: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,62}")


@dataclass(frozen=True, slots=True)
class Settings:
    """How an emulator is set up; the defaults are what `zof-emulator serve` does without a flag."""

    host: str = "127.0.0.1"
    """The address to listen on."""
    port: int = 9630
    """The port to listen on; 0 picks a free one."""
    seed: int = 0
    """What tells chance: IDs and durations."""
    clock: str = "real"
    """`real` follows the system's clock; `manual` begins with 2026 and moves when told, `auto` also when polled."""
    rate: Rate = field(default_factory=Rate)
    """The rate limit of a key."""
    capacity: int = 4
    """How many runs of an organization run at once."""
    references: str = "open"
    """`open`: projects, cases and suites come into being when they are named; `strict`: they must be in the data."""
    environments: tuple[str, ...] = ()
    """The organizations' own environments, besides staging and production."""
    samples: bool = True
    """Whether a fresh world holds the ended runs that the spec's examples show."""
    public_url: str = ""
    """Scheme and host that links in answers begin with; empty: what the client called us."""
    token: str = ""
    """What the emulator's own operations ask for; empty: nothing, but that the client is on this machine."""
    journal: int = 1_000
    """How many exchanges the journal of a world keeps; 0: there is none."""
    max_worlds: int = 1_000
    """How many worlds there may be."""
    max_runs: int = 100_000
    """How many ended runs of an organization a world keeps."""
    envelope: str = "present"
    """The envelope of webhook events: `present`, or `legacy` for the older one."""
    webhook_allow: tuple[str, ...] = ()
    """Hosts besides this machine that webhooks are sent to."""
    world_idle: int = 3_600
    """After how many seconds a world that nobody asked for makes room for others."""

    @property
    def loopback(self) -> bool:
        """Whether only clients on this machine can reach the emulator."""
        if self.host == "localhost":
            return True
        try:
            return ip_address(self.host).is_loopback
        except ValueError:
            return False


def rate_from(text: str) -> Rate:
    """The rate that `off` or `N/SECONDS[:key|organization]` names; `ValueError` when it is neither."""
    if text == "off":
        return OFF
    match = _RATE.fullmatch(text)
    if match is None:
        raise ValueError(f"{text!r} is neither off nor N/SECONDS[:key|organization], as in 100/60:key")
    return Rate(int(match[1]), int(match[2]) * 1000, match[3] or "key")


def label_from(text: str) -> str:
    """An environment's label; `ValueError` when it is none."""
    if not _LABEL.fullmatch(text):
        raise ValueError(f"{text!r} is no label: up to 63 letters, digits, _, . or -")
    return text


def url_from(text: str) -> str:
    """Scheme and host of a URL such as `https://zof.test:8443`; `ValueError` when it has more, or less."""
    match = _ORIGIN.fullmatch(text)
    if not text or (match and int(match[1] or 0) <= _LAST_PORT):
        return text.rstrip("/")
    raise ValueError(f"{text!r} is no scheme and host, as in https://zof.test:8443")
