"""Capacity: the number of running runs, and the order of queued ones."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.http.histories import Step, histories, read_instant, reset_emulator
from tests.zof import OTHER, Zof


def standing(zof: Zof, runs: list[str]) -> list[str]:
    """The statuses of runs."""
    return [zof.run(run)["status"] for run in runs]


def read_start(zof: Zof, run: str) -> int | None:
    """The start of a run by its log, in ms after the clock's start."""
    lines = [line for line in zof.walk(f"/runs/{run}/logs") if line["message"] == "Run started."]
    return read_instant(lines[0]) if lines else None


def read_end(zof: Zof, run: str) -> int:
    """The end of a run by its log, in ms after the clock's start."""
    return read_instant(zof.walk(f"/runs/{run}/logs")[-1])


def test_default() -> None:
    """Four runs of an organization run at the same time; further ones are accepted and queued."""
    zof = reset_emulator()
    runs = [zof.start()["id"] for _ in range(6)]
    assert standing(zof, runs) == ["running"] * 4 + ["queued"] * 2


@pytest.mark.parametrize("capacity", [1, 2, 7])
def test_setting(capacity: int) -> None:
    """The capacity is a setting."""
    zof = reset_emulator(capacity=capacity)
    runs = [zof.start()["id"] for _ in range(10)]
    assert standing(zof, runs) == ["running"] * capacity + ["queued"] * (10 - capacity)


def test_organizations_apart() -> None:
    """The runs of an organization do not use another's capacity."""
    zof = reset_emulator(capacity=1)
    mine = [zof.start()["id"] for _ in range(3)]
    theirs = zof.start("tc_theirs", key=OTHER, project_id="proj_theirs")["id"]
    assert standing(zof, mine) == ["running", "queued", "queued"]
    assert zof.get(f"/runs/{theirs}", key=OTHER).json["status"] == "running"


def test_place_of_an_ended_run() -> None:
    """When a run ends, the longest queued run starts at the same instant."""
    zof = reset_emulator(capacity=1)
    first, second, third = (zof.start("tc_login")["id"] for _ in range(3))
    zof.control(f"/runs/{first}/advance", {"to": "end"})
    assert standing(zof, [first, second, third]) == ["passed", "running", "queued"]
    assert read_start(zof, second) == read_end(zof, first)
    assert zof.run(second)["started_at"] == zof.run(first)["completed_at"]


def test_place_of_an_ended_run_seen_later() -> None:
    """A run starts when capacity is free, not when a client reads it."""
    zof = reset_emulator(capacity=1)
    runs = [zof.start("tc_login")["id"] for _ in range(4)]
    zof.advance(3_600_000)
    assert standing(zof, runs) == ["passed"] * 4
    assert [read_start(zof, run) for run in runs[1:]] == [read_end(zof, run) for run in runs[:-1]]


@given(waits=st.lists(st.integers(0, 150), min_size=1, max_size=3))
def test_place_of_a_canceled_run(waits: list[int]) -> None:
    """When a running run is canceled, the longest queued run starts at the same instant."""
    zof = reset_emulator(capacity=1)
    runs = [zof.start("tc_login")["id"] for _ in range(len(waits) + 1)]
    now = 0
    for wait, run, following in zip(waits, runs, runs[1:], strict=False):
        now += wait
        zof.advance(wait)
        assert zof.post(f"/runs/{run}/cancel").status == 200
        assert zof.run(following)["status"] == "running"
        assert read_start(zof, following) == now


def test_canceled_while_waiting() -> None:
    """A run that is canceled in the queue never starts and frees no capacity."""
    zof = reset_emulator(capacity=1)
    first, second, third = (zof.start("tc_login")["id"] for _ in range(3))
    zof.post(f"/runs/{second}/cancel")
    assert standing(zof, [first, second, third]) == ["running", "canceled", "queued"]
    zof.control(f"/runs/{first}/advance", {"to": "end"})
    assert standing(zof, [first, second, third]) == ["passed", "canceled", "running"]
    assert read_start(zof, second) is None


@given(history=histories, capacity=st.integers(1, 3))
def test_first_in_first_out(history: list[Step], capacity: int) -> None:
    """Running runs never exceed the capacity, free capacity is used, and the queue is first in, first out."""
    zof = reset_emulator(capacity=capacity)
    runs: list[str] = []
    for step in history:
        step.take(zof, runs)
        found = standing(zof, runs)
        assert found.count("running") <= capacity
        assert "queued" not in found or found.count("running") == capacity
        begun = [at for at in (read_start(zof, run) for run in runs) if at is not None]
        assert begun == sorted(begun)
        if "queued" in found:
            assert "running" not in found[found.index("queued") :]
