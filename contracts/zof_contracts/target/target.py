"""Target: where to knock, with which keys, and what may be done there; one frozen value.

Plug in: `Target(app=create_app(...), keys={"main": ...}, advance=...)` in process, `Target(url=..., keys=...)` over
HTTP. A mutant deployment is a `Target` whose `app` is wrapped; the lenient deployment is one whose `app` is its own.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from zof_contracts.evidence.exchange import AsgiTransport, HttpTransport

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from zof_contracts.contract.rules import Rule
    from zof_contracts.evidence.exchange import App, Transport

KEYS: Final = {
    "main": "may do everything that is tried",
    "readonly": "same organization, without runs:create",
    "no-webhooks": "same organization, without webhooks:manage",
    "no-projects": "same organization, without projects:read",
    "other-org": "another organization",
    "expired": "expired or revoked",
}
"""The names that keys go by, and what each is for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """A deployment, and what may be done to it."""

    url: str = "http://127.0.0.1:9630"
    """Its base, with or without `/v1`."""
    keys: Mapping[str, str] = field(default_factory=dict, repr=False)
    """Secrets by the names in `KEYS`; they never leave the client."""
    app: App | None = None
    """The application, when it is called in process; `url` is then only what it is called."""
    project: str = "proj_abc123"
    environment: str = "staging"
    cases: tuple[str, ...] = ("tc_login_001", "tc_checkout_014")
    """Test cases that may be run; at least two."""
    suite: str = "suite_pr_smoke"
    failing_case: str = ""
    """A test case that fails; empty when none is known."""
    error_case: str = ""
    """A test case that ends in error; empty when none is known."""
    profile: str = "full"
    """`full` starts and cancels runs; `read-only` changes nothing."""
    quota: bool | None = None
    """Whether a rate-limit window may be used up; None: where the clock can be moved, so that it costs no time."""
    strict: bool = False
    """Whether answers are held against closed schemas too."""
    advance: Callable[[int], None] | None = None
    """Moves the target's clock by milliseconds, where that can be; waiting is then free."""
    find_clock: bool = True
    """Whether a target on this machine is asked for a clock that can be moved, when `advance` is not given."""
    patience: float = 30.0
    """Seconds to wait for a run to end."""
    webhook_public_url: str = ""
    """Scheme and host under which the target reaches the receiver of webhooks; empty: the receiver's own address."""
    webhook_port: int = 0
    """The loopback port of the receiver of webhooks; 0 picks a free one."""

    @property
    def base(self) -> str:
        """The URL without `/v1`."""
        return self.url.rstrip("/").removesuffix("/v1").rstrip("/")

    @property
    def in_process(self) -> bool:
        """Whether it is an application in this process."""
        return self.app is not None

    @property
    def prefix(self) -> str:
        """The path that its base has, before `/v1`; mostly empty."""
        return urlsplit(self.base).path

    def within(self, url: str) -> str | None:
        """The path of a link below the base, whatever host it names; None when it leads elsewhere."""
        path = urlsplit(url).path
        return path.removeprefix(self.prefix) if path.startswith(f"{self.prefix}/") else None

    @property
    def spends(self) -> bool:
        """Whether a rate-limit window may be used up."""
        return self.advance is not None if self.quota is None else self.quota

    @property
    def loopback(self) -> bool:
        """Whether it is on this machine."""
        host = urlsplit(self.base).hostname or ""
        return self.app is not None or host in {"localhost", "::1"} or host.startswith("127.")

    def transport(self) -> Transport:
        """What carries requests to it."""
        return AsgiTransport(self.app, self.base) if self.app else HttpTransport(self.base)

    @property
    def can_receive(self) -> bool:
        """Whether the target can reach a receiver of webhooks on this machine."""
        return self.loopback or bool(self.webhook_public_url)

    def lacks(self, rule: Rule) -> tuple[str, ...]:
        """Which of a rule's needs it does not meet."""
        return tuple(sorted(need for need in rule.needs if not self._meets(need)))

    def _meets(self, need: str) -> bool:
        if need.startswith("key-"):
            return need.removeprefix("key-") in self.keys
        return {
            "full": self.profile == "full",
            "two-keys": not self.keys.keys().isdisjoint({"readonly", "no-webhooks", "no-projects"}),
            "time": self.advance is not None,
            "quota": self.spends,
            "strict": self.strict,
            "receiver": self.can_receive,
            "failing-case": bool(self.failing_case),
        }[need]

    def redact(self, text: str) -> str:
        """The text without any key."""
        for name, secret in self.keys.items():
            text = text.replace(secret, f"[key {name}]")
        return text
