"""Endpoints: which URLs are accepted, and what the store returns for registered endpoints."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from zof_emulator.core.endpoints import (
    MOST_ENDPOINTS,
    EndpointIds,
    EndpointStore,
    EventType,
    Registration,
    parse_authority,
)
from zof_emulator.core.refusal import Refused

GOOD = {
    "http://127.0.0.1:9000/hook": ("http", "127.0.0.1", 9000),
    "https://hooks.example.com": ("https", "hooks.example.com", 443),
    "http://localhost/a?b=c": ("http", "localhost", 80),
    "http://[::1]:81/": ("http", "::1", 81),
    "http://127.0.0.1:65535/": ("http", "127.0.0.1", 65535),
}
BAD = (
    "",
    "/hook",
    "ftp://127.0.0.1/",
    "http:///hook",
    "http://user@127.0.0.1/",
    "http://user:word@127.0.0.1/",
    "http://127.0.0.1:0/",
    "http://127.0.0.1:65536/",
    "http://127.0.0.1:x/",
    "http://127.0.0.1/#part",
    "http://[::zz]/",
    "http://[::1/",
    "http://127.0.0.1/a b",
    "http://127.0.0.1/\n",
    "http://127.0.0.1/é",
)


@pytest.mark.parametrize("url", GOOD)
def test_a_url_names_whom_to_call(url: str) -> None:
    """The URL gives scheme, host and port; the default port is the scheme's."""
    assert parse_authority(url) == GOOD[url]


@pytest.mark.parametrize("url", BAD)
def test_a_bad_url_is_refused(url: str) -> None:
    """A URL that cannot be called, or has a user or a fragment, is refused, and the parameter is named."""
    with pytest.raises(Refused) as refused:
        parse_authority(url)
    assert (refused.value.reason, refused.value.param) == ("invalid_value", "url")


@given(seed=st.integers(0, 2**63 - 1), number=st.integers(1, 1 << 40))
def test_ids_are_read_back(seed: int, number: int) -> None:
    """An endpoint's ID gives its number, and no other kind of ID does."""
    ids = EndpointIds(seed, ("sample",))
    assert ids.read_endpoint(ids.endpoint(number)) == number
    assert ids.read_endpoint(ids.endpoint(0)) == 0
    assert ids.read_endpoint(ids.endpoint(number)[3:]) is None
    assert ids.read_delivery(ids.delivery(number)) == number
    assert ids.read_endpoint("sample") is None
    assert len({ids.secret(number), ids.secret(number + 1), EndpointIds(seed + 1).secret(number)}) == 3


def test_a_store_knows_its_subscribers() -> None:
    """Only endpoints of the organization that subscribe to an event get it, in the order of registration."""
    store, ids = EndpointStore(), EndpointIds(0)
    for organization, events in (
        ("org_a", (EventType.RUN_STARTED, EventType.RUN_COMPLETED)),
        ("org_b", (EventType.RUN_COMPLETED,)),
        ("org_a", (EventType.RUN_COMPLETED,)),
    ):
        store.register(ids, organization, Registration("http://127.0.0.1/", events), 5)
    assert store.subscribers("org_a", EventType.RUN_COMPLETED) == (0, 2)
    assert store.subscribers("org_a", EventType.RUN_STARTED) == (0,)
    assert store.subscribers("org_b", EventType.RUN_STARTED) == ()
    assert store.find("org_b", 0) is None
    assert store.numbers("org_a") == [0, 2]


def test_an_organization_has_a_bounded_number_of_endpoints() -> None:
    """An endpoint above the bound is refused; other organizations are not affected."""
    store, ids = EndpointStore(), EndpointIds(0)
    asked = Registration("http://127.0.0.1/", (EventType.RUN_STARTED,))
    for _ in range(MOST_ENDPOINTS):
        store.register(ids, "org_a", asked, 0)
    with pytest.raises(Refused, match="too_many_webhooks"):
        store.register(ids, "org_a", asked, 0)
    assert store.register(ids, "org_b", asked, 0).number == MOST_ENDPOINTS
