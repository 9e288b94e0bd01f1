"""docs/contracts.md and the README are right about the harness: commands run as printed, every option is named."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click
import pytest
from zof_contracts.cli.verify import verify
from zof_contracts.contract.rules import RULES
from zof_contracts.report import FILES
from zof_contracts.report.curl import name_key_variable
from zof_contracts.target.target import KEYS

from tests.served import Server, environment

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT: Final = Path(__file__).parents[2]
MANUAL: Final = (ROOT / "docs" / "contracts.md").read_text()
README: Final = (ROOT / "README.md").read_text()
SHELL: Final = re.findall(r"```sh\n(.*?)```", MANUAL, re.DOTALL)
OPTIONS: Final = [each for each in verify.params if isinstance(each, click.Option)]


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    """An emulator with a manual clock."""
    with Server("--clock", "manual", "--quiet") as running:
        yield running


def run_script(script: str, server: Server, folder: Path) -> str:
    """Run a script as printed, but for the port and the path of the command; return its output."""
    script = script.replace("9630", str(server.port)).replace("scripts/contracts", "contracts_of_the_tests")
    here = f'contracts_of_the_tests() {{ "{sys.executable}" -P -m zof_contracts "$@"; }}\nset -eu\n'
    variables = environment({})
    for option in OPTIONS:
        variables.pop(str(option.envvar), None)
    variables["ZOF_CONTRACTS_MAX_EXAMPLES"] = "0"  # generated requests take long and are tested elsewhere
    done = subprocess.run(
        ["/bin/sh"],
        input=here + script,
        capture_output=True,
        text=True,
        cwd=folder,
        env=variables,
        check=False,
        timeout=180,
    )
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    return done.stdout


@pytest.mark.parametrize("script", SHELL, ids=[f"block {number}" for number in range(1, len(SHELL) + 1)])
def test_the_commands_of_the_manual(server: Server, tmp_path: Path, script: str) -> None:
    """Every command of the manual runs as printed, and finds nothing in the emulator."""
    assert run_script(script, server, tmp_path)
    if "html" in script:
        assert {path.name for path in (tmp_path / "contract-report").iterdir()} == {"report.html", "junit.xml"}


def test_the_command_of_the_readme(server: Server, tmp_path: Path) -> None:
    """The command of the README runs as printed, and finds nothing in the emulator."""
    command = re.search(r"^scripts/contracts verify .*$", README, re.MULTILINE)
    assert command
    assert "rules that were exercised" in run_script(command[0], server, tmp_path)
    assert f"{len(RULES)} rules" in README


def test_the_python_of_the_manual() -> None:
    """The Python of the manual runs as printed."""
    code = re.search(r"```python\n(.*?)```", MANUAL, re.DOTALL)
    assert code
    done = subprocess.run(
        [sys.executable, "-c", code[1]],
        cwd=ROOT,
        env=environment({}),
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.endswith(" []\n")


@pytest.mark.parametrize("option", OPTIONS, ids=lambda one: one.name)
def test_an_option_is_named(option: click.Option) -> None:
    """The manual names every option with its environment variable and its default."""
    names = ", ".join(f"`{name}`" for name in option.opts)
    row = next(line for line in MANUAL.splitlines() if line.startswith((f"| {names} | `ZOF", f"| {names}, ")))
    _, names, envvar, default, _, _ = row.split("|")
    assert re.findall(r"`(.*?)`", names) == [*option.opts, *option.secondary_opts]
    assert envvar.strip() == f"`{option.envvar}`"
    if isinstance(option.default, int | str) and option.default is not False and option.default != "":
        assert default.strip() == f"`{option.default}`"


@pytest.mark.parametrize("form", FILES)
def test_a_report_is_named(form: str) -> None:
    """The manual names every report and its file."""
    row = next(line for line in MANUAL.splitlines() if line.startswith(f"| `{form}` |"))
    assert form == "text" or f"`{FILES[form]}`" in row


def test_keys_are_named() -> None:
    """The manual names the variable of every key."""
    assert all(f"`{name_key_variable(key)}`" in MANUAL for key in KEYS)


@pytest.mark.skipif(not (ROOT / ".venv").exists() or shutil.which("sh") is None, reason="needs a checkout's .venv")
def test_the_script(tmp_path: Path) -> None:
    """`scripts/contracts` works from any folder."""
    command = [str(ROOT / "scripts" / "contracts"), "explain", "runs.cancel.race"]
    variables = {**os.environ, "PYTHON": ""}
    done = subprocess.run(
        command, cwd=tmp_path, env=variables, capture_output=True, text=True, check=False, timeout=120
    )
    assert (done.returncode, done.stdout.splitlines()[:1]) == (0, ["runs.cancel.race"]), done.stderr


def test_the_rules_of_webhooks_are_counted() -> None:
    """The manual gives the number of rules of section 10, and names each key, case and clock that some of them need."""
    rules = [rule for rule in RULES.values() if rule.section == 10]
    assert f"\nThe {len(rules)} rules of section 10 " in MANUAL
    chapter = MANUAL.partition("\n## Webhooks\n")[2].partition("\n## ")[0]
    for rule in rules:
        if rule.needs - {"full", "receiver"}:
            assert f"`{rule.name}`" in chapter
