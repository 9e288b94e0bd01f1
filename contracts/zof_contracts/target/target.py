"""Target: the address of a deployment, the keys, and what may be done there, as one frozen value.

`Target(app=create_app(...), keys={"main": ...}, advance=...)` is an application in process, `Target(url=..., keys=...)`
a server. A mutant is a `Target` whose `app` is wrapped.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from zof_contracts.target.base_url import BaseUrl
from zof_contracts.target.http_transport import HttpTransport
from zof_contracts.target.redaction import Redactor, check_key
from zof_contracts.target.transport import AsgiTransport

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from zof_contracts.contract.rules import Rule
    from zof_contracts.target.transport import App, Transport

KEYS: Final = {
    "main": "may do everything that is tried",
    "readonly": "same organization, without runs:create",
    "no-webhooks": "same organization, without webhooks:manage",
    "no-projects": "same organization, without projects:read",
    "other-org": "another organization",
    "expired": "expired or revoked",
    "ci": "same organization, with runs:create and projects:read only",
}
"""The names of keys, and what each key may do."""
PROJECT: Final = "proj_abc123"
ENVIRONMENT: Final = "staging"
CASES: Final = ("tc_login_001", "tc_checkout_014")
SUITE: Final = "suite_pr_smoke"
IN_PROCESS: Final = "http://127.0.0.1:9630"
"""The address by which an application in process is called."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """A deployment, and what may be done to it.

    Raises:
        ValueError: there is neither an address nor an application, or an address or a key cannot be used.
    """

    url: str = ""
    """Its address, with or without `/v1`; afterwards as it is printed, without a user name and a password."""
    keys: Mapping[str, str] = field(default_factory=dict, repr=False)
    """Keys by the names in `KEYS`. They never leave the client."""
    app: App | None = None
    """The application, when it is called in process; `url` is then only its name."""
    project: str = PROJECT
    environment: str = ENVIRONMENT
    cases: tuple[str, ...] = CASES
    """Test cases that may be run; at least two."""
    suite: str = SUITE
    failing_case: str = ""
    """A test case that fails; empty when none is known."""
    error_case: str = ""
    """A test case that ends in error; empty when none is known."""
    profile: str = "full"
    """`full` starts and cancels runs; `read-only` changes nothing."""
    quota: bool | None = None
    """Whether a rate-limit window may be used up; None: where the clock can be moved, so that it costs no time."""
    is_strict: bool = False
    """Whether answers are checked against closed schemas too."""
    advance: Callable[[int], None] | None = None
    """Moves the target's clock by milliseconds, where that is possible; waiting then takes no time."""
    find_clock: bool = True
    """Whether a target on this machine is asked for a clock that can be moved, when `advance` is not given."""
    patience: float = 30.0
    """Seconds to wait for a run to end."""
    workers: int = 4
    """How many sequences of requests are played at once, at the most, where waiting takes time.

    Those that only let time pass do not count.
    """
    webhook_public_url: str = ""
    """Scheme and host under which the target reaches the receiver of webhooks; empty: the receiver's own address."""
    webhook_port: int = 0
    """The loopback port of the receiver of webhooks; 0 picks a free one."""
    ca_file: str = ""
    """A file of certificate authorities that are trusted besides the system's; empty for none."""

    def __post_init__(self) -> None:
        if not self.url and self.app is None:
            raise ValueError("a target needs an address (url) or an application (app)")
        if unknown := sorted(self.keys.keys() - KEYS.keys()):
            raise ValueError(f"unknown key name {unknown[0]!r}: use {', '.join(KEYS)}")
        object.__setattr__(self, "keys", {name: _check_key(name, key) for name, key in self.keys.items()})
        object.__setattr__(self, "url", str(BaseUrl.parse(self.url or IN_PROCESS)))

    @property
    def base(self) -> str:
        """The address without `/v1`."""
        return self.url

    @property
    def address(self) -> BaseUrl:
        """The address in its parts."""
        return BaseUrl.parse(self.url)

    @property
    def prefix(self) -> str:
        """The path of the address, before `/v1`; mostly empty."""
        return self.address.path

    def find_path(self, url: str) -> str | None:
        """The path of a link below the address, whatever host it names; None when it leads elsewhere."""
        try:
            path = urlsplit(url).path
        except ValueError:
            return None
        return path.removeprefix(self.prefix) if path.startswith(f"{self.prefix}/") else None

    @property
    def may_exhaust_quota(self) -> bool:
        """Whether a rate-limit window may be used up."""
        return self.advance is not None if self.quota is None else self.quota

    @property
    def can_move_clock(self) -> bool:
        """Whether its clock can be moved, so that waiting takes no time."""
        return self.advance is not None

    @property
    def is_in_process(self) -> bool:
        """Whether it is an application in this process."""
        return self.app is not None

    @property
    def is_loopback(self) -> bool:
        """Whether it is on this machine."""
        return self.app is not None or self.address.is_loopback

    def make_transport(self) -> Transport:
        """A new transport that carries requests to it."""
        return AsgiTransport(self.app, self.url) if self.app else HttpTransport(self.url, ca_file=self.ca_file)

    @property
    def can_receive(self) -> bool:
        """Whether the target can reach a receiver of webhooks on this machine."""
        return self.is_loopback or bool(self.webhook_public_url)

    def lacks(self, rule: Rule) -> tuple[str, ...]:
        """The needs of a rule that it does not meet."""
        return tuple(sorted(need for need in rule.needs if not self._meets(need)))

    def _meets(self, need: str) -> bool:
        if need.startswith("key-"):
            return need.removeprefix("key-") in self.keys
        return {
            "full": self.profile == "full",
            "two-keys": not self.keys.keys().isdisjoint({"readonly", "no-webhooks", "no-projects"}),
            "time": self.advance is not None,
            "quota": self.may_exhaust_quota,
            "strict": self.is_strict,
            "receiver": self.can_receive,
            "failing-case": bool(self.failing_case),
        }[need]

    def redact(self, text: str) -> str:
        """The text with every key replaced by its name."""
        return Redactor(self.keys).text(text)


def _check_key(name: str, secret: str) -> str:
    try:
        return check_key(secret)
    except ValueError as error:
        raise ValueError(f"invalid key {name!r}: {error}") from error
