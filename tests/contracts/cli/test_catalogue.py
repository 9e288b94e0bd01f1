"""The commands `rules` and `explain`, and `python -m zof_contracts`."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Final

import pytest
from zof_contracts.cli.main import main
from zof_contracts.contract.rules import RULES

from tests.served import environment

ROOT: Final = Path(__file__).parents[3]


def exit_code(*arguments: str) -> object:
    """Run a command line and return its exit status."""
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    return ended.value.code


def test_rules(capsys: pytest.CaptureFixture[str]) -> None:
    """`rules` lists every rule with its basis, sources and needs, as text and as JSON."""
    assert exit_code("rules") == 0
    lines = capsys.readouterr().out.splitlines()
    for name, rule in RULES.items():
        line = next(line for line in lines if line.startswith(f"  {name} "))
        assert f"  {rule.basis}" in line
        assert all(need in line for need in rule.needs)
    assert exit_code("rules", "--format", "json", "--section", "11") == 0
    said = json.loads(capsys.readouterr().out)
    assert [each["name"] for each in said] == [name for name in RULES if name.startswith("projects.")]


@pytest.mark.parametrize("name", RULES)
def test_explain(capsys: pytest.CaptureFixture[str], name: str) -> None:
    """`explain` prints every rule's promise, its check and how to mend a finding."""
    assert exit_code("explain", name) == 0
    out = re.sub(r"\s+", " ", capsys.readouterr().out)
    for text in (RULES[name].sentence, RULES[name].how, RULES[name].mend):
        assert re.sub(r"\s+", " ", text).strip() in out


@pytest.mark.parametrize("group", ["runs.cancel", "client.retry", "tenants", "runs.*"])
def test_explain_a_group(capsys: pytest.CaptureFixture[str], group: str) -> None:
    """`explain` lists the rules of a group."""
    assert exit_code("explain", group) == 0
    lines = capsys.readouterr().out.splitlines()
    names = [line for line in lines[:-1] if not line.startswith(" ")]
    assert names
    assert all(name.startswith(f"{group.removesuffix('.*')}.") for name in names)
    assert lines[-1].startswith(f"{len(names)} rules.")


def test_explain_a_slip(capsys: pytest.CaptureFixture[str]) -> None:
    """`explain` refuses an unknown rule, with a suggestion."""
    assert exit_code("explain", "runs.cancel.rase") == 2
    assert "did you mean 'runs.cancel.race'?" in capsys.readouterr().err


def test_as_a_module() -> None:
    """`python -m zof_contracts` is the command `zof-contracts`."""
    command = [sys.executable, "-m", "zof_contracts", "explain", "runs.cancel.race"]
    ran = subprocess.run(
        command, cwd=ROOT, env=environment({}), capture_output=True, text=True, check=False, timeout=60
    )
    assert (ran.returncode, ran.stderr) == (0, "")
    assert ran.stdout.startswith("runs.cancel.race\n")
