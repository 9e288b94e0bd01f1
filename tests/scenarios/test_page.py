"""docs/scenarios.md and the schema file: they are what the schema generates, and the examples run as printed."""

from __future__ import annotations

import json
import re
import runpy
import subprocess
import sys
from pathlib import Path
from typing import Any, Final

import jsonschema_rs
import pytest
from zof_emulator.scenarios import load as loading
from zof_emulator.scenarios.load import list_names, load_file, read_builtin
from zof_emulator.scenarios.tree import read_tree

from tests.served import environment
from tests.zof import Zof

ROOT: Final = Path(__file__).parents[2]
SCRIPT: Final[dict[str, Any]] = runpy.run_path(str(ROOT / "scripts" / "scenario_page.py"))
PAGE: Final = (ROOT / "docs" / "scenarios.md").read_text(encoding="utf-8")
SCHEMA_FILE: Final = Path(loading.__file__).parent / "schema.json"


def blocks(language: str) -> list[str]:
    """The blocks of the page in a language."""
    return re.findall(rf"```{language}\n(.*?)```", PAGE, re.DOTALL)


def test_the_page_is_current() -> None:
    """The reference and the schema file are what the schema generates; if not, run scripts/scenario_page.py."""
    assert SCRIPT["render_page"](PAGE) == PAGE
    assert SCRIPT["render_schema"]() == SCHEMA_FILE.read_text(encoding="utf-8")


def test_the_schema_file_accepts_the_built_in_scenarios() -> None:
    """An editor that validates by the schema file finds no mistake in a built-in scenario, and finds a mistake."""
    validator = jsonschema_rs.Draft202012Validator(json.loads(SCHEMA_FILE.read_text(encoding="utf-8")))
    for name in list_names():
        text = read_builtin(name)
        assert not text or validator.is_valid(read_tree(text.encode()).value)
    assert not validator.is_valid({"capcity": 1})


def test_the_scenario_of_the_page(tmp_path: Path) -> None:
    """The scenario that the page begins with has at most ten lines and no mistake."""
    (text,) = blocks("yaml")
    assert len(text.splitlines()) <= 10
    file = tmp_path / "nightly.yaml"
    file.write_text(text)
    assert load_file(file).scenario.runs[0].count == 250


def test_the_requests_of_the_page() -> None:
    """The bodies of the requests on the page are accepted."""
    (text,) = blocks("sh")
    world, scenario = (json.loads(one) for one in re.findall(r"-d '(.*)'", text))
    zof = Zof()
    assert zof.tell("POST", "/worlds", world).status == 201
    assert zof.tell("PUT", "/scenario", scenario).status == 200


def test_the_test_of_the_page(tmp_path: Path) -> None:
    """The test on the page passes as printed."""
    (text,) = blocks("python")
    (tmp_path / "test_page.py").write_text(text)
    command = [sys.executable, "-m", "pytest", "-p", "zof_emulator.testing.plugin", "-W", "error"]
    variables = environment({"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}, measured=False)
    ran = subprocess.run(command, cwd=tmp_path, env=variables, capture_output=True, text=True, check=False, timeout=60)
    assert ran.returncode == 0, ran.stdout + ran.stderr


@pytest.mark.parametrize("name", list_names())
def test_every_built_in_scenario_is_on_the_page(name: str) -> None:
    """The page and README name every built-in scenario."""
    assert f"| `{name}` |" in PAGE
    assert f"`{name}`" in (ROOT / "README.md").read_text(encoding="utf-8")
