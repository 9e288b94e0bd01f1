"""`PATCH /_emulator/config`: a world that changes while it runs."""

from __future__ import annotations

import json
from typing import Any

import pytest
from zof_emulator.cli.replay import replay
from zof_emulator.core.limits import Rate

from tests.http.faults import RESET, start
from tests.http.stories import answer_story
from tests.zof import ADMIN, STAGING, Zof


def test_a_changed_rate_limit() -> None:
    """A changed rate limit applies from the next request on, keeps its other fields, and ends with a reset."""
    zof = Zof(rate=Rate(limit=50))
    assert zof.tell("PATCH", "/config", {"rate": {"limit": 2, "burst": 1}}).json["rate"] == {
        "limit": 2,
        "window_ms": 60_000,
        "scope": "key",
        "burst": 1,
    }
    assert [zof.get("/runs").status for _ in range(4)] == [200, 200, 200, 429]
    zof.control("/reset")
    assert zof.get("/runs").headers["x-ratelimit-limit"] == "50"


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("PATCH", "/config", {"rate": {"limit": 5.0, "window_ms": 1e3, "burst": 0.0}, "capacity": 5.0}),
        ("POST", "/worlds", {"name": "a", "rate": {"limit": 5.0, "window_ms": 1e3, "burst": 0.0}, "max_runs": 5.0}),
        ("PUT", "/scenario", {"scenario": {"rate": {"limit": 5.0}, "timing": {"longest_ms": 2e3}}}),
        ("POST", "/faults", {"schedule": {"nth": 2.0}, "effect": {"latency_ms": [1.0, 2e0], "status": 500.0}}),
        ("POST", "/clock/advance", {"by_ms": 1e3}),
        ("POST", "/delivery-rules", {"action": "delay", "delay_ms": 1e3, "times": 2.0}),
    ],
)
def test_whole_numbers_with_a_point(method: str, path: str, body: Any) -> None:  # noqa: ANN401  JSON
    """Every control operation takes a whole number that is written with a point or an exponent for an integer."""
    floats, whole = Zof(), Zof()
    plain = json.loads(json.dumps(body), parse_float=lambda text: int(float(text)))
    expected = whole.tell(method, path, plain)
    assert expected.status < 300, expected.content
    assert floats.tell(method, path, body).content == expected.content
    assert floats.get("/runs").content == whole.get("/runs").content


def test_a_changed_capacity() -> None:
    """More capacity starts the runs that wait, in their order."""
    zof = Zof(capacity=1)
    runs = [zof.start("tc_slow_1")["id"] for _ in range(3)]
    zof.advance(1)
    assert [zof.run(run)["status"] for run in runs] == ["running", "queued", "queued"]
    assert zof.tell("PATCH", "/config", {"capacity": 2}).json["capacity"] == 2
    assert [zof.run(run)["status"] for run in runs] == ["running", "running", "queued"]


def test_a_changed_clock() -> None:
    """A clock that becomes manual stands still; one that becomes real goes to the system's time."""
    system = [2_000_000_000_000]
    zof = Zof(clock="real", system=lambda: system[0])
    assert zof.tell("PATCH", "/config", {"clock": "manual"}).json["clock"] == "manual"
    system[0] += 5_000
    assert zof.control("/clock").json["now_ms"] == system[0] - 5_000
    zof.tell("PATCH", "/config", {"clock": "real"})
    assert zof.control("/clock").json["now_ms"] == system[0]
    zof.advance(60_000)
    zof.tell("PATCH", "/config", {"clock": "auto"})
    zof.tell("PATCH", "/config", {"clock": "real"})
    assert zof.control("/clock").json["now_ms"] == system[0] + 60_000


def test_tomorrows_api_at_run_time() -> None:
    """A world that begins to evolve answers with new fields from then on, and as before when that ends."""
    zof = Zof()
    run, before = zof.start("tc_slow_1")["id"], zof.get("/runs").json
    assert zof.tell("PATCH", "/config", {"evolve": True}).json["evolve"] is True
    evolved = zof.get("/runs").json
    assert before.keys() < evolved.keys()
    assert all(old.keys() < new.keys() for old, new in zip(before["data"], evolved["data"], strict=True))
    assert zof.get("/runs/run_missing").json.keys() > {"error"}
    assert zof.select_world("other").get("/runs").json.keys() == before.keys()
    assert zof.tell("PATCH", "/config", {"evolve": False}).json["evolve"] is False
    assert zof.get("/runs").json == before
    zof.tell("PATCH", "/config", {"evolve": True})
    zof.control("/reset")
    assert zof.get(f"/runs/{run}").json.keys() == {"error"}


def test_changed_references() -> None:
    """A world that becomes strict refuses IDs that it does not hold, and creates them again when it becomes open."""
    zof = Zof()
    zof.start("tc_known")
    order = {**STAGING, "test_case_ids": ["tc_new"]}
    zof.tell("PATCH", "/config", {"references": "strict"})
    assert zof.post("/runs", order).error == (404, "not_found", "test_case_ids[0]")
    zof.start("tc_known")
    zof.tell("PATCH", "/config", {"references": "open"})
    assert zof.post("/runs", order).status == 201


def test_an_event_keeps_its_form() -> None:
    """An event that was sent before the world evolves is shown and sent again as it was; later ones have new fields."""
    zof = Zof()
    zof.post("/webhooks", {"url": "http://127.0.0.1:9/x", "events": ["release.gate_blocked"]})
    for evolve in (False, True, False):
        zof.tell("PATCH", "/config", {"evolve": evolve})
        zof.tell("POST", "/events", {"type": "release.gate_blocked"})
    bodies = [json.loads(one["request"]["body"]) for one in zof.control("/deliveries").json["data"]]
    assert bodies[0].keys() == bodies[2].keys() < bodies[1].keys()


def test_a_changed_configuration_replays() -> None:
    """A journal that holds a change of the configuration replays byte for byte."""
    zof = Zof(seed=3, rate=Rate(limit=9))
    zof.start("tc_slow_1")
    zof.tell(
        "PATCH",
        "/config",
        {
            "capacity": 1,
            "rate": {"limit": 3},
            "evolve": True,
            "references": "strict",
            "faults": [{"match": {"key": ADMIN}, "effect": RESET}],
        },
    )
    assert start(zof) is None
    zof.tell("PATCH", "/config", {"faults": []})
    answer_story(zof, ["start", "runs", "runs", "runs", "runs"])
    assert replay(zof.tell("GET", "/journal.ndjson").content).differing == ()
