"""Registering webhooks: what is accepted, what is refused, and how they are listed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.webhooks.test_delivery import Hooks
from tests.zof import OTHER, Zof

if TYPE_CHECKING:
    from tests.zof import Answer

EVENTS: Final = (
    *("run.started", "run.completed", "run.failed", "remediation.plan_pending", "remediation.approved"),
    *("agent.offline", "release.gate_blocked", "integration.error"),
)
"""The events that the vendor's page names."""
URL: Final = "http://127.0.0.1:9/hook"


def register(zof: Zof, **fields: Any) -> Answer:  # noqa: ANN401  a JSON value
    """The answer to a registration with these fields in place of valid ones."""
    return zof.post("/webhooks", {"url": URL, "events": ["run.completed"], **fields})


@given(events=st.lists(st.sampled_from(EVENTS), min_size=1, unique=True))
def test_every_documented_event_can_be_subscribed_to(events: list[str]) -> None:
    """A webhook subscribes to any of the documented events, and shows them in the order given."""
    answer = register(Hooks(), events=events)
    assert (answer.status, answer.json["events"], answer.json["status"]) == (201, events, "enabled")


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"events": []}, "events"),
        ({"events": ["run.completed", "run.completed"]}, "events"),
        ({"events": ["run.exploded"]}, "events[0]"),
        ({"secret": "x" * 15}, "secret"),
        ({"secret": "x" * 257}, "secret"),
        ({"secret": None}, "secret"),
        ({"url": "ftp://127.0.0.1/"}, "url"),
        ({"url": "http://user@127.0.0.1/"}, "url"),
        ({"url": "http://127.0.0.1/#part"}, "url"),
        ({"url": "/hook"}, "url"),
        ({"url": "http://"}, "url"),
        ({"status": "enabled"}, "status"),
    ],
)
def test_a_wrong_registration_is_refused(fields: dict[str, Any], param: str) -> None:
    """A wrong field is 400 and named, and registers nothing."""
    zof = Hooks(scenario="empty")
    answer = register(zof, **fields)
    assert answer.status == 400, answer.content
    assert answer.error[2] == param
    assert zof.get("/webhooks").json["data"] == []


@pytest.mark.parametrize("length", [16, 256])
@pytest.mark.parametrize("url", ["https://example.com/a?b=c", "http://[::1]:8080/", URL])
def test_bounds_of_what_is_accepted(length: int, url: str) -> None:
    """A secret has 16 to 256 characters, and a URL is http or https; whether it may be called is judged later."""
    answer = register(Hooks(), secret="é" * length, url=url)
    assert (answer.status, answer.json["secret"], answer.json["url"]) == (201, "é" * length, url)


@given(count=st.integers(0, 45), limit=st.integers(1, 100))
def test_webhooks_are_paginated(count: int, limit: int) -> None:
    """The pages hold every webhook once, newest first, also if webhooks are registered in between."""
    zof = Hooks(scenario="empty")
    made = [register(zof).json["id"] for _ in range(count)]
    query: dict[str, Any] = {"limit": limit}
    listed: list[str] = []
    while True:
        page = zof.get("/webhooks", **query).json
        listed += [one["id"] for one in page["data"]]
        assert len(page["data"]) <= limit
        assert (page["next_cursor"] is not None) is page["has_more"]
        if not page["has_more"]:
            break
        register(zof)
        query["starting_after"] = page["next_cursor"]
    assert listed == made[::-1]


def test_a_cursor_belongs_to_its_list() -> None:
    """A cursor of another organization's webhooks, or of another list, is 400."""
    zof = Hooks()
    for _ in range(2):
        register(zof)
        zof.start("tc_a")
    for cursor in (zof.get("/runs", limit=1).json["next_cursor"], "nothing"):
        assert zof.get("/webhooks", starting_after=cursor).error == (400, "invalid_request", "starting_after")
    own = zof.get("/webhooks", limit=1).json["next_cursor"]
    answer = zof.send("GET", f"/v1/webhooks?starting_after={own}", key=OTHER)
    assert answer.error == (400, "invalid_request", "starting_after")


def test_a_registration_is_idempotent() -> None:
    """The same key with the same body registers one webhook; with another body it is 409."""
    zof = Hooks(scenario="empty")
    body = {"url": URL, "events": ["run.completed"]}
    first, again = (zof.post("/webhooks", body, idempotency_key="k") for _ in range(2))
    assert (first.status, first.content) == (201, again.content)
    other = zof.post("/webhooks", {**body, "events": ["run.failed"]}, idempotency_key="k")
    assert other.error == (409, "conflict", "Idempotency-Key")
    assert len(zof.get("/webhooks").json["data"]) == 1
