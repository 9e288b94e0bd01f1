"""The emulator mounted below a path of another application: everything works, and every link includes the mount."""

from __future__ import annotations

import asyncio
from typing import Any

import httpx
import pytest
from starlette.applications import Starlette
from starlette.routing import Mount
from zof_emulator import ClockMode, Settings, create_app

BASE = "http://localhost:9630/zof"
KEY = {"Authorization": "Bearer zof_test_admin"}


class Client:
    """Sends requests to an application in this process."""

    def __init__(self, app: Starlette) -> None:
        self._transport = httpx.ASGITransport(app, client=("127.0.0.1", 1))

    def request(self, method: str, url: str, **parts: Any) -> httpx.Response:  # noqa: ANN401  what httpx takes
        """Send a request and return its answer."""

        async def send() -> httpx.Response:
            async with httpx.AsyncClient(transport=self._transport, base_url="http://localhost:9630") as client:
                return await client.request(method, url, **parts)

        return asyncio.run(send())

    def get(self, url: str, **parts: Any) -> httpx.Response:  # noqa: ANN401
        """Send a GET request and return its answer."""
        return self.request("GET", url, **parts)

    def post(self, url: str, **parts: Any) -> httpx.Response:  # noqa: ANN401
        """Send a POST request and return its answer."""
        return self.request("POST", url, **parts)


@pytest.fixture
def client() -> Client:
    """A client of an application that mounts an emulator with a manual clock at `/zof`."""
    return Client(Starlette(routes=[Mount("/zof", app=create_app(Settings(clock=ClockMode.MANUAL)))]))


def start(client: Client, world: str = "") -> httpx.Response:
    """Start a run with a failing case in a world."""
    body = {"project_id": "proj_web", "environment": "staging", "test_case_ids": ["tc_fails"]}
    answer = client.post(f"/zof{world}/v1/runs", json=body, headers=KEY)
    assert answer.status_code == 201
    return answer


@pytest.mark.parametrize("world", ["", "/w/alpha"])
def test_links_of_a_run_include_the_mount(client: Client, world: str) -> None:
    """`Location` and `url` begin with the mount and the world, and lead to the run."""
    answer = start(client, world)
    run = answer.json()
    assert answer.headers["location"] == f"{BASE}{world}/v1/runs/{run['id']}"
    assert run["url"] == f"{BASE}{world}/runs/{run['id']}"
    assert client.get(answer.headers["location"], headers=KEY).json()["id"] == run["id"]
    page = client.get(run["url"])
    assert page.status_code == 200
    assert f"href='/zof{world}/'" in page.text


@pytest.mark.parametrize("world", ["", "/w/alpha"])
def test_links_of_results_and_artifacts_include_the_mount(client: Client, world: str) -> None:
    """`logs_url` and the `url` of an artifact begin with the mount and the world, and can be followed."""
    name = start(client, world).json()["id"]
    moved = client.post(f"/zof{world}/_emulator/runs/{name}/advance", json={"to": "end"})
    assert moved.status_code == 200
    [result] = client.get(f"/zof{world}/v1/results?run_id={name}", headers=KEY).json()["data"]
    assert result["logs_url"] == f"{BASE}{world}/v1/runs/{name}/logs"
    assert client.get(result["logs_url"], headers=KEY).status_code == 200
    artifacts = client.get(f"/zof{world}/v1/runs/{name}/artifacts", headers=KEY).json()["data"]
    for artifact in artifacts:
        assert artifact["url"] == f"{BASE}{world}/v1/artifacts/{artifact['id']}/content"
        assert len(client.get(artifact["url"], headers=KEY).content) == artifact["size_bytes"]


def test_control_operations_know_the_mount(client: Client) -> None:
    """The worlds' base URLs and the served contract name the mount."""
    start(client, "/w/alpha")
    for world in ("", "/w/alpha"):
        listed = client.get(f"/zof{world}/_emulator/worlds").json()["data"]
        assert [one["base_url"] for one in listed] == [f"{BASE}/v1", f"{BASE}/w/alpha/v1"]
        contract = client.get(f"/zof{world}/_emulator/openapi.json").json()
        assert contract["servers"][0]["url"] == f"{BASE}{world}/v1"


def test_start_page_links_include_the_mount(client: Client) -> None:
    """The start page's links stay below the mount, and its first example names it."""
    start(client, "/w/alpha")
    page = client.get("/zof/w/alpha/").text
    assert f"{BASE}/w/alpha/v1/runs" in page
    assert 'href="/zof/w/alpha/_emulator/clock"' in page
    assert 'href="/zof/w/alpha/"' in page
    assert 'href="/zof/"' in page


def test_an_encoded_slash_stays_in_its_segment(client: Client) -> None:
    """An ID with an encoded slash names nothing below a mount, as without one; it is no longer path."""
    answer = client.get("/zof/v1/runs/run_a%2Flogs", headers=KEY)
    assert (answer.status_code, answer.json()["error"]["code"]) == (404, "not_found")
    assert "x-ratelimit-limit" in answer.headers


def test_paths_beside_the_mount_are_the_host_applications(client: Client) -> None:
    """A path that only begins with the mount's letters does not reach the emulator."""
    assert client.get("/zofia/v1/runs", headers=KEY).text == "Not Found"
