"""The sentences of the vendor's pages about `run.completed`."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from tests.receivers import receiving
from tests.webhooks.test_delivery import Hooks, types

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def zof() -> Iterator[Hooks]:
    """A fresh emulator."""
    found = Hooks()
    yield found
    found.app.close()


@pytest.mark.parametrize(
    ("case", "status"),
    [("tc_login_001", "passed"), ("tc_pay_fail_001", "failed"), ("tc_platform_error_001", "error"), (None, "canceled")],
)
def test_poll_or_subscribe_for_completion(zof: Hooks, case: str | None, status: str) -> None:
    """When the event arrives, a poll shows the run as terminal.

    S0: "Terminal statuses: passed, failed, error, canceled. Poll GET /runs/{id} or subscribe to run.completed webhook
    for completion."
    """
    with receiving() as receiver:
        zof.register(receiver.url)
        if case is None:
            run = zof.submit("/v1/runs", {"project_id": "proj_a", "environment": "staging", "test_case_ids": ["tc_a"]})
            zof.submit(f"/v1/runs/{run['id']}/cancel")
        else:
            zof.run(case)
        zof.deliver()
        assert types(receiver.requests) == ["run.completed"]
        name = json.loads(receiver.requests[0].body)["data"]["object"]["run_id"]
        assert zof.send("GET", f"/v1/runs/{name}").json["status"] == status


def test_event_driven_flow(zof: Hooks) -> None:
    """S0: "Subscribe to run.completed webhook for event-driven flows." Nothing comes before the run has ended."""
    with receiving() as receiver:
        zof.register(receiver.url)
        zof.submit("/v1/runs", {"project_id": "proj_a", "environment": "staging", "test_case_ids": ["tc_a", "tc_b"]})
        zof.submit("/_emulator/clock/advance", {"by_ms": 250})
        zof.deliver()
        assert not receiver.requests
        zof.submit("/_emulator/clock/advance", {"until": "run_ended"})
        zof.deliver()
        assert len(receiver.requests) == 1


def test_instead_of_polling(zof: Hooks) -> None:
    """S2: "Subscribe to webhooks for run completion instead of polling where possible." The results exist by then."""
    with receiving() as receiver:
        zof.register(receiver.url)
        zof.run("tc_login_001", "tc_checkout_014")
        zof.deliver()
        name = json.loads(receiver.requests[0].body)["data"]["object"]["run_id"]
        assert len(zof.send("GET", f"/v1/results?run_id={name}").json["data"]) == 2
