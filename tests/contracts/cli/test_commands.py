"""Help, version and catalogue of `zof-contracts`, with and without the extra `contracts`."""

from __future__ import annotations

import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Final

import pytest

from tests.served import environment

ROOT: Final = Path(__file__).parents[3]
BLOCKED: Final = """
import sys

class Missing:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {"hypothesis", "rich", "schemathesis"}:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

sys.meta_path.insert(0, Missing())
from zof_contracts.__main__ import main
main(sys.argv[1:])
"""
"""Runs the command as if the extra were not installed."""


def run_command(*arguments: str, extra: bool = True) -> tuple[int, str, str]:
    """Run the command; return its exit status, standard output and standard error."""
    start = ["-m", "zof_contracts"] if extra else ["-c", BLOCKED]
    done = subprocess.run(
        [sys.executable, *start, *arguments],
        env=environment({}),
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    return done.returncode, done.stdout, done.stderr


def test_no_arguments_print_the_help() -> None:
    """Without arguments the command prints what `--help` prints, and exits with 0."""
    assert run_command() == run_command("--help")
    code, out, err = run_command()
    assert (code, err) == (0, "")
    assert out.startswith("Usage: zof-contracts [OPTIONS] [COMMAND]")
    assert "verify" in out


def test_version_is_the_version_of_the_distribution() -> None:
    """`--version` prints the version that pyproject.toml gives, in a checkout as in a wheel."""
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    assert run_command("--version") == (0, f"zof-contracts, version {version}\n", "")


@pytest.mark.parametrize(
    "arguments",
    [(), ("--help",), ("--version",), ("verify", "--help"), ("rules",), ("explain", "runs.cancel.race")],
    ids=lambda arguments: " ".join(arguments) or "no arguments",
)
def test_help_and_catalogue_need_no_extra(arguments: tuple[str, ...]) -> None:
    """Without the extra, help, version, `rules` and `explain` print what they print with it."""
    assert run_command(*arguments, extra=False) == run_command(*arguments)


def test_verify_names_the_missing_extra() -> None:
    """Without the extra, `verify` exits with 2 after one line that names the extra."""
    code, out, err = run_command("verify", "--url", "http://127.0.0.1:1", "--key", "zof_secret", extra=False)
    assert (code, out) == (2, "")
    assert err.startswith("zof-contracts: error: package ")
    assert err.endswith("is not installed: pip install 'PATH/zof_emulator-VERSION.whl[contracts]'\n")
    assert err.count("\n") == 1


def test_help_fits_a_terminal_of_80_columns() -> None:
    """No line of a help text is longer than 80 characters."""
    for arguments in ((), ("verify",), ("rules",), ("explain",)):
        _, out, _ = run_command(*arguments, "--help")
        assert max(len(line) for line in out.splitlines()) <= 80


def test_as_a_module() -> None:
    """`python -m zof_contracts` is the command `zof-contracts`."""
    command = [sys.executable, "-m", "zof_contracts", "explain", "runs.cancel.race"]
    ran = subprocess.run(
        command, cwd=ROOT, env=environment({}), capture_output=True, text=True, check=False, timeout=60
    )
    assert (ran.returncode, ran.stderr) == (0, "")
    assert ran.stdout.startswith("runs.cancel.race\n")
