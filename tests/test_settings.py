"""Settings: Python refuses what the command line refuses; every setting of a world reaches all that describes one."""

from __future__ import annotations

import json
from dataclasses import fields, replace
from typing import Any, Final

import click
import pytest
import zof_emulator
from zof_emulator import ClockMode, Envelope, Rate, RateScope, References, Scenario, Settings, WorldConfig
from zof_emulator.cli.replay import replay
from zof_emulator.cli.serve import build_settings, serve
from zof_emulator.settings import BOUNDS

from tests.zof import Zof

ALL_OTHER: Final = WorldConfig(
    seed=5,
    clock=ClockMode.AUTO,
    scenario=Scenario.EMPTY,
    rate=Rate(50, 1_000, RateScope.ORGANIZATION, 1),
    capacity=2,
    max_runs=1,
    references=References.STRICT,
    environments=("qa",),
    envelope=Envelope.LEGACY,
    evolve=True,
)
"""A configuration in which no field has its default."""
FLAGS: Final = {
    "scenario": ["--no-samples"],
    "rate": ["--rate-limit=50/1:organization", "--burst=1"],
    "envelope": ["--webhook-envelope=legacy"],
    "evolve": ["--evolve"],
}
"""The flags of the fields that have another name on the command line, as `ALL_OTHER` sets them."""


def values(config: WorldConfig) -> dict[str, Any]:
    """The fields of a world's configuration by name."""
    return {one.name: getattr(config, one.name) for one in fields(WorldConfig)}


def emulator() -> Zof:
    """An emulator with a world in which no setting has its default, and some history."""
    zof = Zof(**values(ALL_OTHER))
    for _ in range(3):
        zof.start("tc_login_001")
        zof.get("/runs")
        zof.get("/runs")
    return zof


def test_the_sample_differs_everywhere() -> None:
    """A new field is in the configuration with which the tests of this module work."""
    assert [name for name, value in values(ALL_OTHER).items() if value == values(WorldConfig())[name]] == []


def test_flags() -> None:
    """Every setting of a world has a flag."""
    flags = {name: [f"--{name.replace('_', '-')}={value}"] for name, value in values(ALL_OTHER).items()}
    flags |= {"environments": ["--environment=qa"], **FLAGS}
    given = serve.make_context("serve", [word for words in flags.values() for word in words])
    assert build_settings(given.params).world == ALL_OTHER


def test_journal_and_replay() -> None:
    """Every setting of a world is in the journal's header, and a replay needs each of them there."""
    journal = emulator().tell("GET", "/journal.ndjson").content
    head, _, exchanges = journal.partition(b"\n")
    header = json.loads(head)
    assert header.items() >= ALL_OTHER.to_json().items()
    assert replay(journal).differing == ()
    for one in fields(WorldConfig):
        without = json.dumps({name: value for name, value in header.items() if name != one.name}).encode()
        with pytest.raises(Exception, match="this is no journal"):
            replay(without + b"\n" + exchanges)


def test_snapshot() -> None:
    """Every setting of a world is in its snapshot, and is restored from there."""
    answer = emulator().tell("GET", "/snapshot")
    assert answer.json["world"]["config"] == ALL_OTHER.to_json()
    other = Zof()
    assert other.tell("PUT", "/snapshot", answer.json).status == 200
    assert other.world.config == ALL_OTHER


def settings(name: str, value: Any) -> Settings:  # noqa: ANN401  a value of any type
    """Settings with this one chosen."""
    return Settings(**{name: value})


@pytest.mark.parametrize("name", sorted(BOUNDS))
def test_bounds(name: str) -> None:
    """An integer setting of the process takes its bounds and refuses what lies beyond, naming itself."""
    minimum, maximum = BOUNDS[name]
    for value in (minimum, maximum):
        assert getattr(settings(name, value), name) == value
    for bad in (minimum - 1, maximum + 1, "1", None):
        with pytest.raises(ValueError, match=f"^invalid {name} "):
            settings(name, bad)


@pytest.mark.parametrize("more", [{"host": 1}, {"token": None}, {"public_url": "ftp://x"}, {"clock": "fast"}])
def test_not_allowed(more: dict[str, Any]) -> None:
    """A value that the command line refuses is refused in Python too, at once."""
    with pytest.raises(ValueError, match=r"^invalid "):
        Settings(**more)


def test_replace() -> None:
    """A changed copy is validated too."""
    with pytest.raises(ValueError, match=r"^invalid capacity 0"):
        replace(Settings(), capacity=0)


def test_defaults() -> None:
    """The command line's defaults are those of `Settings`."""
    given = serve.make_context("serve", [])
    assert isinstance(given, click.Context)
    assert build_settings(given.params) == Settings()


def test_public_names() -> None:
    """The package exports the names that a user of Python needs."""
    for name in zof_emulator.__all__:
        assert getattr(zof_emulator, name) is not None
