"""docs/traffic.md is right: commands run as printed, every option is named, and the numbers of rules agree."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click
import pytest
from zof_contracts.checks.recorded import PASSIVE_RULES
from zof_contracts.cli.check import check
from zof_contracts.cli.client import client
from zof_contracts.cli.coverage import coverage
from zof_contracts.cli.proxy import proxy
from zof_contracts.contract.client_rules import CLIENT_RULES
from zof_emulator.scenarios.situations import SITUATIONS

from tests.commands import run_manual
from tests.served import Server, environment

if TYPE_CHECKING:
    from click import Command

ROOT: Final = Path(__file__).parents[2]
README: Final = (ROOT / "README.md").read_text()
MANUAL: Final = (ROOT / "docs" / "traffic.md").read_text()


def test_the_commands_run_as_printed(tmp_path: Path) -> None:
    """The commands of the manual end with status 0 and say what it says."""
    script, _ = re.findall(r"```sh\n(.*?)```", MANUAL, re.DOTALL)
    assert len(script.splitlines()) <= 10
    (tmp_path / "examples").symlink_to(ROOT / "examples")
    with Server("--quiet") as server:
        done = run_manual(script, server.port, tmp_path)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    assert "Never seen, operations:" in done.stdout
    assert {path.name for path in (tmp_path / "contract-report").iterdir()} == {
        "report.json",
        "junit.xml",
        "report.sarif",
        "report.html",
    }


def test_the_commands_of_the_readme_run_as_printed(tmp_path: Path) -> None:
    """The commands of README that judge a client and its traffic, and compare two deployments, end with status 0."""
    (script,) = re.findall(r"```sh\n(export ZOF_API_KEY=(?:(?!```).)*contracts client.*?)```", README, re.DOTALL)
    assert len(script.splitlines()) <= 10
    (tmp_path / "examples").symlink_to(ROOT / "examples")
    with Server("--quiet") as server:
        done = run_manual(script, server.port, tmp_path)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    assert done.stdout.count("Exit status 0: no violation was found.") == 2
    assert "% of the parts were seen" in done.stdout
    assert "no difference in " in done.stdout


def test_the_test_runs_as_printed(tmp_path: Path) -> None:
    """The pytest example of the manual passes with a client that follows the advice."""
    (example,) = re.findall(r"```python\n(.*?)```", MANUAL, re.DOTALL)
    assert len(example.splitlines()) <= 10
    client = """
import httpx
import time

def run_my_client(base_url, api_key):
    for wait in (0.1, 0.2, 0.4, 0.8):
        headers = {"Authorization": f"Bearer {api_key}"}
        answer = httpx.get(f"{base_url}/runs", headers=headers, trust_env=False)
        if answer.is_success:
            return
        time.sleep(float(answer.headers.get("Retry-After", wait)))
"""
    (tmp_path / "test_manual.py").write_text(client + example)
    command = [sys.executable, "-m", "pytest", "-p", "zof_emulator.testing.plugin", "-W", "error"]
    variables = environment({"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}, measured=False)
    ran = subprocess.run(command, cwd=tmp_path, env=variables, capture_output=True, text=True, check=False, timeout=120)
    assert ran.returncode == 0, ran.stdout + ran.stderr


def test_the_situations_are_described() -> None:
    """The manual has a row for each situation, in their order."""
    table = MANUAL.partition("| situation |")[2].partition("\n\n")[0]
    assert re.findall(r"^\| `(\w+)`", table, re.MULTILINE) == [each.name for each in SITUATIONS]
    assert len(SITUATIONS) == 10


@pytest.mark.parametrize("command", [client, coverage, check, proxy], ids=lambda each: str(each.name))
def test_every_option_is_named(command: Command) -> None:
    """The manual has a row for every option of the commands on traffic."""
    for option in command.params:
        if isinstance(option, click.Option):
            for name in (*option.opts, *option.secondary_opts):
                assert re.search(rf"^\| [^|]*`{name}`", MANUAL, re.MULTILINE), name


def test_the_numbers_of_rules_agree() -> None:
    """The manual says how many rules there are."""
    assert f"the {len(CLIENT_RULES)} rules" in MANUAL
    assert f"{len(PASSIVE_RULES)} of the rules" in MANUAL
    groups = set(re.findall(r"`(client[.]\w+)[.][*]`", MANUAL))
    assert groups == {name.rpartition(".")[0] for name in CLIENT_RULES}
