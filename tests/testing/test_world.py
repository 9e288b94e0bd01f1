"""The parts of a world for tests besides its clock and its journal: faults, webhooks, scenarios, configuration."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import httpx
import pytest
from zof_emulator.scenarios.load import UnusableScenario
from zof_emulator.testing import ControlError, running

from tests.receivers import receiving

if TYPE_CHECKING:
    from collections.abc import Iterator

    from zof_emulator.testing import Emulator, World

ORDER: Final = {"project_id": "proj_a", "environment": "staging", "test_case_ids": ["tc_login_001"]}


@pytest.fixture(scope="module")
def emulator() -> Iterator[Emulator]:
    """One emulator for this module."""
    with running() as started:
        yield started


@pytest.fixture
def world(emulator: Emulator) -> World:
    """A world with a manual clock and no runs."""
    return emulator.create_world(clock="manual", scenario="empty")


def count_runs(world: World) -> int:
    """How many runs a world has."""
    return len(world.client.get("/runs").json()["data"])


@pytest.mark.parametrize(("key", "runs"), [({"Idempotency-Key": "one"}, 1), ({}, 2)])
def test_a_reset_after_the_change(world: World, key: dict[str, str], runs: int) -> None:
    """A start that is reset after it was carried out and sent again makes one run with a key, and two without."""
    fault = world.faults.add("startRun", effect={"reset": True}, schedule={"first": 1}, place="after")
    with pytest.raises((httpx.RemoteProtocolError, httpx.ReadError)):
        world.client.post("/runs", json=ORDER, headers=key)
    assert world.client.post("/runs", json=ORDER, headers=key).status_code == 201
    assert count_runs(world) == runs
    assert (fault.calls, fault.hits) == (2, 1)
    assert world.journal.count(fault=fault.id) == 1


def test_the_rules(world: World, emulator: Emulator) -> None:
    """Rules have conditions, are listed and removed, and concern their own world alone."""
    first = world.faults.add(effect={"error": "internal_error"}, match={"path": "/v1/projects"})
    world.faults.add("listRuns", effect={"error": "rate_limited"})
    statuses = [world.client.get(path).status_code for path in ("/projects", "/runs", "/results")]
    assert statuses == [500, 429, 200]
    assert next(one["id"] for one in world.faults.list()) == first.id
    first.remove()
    assert world.client.get("/projects").status_code == 200
    world.faults.clear()
    assert (world.faults.list(), world.client.get("/runs").status_code) == ([], 200)
    world.faults.add(effect={"error": "internal_error"})
    assert emulator.default.client.get("/projects").status_code == 200


def test_a_wrong_rule(world: World) -> None:
    """A rule that names what does not exist is an error that names the nearest that does."""
    with pytest.raises(ControlError, match="the nearest is startRun"):
        world.faults.add("startRuns", effect={"reset": True})


def test_webhooks(world: World) -> None:
    """A test registers a webhook, reads what was delivered, and disturbs deliveries."""
    with receiving() as receiver:
        webhook = world.webhooks.register(receiver.url, ["run.completed", "release.gate_blocked"])
        assert webhook["secret"]
        world.client.post("/runs", json=ORDER).raise_for_status()
        world.clock.advance(until="run_ended")
        world.clock.advance(until="delivered")
        (delivery,) = world.webhooks.deliveries(webhook_id=webhook["id"])
        assert delivery["status"] == "delivered"
        assert world.webhooks.send("release.gate_blocked") == 1
        world.webhooks.add_rule("duplicate", times=1)
        world.webhooks.clear_rules()
        world.webhooks.disturb(delivery["id"], "redeliver")
        world.clock.advance(until="delivered")
        assert [one["status"] for one in world.webhooks.deliveries()] == ["delivered"] * 3
    with pytest.raises(httpx.HTTPStatusError, match="400"):
        world.webhooks.register("ftp://x", ["run.completed"])


def test_scenarios(world: World) -> None:
    """A world can be restarted with another scenario, whose keys it then takes."""
    assert world.scenario["name"] == "empty"
    assert count_runs(world) == 0
    world.start_scenario({"name": "mine", "capacity": 1, "keys": [{"secret": "zof_test_mine", "role": "Engineer"}]})
    assert (world.scenario["name"], count_runs(world)) == ("mine", 0)
    with world.make_client("zof_test_mine") as client:
        assert client.post("/runs", json=ORDER).status_code == 201
    world.start_scenario("default")
    assert count_runs(world) == 2
    with pytest.raises(UnusableScenario, match="capacity"):
        world.start_scenario({"capacty": 1})
    assert count_runs(world) == 2


def test_configuration(world: World) -> None:
    """A running world can get another configuration; one that is not allowed changes nothing."""
    assert world.configure(capacity=1, rate={"limit": 7})["rate"]["limit"] == 7
    assert world.client.get("/projects").headers["x-ratelimit-limit"] == "7"
    with pytest.raises(ControlError, match="capacity"):
        world.configure(capacity=0)


def test_verify(world: World) -> None:
    """`verify` counts what matches, fails with what differs, and refuses fields that do not exist."""
    world.client.post("/runs", json=ORDER)
    assert world.journal.verify(operation="startRun", body={"project_id": "proj_a"}, exactly=1) == 1
    with pytest.raises(AssertionError, match=r'body\.project_id is "proj_a", not "proj_b"'):
        world.journal.verify(operation="startRun", body={"project_id": "proj_b"})
    with pytest.raises(ControlError, match="op is not a field of this request; use operation, "):
        world.journal.verify(op="startRun")
