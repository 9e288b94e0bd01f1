"""The configuration of a world: one JSON form, one schema, and only allowed values."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from zof_emulator.core.config import LARGEST_SEED, ClockMode, References, WorldConfig, build_schema
from zof_emulator.core.limits import Rate, RateScope
from zof_emulator.core.scenario import Scenario
from zof_emulator.core.scenario_schema import LABEL
from zof_emulator.spec.schema import compile_schema

configs = st.builds(
    WorldConfig,
    seed=st.integers(0, LARGEST_SEED),
    clock=st.sampled_from(ClockMode),
    scenario=st.sampled_from((Scenario.DEFAULT, Scenario.EMPTY)),
    rate=st.builds(
        Rate, st.integers(1, 10**9), st.integers(1, 10**9), st.sampled_from(RateScope), st.integers(0, 10**6)
    ),
    capacity=st.integers(1, 10_000),
    max_runs=st.integers(1, 10_000),
    references=st.sampled_from(References),
    environments=st.lists(st.from_regex(LABEL, fullmatch=True), max_size=3).map(tuple),
)
is_config = compile_schema(build_schema())


@given(configs)
def test_json(config: WorldConfig) -> None:
    """A configuration equals the one read from its JSON form, which has every field and satisfies the schema."""
    value = config.to_json()
    assert WorldConfig.from_json(value) == config
    assert list(value) == [one.name for one in fields(WorldConfig)]
    assert is_config(value)


@pytest.mark.parametrize(
    ("name", "value", "allowed"),
    [
        ("seed", -1, "from 0 to 9223372036854775807"),
        ("seed", "7", "an integer"),
        ("seed", True, "an integer"),
        ("clock", "fast", "real, manual, auto"),
        ("scenario", "full", "default, empty, or an object"),
        ("references", "", "open, strict"),
        ("capacity", 0, "from 1 to"),
        ("max_runs", 0, "from 1 to"),
        ("environments", ("x!",), "letters, digits"),
        ("environments", ("",), "letters, digits"),
        ("rate", 100, "a Rate"),
        ("rate", Rate(0), "from 1 to"),
        ("rate", Rate(window_ms=0), "from 1 to"),
        ("rate", Rate(burst=-1), "from 0 to"),
    ],
)
def test_not_allowed(name: str, value: Any, allowed: str) -> None:  # noqa: ANN401  a value of any type
    """A value that is not allowed is refused at once, by a message that names the field and what is allowed."""
    said = {"environments": "environment"}.get(name, name)
    with pytest.raises(ValueError, match=rf"^invalid {said}\b.*{allowed}"):
        WorldConfig(**{name: value})


def test_strings() -> None:
    """A choice given as a string becomes the enum member."""
    config = WorldConfig.from_json({"clock": "auto", "references": "strict", "scenario": "empty"})
    assert config.clock is ClockMode.AUTO
    assert config.references is References.STRICT
    assert config.scenario is Scenario.EMPTY


def test_an_unknown_field() -> None:
    """An unknown field is refused."""
    with pytest.raises(TypeError, match="speed"):
        WorldConfig.from_json({"speed": 1})
