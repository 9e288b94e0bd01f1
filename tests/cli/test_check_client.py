"""`zof-emulator exec --check-client` tries a client in several situations and has it judged."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING, Final

import pytest
from zof_emulator import Settings, create_app
from zof_emulator.cli.provocation import describe_client, make_settings
from zof_emulator.scenarios.load import load_object
from zof_emulator.scenarios.situations import SITUATIONS

from tests.served import ROOT, environment

if TYPE_CHECKING:
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


def check(*command: str, folder: Path | None = None) -> subprocess.CompletedProcess[str]:
    """Run `zof-emulator exec --check-client` with a command."""
    return subprocess.run(
        [sys.executable, "-m", "zof_emulator", "exec", "--check-client", "--", *command],
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
    """A command that calls nothing ends with status 2."""
    done = check("true")
    assert done.returncode == 2
    assert "no exchange with the API" in done.stderr


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
