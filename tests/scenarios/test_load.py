"""Scenario files: every mistake is reported with its line, what was found and what was meant."""

from __future__ import annotations

import json
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final

import pytest
from hypothesis import given
from hypothesis import strategies as st
from zof_emulator import Rate, RateScope, Settings, WorldConfig
from zof_emulator.core.scenario_schema import PROPERTIES
from zof_emulator.core.tenants import DEFAULT
from zof_emulator.core.world import World
from zof_emulator.scenarios.load import (
    UnusableScenario,
    list_names,
    load_builtin,
    load_file,
    load_object,
    load_scenario,
    read_builtin,
)
from zof_emulator.scenarios.schema import MOST_PROBLEMS, SCHEMA, SETTINGS, find_problems

if TYPE_CHECKING:
    from pathlib import Path

HEAD: Final = "description: a scenario\n"
MISTAKES: Final[dict[str, tuple[str, list[str]]]] = {
    "an unknown field": ("capcity: 2\n", ["2: capcity: unknown field 'capcity'; the nearest is capacity"]),
    "an unknown choice": (
        "clock: manul\n",
        ['2: clock: "manul" is not one of real, manual, auto; the nearest is manual'],
    ),
    "a number out of range": ("capacity: 0\n", ["2: capacity: 0 is not allowed; use a whole number from 1 to 1000000"]),
    "a text for a number": ("seed: many\n", ['2: seed: "many" is not allowed; use a whole number from 0 to']),
    "a bad label": ("environments: [qa, x!]\n", ['2: environments[1]: "x!" is not allowed; use 1 to 63 letters']),
    "a bad rate": ("rate: fast\n", ['2: rate: "fast" is not allowed; use off, or a mapping']),
    "an unknown field of the rate": (
        "rate:\n  limit: 1\n  window: 5\n",
        ["4: rate.window: unknown field 'window'; the nearest is window_ms"],
    ),
    "a name with capitals": ("name: Mine\n", ['2: name: "Mine" is not allowed; use 1 to 64 lower-case letters']),
    "an unknown base": ("base: nothing\n", ['2: base: "nothing" is not one of empty, default, none']),
    "no organization": ("base: none\n", ["2: base: base is none, so the scenario must list organizations"]),
    "an unknown organization": (
        "keys:\n  - secret: abcdefgh\n    role: Viewer\n    organization: org_abd\n",
        ["5: keys[0].organization: there is no organization 'org_abd'; the nearest is org_abc"],
    ),
    "a key without a secret": ("keys:\n  - role: Viewer\n", ["3: keys[0]: a key has exactly one of secret and digest"]),
    "a key with two kinds of permission": (
        "keys:\n  - secret: abcdefgh\n    role: Viewer\n    permissions: []\n",
        ["3: keys[0]: a key has exactly one of role and permissions"],
    ),
    "an unknown permission": (
        "keys:\n  - secret: abcdefgh\n    permissions: [run:create]\n",
        ['4: keys[0].permissions[0]: "run:create" is not one of projects:read, runs:create, webhooks:manage; the'],
    ),
    "a short key": (
        "keys: [{secret: short, role: Viewer}]\n",
        ["2: keys[0].secret: the value, which may be a secret, is not allowed; use 8 to"],
    ),
    "a key that is a text": (
        "keys: [my-pipeline-key]\n",
        ["2: keys[0]: the value, which may be a secret, is not allowed; use a mapping"],
    ),
    "a span without a unit": (
        "keys:\n  - {secret: abcdefgh, role: Viewer, expires_in: 30}\n",
        ["3: keys[0].expires_in: 30 is not allowed; use a number with a unit"],
    ),
    "a key twice": (
        "keys:\n  - {secret: abcdefgh, role: Viewer}\n  - {secret: abcdefgh, role: Engineer}\n",
        ["4: keys[1]: the same entry stands above"],
    ),
    "a project of two organizations": (
        "runs:\n  - {project: proj_abc, organization: org_other, cases: [tc_x]}\n",
        ["3: runs[0].project: 'proj_abc' belongs to org_abc, so org_other cannot have it"],
    ),
    "a case of another organization": (
        "suites:\n  - id: suite_x\n    organization: org_other\n    cases:\n      - tc_new\n      - tc_login_001\n",
        ["7: suites[0].cases[1]: 'tc_login_001' belongs to org_abc, so org_other cannot have it"],
    ),
    "a name that never exists": ("cases: [tc_missing]\n", ["2: cases[0]: 'tc_missing' never exists"]),
    "a suite without cases": (
        "suites: [{id: suite_x, cases: []}]\n",
        ["2: suites[0].cases: [] is not allowed"],
    ),
    "a webhook to a mail address": (
        "webhooks:\n  - url: mailto:me\n    events: [run.failed]\n",
        ["3: webhooks[0].url: 'mailto:me' is not an http or https URL"],
    ),
    "an unknown event": (
        "webhooks:\n  - url: http://127.0.0.1/\n    events: [run.fail]\n",
        ['4: webhooks[0].events[0]: "run.fail" is not one of'],
    ),
    "an event that no webhook can name": (
        "webhooks:\n  - url: http://127.0.0.1/\n    events: [run.provisioned]\n",
        ['4: webhooks[0].events[0]: "run.provisioned" is not one of run.started, run.completed, run.failed,'],
    ),
    "an environment less than the base needs": (
        "base: default\norganizations:\n  - id: org_abc\n    environments: [qa, staging]\n",
        ["5: organizations[0].environments: the ended runs of the base default need the environment production;"],
    ),
    "a project that the base needs": (
        "base: default\nprojects:\n  - {id: proj_abc, organization: org_other}\n",
        ["4: projects[0]: the ended runs of the base default need the project proj_abc of org_abc;"],
    ),
    "a webhook with the ID of a generated one": (
        "webhooks:\n  - {id: wh_0123456789abcdef, url: 'http://127.0.0.1/', events: [run.failed]}\n",
        ["3: webhooks[0].id: 16 hexadecimal digits are the form of generated IDs"],
    ),
    "a wrong status": (
        "outcomes:\n  - status: fail\n",
        ['3: outcomes[0].status: "fail" is not one of passed, failed, error; the nearest is failed'],
    ),
    "durations in the wrong order": (
        "outcomes:\n  - duration_ms: [5, 1]\n",
        ["3: outcomes[0].duration_ms: 5 exceeds"],
    ),
    "three durations": (
        "outcomes:\n  - duration_ms: [1, 2, 3]\n",
        ["3: outcomes[0].duration_ms: [1, 2, 3] is not allowed; use a whole number of ms"],
    ),
    "two schedules": ("outcomes:\n  - nth: 1\n    every: 2\n", ["4: outcomes[0].every: give only one of nth, first"]),
    "a message of a case that passed": (
        "outcomes:\n  - status: passed\n    message: no\n",
        ["4: outcomes[0].message: a case that passed has no message"],
    ),
    "a log line without a message": (
        "outcomes:\n  - log:\n      - level: info\n",
        ["4: outcomes[0].log[0]: the field message is missing"],
    ),
    "an artifact without content": (
        "outcomes:\n  - artifacts:\n      - {name: a.xml, type: export, content_type: application/xml}\n",
        ["4: outcomes[0].artifacts[0]: an artifact has exactly one of text and base64"],
    ),
    "an artifact that is no image": (
        "outcomes:\n  - artifacts:\n      - {name: a.png, type: screenshot, content_type: image/png, text: hello}\n",
        ["4: outcomes[0].artifacts[0]: the content does not begin as image/png does"],
    ),
    "an artifact that is no base64": (
        "outcomes:\n  - artifacts:\n      - {name: a.png, type: screenshot, content_type: image/png, base64: abcde}\n",
        ["4: outcomes[0].artifacts[0]: the content is neither valid base64 nor valid text"],
    ),
    "timing in the wrong order": ("timing: {shortest_ms: 5, longest_ms: 4}\n", ["2: timing: shortest_ms 5 exceeds"]),
    "timing of more than a day": (
        "timing: {longest_ms: 86400000, slow_factor: 2}\n",
        ["2: timing: longest_ms times slow_factor exceeds 86400000 ms"],
    ),
    "a run without cases": ("runs:\n  - project: proj_abc\n", ["3: runs[0]: a run has exactly one of suite and cases"]),
    "a run without a project": ("runs:\n  - cases: [tc_x]\n", ["3: runs[0]: the field project is missing"]),
    "an unknown environment": (
        "runs:\n  - {project: proj_abc, cases: [tc_x], environment: stagin}\n",
        ["3: runs[0].environment: org_abc has no environment 'stagin'; the nearest is staging"],
    ),
    "shares above all": (
        "runs:\n  - {project: proj_abc, cases: [tc_x], failed_percent: 60, error_percent: 50}\n",
        ["3: runs[0].failed_percent: the shares add up to 110 percent"],
    ),
    "an ID for many runs": (
        "runs:\n  - {project: proj_abc, cases: [tc_x], id: run_x, count: 2}\n",
        ["3: runs[0].id: only a single ended run has an ID of its own"],
    ),
    "a queued run with a past": (
        "runs:\n  - {project: proj_abc, cases: [tc_x], state: queued, over: 1d}\n",
        ["3: runs[0].over: a queued run has no past"],
    ),
    "too many queued runs": (
        "runs:\n  - {project: proj_abc, cases: [tc_x], state: queued, count: 10001}\n",
        ["2: runs: 10001 runs are queued; use at most 10000"],
    ),
    "too many runs": (
        "runs:\n" + "  - {project: proj_abc, cases: [tc_x], count: 60000}\n" * 2,
        ["2: runs: 120000 runs; use at most 100000"],
    ),
    "too many cases": (
        f"runs:\n  - {{project: proj_abc, cases: [{', '.join(f'tc_{n}' for n in range(100))}], count: 5001}}\n",
        ["2: runs: 500100 cases in all runs; use at most 500000"],
    ),
    "a history of centuries": (
        "timing: {longest_ms: 86400000, slow_factor: 1}\nruns:\n  - {project: proj_abc, cases: [tc_x], count: 20000}\n",
        ["3: runs: they would take more than 50 years"],
    ),
    "a past before the past": (
        "runs:\n  - {project: proj_abc, cases: [tc_x], age: 9000d}\n",
        ["3: runs[0].over: it is too long ago"],
    ),
    "a fault without an effect": (
        "faults:\n  - match: {}\n",
        ["3: faults[0].effect: invalid effect None: use"],
    ),
    "a fault of an unknown operation": (
        "faults:\n  - match:\n      operation: startRuns\n    effect: {reset: true}\n",
        ["4: faults[0].match.operation: invalid match.operation 'startRuns': use an operation ID such as startRun;"],
    ),
    "a fault for an unknown key": (
        "faults:\n  - match: {key: nobody-has-this}\n    effect: {reset: true}\n",
        ["3: faults[0].match.key: invalid match.key '': use a key of the world"],
    ),
    "a fault with an unknown field": (
        "faults:\n  - effect:\n      reset: true\n      latency: 5\n",
        ["5: faults[0].effect.latency: invalid effect.latency 5: use one of"],
    ),
    "mistakes of both kinds": (
        "capcity: 2\noutcomes:\n  - status: fail\n  - {status: passed, message: no}\n",
        [
            "2: capcity: unknown field",
            '4: outcomes[0].status: "fail" is not one of',
            "5: outcomes[1].message: a case that passed has no message",
        ],
    ),
}


@pytest.mark.parametrize("name", MISTAKES)
def test_a_mistake(name: str, tmp_path: Path) -> None:
    """Each mistake is reported once, with the file, its line, what was found and what was meant."""
    text, expected = MISTAKES[name]
    file = tmp_path / "scenario.yaml"
    file.write_text(HEAD + text)
    with pytest.raises(UnusableScenario) as caught:
        load_file(file)
    lines = caught.value.lines
    assert len(lines) == len(expected), lines
    for line, beginning in zip(lines, expected, strict=True):
        assert line.startswith(f"{file}:{beginning}")


@pytest.mark.parametrize(
    "value",
    [
        {"base": "default", "environments": ["production"]},
        {"base": "default", "organizations": [{"id": "org_other", "environments": ["qa"]}]},
        {"base": "empty", "projects": [{"id": "proj_abc", "organization": "org_other"}]},
    ],
)
def test_what_the_base_does_not_need(value: dict[str, Any]) -> None:
    """The environments and projects of an organization without ended runs may be chosen freely."""
    organizations = value.get("organizations", [])
    more = [] if organizations else [{"id": "org_abc", "environments": ["staging"]}, {"id": "org_other"}]
    assert load_object({**value, "organizations": organizations + more}).scenario.data is not None


@pytest.mark.parametrize("value", [None, 1, "x", [], [{}], {"outcomes": {}}, {"a" * 500: 1}])
def test_no_scenario(value: object) -> None:
    """A value that is no mapping, or has a part of another type, is refused."""
    with pytest.raises(UnusableScenario):
        load_object(value)


values: Final = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from(["id", "secret", "cases"]), inner),
    max_leaves=4,
)


@given(part=st.sampled_from(sorted(SCHEMA["properties"])), value=values)
def test_any_value_of_any_part(part: str, value: object) -> None:
    """A part with any value, and a list that holds it once or often, is accepted or refused."""
    for given_value in (value, [value], [value] * (MOST_PROBLEMS + 1)):
        with suppress(UnusableScenario):
            load_object({part: given_value})


SECRET: Final = "geheim-!"  # noqa: S105  a test value
"""A text that is neither a key nor the secret of a webhook, so that it is refused."""
holders: Final = st.recursive(
    st.just(SECRET),
    lambda inner: st.tuples(inner) | st.fixed_dictionaries({"secret": inner}) | st.fixed_dictionaries({"role": inner}),
    max_leaves=1,
)


@pytest.mark.parametrize("part", ["keys", "webhooks"])
@given(value=holders)
def test_no_mistake_shows_a_secret(part: str, value: object) -> None:
    """A mistake at a key or at the secret of a webhook is reported without the value, wherever the secret stands."""
    with pytest.raises(UnusableScenario) as caught:
        load_object({part: list(value) if isinstance(value, tuple) else value})
    plain = isinstance(value, tuple) and isinstance(value[0], dict) and "secret" not in value[0]
    assert plain or not any(SECRET in line for line in caught.value.lines), caught.value.lines


def test_deep_nesting() -> None:
    """A value that is nested more deeply than the validator goes is refused."""
    value: Any = 1
    for _ in range(5_000):
        value = [value]
    with pytest.raises(UnusableScenario, match="deep"):
        load_object({"outcomes": value})


def test_half_a_character() -> None:
    """A text that no encoding can write is refused, because an answer could not hold it."""
    with pytest.raises(UnusableScenario, match="surrogate"):
        load_object({"outcomes": [{"status": "failed", "message": "\ud800"}]})


def test_settings() -> None:
    """A scenario states settings of its world, and nothing else changes."""
    loaded = load_object({"seed": 7, "rate": {"limit": 5, "scope": "organization"}, "environments": ["qa"]})
    config = loaded.apply(WorldConfig(capacity=9, seed=1))
    assert (config.seed, config.capacity, config.environments) == (7, 9, ("qa",))
    assert config.rate == Rate(5, 60_000, RateScope.ORGANIZATION, 0)
    assert loaded.apply(Settings(seed=1, port=0), keep=("seed",)).seed == 1
    assert load_object({"rate": "off"}).settings["rate"].limit == 1_000_000_000
    assert type(load_object({"capacity": 2.0}).settings["capacity"]) is int


def test_every_setting_is_described() -> None:
    """The schema has every setting of a world and every part of a scenario, each with a description."""
    assert {*SETTINGS, *PROPERTIES} == set(SCHEMA["properties"])
    assert [name for name, one in SCHEMA["properties"].items() if not one.get("description")] == []


def test_the_name_follows_from_the_file(tmp_path: Path) -> None:
    """A scenario without a name is named after its file."""
    file = tmp_path / "My nightly_run.yaml"
    file.write_text("capacity: 1\n")
    assert load_file(file).scenario.name == "my-nightly-run"
    assert load_scenario(str(file)).scenario.name == "my-nightly-run"
    assert load_scenario("My nightly_run.yaml", tmp_path).scenario.name == "my-nightly-run"


@pytest.mark.parametrize("name", list_names())
def test_a_built_in_scenario(name: str) -> None:
    """A built-in scenario has a description, is free of mistakes, and makes a world."""
    config = load_scenario(name).apply(WorldConfig())
    assert config.scenario.name == name
    World(config, DEFAULT, 1_767_225_600_000)
    assert name in {"default", "empty"} or "description:" in read_builtin(name)


@pytest.mark.parametrize(
    ("given", "nearest"), [("slow-queu", "slow-queue"), ("flaky", "flaky-suite"), ("many_runs", "many-runs")]
)
def test_an_unknown_name(given: str, nearest: str) -> None:
    """An unknown name is refused with the name that was meant."""
    for read in (load_scenario, load_builtin):
        with pytest.raises(UnusableScenario, match=f"'{given}'.* the nearest is {nearest}"):
            read(given)


def test_the_saved_form_is_valid_and_the_same(tmp_path: Path) -> None:
    """A scenario that was read from its own JSON form equals it, in whatever way its file writes it."""
    text = {"base": "default", "cases": ["tc_x"], "runs": [{"project": "proj_x", "cases": ["tc_x"], "count": 3}]}
    file = tmp_path / "custom.json"
    file.write_text(json.dumps(text, indent="\t"))
    loaded, given = load_file(file).scenario, load_object(text).scenario
    assert loaded == given
    assert hash(loaded) == hash(given)
    config = WorldConfig(scenario=given)
    again = WorldConfig.from_json(config.to_json())
    assert again == config
    assert (again.scenario.data, again.scenario.runs) == (given.data, given.runs)
    assert find_problems({name: one for name, one in given.to_json().items() if name != "name"}) == []
