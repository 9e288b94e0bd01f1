"""The fixture `zof` in a user's project, run by pytest as users run it."""

from __future__ import annotations

import pickle
import re
import subprocess
import sys
from typing import TYPE_CHECKING, Final

import pytest
from zof_emulator.testing import ControlError

from tests.served import environment

if TYPE_CHECKING:
    from pathlib import Path

USERS_TESTS: Final = """
import pytest

ORDER = {"project_id": "proj_a", "environment": "staging", "test_suite_id": "suite_checkout"}

@pytest.mark.parametrize("nth", range(3))
def test_each_test_has_a_world_of_its_own(zof, nth):
    assert len(zof.client.get("/runs").json()["data"]) == 2
    assert zof.client.post("/runs", json=ORDER).status_code == 201

@pytest.mark.zof(clock="manual", seed=7)
class TestMarked:
    def test_of_the_class(self, zof):
        assert zof.clock.mode == "manual"

    @pytest.mark.zof(clock="auto")
    def test_the_nearest_marker_wins(self, zof):
        assert zof.clock.mode == "auto"

@pytest.mark.anyio
async def test_asynchronous(zof):
    async with zof.make_async_client() as client:
        assert (await client.get("/projects")).status_code == 200
"""
OURS: Final = ("-p", "zof_emulator.testing.plugin", "-p", "anyio", "--strict-markers", "-W", "error")
SCENARIO: Final = """
import pytest

ORDER = {"project_id": "proj_a", "environment": "staging", "test_case_ids": ["tc_a"]}

def end_of(zof):
    run = zof.client.post("/runs", json=ORDER).json()["id"]
    zof.clock.advance(until="run_ended", run_id=run)
    return zof.client.get(f"/runs/{run}").json()["status"]

@pytest.mark.zof(scenario="slow-queue", clock="manual")
def test_a_built_in_one(zof):
    assert zof.client.get("/runs").json()["data"][0]["status"] == "queued"

@pytest.mark.zof(scenario={"outcomes": [{"case": "tc_a", "status": "error"}]}, clock="manual")
def test_a_dict(zof):
    assert end_of(zof) == "error"

@pytest.mark.zof(scenario="data/own.yaml")
class TestFile:
    def test_a_file_beside_the_module(self, zof):
        assert zof.api_key == "zof_key_of_the_file"
        assert end_of(zof) == "failed"
        assert zof.client.get("/runs").json()["data"][0]["organization_id"] == "org_own"

@pytest.mark.zof(scenario="slow-queu")
def test_an_unknown_one(zof): ...

@pytest.mark.zof(scenario={"outcomes": [{"status": "fail"}]})
def test_a_wrong_one(zof): ...
"""
OWN: Final = """
base: none
clock: manual
organizations: [{id: org_own}]
keys: [{secret: zof_key_of_the_file, role: QA Lead}]
outcomes: [{case: tc_a, status: failed}]
"""
FAILING: Final = """
def test_that_fails(zof):
    zof.client.get("/runs/run_missing")
    assert False

def test_without_the_fixture():
    assert False
"""
WRONG: Final = """
import pytest

@pytest.mark.zof("manual")
def test_positional(zof): ...

@pytest.mark.zof(clock="fast")
def test_value(zof): ...
"""


def run_pytest(folder: Path, tests: str, *arguments: str) -> tuple[int, str]:
    """Run pytest on a file of tests with no plugin but ours and anyio's: the exit status and what it prints."""
    (folder / "test_users.py").write_text(tests)
    done = subprocess.run(
        [sys.executable, "-m", "pytest", *OURS, *arguments],
        cwd=folder,
        env=environment({"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}, measured=False),
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    return done.returncode, done.stdout + done.stderr


def test_a_world_for_each_test(tmp_path: Path) -> None:
    """Each test has a world of its own, which the nearest marker configures; asynchronous tests too."""
    (tmp_path / "conftest.py").write_text(
        "import pytest\n\n@pytest.fixture\ndef anyio_backend():\n    return 'asyncio'\n"
    )
    code, printed = run_pytest(tmp_path, USERS_TESTS)
    assert code == 0, printed
    assert "6 passed" in printed


def test_a_marker_without_the_fixture(tmp_path: Path) -> None:
    """A marked test without the fixture is a warning of one line; a marked module may hold such tests."""
    tests = """
import pytest

pytestmark = pytest.mark.zof(clock="manual")

@pytest.mark.zof(seed=1)
def test_marked(): ...

def test_of_the_module(): ...
"""
    code, printed = run_pytest(tmp_path, tests, "-W", "default")
    assert code == 0, printed
    assert printed.count("the marker zof has no effect on a test without the fixture zof") == 1
    assert "2 passed, 1 warning" in printed


def test_the_name_of_an_error_is_the_one_that_users_import(tmp_path: Path) -> None:
    """The summary of pytest has room for the message, since the name of the error is short."""
    tests = "def test_it(zof):\n    zof.clock.advance(ms=-1)\n"
    code, printed = run_pytest(tmp_path, tests)
    assert code == 1
    assert re.search(r"^E +zof_emulator\.testing\.ControlError: ", printed, re.MULTILINE)
    assert pickle.loads(pickle.dumps(ControlError)) is ControlError  # noqa: S301  our own bytes


def test_under_xdist(tmp_path: Path) -> None:
    """The processes of xdist each have an emulator of their own."""
    code, printed = run_pytest(
        tmp_path, USERS_TESTS.replace("range(3)", "range(40)"), "-p", "xdist", "-n", "2", "-k", "own"
    )
    assert code == 0, printed
    assert "40 passed" in printed


def test_a_failed_test_shows_its_last_requests(tmp_path: Path) -> None:
    """The report of a failed test that used the fixture ends with the requests of its world; others do not."""
    code, printed = run_pytest(tmp_path, FAILING)
    assert code == 1
    assert printed.count("zof: the last requests of this test") == 1
    assert re.search(r"1  GET /v1/runs/run_missing -> 404 \(run_not_found\)", printed)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("test_positional", "the marker zof takes keyword arguments only, not ('manual',)"),
        ("test_value", "clock must be one of: real, manual, auto"),
    ],
)
def test_a_wrong_marker(tmp_path: Path, name: str, message: str) -> None:
    """An invalid marker is an error of its test, with a message that names what is allowed."""
    code, printed = run_pytest(tmp_path, WRONG, "-k", name)
    assert code == 1
    assert message in printed


def test_a_wrong_value_shows_no_code_of_ours(tmp_path: Path) -> None:
    """A world that cannot be created is explained in one line, without a traceback."""
    code, printed = run_pytest(tmp_path, WRONG, "-k", "test_value")
    assert code == 1
    assert "\ncannot create the world of this test: clock must be one of: real, manual, auto\n" in printed
    assert "Traceback" not in printed
    assert "def " not in printed


def test_who_does_not_use_the_fixture_pays_nothing(tmp_path: Path) -> None:
    """Without the fixture, the plugin loads three modules of ours and no others."""
    code, printed = run_pytest(
        tmp_path,
        "import sys\ndef test_own():\n"
        "    ours = {name for name in sys.modules if name.startswith('zof_')}\n"
        "    assert ours == {'zof_emulator', 'zof_emulator.testing', 'zof_emulator.testing.plugin'}\n"
        "    assert not {'starlette', 'uvicorn', 'httpx', 'orjson'} & set(sys.modules)\n",
    )
    assert code == 0, printed


def test_scenarios(tmp_path: Path) -> None:
    """The marker takes a built-in name, a file beside the module and a dict, and mistakes are explained."""
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "own.yaml").write_text(OWN)
    status, output = run_pytest(tmp_path, SCENARIO, "--rootdir", "/")
    assert status == 1
    assert "3 passed, 2 errors" in output
    assert "'slow-queu' is neither a file nor a built-in scenario; the nearest is slow-queue" in output
    assert 'outcomes[0].status: "fail" is not one of passed, failed, error; the nearest is failed' in output
