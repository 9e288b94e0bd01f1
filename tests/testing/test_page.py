"""docs/pytest.md: its reference is what the docstrings generate, and its examples run as printed."""

from __future__ import annotations

import re
import runpy
import subprocess
import sys
from pathlib import Path
from typing import Any, Final

from tests.served import environment

ROOT: Final = Path(__file__).parents[2]
SCRIPT: Final[dict[str, Any]] = runpy.run_path(str(ROOT / "scripts" / "pytest_page.py"))
PAGE: Final = (ROOT / "docs" / "pytest.md").read_text(encoding="utf-8")
PROGRAMS: Final = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)


def test_the_page_is_current() -> None:
    """The reference is what the docstrings generate; if not, run scripts/pytest_page.py. No member lacks a meaning."""
    assert SCRIPT["render_page"](PAGE) == PAGE
    assert "|  |" not in PAGE


def test_the_programs_of_the_page(tmp_path: Path) -> None:
    """The tests, the program without pytest and the `conftest.py` of the page run as printed."""
    tests, program, conftest = PROGRAMS
    (tmp_path / "test_client.py").write_text(tests)
    (tmp_path / "test_program.py").write_text(program)
    (tmp_path / "conftest.py").write_text(conftest)
    command = [sys.executable, "-m", "pytest", "-q", "-p", "zof_emulator.testing.plugin", "-W", "error"]
    variables = environment({"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}, measured=False)
    ran = subprocess.run(command, cwd=tmp_path, env=variables, capture_output=True, text=True, check=False, timeout=60)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert "2 passed" in ran.stdout
    assert len(list((tmp_path / "journals").glob("*.ndjson"))) == 2
