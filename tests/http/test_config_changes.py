"""`PATCH /_emulator/config`: a world that changes while it runs."""

from __future__ import annotations

from zof_emulator.cli.replay import replay
from zof_emulator.core.limits import Rate

from tests.http.faults import RESET, start
from tests.http.stories import told
from tests.zof import ADMIN, Zof


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


def test_a_changed_configuration_replays() -> None:
    """A journal that holds a change of the configuration replays byte for byte."""
    zof = Zof(seed=3, rate=Rate(limit=9))
    zof.start("tc_slow_1")
    zof.tell(
        "PATCH",
        "/config",
        {"capacity": 1, "rate": {"limit": 3}, "faults": [{"match": {"key": ADMIN}, "effect": RESET}]},
    )
    assert start(zof) is None
    zof.tell("PATCH", "/config", {"faults": []})
    told(zof, ["start", "runs", "runs", "runs", "runs"])
    assert replay(zof.tell("GET", "/journal.ndjson").content).differing == ()
