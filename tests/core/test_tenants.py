"""Tenants: keys expire on time, and the default data is consistent."""

from __future__ import annotations

from dataclasses import FrozenInstanceError

import pytest
from hypothesis import given
from hypothesis import strategies as st
from zof_emulator.core.tenants import DEFAULT, PERMITS, Key, Role

instants = st.integers(0, 2**48)


@given(st.none() | instants, st.booleans(), instants)
def test_a_key_is_dead_from_its_expiry_on(expires_at: int | None, revoked: bool, now: int) -> None:  # noqa: FBT001  drawn
    """A key is invalid from the millisecond of its expiry on, and when it is revoked."""
    key = Key("secret", "org_a", frozenset(), expires_at=expires_at, revoked=revoked)
    assert key.is_invalid(now) is (revoked or (expires_at is not None and now >= expires_at))


def test_what_roles_permit() -> None:
    """Admin and lead hold all permissions, an engineer may start runs and read projects, a viewer read projects."""
    everything = {"runs:create", "projects:read", "webhooks:manage"}
    assert {role: set(permits) for role, permits in PERMITS.items()} == {
        Role.ADMIN: everything,
        Role.LEAD: everything,
        Role.ENGINEER: {"runs:create", "projects:read"},
        Role.VIEWER: {"projects:read"},
    }


def test_the_default_data_belongs_together() -> None:
    """Every ID in the default data is defined there and belongs to the organization that uses it."""
    organizations = {one.id for one in DEFAULT.organizations}
    used = {key.organization for key in DEFAULT.keys} | {project.organization for project in DEFAULT.projects}
    owner = {**DEFAULT.cases, **{one.id: one.organization for one in DEFAULT.projects}}
    assert used <= organizations
    assert all(len({owner[case] for case in cases}) == 1 for cases in DEFAULT.suites.values())
    for sample in DEFAULT.samples:
        assert {owner[name] for name in (sample.project_id, *sample.test_case_ids)} == {sample.organization}


def test_the_samples_are_in_the_order_of_their_age() -> None:
    """The sample runs follow one another in time, so that the newest is listed first."""
    ages = [sample.age_ms for sample in DEFAULT.samples]
    assert ages == sorted(ages, reverse=True)


def test_two_worlds_cannot_spoil_each_others_data() -> None:
    """The default data cannot be changed, in whole or in part."""
    with pytest.raises(FrozenInstanceError):
        DEFAULT.keys = ()  # type: ignore[misc]
    with pytest.raises(TypeError):
        DEFAULT.cases["tc_x"] = "org_abc"  # type: ignore[index]
