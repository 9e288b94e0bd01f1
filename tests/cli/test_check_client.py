"""`zof-emulator exec --check-client` tries a client in several situations and has it judged."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from functools import partial
from typing import TYPE_CHECKING, Final

import pytest
from zof_contracts.cli.recording_options import _FORMATS as FORMATS
from zof_emulator import Settings, create_app
from zof_emulator.cli.provocation import REPORT_FORMATS, check_requests, describe_client, disturb, make_settings
from zof_emulator.cli.traffic_recorder import TrafficRecorder
from zof_emulator.core.deliveries import Action
from zof_emulator.core.scenario import Scenario
from zof_emulator.scenarios.load import load_object
from zof_emulator.scenarios.situations import SITUATIONS
from zof_emulator.testing.extra import PACKAGES

from tests.served import ROOT, environment

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

HASTY: Final = """
import json, os, urllib.error, urllib.request
headers = {"Authorization": "Bearer " + os.environ["ZOF_API_KEY"], "Content-Type": "application/json"}
order = {"project_id": "proj_a", "environment": "staging", "test_suite_id": "suite_a"}
for attempt in range(6):
    try:
        request = urllib.request.Request(os.environ["ZOF_BASE_URL"] + "/runs", json.dumps(order).encode(), headers)
        urllib.request.urlopen(request)
        break
    except OSError:
        pass
"""


WORLD: Final = """
import json, os, sys, urllib.request
headers = {"Authorization": "Bearer " + os.environ["ZOF_API_KEY"], "Content-Type": "application/json"}
root = os.environ["ZOF_EMULATOR_URL"]
if "own" in sys.argv:
    world = json.dumps({"name": "mine", "scenario": "slow-queue"}).encode()
    urllib.request.urlopen(urllib.request.Request(root + "/_emulator/worlds", world, headers))
for _ in range(2):
    try:
        urllib.request.urlopen(urllib.request.Request(root + "/w/mine/v1/runs", headers=headers))
        break
    except OSError:
        pass
"""
"""Lists the runs of a world, which has a scenario of its own if the argument `own` is given."""
BLOCKED: Final = """
import sys

import importlib.util

find_spec = importlib.util.find_spec
importlib.util.find_spec = lambda name, *more: None if name == "rich" else find_spec(name, *more)
from zof_emulator.cli.main import main
main(sys.argv[1:])
"""
"""Runs the command as if a package of the extra were not installed."""


def check(
    *command: str,
    folder: Path | None = None,
    options: Sequence[str] = (),
    start: Sequence[str] = ("-m", "zof_emulator"),
) -> subprocess.CompletedProcess[str]:
    """Run `zof-emulator exec --check-client` with a command."""
    return subprocess.run(
        [sys.executable, *start, "exec", "--check-client", *options, "--", *command],
        cwd=folder,
        env=environment({}),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def test_a_hasty_client_is_found() -> None:
    """A client that repeats at once and without a key breaks the rules about that, and its reactions are described."""
    done = check(sys.executable, "-c", HASTY)
    assert done.returncode == 1
    for rule in ("idempotency.start-has-key", "idempotency.unkeyed-once", "retry.retry-after", "retry.growing"):
        assert f"VIOLATED  client.{rule}" in done.stdout
    assert [
        line for line in done.stderr.splitlines() if "throttled: POST /v1/runs was answered 429: sent again" in line
    ]
    assert [line for line in done.stderr.splitlines() if "reset: POST /v1/runs lost its answer: sent again" in line]
    assert "Traceback" not in done.stderr


def test_a_command_that_fails_unprovoked_is_not_tried_further() -> None:
    """A command that fails where nothing is provoked ends the check with its status."""
    done = check("sh", "-c", "exit 7")
    assert done.returncode == 7
    assert done.stdout == ""
    assert "throttled" not in done.stderr


def test_a_client_that_sends_nothing_is_not_judged() -> None:
    """A command that calls nothing ends the check with status 2, before anything is provoked."""
    done = check("true")
    assert (done.returncode, done.stdout) == (2, "")
    _, line = done.stderr.splitlines()
    assert "the command sent no request to the API at ZOF_BASE_URL or to another world" in line


def test_the_worlds_of_the_command_are_provoked() -> None:
    """A world that the command creates without a scenario meets the faults, and its reactions are described."""
    done = check(sys.executable, "-c", WORLD)
    assert "zof-emulator: throttled: world mine: GET /v1/runs was answered 429: sent again after" in done.stderr
    assert "VIOLATED  client.retry.retry-after" in done.stdout


def test_worlds_with_a_scenario_of_their_own_are_named() -> None:
    """If all requests go to worlds with a scenario of their own, the check ends with status 2 and names them."""
    done = check(sys.executable, "-c", WORLD, "own")
    assert (done.returncode, done.stdout) == (2, "")
    _, line = done.stderr.splitlines()
    assert "1 of 1 requests went to worlds with a scenario of their own (mine)" in line
    assert "create the worlds without one" in line


def test_some_requests_to_a_world_with_its_own_scenario_are_a_warning() -> None:
    """If only some requests go to such worlds, a warning names them."""
    recorder = TrafficRecorder()
    with recorder:
        recorder.requests.update({("", Scenario.DEFAULT): 3, **{(f"w{n}", Scenario.EMPTY): 1 for n in range(7)}})
        warning = check_requests(recorder, Scenario.DEFAULT)
    assert warning.startswith(
        "7 of 10 requests went to worlds with a scenario of their own (w0, w1, w2, w3, w4 and 2 more)"
    )


def test_a_world_that_is_reset_is_disturbed_again() -> None:
    """Webhooks are disturbed in each world, also after its reset."""
    (duplicates,) = [one for one in SITUATIONS if one.name == "duplicates"]
    app = create_app(make_settings(Settings(), duplicates), on_world_start=partial(disturb, duplicates))
    hosted = app.worlds.create("another", None)
    for _ in range(2):
        for each in (app.hosted, hosted):
            assert [rule.action for rule in each.world.outbox.rules.values()] == [Action.DUPLICATE]
            each.reset()


def test_a_failure_because_of_the_rate_limit_says_so() -> None:
    """If the command fails where nothing is provoked and met the rate limit, the message names its option."""
    done = check(sys.executable, "-c", HASTY + "raise SystemExit(1)", options=["--rate-limit", "1/60"])
    assert done.returncode == 1
    assert "nothing was provoked\n" in done.stderr
    greedy = HASTY.replace("break", "continue") + "raise SystemExit(1)"
    done = check(sys.executable, "-c", greedy, options=["--rate-limit", "1/60"])
    assert done.stderr.endswith(
        "the command ended with 1 though nothing was provoked; the emulator answered 429 (rate limit) 5 times: "
        "--rate-limit N/SECONDS or off raises the limit\n"
    )


def test_reports_are_those_of_the_judge(tmp_path: Path) -> None:
    """`--report` and `--report-dir` are passed on, and the folder is below that of the caller."""
    done = check(sys.executable, "-c", HASTY, folder=tmp_path, options=["--report", "junit", "--report-dir", "here"])
    assert done.returncode == 1
    assert "client.retry.retry-after" in (tmp_path / "here" / "junit.xml").read_text()


def test_the_formats_are_those_of_the_judge() -> None:
    """`--report` knows the formats of `zof-contracts client`."""
    assert REPORT_FORMATS == FORMATS


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--summary"], "give no --summary and no --journal"),
        (["--journal", "file"], "give no --summary and no --journal"),
        (["--load", "file"], "cannot use --load"),
        (["--report", "text,pdf"], "unknown report 'pdf': use text, json"),
    ],
)
def test_what_a_check_cannot_use(options: list[str], message: str) -> None:
    """An option that a check cannot use is refused in one line before the command runs."""
    done = check("sh", "-c", "echo ran", options=options)
    assert (done.returncode, done.stdout) == (2, "")
    (line,) = done.stderr.splitlines()
    assert message in line


def test_a_missing_extra_is_noticed_first() -> None:
    """Without the extra nothing runs, and the message says how to install it."""
    done = check("sh", "-c", "echo ran", start=("-c", BLOCKED))
    assert (done.returncode, done.stdout) == (2, "")
    (line,) = done.stderr.splitlines()
    assert line.endswith("package rich is not installed: pip install 'PATH/zof_emulator-VERSION.whl[contracts]'")


def test_the_packages_of_the_extra() -> None:
    """The packages that are looked for are those of the extra."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    names = [re.split("[<>=~!]", each)[0] for each in project["optional-dependencies"]["contracts"]]
    assert sorted(names) == sorted(PACKAGES)


@pytest.mark.parametrize("situation", SITUATIONS, ids=lambda each: each.name)
def test_a_situation_keeps_what_the_user_chose(situation: object) -> None:
    """The scenario and settings of the user stay; the situation adds to them."""
    own = {
        "seed": 7,
        "projects": [{"id": "proj_mine"}],
        "outcomes": [{"case": "tc_a", "status": "failed"}],
        "webhooks": [
            {"url": "http://127.0.0.1:9/hook", "events": ["run.completed"], "secret": "the-secret-of-the-user"}
        ],
    }
    settings = load_object(own).apply(Settings(journal=50))
    changed = make_settings(settings, situation)  # type: ignore[arg-type]  # what SITUATIONS holds
    saved = changed.scenario.to_json()
    assert isinstance(saved, dict)
    assert (changed.seed, changed.journal, saved["projects"][0]["id"]) == (7, 50, "proj_mine")
    assert saved["outcomes"][-1]["case"] == "tc_a"
    assert changed.scenario.data is not None
    assert [webhook.secret for webhook in changed.scenario.data.webhooks] == ["the-secret-of-the-user"]
    assert list(describe_client(create_app(changed))) == []


def test_the_emulator_does_not_import_the_harness() -> None:
    """The judgement is a process of its own."""
    for module in ("cli/provocation.py", "testing/client_check.py"):
        text = (ROOT / "emulator" / "zof_emulator" / module).read_text()
        assert "import zof_contracts" not in text
        assert "from zof_contracts" not in text
