"""The pytest plugin: one test item per rule, in a pytest process of its own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
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
    from collections.abc import Callable, Mapping

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
    folder: Path,
    *arguments: str,
    plugins: tuple[str, ...] = ("zof_contracts.pytest_plugin", "fake"),
    variables: Mapping[str, str] | None = None,
) -> tuple[int, str]:
    """Run pytest in a folder; return its exit status and its output."""
    known = {"PYTHONPATH": os.pathsep.join((str(ROOT), str(folder))), "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    words = [word for plugin in plugins for word in ("-p", plugin)]
    command = [sys.executable, "-m", "pytest", *words, "-p", "no:cacheprovider", *arguments]
    ran = subprocess.run(
        command,
        cwd=folder,
        env=environment({**known, **(variables or {})}, measured=False),
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


XDIST: Final = ("zof_contracts.pytest_plugin", "fake", "xdist.plugin")


def test_workers_share_one_verification(folder: Path) -> None:
    """The workers of xdist share one verification, and leave nothing behind."""
    (folder / "tmp").mkdir()
    variables = {"TMPDIR": str(folder / "tmp")}
    code, printed = run_pytest(folder, *HERE, "-n", "2", "-k", "runs.cancel", plugins=XDIST, variables=variables)
    assert code == 1, printed
    assert "1 failed" in printed
    assert (folder / "verified.txt").read_text().count("\n") == 1
    assert list((folder / "tmp").glob("zof-*")) == []
    assert not (folder / ".hypothesis").exists()


def test_workers_say_why_a_target_cannot_be_verified(folder: Path) -> None:
    """Under xdist each item fails with the reason for which the target cannot be verified."""
    (folder / "fake.py").write_text("")
    selected = (*HERE, "-n", "2", "-k", "runs.cancel.race or pages.walk")
    code, printed = run_pytest(folder, *selected, plugins=XDIST)
    assert code == 1
    assert printed.count("zof-contracts: 127.0.0.1:1 cannot be reached") >= 2
    assert "INTERNALERROR" not in printed
    assert "Traceback" not in printed


@pytest.mark.parametrize("workers", [(), ("-n", "2")], ids=["alone", "xdist"])
def test_a_target_without_the_rules(folder: Path, workers: tuple[str, ...]) -> None:
    """A target without --pyargs zof_contracts is a usage error, because nothing would be verified."""
    (folder / "test_own.py").write_text("def test_own():\n    pass\n")
    code, printed = run_pytest(folder, "--zof-url", "http://127.0.0.1:1", "--zof-key", KEY, *workers, plugins=XDIST)
    assert code == pytest.ExitCode.USAGE_ERROR
    assert "no rule was collected: add --pyargs zof_contracts" in printed
    assert "Traceback" not in printed


def test_no_rule_selected(folder: Path) -> None:
    """Rules that are collected and deselected by -k are no usage error."""
    code, printed = run_pytest(folder, *HERE, "-k", "no_such_rule")
    assert code == pytest.ExitCode.NO_TESTS_COLLECTED
    assert "no rule was collected" not in printed


def test_without_the_extra(folder: Path) -> None:
    """Without the extra a named target is a usage error of one line, and without a target the tests run."""
    (folder / "fake.py").write_text(
        "import sys\n"
        "class Missing:\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        "        if name.partition('.')[0] in {'hypothesis', 'rich', 'schemathesis'}:\n"
        "            raise ModuleNotFoundError(f'No module named {name!r}', name=name)\n"
        "sys.meta_path.insert(0, Missing())\n"
    )
    (folder / "test_own.py").write_text("def test_own():\n    pass\n")
    plugins = ("fake", "zof_contracts.pytest_plugin")
    code, printed = run_pytest(folder, *HERE, plugins=plugins)
    assert code == pytest.ExitCode.USAGE_ERROR
    (line,) = printed.strip().splitlines()
    assert line.startswith("ERROR: zof-contracts: package ")
    assert line.endswith("is not installed: pip install 'PATH/zof_emulator-VERSION.whl[contracts]'")
    assert run_pytest(folder, plugins=plugins)[0] == 0


def test_the_rules_without_a_target(folder: Path) -> None:
    """Naming the package without a target is a usage error that names the options."""
    code, printed = run_pytest(folder, "--pyargs", "zof_contracts")
    assert code == pytest.ExitCode.USAGE_ERROR
    assert printed.strip() == "ERROR: zof-contracts: no target: give one with --zof-url or --zof-app"
