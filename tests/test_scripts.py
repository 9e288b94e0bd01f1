"""`scripts/venv`: what it installs and when, and what it prints. `.ci/run`: its order and its exit status."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Final

import pytest

ROOT: Final = Path(__file__).parents[1]
FAKE: Final = """#!/bin/sh
# Stands in for the Python of .venv: records what pip is asked to do, and does everything else for real.
[ "$1$2" = -mpip ] || exec {python} "$@"
printf '%s\\n' "$*" >>{log}
cat {folder}/says >&2 2>/dev/null
exit $(cat {folder}/status 2>/dev/null || echo 0)
"""


class Checkout:
    """A checkout whose `.venv` is complete for the server, with a pip that only records its arguments."""

    def __init__(self, folder: Path) -> None:
        self.root = folder / "a checkout"
        self.venv = self.root / ".venv"
        self._folder = folder
        for name in ("scripts", "requirements"):
            shutil.copytree(ROOT / name, self.root / name)
        shutil.copy(ROOT / "pyproject.toml", self.root)

    def complete(self) -> None:
        """Make `.venv` as a complete installation for the server leaves it."""
        python = self.venv / "bin" / "python"
        python.parent.mkdir(parents=True)
        paths = {"python": sys.executable, "log": self._folder / "log", "folder": self._folder}
        python.write_text(FAKE.format(**{name: shlex.quote(str(path)) for name, path in paths.items()}))
        python.chmod(0o755)
        locked = self.venv / "locked"
        locked.mkdir()
        for name in ("requirements/serve.txt", "pyproject.toml"):
            shutil.copy(self.root / name, locked)
        (locked / "path").write_text(f"{self.venv}\n")

    def change(self, name: str) -> None:
        """Append an empty line to a file."""
        with (self.root / name).open("a") as file:
            file.write("\n")

    def break_pip(self, message: str) -> None:
        """Let pip fail from now on, with a message."""
        (self._folder / "says").write_text(message)
        (self._folder / "status").write_text("1")

    def mend_pip(self) -> None:
        """Let pip succeed from now on."""
        for name in ("says", "status"):
            (self._folder / name).unlink()

    def start(self, *, python: str = sys.executable) -> subprocess.Popen[str]:
        """Start `scripts/venv serve` with the interpreter that the user names."""
        return subprocess.Popen(
            [str(self.root / "scripts" / "venv"), "serve"],
            env={**os.environ, "PYTHON": python},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def install(self, *, python: str = sys.executable) -> tuple[int, str, list[str]]:
        """Run `scripts/venv serve`: its exit status, its stdout and its lines on stderr."""
        process = self.start(python=python)
        out, err = process.communicate(timeout=60)
        return process.returncode, out, err.splitlines()

    def pip_calls(self) -> list[str]:
        """The things that pip was asked to install since the last call: the lock file, or the checkout."""
        log = self._folder / "log"
        lines = log.read_text().splitlines() if log.exists() else []
        log.unlink(missing_ok=True)
        return ["checkout" if " -e " in line else "requirements" for line in lines]


@pytest.fixture
def bare(tmp_path: Path) -> Checkout:
    """A checkout in which nothing is installed, in a folder whose name has a space."""
    return Checkout(tmp_path)


@pytest.fixture
def checkout(bare: Checkout) -> Checkout:
    """A checkout in which the server's requirements are installed."""
    bare.complete()
    return bare


def test_an_unsuitable_python_is_one_clear_line(bare: Checkout) -> None:
    """An interpreter that is too old is named in one line on stderr, with exit status 2, and nothing is left behind."""
    said = "zof-emulator: PYTHON=/bin/false is not a Python 3.11 or later"
    assert bare.install(python="/bin/false") == (2, "", [said])
    assert not bare.venv.exists()


def test_a_second_use_installs_nothing(checkout: Checkout) -> None:
    """Where the installed files are those of the checkout, nothing is installed and nothing is printed."""
    assert checkout.install() == (0, "", [])
    assert checkout.pip_calls() == []


def test_a_changed_pyproject_renews_the_checkout_alone(checkout: Checkout) -> None:
    """When only pyproject.toml has changed, only the editable install is renewed, silently."""
    checkout.change("pyproject.toml")
    assert checkout.install() == (0, "", [])
    assert checkout.pip_calls() == ["checkout"]
    assert checkout.install() == (0, "", [])
    assert checkout.pip_calls() == []


def test_a_changed_lock_file_renews_everything(checkout: Checkout) -> None:
    """When the lock file has changed, its packages are installed, and after them the checkout."""
    checkout.change("requirements/serve.txt")
    code, out, err = checkout.install()
    assert (code, out) == (0, "")
    assert ["installing requirements/serve.txt into .venv" in line for line in err] == [True]
    assert checkout.pip_calls() == ["requirements", "checkout"]
    assert checkout.install() == (0, "", [])


def test_a_failed_renewal_is_reported_and_repeated(checkout: Checkout) -> None:
    """The error of pip is shown, the exit status is 2, and the next use installs the checkout again."""
    checkout.change("pyproject.toml")
    checkout.break_pip("ERROR: no such package\n")
    last = "zof-emulator: could not install the checkout into .venv: pip ended with status 1"
    assert checkout.install() == (2, "", ["ERROR: no such package", last])
    checkout.mend_pip()
    assert checkout.install() == (0, "", [])
    assert checkout.pip_calls() == ["checkout", "checkout"]


def test_a_failed_install_is_reported_and_leaves_no_marks(checkout: Checkout) -> None:
    """The error of pip is shown, the exit status is 2, and what is half installed is not taken for complete."""
    checkout.change("requirements/serve.txt")
    checkout.break_pip("ERROR: no such package\n")
    last = "zof-emulator: could not install requirements/serve.txt into .venv: pip ended with status 1"
    code, out, err = checkout.install()
    assert (code, out, err[-2:]) == (2, "", ["ERROR: no such package", last])
    assert not (checkout.venv / "locked").exists()


@pytest.mark.parametrize("left", ["locked.new", "locked/pyproject.new"])
def test_what_an_interrupted_install_left_is_no_obstacle(checkout: Checkout, left: str) -> None:
    """Marks that an interrupted install had begun to write are written again."""
    path = checkout.venv / left
    if left == "locked.new":
        path.mkdir()
        checkout.change("requirements/serve.txt")
    else:
        path.write_text("half")
        checkout.change("pyproject.toml")
    assert checkout.install()[0] == 0
    assert checkout.install() == (0, "", [])


def test_two_installers_do_the_work_once(checkout: Checkout) -> None:
    """Of two installers that start together one installs, and the other waits and finds the work done."""
    checkout.change("pyproject.toml")
    both = [checkout.start() for _ in range(2)]
    assert [process.communicate(timeout=60) for process in both] == [("", ""), ("", "")]
    assert [process.returncode for process in both] == [0, 0]
    assert checkout.pip_calls() == ["checkout"]


@pytest.mark.parametrize("command", ["serve", "contracts", "replay"])
def test_users_install_no_developer_tools(command: str) -> None:
    """The commands for users install a lock file that has no linter, type checker or coverage tool."""
    lock = {"serve": "serve", "replay": "serve", "contracts": "contracts"}[command]
    assert f'"$root/scripts/venv" {lock}\n' in (ROOT / "scripts" / command).read_text()
    packages = {line.partition("==")[0] for line in (ROOT / "requirements" / f"{lock}.txt").read_text().splitlines()}
    assert "uvicorn" in packages
    assert not packages & {"mypy", "ruff", "coverage", "import-linter", "pytest-cov", "pytest-xdist"}


STEPS_OF_CI = ("check", "fuzz", "clients", "workflows", "test")


@pytest.mark.parametrize("failing", ["", *STEPS_OF_CI])
def test_ci_ends_with_the_tests(tmp_path: Path, failing: str) -> None:
    """All steps of `.ci/run` run, the tests last and without a line after theirs; it fails if any step has failed."""
    (tmp_path / ".ci").mkdir()
    (tmp_path / "scripts").mkdir()
    shutil.copy(ROOT / ".ci" / "run", tmp_path / ".ci")
    for name in (*STEPS_OF_CI, "curl"):
        script = tmp_path / "scripts" / name
        script.write_text(f"#!/bin/sh\necho {name} ran\nexit {int(name == failing)}\n")
        script.chmod(0o755)
    path = os.pathsep.join((str(tmp_path / "scripts"), os.environ["PATH"]))
    done = subprocess.run(
        [str(tmp_path / ".ci" / "run")], env={**os.environ, "PATH": path}, capture_output=True, text=True, check=False
    )
    ran = [line for line in done.stdout.splitlines() if line.endswith(" ran")]
    assert ran == [f"{step} ran" for step in STEPS_OF_CI]
    assert done.stdout.endswith("test ran\n")
    assert (done.returncode, done.stderr) == (int(failing != ""), "")
