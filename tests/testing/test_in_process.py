"""Worlds that are called in process: an ASGI application and a transport of httpx, without a socket."""

from __future__ import annotations

import asyncio
import warnings
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

import httpx
import pytest
from starlette.applications import Starlette
from starlette.routing import Mount
from zof_emulator.testing import running

with warnings.catch_warnings():  # it prefers another package to httpx
    warnings.simplefilter("ignore")
    from starlette.testclient import TestClient

if TYPE_CHECKING:
    from collections.abc import Iterator

    from zof_emulator.testing import Emulator, World

ORDER: Final = {"project_id": "proj_a", "environment": "staging", "test_case_ids": ["tc_login_001", "tc_pay_fail_002"]}
FOREIGN: Final = "https://api.zof.ai/v1"
HEADERS: Final = {"authorization": "Bearer zof_test_admin"}


@pytest.fixture(scope="module")
def emulator() -> Iterator[Emulator]:
    """One emulator for this module."""
    with running(clock="manual") as started:
        yield started


@pytest.fixture
def world(emulator: Emulator) -> Iterator[World]:
    """A world with a manual clock and no runs."""
    created = emulator.create_world(clock="manual", scenario="empty")
    yield created
    created.delete()


def connect(world: World, **options: Any) -> httpx.Client:  # noqa: ANN401  options of httpx
    """A client with the address of the vendor, which reaches a world in process."""
    return httpx.Client(transport=world.transport, base_url=FOREIGN, headers=HEADERS, **options)


def count_runs(client: httpx.Client) -> int:
    """How many runs a client sees."""
    return len(client.get("/runs").json()["data"])


def test_a_client_with_a_fixed_address(world: World, emulator: Emulator) -> None:
    """A client whose address cannot be changed reaches the world of its transport, and only that one."""
    with connect(world) as client, connect(emulator.default) as of_default:
        run = client.post("/runs", json=ORDER).json()
        assert run["url"] == f"https://api.zof.ai/w/{world.name}/runs/{run['id']}"
        assert client.get(f"https://api.zof.ai/w/{world.name}/v1/runs/{run['id']}").json()["id"] == run["id"]
        assert (count_runs(client), count_runs(of_default), count_runs(world.client)) == (1, 2, 1)
    assert world.journal.count(operation="startRun") == 1


def test_asynchronous_clients(world: World) -> None:
    """The same transport serves asynchronous clients, and httpx's own ASGI transport takes the application."""

    async def start_two() -> None:
        for transport in (world.transport, httpx.ASGITransport(app=world.app)):
            async with httpx.AsyncClient(transport=transport, base_url=world.base_url, headers=HEADERS) as client:
                starts = [client.post("/runs", json=ORDER) for _ in range(5)]
                assert {answer.status_code for answer in await asyncio.gather(*starts)} == {201}

    asyncio.run(start_two())
    assert count_runs(world.client) == 10


def test_starlettes_test_client(world: World) -> None:
    """Starlette's test client takes the application, also with its lifespan."""
    with TestClient(world.app, headers=HEADERS) as client:
        assert client.post("/v1/runs", json=ORDER).status_code == 201
        assert client.get("/_emulator/clock").json()["mode"] == "manual"
    assert count_runs(world.client) == 1


def test_a_mounted_application(world: World) -> None:
    """The application can be mounted at a path of another one; links lead through the mount to the world."""
    with TestClient(Starlette(routes=[Mount("/a b/zof", app=world.app)]), headers=HEADERS) as client:
        run = client.post("/a%20b/zof/v1/runs", json=ORDER).json()
        assert f"/zof/w/{world.name}/runs/" in run["url"]
        path = urlsplit(run["url"]).path.replace("/runs/", "/v1/runs/")
        assert client.get(path).json()["id"] == run["id"]
        assert client.get("/a%20b/zof/v1/runs", headers={"X-Zof-World": "default"}).json()["data"] != [run]
    assert {one["request"]["path"] for one in world.journal.exchanges()} == {"/v1/runs", f"/v1/runs/{run['id']}"}


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/runs?limit=1"),
        ("HEAD", "/runs"),
        ("OPTIONS", "/runs"),
        ("PATCH", "/runs"),
        ("GET", "/runs/run%5Fmissing"),
        ("GET", "/nothing"),
        ("POST", "/runs"),
        ("POST", "/results/export"),
    ],
)
def test_the_same_answers(emulator: Emulator, method: str, path: str) -> None:
    """An answer in process has the status, the headers and the body of the answer over HTTP."""
    body = {"POST /runs": ORDER, "POST /results/export": {"format": "csv"}}.get(f"{method} {path}")
    found = []
    for is_in_process in (True, False):
        world = emulator.create_world(clock="manual", seed=7)
        options = {"transport": world.transport} if is_in_process else {}
        with httpx.Client(base_url=world.base_url, headers=HEADERS, **options) as client:  # type: ignore[arg-type]
            answer = client.request(method, path, json=body)
        headers = {name: value for name, value in answer.headers.items() if name != "transfer-encoding"}
        text = {**headers, "": answer.text}
        found.append((answer.status_code, {name: one.replace(world.name, "W") for name, one in text.items()}))
        world.delete()
    lengths = [one[1].pop("content-length", None) for one in found]
    assert found[0] == found[1]
    assert lengths[0] == lengths[1] or "W" in found[0][1][""]


@pytest.mark.parametrize(
    ("effect", "place", "error"),
    [
        ({"reset": True}, "before", httpx.ReadError),
        ({"reset": True}, "after", httpx.ReadError),
        ({"truncate": True}, "body", httpx.RemoteProtocolError),
        ({"stall": True}, "before", httpx.ReadTimeout),
        ({"stall": True}, "body", httpx.ReadTimeout),
        ({"latency_ms": 60_000}, "after", httpx.ReadTimeout),
    ],
)
def test_faults(world: World, effect: dict[str, Any], place: Any, error: type[Exception]) -> None:  # noqa: ANN401
    """A fault raises in process what httpx raises over HTTP, for both kinds of clients; later requests are served."""
    fault = world.faults.add("startRun", effect=effect, place=place)
    patience = 0.1 if error is httpx.ReadTimeout else 60.0

    async def start() -> None:
        async with httpx.AsyncClient(transport=world.transport, base_url=FOREIGN, timeout=patience) as client:
            await client.post("/runs", json=ORDER, headers=HEADERS)

    with connect(world, timeout=patience) as client, pytest.raises(error):
        client.post("/runs", json=ORDER)
    with pytest.raises(error):
        asyncio.run(start())
    assert fault.hits == 2
    fault.remove()
    with connect(world) as client:
        assert client.post("/runs", json=ORDER).status_code == 201


def test_a_broken_connection_of_the_application(world: World) -> None:
    """Under a transport of others, a fault that breaks the connection raises an error of connections."""
    world.faults.add(effect={"reset": True})

    async def call() -> None:
        transport = httpx.ASGITransport(app=world.app)
        async with httpx.AsyncClient(transport=transport, base_url=world.base_url) as client:
            await client.get("/runs")

    with pytest.raises(ConnectionResetError, match="reset"):
        asyncio.run(call())


def test_a_client_that_leaves(world: World) -> None:
    """A client that gives up ends the wait of its request, and the world serves others meanwhile."""
    world.faults.add("listRuns", effect={"stall": True})

    async def leave() -> None:
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app=world.app), base_url=world.base_url) as client:
            async with asyncio.timeout(0.1):
                await client.get("/runs", headers=HEADERS)

    with pytest.raises(TimeoutError):
        asyncio.run(leave())
    with connect(world) as client:
        assert client.get("/projects").status_code == 200


def test_after_the_end() -> None:
    """A client in process cannot connect when the emulator has stopped."""
    with running() as emulator:
        transport = emulator.default.transport
    with httpx.Client(transport=transport, base_url=FOREIGN) as client, pytest.raises(httpx.ConnectError):
        client.get("/runs")
