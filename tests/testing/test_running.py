"""`running()`: an emulator in a thread, as a test suite of any framework uses it."""

from __future__ import annotations

import asyncio
import gc
import logging
import socket
import threading
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

import pytest
from zof_emulator import ClockMode, Settings
from zof_emulator.testing import ControlError, running

if TYPE_CHECKING:
    from collections.abc import Iterator

    import httpx
    from zof_emulator.testing import Emulator

ORDER: Final = {"project_id": "proj_a", "environment": "staging", "test_case_ids": ["tc_login_001", "tc_pay_fail_002"]}


@pytest.fixture(scope="module")
def emulator() -> Iterator[Emulator]:
    """One emulator for this module, with manual clocks."""
    with running(clock="manual") as started:
        yield started


def start(client: httpx.Client) -> Any:  # noqa: ANN401  a run as JSON
    """Start a run."""
    answer = client.post("/runs", json=ORDER)
    assert answer.status_code == 201, answer.text
    return answer.json()


def test_a_run_from_start_to_end(emulator: Emulator) -> None:
    """A test starts a run, moves the clock, and sees how the run ended."""
    world = emulator.create_world(clock="manual")
    run = start(world.client)
    moved = world.clock.advance(until="run_ended", run_id=run["id"])
    assert moved["happened"][-1]["event"] == "run_ended"
    assert world.client.get(f"/runs/{run['id']}").json()["status"] == "failed"
    assert run["url"].startswith(world.url + "/runs/")


def test_worlds_are_apart(emulator: Emulator) -> None:
    """Changes in one world are not visible in another."""
    one, other = emulator.create_world(scenario="empty"), emulator.create_world(scenario="empty")
    start(one.client)
    assert [len(world.client.get("/runs").json()["data"]) for world in (one, other)] == [1, 0]
    assert one.name != other.name


def test_the_clock(emulator: Emulator) -> None:
    """A clock shows an aware datetime, and moves by ms or to an instant."""
    clock = emulator.create_world(clock="manual").clock
    assert (clock.mode, clock.now) == ("manual", datetime(2026, 1, 1, tzinfo=UTC))
    clock.advance(ms=1_500)
    assert clock.now == datetime(2026, 1, 1, 0, 0, 1, 500_000, tzinfo=UTC)
    clock.advance(to=clock.now + timedelta(hours=1))
    assert clock.now == datetime(2026, 1, 1, 1, 0, 1, 500_000, tzinfo=UTC)
    with pytest.raises(ValueError, match="time zone"):
        clock.advance(to=datetime(2027, 1, 1))  # noqa: DTZ001  the point of the test


def test_the_journal(emulator: Emulator) -> None:
    """The journal returns all exchanges over all pages, with the filters of the control operation."""
    world = emulator.create_world(clock="manual", scenario="empty")
    for _ in range(101):
        world.client.get("/projects")
    with world.make_client("zof_test_ci") as client:
        start(client)
    assert world.journal.count(operation="startRun") == 1
    assert world.journal.count() == 102
    assert world.journal.describe_tail(1).endswith("POST /v1/runs -> 201")
    assert b"startRun" in world.journal.ndjson()
    assert b'"log"' in world.journal.har()
    world.journal.clear()
    assert world.journal.describe_tail() == "no request reached the emulator"


def test_snapshots_forks_and_resets(emulator: Emulator) -> None:
    """A world can be saved, restored, forked, reset and deleted."""
    world = emulator.create_world(scenario="empty")
    start(world.client)
    kept = world.snapshot()
    world.reset()
    assert world.client.get("/runs").json()["data"] == []
    world.restore(kept)
    fork = world.fork(f"{world.name}-fork")
    assert len(fork.client.get("/runs").json()["data"]) == 1
    fork.delete()
    with pytest.raises(ControlError, match="no world") as refused:
        fork.delete()
    assert refused.value.status == 404


def test_a_refused_world(emulator: Emulator) -> None:
    """A configuration that is not allowed is an error with the emulator's own message."""
    with pytest.raises(ControlError, match="clock must be one of"):
        emulator.create_world(clock="fast")


def test_an_asynchronous_client(emulator: Emulator) -> None:
    """A world also gives an asynchronous client."""

    async def count() -> int:
        async with emulator.default.make_async_client() as client:
            return len((await client.get("/runs")).json()["data"])

    assert asyncio.run(count()) == 2


def test_nothing_is_left_behind() -> None:
    """After the block there is no thread, the port is free, and logging and the garbage collector are as before."""
    logger = logging.getLogger("uvicorn.error")
    before = threading.active_count(), logger.level, gc.get_threshold(), gc.get_freeze_count()
    with running() as emulator:
        port = urlsplit(emulator.url).port
        assert threading.active_count() > before[0]
    assert (threading.active_count(), logger.level, gc.get_threshold(), gc.get_freeze_count()) == before
    with socket.socket() as free:
        free.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        free.bind(("127.0.0.1", port))


def test_settings_and_changes() -> None:
    """`running()` takes settings and changes of them, and its control client sends the token."""
    settings = Settings(port=0, token="secret-token", clock=ClockMode.MANUAL)  # noqa: S106  it opens nothing else
    with running(settings, capacity=1) as emulator:
        first, second = start(emulator.default.client), start(emulator.default.client)
        emulator.default.clock.advance(ms=1)
        statuses = [emulator.default.client.get(f"/runs/{run['id']}").json()["status"] for run in (first, second)]
        assert statuses == ["running", "queued"]
    with pytest.raises(ValueError, match="clock"), running(clock="fast"):
        pass


def test_a_scenario() -> None:
    """`running` takes a scenario; other settings override its own, and clients have its key."""
    own = {"base": "none", "organizations": [{"id": "org_own"}], "keys": [{"secret": "zof_own_key", "role": "QA Lead"}]}
    with running(scenario={**own, "clock": "auto", "capacity": 2}, clock="manual") as emulator:
        assert emulator.default.clock.mode == "manual"
        assert emulator.default.client.get("/runs").status_code == 200
        assert emulator.api_key == "zof_own_key"
        assert emulator.create_world(scenario="default").client.get("/runs").json()["data"]
