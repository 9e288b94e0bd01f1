"""The pytest plugin: one test item per rule, in a pytest process of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Final
from xml.etree import ElementTree as ET

import pytest
from zof_contracts.contract.rules import RULES
from zof_contracts.pytest_plugin import REPEATED, STORED, SWITCHES
from zof_contracts.pytest_plugin.items import list_options
from zof_contracts.report import render

from tests.served import environment

if TYPE_CHECKING:
    from collections.abc import Callable

    from zof_contracts.evidence.verification import Verification

ROOT: Final = Path(__file__).parents[3]
KEY: Final = "zof_secret_main_1"
FAKE: Final = """
import json, pathlib, sys
import zof_contracts.pytest_plugin.items as items

def run_verification(options):
    with open("verified.txt", "a") as file:
        print(json.dumps([options["seed"], options["case"], len(options["include"]), options["strict"]]), file=file)
    return None

items.run_verification = run_verification
items.build_report = lambda _: json.loads(pathlib.Path("said.json").read_text())
"""
"""A plugin that replaces the verification by a fake."""


@pytest.fixture
def folder(tmp_path: Path, make: Callable[..., Verification]) -> Path:
    """The folder of another project."""
    (tmp_path / "fake.py").write_text(FAKE)
    (tmp_path / "said.json").write_text(render(make(), "json"))
    (tmp_path / "pytest.ini").write_text("[pytest]\n")
    return tmp_path


def run_pytest(
    folder: Path, *arguments: str, plugins: tuple[str, ...] = ("zof_contracts.pytest_plugin", "fake")
) -> tuple[int, str]:
    """Run pytest in a folder; return its exit status and its output."""
    path = os.pathsep.join((str(ROOT), str(folder)))
    words = [word for plugin in plugins for word in ("-p", plugin)]
    command = [sys.executable, "-m", "pytest", *words, "-p", "no:cacheprovider", *arguments]
    ran = subprocess.run(
        command,
        cwd=folder,
        env=environment({"PYTHONPATH": path, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}, measured=False),
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    return ran.returncode, ran.stdout + ran.stderr


HERE: Final = ("--zof-url", "http://127.0.0.1:1", "--zof-key", KEY, "--pyargs", "zof_contracts")


def test_one_item_a_rule(folder: Path) -> None:
    """A kept rule passes, a violated rule fails with its finding, and a rule not exercised is skipped."""
    code, printed = run_pytest(folder, *HERE, "-rs", "--junitxml", "junit.xml")
    assert code == 1
    assert f"1 failed, {len(RULES) - 3} passed, 2 skipped" in printed
    assert "expected: 409 for it" in printed
    assert "nothing shows it" in printed
    assert "Traceback" not in printed
    assert KEY not in printed
    cases = [case.get("name") for case in ET.parse(folder / "junit.xml").iter("testcase")]  # noqa: S314  our own
    assert cases == list(RULES)
    assert (folder / "verified.txt").read_text().count("\n") == 1


def test_a_choice(folder: Path) -> None:
    """`-k` selects the rules that are verified, and the options reach the verification."""
    code, printed = run_pytest(
        folder,
        *HERE,
        "-k",
        "runs.cancel",
        "--zof-seed",
        "5",
        "--zof-case",
        "tc_a",
        "--zof-case",
        "tc_b",
        "--zof-strict",
    )
    chosen = sum("runs.cancel" in name for name in RULES)
    assert code == 1
    assert f"{chosen} selected" in printed
    assert json.loads((folder / "verified.txt").read_text()) == [5, ["tc_a", "tc_b"], chosen, True]


def test_without_a_target(folder: Path) -> None:
    """Without a target there are no items, and nothing of the harness is loaded."""
    (folder / "test_own.py").write_text(
        "import sys\ndef test_own():\n"
        "    ours = {name for name in sys.modules if name.startswith('zof_')}\n"
        "    assert ours == {'zof_contracts', 'zof_contracts.pytest_plugin'}\n"
        "    assert not {'click', 'rich', 'schemathesis', 'yaml'} & set(sys.modules)\n"
    )
    code, printed = run_pytest(folder, plugins=("zof_contracts.pytest_plugin",))
    assert code == 0, printed
    assert "1 passed" in printed


def test_the_options_are_those_of_verify() -> None:
    """The plugin lists the options of `zof-contracts verify`, which it must not import, and how each is given."""
    kinds = {option.opts[-1].removeprefix("--"): (option.is_flag, option.multiple) for option in list_options()}
    listed = dict.fromkeys(STORED, (False, False)) | dict.fromkeys(REPEATED, (False, True))
    assert listed | dict.fromkeys(SWITCHES, (True, False)) == kinds


def test_without_a_key(folder: Path) -> None:
    """A verification that cannot be done ends the session with status 2 and one line."""
    (folder / "fake.py").write_text("")
    code, printed = run_pytest(folder, "--zof-url", "http://127.0.0.1:1", "--pyargs", "zof_contracts")
    assert code == 2
    assert "zof-contracts: no API key" in printed
    assert "Traceback" not in printed


def test_workers_share_one_verification(folder: Path) -> None:
    """The workers of one xdist run share one verification."""
    worker = f"import os\nos.environ['PYTEST_XDIST_TESTRUNUID'] = '{os.getpid()}-{time.time_ns()}'\n"
    (folder / "fake.py").write_text(worker + FAKE)
    assert run_pytest(folder, *HERE)[0] == 1
    assert run_pytest(folder, *HERE)[0] == 1
    assert (folder / "verified.txt").read_text().count("\n") == 1
