"""In parallel: eight clients in eight worlds of one server do not affect one another."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final

from tests.served import START, Server, Wire, ask, request
from tests.zof import CI, OTHER

WORLDS: Final = tuple(f"world-{number}" for number in range(8))
STORIES: Final = 250
"""The number of request sequences of each client."""
FLAGS: Final = ("--clock", "auto", "--rate-limit", "60/60", "--journal", "10000", "--capacity", "2", "--quiet")


def story(wire: Wire, world: str, number: int) -> None:
    """One sequence of requests of a client, chosen by its number."""

    def say(method: str, path: str, body: object = b"", *lines: bytes, key: str | None = CI) -> Any:  # noqa: ANN401
        wire.send(request(method, f"/w/{world}{path}", body, *lines, key=key))
        return wire.answer(method).json

    cases = [f"tc_{world}_{number}", "tc_cart_flaky", "tc_import_slow"][: 1 + number % 3]
    key = b"Idempotency-Key: %d" % (number // 2)
    run = say("POST", "/v1/runs", {**START, "test_case_ids": cases}, key).get("id", "run_sample_failed")
    if number % 5 == 0:
        say("POST", f"/v1/runs/{run}/cancel")
    elif number % 5 == 1:
        say("GET", f"/v1/runs/{run}")
        say("GET", f"/v1/runs/{run}")
    elif number % 5 == 2:
        say("POST", "/_emulator/clock/advance", {"by_ms": 100 * number})
        say("GET", f"/v1/results?run_id={run}&limit=2")
    elif number % 5 == 3:
        say("GET", "/v1/runs?status=running", key=OTHER)
    else:
        say("GET", f"/v1/runs/{run}/logs?limit=5", key=None)


def client(port: int, world: str) -> None:
    """All request sequences of a client, on one connection."""
    with Wire(port) as wire:
        for number in range(STORIES):
            story(wire, world, number)


def journal(port: int, world: str) -> bytes:
    """A world's journal."""
    return ask(port, request("GET", f"/w/{world}/_emulator/journal.ndjson")).content


def test_eight_clients_in_eight_worlds() -> None:
    """2,000 parallel request sequences leave in each world the journal that they leave alone on a new server."""
    with Server(*FLAGS) as server, ThreadPoolExecutor(len(WORLDS)) as pool:
        list(pool.map(lambda world: client(server.port, world), WORLDS))
        together = {world: journal(server.port, world) for world in WORLDS}
        assert len(ask(server.port, request("GET", "/_emulator/worlds")).json["data"]) == len(WORLDS) + 1
        assert "bug in" not in server.log
    for world in WORLDS:
        assert together[world].count(b"\n") > 2 * STORIES
    assert len({content.split(b"\n", 1)[1] for content in together.values()}) == len(WORLDS)
    for world in WORLDS:
        with Server(*FLAGS) as server:
            client(server.port, world)
            assert journal(server.port, world) == together[world], f"{world} heard of another world"
