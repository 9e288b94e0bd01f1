"""The clock: how it is read and moved, and how a run is moved on."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from zof_emulator.app import EPOCH, SystemClock
from zof_emulator.cli.recorded_deliveries import RecordedDeliveries
from zof_emulator.core.limits import Rate

from tests.http.histories import Step, format_instant, histories, perform, reset_emulator
from tests.zof import OTHER, Answer, Zof

LAST = 253_402_300_799_999
"""The last millisecond of the year 9999."""


def post_bytes(zof: Zof, path: str, body: bytes) -> Answer:
    """The answer to a POST of these bytes."""
    headers = [("content-type", "application/json")]
    return zof.send("POST", f"/_emulator{path}", key=None, headers=headers, body=body)


def now(zof: Zof) -> int:
    """The clock's instant, in ms after the start of a manual clock."""
    clock = zof.control("/clock").json
    assert clock["now_ms"] >= 0
    return int(clock["now_ms"]) - EPOCH


def test_clock_begins() -> None:
    """A manual clock begins with the year 2026 and stands still."""
    zof = reset_emulator()
    expected = {"mode": "manual", "now": "2026-01-01T00:00:00.000Z", "now_ms": EPOCH}
    assert [zof.control("/clock").json for _ in range(2)] == [expected] * 2


@given(steps=st.lists(st.integers(0, 10_000_000_000), max_size=5))
def test_advance_by(steps: list[int]) -> None:
    """The clock moves by the given milliseconds, and the answer shows the new instant."""
    zof = reset_emulator()
    for by_ms in steps:
        before = now(zof)
        answer = zof.control("/clock/advance", {"by_ms": by_ms})
        assert (answer.status, answer.json["now_ms"] - EPOCH) == (200, before + by_ms)
        assert answer.json.items() >= zof.control("/clock").json.items()


@given(seconds=st.integers(0, 10_000_000), fraction=st.integers(0, 999))
def test_advance_to(seconds: int, fraction: int) -> None:
    """The clock moves to an instant."""
    zof = reset_emulator()
    text = format_instant(seconds * 1_000).replace("Z", f".{fraction:03d}Z")
    assert zof.control("/clock/advance", {"to": text}).json["now"] == text
    assert now(zof) == seconds * 1_000 + fraction


@given(history=histories, parts=st.lists(st.integers(0, 5_000), max_size=5))
def test_advance_in_parts(history: list[Step], parts: list[int]) -> None:
    """Several moves have the same effect as one move by their sum."""
    found = []
    for steps in (parts, [sum(parts)]):
        zof = reset_emulator(capacity=1)
        perform(zof, history)
        for by_ms in steps:
            zof.advance(by_ms)
        found.append([zof.walk(path) for path in ("/runs", "/results")])
    assert found[0] == found[1]


@pytest.mark.parametrize("to", ["2025-12-31T23:59:59.999Z", "2026-01-01T00:00:00+00:01", "0000-01-01T00:00:00Z"])
def test_no_way_back(to: str) -> None:
    """The clock does not run backwards."""
    zof = reset_emulator()
    assert zof.control("/clock/advance", {"to": to}).error == (400, "invalid_request", "to")
    assert now(zof) == 0


@pytest.mark.parametrize("by_ms", [LAST - EPOCH + 1, 1 << 60, (1 << 63) - 1, 1 << 63, (1 << 64) - 1])
def test_end_of_time(by_ms: int) -> None:
    """A move beyond the year 9999 is refused and changes nothing."""
    zof = reset_emulator()
    assert zof.control("/clock/advance", {"by_ms": by_ms}).error == (400, "invalid_request", "by_ms")
    assert now(zof) == 0
    assert zof.control("/clock/advance", {"by_ms": LAST - EPOCH}).json["now"] == "9999-12-31T23:59:59.999Z"


@pytest.mark.parametrize("until", ["next", "run_ended", "window_reset", "webhook_due", "delivered"])
def test_an_event_after_the_end_of_time(until: str) -> None:
    """A move until an event that comes after the year 9999 is refused, and the error names the field."""
    zof = Zof(deliveries=RecordedDeliveries(()))
    zof.advance(LAST - EPOCH - 10)
    assert zof.tell("POST", "/delivery-rules", {"action": "delay"}).status == 201
    assert zof.post("/webhooks", {"url": "http://127.0.0.1:9/x", "events": ["run.failed"]}).status == 201
    assert zof.tell("POST", "/events", {"type": "run.failed"}).json["deliveries"] == 1
    zof.start("tc_a")
    found = zof.control("/clock/advance", {"until": until})
    assert found.error == (400, "invalid_request", "until")
    assert zof.control("/clock").json["now_ms"] == LAST - 10


@pytest.mark.parametrize("by_ms", [b"1.0", b"1e3", b"1000.0", b"0.0", b"-0", b"-0.0"])
def test_number_of_another_spelling(by_ms: bytes) -> None:
    """A whole number is one in every spelling that JSON has, or is refused; the emulator survives it either way."""
    zof = reset_emulator()
    answer = post_bytes(zof, "/clock/advance", b'{"by_ms": %s}' % by_ms)
    assert answer.status in {200, 400}
    expected = round(float(by_ms)) if answer.status == 200 else 0
    assert (now(zof), zof.start()["created_at"]) == (expected, format_instant(expected))


@pytest.mark.parametrize(
    ("body", "param"),
    [
        (b"{}", "by_ms"),
        (b'{"by_ms": 1, "to": "2027-01-01T00:00:00Z"}', "to"),
        (b'{"by_ms": -1}', "by_ms"),
        (b'{"by_ms": 1.5}', "by_ms"),
        (b'{"by_ms": "1"}', "by_ms"),
        (b'{"by_ms": true}', "by_ms"),
        (b'{"by_ms": null}', "by_ms"),
        (b'{"by_ms": 99999999999999999999}', "by_ms"),
        (b'{"to": "tomorrow"}', "to"),
        (b'{"to": 5}', "to"),
        (b'{"by": 5}', "by"),
        (b'{"by_ms": 5, "x": 1}', "x"),
        (b'{"by_ms": 5, "by_ms": 6}', "by_ms"),
        (b"[]", None),
        (b"5", None),
        (b"{", None),
        (b"", None),
    ],
)
def test_advance_refused(body: bytes, param: str | None) -> None:
    """A move without a goal is refused and changes nothing."""
    zof = reset_emulator()
    assert post_bytes(zof, "/clock/advance", body).error == (400, "invalid_request", param)
    assert now(zof) == 0


def test_real_clock() -> None:
    """A real clock follows the system's, never backwards, and continues from the instant it is moved to."""
    system = [EPOCH]
    zof = Zof(clock="real", scenario="empty", system=lambda: system[0])
    system[0] += 1_500
    assert now(zof) == 1_500
    zof.advance(60_000)
    system[0] += 250
    assert now(zof) == 61_750
    system[0] -= 10_000
    assert now(zof) == 61_750
    system[0] += 10_001
    assert now(zof) == 61_751


def test_advance_run_by_a_case() -> None:
    """Without a goal, a run advances by one case, and the clock moves to the end of that case."""
    zof = reset_emulator()
    run = zof.start("tc_a", "tc_b")["id"]
    for done, body in enumerate((None, {}, {"to": "case"})):
        if done == 2:
            run = zof.start("tc_b", "tc_c")["id"]
        found = zof.control(f"/runs/{run}/advance", body).json
        assert [one["status"] for one in found["case_outcomes"]].count("passed") == (done % 2) + 1
        assert found == zof.run(run)


def test_advance_run_to_its_end() -> None:
    """A run advances to its end, and the clock with it; other runs continue meanwhile."""
    zof = reset_emulator()
    other = zof.start("tc_a", key=OTHER, project_id="proj_x")["id"]
    run = zof.start("tc_b", "tc_import_slow")["id"]
    found = zof.control(f"/runs/{run}/advance", {"to": "end"}).json
    assert (found["status"], now(zof)) == ("passed", found["duration_ms"])
    assert found == zof.run(run)
    assert zof.get(f"/runs/{other}", key=OTHER).json["status"] == "passed"


def test_advance_run_of_any_organization() -> None:
    """A run of any organization can be advanced."""
    zof = reset_emulator()
    run = zof.start("tc_x", key=OTHER, project_id="proj_x")["id"]
    assert zof.control(f"/runs/{run}/advance", {"to": "end"}).json["organization_id"] == "org_other"
    assert zof.get(f"/runs/{run}", key=OTHER).json["status"] == "passed"


def test_advance_waiting_run() -> None:
    """Advancing a queued run advances the runs before it."""
    zof = reset_emulator(capacity=1)
    runs = [zof.start("tc_a")["id"] for _ in range(3)]
    assert zof.control(f"/runs/{runs[2]}/advance", {"to": "end"}).json["status"] == "passed"
    assert [zof.run(run)["status"] for run in runs] == ["passed"] * 3


def test_advance_ended_run() -> None:
    """Advancing an ended run is refused, and the clock does not move."""
    zof = reset_emulator()
    run = zof.complete_run("tc_a")["id"]
    at = now(zof)
    assert zof.control(f"/runs/{run}/advance", {"to": "end"}).error == (409, "conflict", None)
    assert now(zof) == at


def test_advance_run_beyond_the_end_of_time() -> None:
    """Advancing a run beyond the end of time is refused and changes nothing."""
    zof = reset_emulator()
    zof.control("/clock/advance", {"by_ms": LAST - EPOCH - 5_000})
    run = zof.start(*(f"tc_{number}" for number in range(30)))["id"]
    before = zof.run(run)
    assert 400 <= zof.control(f"/runs/{run}/advance", {"to": "end"}).status < 500
    assert (now(zof), zof.run(run)) == (LAST - EPOCH - 5_000, before)


@pytest.mark.parametrize("name", ["run_none", "x", "res_x_001"])
def test_advance_unknown_run(name: str) -> None:
    """Advancing an ID that names no run is 404."""
    assert reset_emulator().control(f"/runs/{name}/advance", {"to": "end"}).error == (404, "not_found", None)


@pytest.mark.parametrize(("body", "param"), [(b'{"to": "x"}', "to"), (b'{"x": 1}', "x"), (b"[]", None), (b"{", None)])
def test_advance_run_refused(body: bytes, param: str | None) -> None:
    """The goal of a run's advance is `case` or `end`, and nothing else."""
    zof = reset_emulator()
    run = zof.start("tc_a")["id"]
    assert post_bytes(zof, f"/runs/{run}/advance", body).error == (400, "invalid_request", param)
    assert now(zof) == 0


@given(moves=st.lists(st.tuples(st.integers(0, 10_000), st.integers(-10_000_000, 10_000_000)), max_size=20))
def test_the_system_clock_goes_on(moves: list[tuple[int, int]]) -> None:
    """Time is never slower than a monotonic clock and never behind the wall clock."""
    wall, steady = [EPOCH * 1_000_000], [0]
    clock = SystemClock(lambda: wall[0], lambda: steady[0])
    before = clock()
    for passed, step in moves:
        steady[0] += passed * 1_000_000
        wall[0] += (passed + step) * 1_000_000
        after = clock()
        assert after >= before + passed
        assert after >= wall[0] // 1_000_000
        before = after


def test_headers_go_on_when_the_system_clock_is_set_back() -> None:
    """`Date` and `X-RateLimit-Reset` continue when the system's clock is set back one hour."""
    wall, steady = [EPOCH * 1_000_000], [0]
    zof = Zof(clock="real", rate=Rate(100), system=SystemClock(lambda: wall[0], lambda: steady[0]))
    before = zof.get("/runs").headers
    wall[0] -= 3_600 * 1_000_000_000
    steady[0] += 61 * 1_000_000_000
    after = zof.get("/runs").headers
    assert after["date"] == "Thu, 01 Jan 2026 00:01:01 GMT"
    assert int(after["x-ratelimit-reset"]) == int(before["x-ratelimit-reset"]) + 61


def test_a_world_from_the_future_goes_on() -> None:
    """A restored world whose clock is ahead of the system's continues from its own instant."""
    now = [EPOCH + 3_600_000]
    zof = Zof(clock="real", system=lambda: now[0])
    zof.get("/runs")
    snapshot = zof.control("/snapshot").json
    now[0] = EPOCH
    assert zof.tell("PUT", "/snapshot", snapshot).status == 200
    now[0] += 5_000
    assert zof.control("/clock").json["now_ms"] == EPOCH + 3_605_000
