"""Fixtures for the tests of the server process."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING

import pytest

from tests.served import Server, World, ask, request

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


@pytest.fixture
def free_port() -> Callable[[], int]:
    """A port on which nobody listens."""

    def found() -> int:
        with socket.create_server(("127.0.0.1", 0)) as listener:
            port: int = listener.getsockname()[1]
            return port

    return found


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    """A server with a manual clock and no rate limit."""
    with Server("--clock", "manual", "--rate-limit", "off", "--quiet") as server:
        yield server


@pytest.fixture
def world(server: Server) -> Iterator[World]:
    """A new world; after the test the server still answers and holds all runs that it accepted."""
    before = len(server.log)
    world = World(server.port)
    yield world
    assert "bug in" not in server.log[before:]
    assert ask(server.port, request("GET", "/_emulator/health")).json == {"status": "ok"}
    world.start()
    assert world.list_runs() == world.runs
    for name, total in world.runs.items():
        run = ask(server.port, request("GET", f"/v1/runs/{name}")).json
        assert len(run["case_outcomes"]) == run["summary"]["total"] == total
