"""The history of a world: runs that ended before it began keep the rules that all runs keep."""

from __future__ import annotations

from typing import Any, Final

from hypothesis import given, settings
from hypothesis import strategies as st
from zof_emulator.core.config import ClockMode, WorldConfig
from zof_emulator.core.scenario_reader import read_scenario
from zof_emulator.core.tenants import DEFAULT
from zof_emulator.core.world import World

BEGAN: Final = 1_767_225_600_123
CASES: Final = ("tc_a", "tc_b_fail", "tc_c_flaky", "tc_d_slow")
shares: Final = st.fixed_dictionaries(
    {},
    optional=dict.fromkeys(("failed_percent", "error_percent", "canceled_percent"), st.integers(0, 33)),
)
entries: Final = st.lists(
    st.builds(
        lambda fields, more: {"project": "proj_abc", **fields, **more},
        st.fixed_dictionaries(
            {
                "cases": st.lists(st.sampled_from(CASES), min_size=1, max_size=3, unique=True),
                "count": st.integers(1, 25),
                "over": st.sampled_from(["0s", "5s", "1d"]),
                "age": st.sampled_from(["0s", "1h"]),
            }
        ),
        shares,
    ),
    min_size=1,
    max_size=3,
)


def world_with(runs: list[dict[str, Any]], *, base: str = "empty", **config: Any) -> World:  # noqa: ANN401
    """A world with this history."""
    scenario = read_scenario({"name": "x", "base": base, "runs": runs})
    return World(WorldConfig(clock=ClockMode.MANUAL, scenario=scenario, **config), DEFAULT, BEGAN)


@settings(max_examples=100)
@given(entries, st.integers(1, 3), st.integers(0, 5), st.sampled_from(["empty", "default"]))
def test_the_past_keeps_the_rules(runs: list[dict[str, Any]], capacity: int, seed: int, base: str) -> None:
    """Runs are numbered in the order of their creation, never exceed the capacity, and have ended when it begins."""
    world = world_with(runs, base=base, capacity=capacity, seed=seed)
    past = list(world.runs.values())
    assert len(past) == sum(one["count"] for one in runs) + (2 if base == "default" else 0)
    assert [run.number for run in past] == list(range(len(past)))
    assert [run.created_at for run in past] == sorted(run.created_at for run in past)
    assert all(run.has_ended and (run.completed_at or 0) <= BEGAN for run in past)
    for run in past:
        at = run.started_at or 0
        others = (one for one in past if one is not run and (one.started_at or 0) <= at < (one.completed_at or 0))
        assert sum(1 for _ in others) < capacity
        instants = [run.created_at, at, *run.ends, run.completed_at or 0]
        assert instants == sorted(instants)
    started = [run.started_at or 0 for run in past]
    assert started == sorted(started)
    ranked = sorted(past, key=lambda run: run.rank)
    assert [run.completed_at for run in ranked] == sorted(run.completed_at or 0 for run in past)


@given(entries, st.integers(0, 5))
def test_the_shares_are_exact(runs: list[dict[str, Any]], seed: int) -> None:
    """Of the runs of an entry exactly the shares failed, broke and were canceled, rounded down."""
    for entry in runs:
        world = world_with([entry], seed=seed)
        names = ("failed_percent", "error_percent", "canceled_percent")
        if any(name in entry for name in names):
            found = [run.status.value for run in world.runs.values()]
            expected = [entry["count"] * entry.get(name, 0) // 100 for name in names]
            assert [found.count(status) for status in ("failed", "error", "canceled")] == expected


def test_the_past_as_it_would_have_been() -> None:
    """A past run without shares comes to what it would come to now, and is counted."""
    world = world_with([{"project": "proj_abc", "cases": ["tc_c_flaky"], "count": 3, "over": "1h"}])
    assert [run.status.value for run in world.runs.values()] == ["failed", "passed", "failed"]
    assert world.run_counts == {("org_abc", "tc_c_flaky"): 3}


def test_the_oldest_are_left_out() -> None:
    """A world that keeps fewer runs than its scenario has begins with the last ones."""
    world = world_with([{"project": "proj_abc", "cases": ["tc_a"], "count": 30, "over": "1d"}], max_runs=10)
    assert len(world.runs) == 10
    assert min(run.created_at for run in world.runs.values()) > BEGAN - 9 * 3_600_000
