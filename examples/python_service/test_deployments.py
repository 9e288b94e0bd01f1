"""Tests of the service against the emulator: the fixture `zof` gives each test a world of its own."""

from __future__ import annotations

import hashlib
import hmac
import json
from typing import TYPE_CHECKING

import httpx
import pytest
from deployments import Deployments

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from zof_emulator.testing import World

SECRET = b"a secret of the tests"
pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    """The event loop of the tests."""
    return "asyncio"


@pytest.fixture
async def service(zof: World) -> AsyncIterator[httpx.AsyncClient]:
    """A client of the service, whose Zof is the world of this test."""
    async with zof.make_async_client() as api:
        transport = httpx.ASGITransport(Deployments(api, SECRET, project="proj_shop", suite="suite_smoke").make_app())
        async with httpx.AsyncClient(transport=transport, base_url="http://service") as client:
            yield client


async def send_event(service: httpx.AsyncClient, run: str, event: str = "evt_1", secret: bytes = SECRET) -> int:
    """Send the service the event that a run has ended, as Zof does: the status of the answer."""
    content = {"id": event, "type": "run.completed", "created": "2026-01-01T00:00:00Z"}
    body = json.dumps(
        {**content, "data": {"object": {"id": run, "organization_id": "org_abc", "run_id": run}}}
    ).encode()
    signature = hmac.new(secret, body, hashlib.sha256).hexdigest()
    return (await service.post("/zof-events", content=body, headers={"X-Zof-Signature": signature})).status_code


def find_newest_run(zof: World) -> str:
    """The ID of the newest run."""
    run: str = zof.client.get("/runs", params={"limit": 1}).json()["data"][0]["id"]
    return run


@pytest.mark.zof(clock="manual", scenario="empty")
async def test_a_version_whose_run_passes_is_approved(zof: World, service: httpx.AsyncClient) -> None:
    """A version is approved when Zof says that its run has ended, and not before."""
    assert (await service.post("/versions/1.0")).json()["state"] == "testing"
    zof.clock.advance(until="run_ended")
    assert (await service.get("/versions/1.0")).json()["state"] == "testing"
    assert await send_event(service, find_newest_run(zof)) == 204
    assert (await service.get("/versions/1.0")).json()["state"] == "approved"


@pytest.mark.zof(clock="manual", scenario="empty")
async def test_a_canceled_run_blocks_its_version(zof: World, service: httpx.AsyncClient) -> None:
    """A version is blocked when its run has ended in any other way than `passed`."""
    await service.post("/versions/1.0")
    zof.client.post(f"/runs/{find_newest_run(zof)}/cancel")
    await send_event(service, find_newest_run(zof))
    assert (await service.get("/versions/1.0")).json()["state"] == "blocked"


@pytest.mark.zof(scenario="empty")
async def test_a_version_is_tested_once(zof: World, service: httpx.AsyncClient) -> None:
    """A version that is submitted twice has one run."""
    await service.post("/versions/1.0")
    await service.post("/versions/1.0")
    assert zof.journal.count(operation="startRun") == 2
    assert len(zof.client.get("/runs").json()["data"]) == 1


@pytest.mark.zof(clock="manual", scenario="empty")
async def test_a_rate_limit_is_passed_on(zof: World, service: httpx.AsyncClient) -> None:
    """When Zof's rate limit is reached, the service says when to try again."""
    while zof.client.get("/projects").status_code == 200:
        pass
    answer = await service.post("/versions/1.0")
    assert (answer.status_code, answer.headers["Retry-After"]) == (503, "60")
    assert (await service.get("/versions/1.0")).status_code == 404


@pytest.mark.zof(clock="manual", scenario="empty")
async def test_a_forged_event_is_refused(zof: World, service: httpx.AsyncClient) -> None:
    """An event whose signature was made with another secret changes nothing."""
    await service.post("/versions/1.0")
    zof.clock.advance(until="run_ended")
    assert await send_event(service, find_newest_run(zof), secret=b"a guess") == 401
    assert (await service.get("/versions/1.0")).json()["state"] == "testing"
