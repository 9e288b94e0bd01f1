"""Tenants: organizations, their keys, the permissions of roles, and the default data."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from enum import StrEnum
from hashlib import sha256
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

from zof_emulator.core.endpoints import EventType
from zof_emulator.core.instants import SECOND

if TYPE_CHECKING:
    from collections.abc import Mapping


class Role(StrEnum):
    """The roles that exist (`/docs/admin/roles`)."""

    ADMIN = "Organization Admin"
    LEAD = "QA Lead"
    ENGINEER = "Engineer"
    VIEWER = "Viewer"


_ALL: Final = frozenset({"runs:create", "projects:read", "webhooks:manage"})
PERMITS: Final[Mapping[Role, frozenset[str]]] = MappingProxyType(
    {
        Role.ADMIN: _ALL,
        Role.LEAD: _ALL,
        Role.ENGINEER: frozenset({"runs:create", "projects:read"}),
        Role.VIEWER: frozenset({"projects:read"}),
    },
)
"""The permissions of each role."""


@dataclass(frozen=True, slots=True)
class Organization:
    """A tenant: its ID and the environments of its runs."""

    id: str
    environments: tuple[str, ...] = ("staging", "production")

    def add_environments(self, labels: tuple[str, ...]) -> Organization:
        """The organization with these environments added; each label occurs once."""
        return Organization(self.id, tuple(dict.fromkeys((*self.environments, *labels)))) if labels else self


def digest_secret(secret: str) -> str:
    """The SHA-256 of the `Authorization` header of a key, in hexadecimal digits."""
    return sha256(f"Bearer {secret}".encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class Key:
    """An API key of an organization. It expires at `expires_at` (ms)."""

    secret: str
    """The key itself; empty if only its digest is known, as after a snapshot of another process."""
    organization: str
    permissions: frozenset[str]
    note: str = ""
    """A short description of what it may do."""
    expires_at: int | None = None
    revoked: bool = False
    expires_in: int | None = None
    """How long after the start of its world it expires, in ms; `start_at` makes `expires_at` of it."""
    known_digest: str = ""
    """The digest of a key whose secret is not known, or has a stand-in."""

    @property
    def digest(self) -> str:
        """The SHA-256 of its `Authorization` header, in hexadecimal digits."""
        return self.known_digest or digest_secret(self.secret)

    @property
    def name(self) -> str:
        """Its identifier inside the process: its secret, or its digest if the secret is not known."""
        return self.secret or self.known_digest

    def start_at(self, instant: int) -> Key:
        """The key in a world that begins at an instant (ms)."""
        return self if self.expires_in is None else replace(self, expires_at=instant + self.expires_in, expires_in=None)

    def is_invalid(self, now: int) -> bool:
        """Whether the key has expired or is revoked."""
        return self.revoked or (self.expires_at is not None and self.expires_at <= now)


@dataclass(frozen=True, slots=True)
class Project:
    """A project that is created `age_ms` before the world begins."""

    id: str
    organization: str
    name: str
    age_ms: int


@dataclass(frozen=True, slots=True)
class Sample:
    """An ended run of a new world. It makes an example of the document work."""

    word: str
    organization: str
    project_id: str
    environment: str
    test_case_ids: tuple[str, ...]
    age_ms: int


@dataclass(frozen=True, slots=True)
class SampleWebhook:
    """An endpoint that a fresh world holds, so that every example of the spec is alive. No run sends it anything."""

    word: str
    organization: str
    url: str
    events: tuple[EventType, ...]
    age_ms: int
    secret: str | None = None
    """The secret that signs; None generates one."""


@dataclass(frozen=True, slots=True)
class SeedData:
    """The content of a new world."""

    organizations: tuple[Organization, ...]
    keys: tuple[Key, ...]
    projects: tuple[Project, ...] = ()
    cases: Mapping[str, str] = field(default_factory=dict)
    """The ID of the organization that owns a test case, by the case's ID."""
    suites: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """The IDs of a suite's cases, by the suite's ID. The suite belongs to the organization that owns the cases."""
    samples: tuple[Sample, ...] = ()
    webhooks: tuple[SampleWebhook, ...] = ()


NEVER_EXISTS: Final = "missing"
"""An ID that contains this word does not exist."""
SUITE_CASES: Final = ("_001", "_002", "_003")
"""The endings of the IDs of the cases that a suite without a list of cases holds."""
_LONGEST_NAME: Final = 64


def derive_cases(suite: str) -> tuple[str, ...]:
    """The IDs of the cases of a suite whose cases nobody has listed: `suite_NAME` holds `tc_NAME_001` to `_003`."""
    name = suite.removeprefix("suite_")[: _LONGEST_NAME - len(SUITE_CASES[0])]
    return tuple(f"tc_{name}{ending}" for ending in SUITE_CASES)


_HOUR: Final = 3_600 * SECOND
_ABC: Final = "org_abc"
_OTHER: Final = "org_other"
_NAMED: Final = ("tc_login_001", "tc_checkout_014")
_WORDED: Final = ("tc_refund_fail_002", "tc_search_error_003", "tc_cart_flaky_004", "tc_import_slow_005")

DEFAULT: Final = SeedData(
    organizations=(Organization(_ABC), Organization(_OTHER)),
    keys=(
        Key("zof_test_admin", _ABC, PERMITS[Role.ADMIN], "everything"),
        Key("zof_test_ci", _ABC, PERMITS[Role.ENGINEER], "start, cancel and read runs, list projects"),
        Key("zof_test_viewer", _ABC, PERMITS[Role.VIEWER], "read only, list projects"),
        Key("zof_test_expired", _ABC, PERMITS[Role.ADMIN], "nothing: it has expired", expires_at=0),
        Key("zof_test_other", _OTHER, PERMITS[Role.ADMIN], "everything, in another organization"),
    ),
    projects=(
        Project("proj_abc", _ABC, "Checkout Service", 48 * _HOUR),
        Project("proj_abc123", _ABC, "Storefront", 24 * _HOUR),
    ),
    cases=MappingProxyType(dict.fromkeys((*_NAMED, *_WORDED), _ABC)),
    suites=MappingProxyType({"suite_pr_smoke": _NAMED}),
    samples=(
        Sample("sample_passed", _ABC, "proj_abc123", "staging", _NAMED, 2 * _HOUR),
        Sample("sample_failed", _ABC, "proj_abc", "production", (_NAMED[0], _WORDED[0]), _HOUR),
    ),
    webhooks=(SampleWebhook("sample", _ABC, "http://127.0.0.1:9631/webhooks", (EventType.AGENT_OFFLINE,), 24 * _HOUR),),
)
"""The default data, with a case for each word that decides an outcome, and two ended runs."""
