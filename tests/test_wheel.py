"""The wheel: what it holds, and that it works in projects of others, with the extra `contracts` and without."""

from __future__ import annotations

import json
import subprocess
import sys
import zipfile
from typing import TYPE_CHECKING, Final

import pytest

from tests.wheels import ROOT, Environment, build, install, unpack

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.xdist_group("wheel")  # one process builds and installs the wheel for all these tests

FILES: Final = {
    "contracts/money.py": "EURO = 100\n",
    "emulator/screen.py": "WIDTH = 80\n",
    "tests/contracts/test_money.py": "from contracts.money import EURO\n\n\ndef test_euro():\n    assert EURO == 100\n",
    "tests/test_screen.py": "from emulator.screen import WIDTH\n\n\ndef test_width():\n    assert WIDTH == 80\n",
}
"""A project whose folders have the names of our folders, and whose tests import from them."""
NAMES: Final = "import json, pathlib, sys\npathlib.Path('modules.json').write_text(json.dumps(sorted(sys.modules)))\n"
"""A conftest that writes down which modules pytest has loaded before it loads any test."""


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, built from the checkout."""
    return build("wheel", ROOT, tmp_path_factory.mktemp("wheel"))


@pytest.fixture(scope="module", params=["", "contracts"], ids=["plain", "with the extra"])
def environment(request: pytest.FixtureRequest, wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Environment:
    """An environment in which the wheel is installed, with the extra and without."""
    return install(wheel, tmp_path_factory.mktemp("environment") / "venv", extra=request.param)


def project(folder: Path, *, packages: bool) -> Path:
    """The project, as a folder of folders; `packages` says whether each folder has an `__init__.py`."""
    for name, text in FILES.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        if packages:
            (path.parent / "__init__.py").touch()
    return folder


@pytest.mark.parametrize("packages", [True, False], ids=["packages", "plain folders"])
def test_a_project_with_folders_of_our_names_runs_its_tests(
    environment: Environment, tmp_path: Path, *, packages: bool
) -> None:
    """Beside the installed wheel, a project imports its own `contracts` and `emulator`, and its tests pass."""
    done = environment.run("python", "-m", "pytest", cwd=project(tmp_path, packages=packages))
    assert "2 passed" in done.stdout, done.stdout + done.stderr
    assert (done.returncode, done.stderr) == (0, "")
    assert "Traceback" not in done.stdout


def list_loaded_modules(environment: Environment, folder: Path, *flags: str) -> set[str]:
    """The modules that pytest has loaded when it comes to the conftest of a project."""
    (folder / "conftest.py").write_text(NAMES)
    done = environment.run("python", "-m", "pytest", *flags, cwd=folder)
    assert done.returncode == 0, done.stdout + done.stderr
    return set(json.loads((folder / "modules.json").read_text()))


def test_the_plugin_loads_nothing_but_itself(environment: Environment, tmp_path: Path) -> None:
    """In a project that does not use our plugins, pytest loads them and the packages around them, nothing else."""
    folder = project(tmp_path, packages=True)
    without = list_loaded_modules(environment, folder, "-p", "no:zof-contracts", "-p", "no:zof-emulator")
    assert list_loaded_modules(environment, folder) - without == {
        "zof_contracts",
        "zof_contracts.pytest_plugin",
        "zof_emulator",
        "zof_emulator.testing",
        "zof_emulator.testing.plugin",
    }


def test_the_options_of_the_plugin_are_listed(environment: Environment, tmp_path: Path) -> None:
    """`pytest --help` lists the options of the installed plugin."""
    done = environment.run("python", "-m", "pytest", "--help", cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert "--zof-url" in done.stdout


def test_the_built_in_scenarios_are_in_the_wheel(environment: Environment, tmp_path: Path) -> None:
    """The installed command shows each built-in scenario, and the schema file is beside the code that reads it."""
    listed = environment.run("zof-emulator", "scenario", "show", cwd=tmp_path)
    assert (listed.returncode, listed.stderr) == (0, "")
    names = [line.split()[0] for line in listed.stdout.splitlines()]
    assert len(names) == 8
    for name in names:
        shown = environment.run("zof-emulator", "scenario", "show", name, cwd=tmp_path)
        assert (shown.returncode, shown.stderr) == (0, "")
    find = 'import zof_emulator.scenarios as room; print(open(room.__path__[0] + "/schema.json").read(1))'
    assert environment.run("python", "-c", find, cwd=tmp_path).stdout == "{\n"


# --- commands

COMMANDS: Final = {
    "zof-emulator": ("zof-emulator",),
    "zof-contracts": ("zof-contracts",),
    "python -m zof_emulator": ("python", "-m", "zof_emulator"),
    "python -m zof_contracts": ("python", "-m", "zof_contracts"),
}


@pytest.mark.parametrize("command", COMMANDS.values(), ids=COMMANDS)
def test_a_command_without_arguments_prints_its_help(
    environment: Environment, tmp_path: Path, command: tuple[str, ...]
) -> None:
    """Without arguments a command prints what it prints for `--help`, on stdout, with exit status 0."""
    bare = environment.run(*command, cwd=tmp_path)
    wanted = environment.run(*command, "--help", cwd=tmp_path)
    assert (bare.returncode, bare.stdout, bare.stderr) == (0, wanted.stdout, "")
    assert wanted.returncode == 0
    assert wanted.stdout.startswith(f"Usage: {command[-1].replace('_', '-')} ")


@pytest.mark.parametrize("command", COMMANDS.values(), ids=COMMANDS)
def test_the_version_is_that_of_the_checkout(
    environment: Environment, tmp_path: Path, command: tuple[str, ...]
) -> None:
    """`--version` says the same in an installed wheel as in the checkout."""
    module = command[-1].replace("-", "_")
    here = subprocess.run(
        [sys.executable, "-m", module, "--version"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    done = environment.run(*command, "--version", cwd=tmp_path)
    assert (done.returncode, done.stdout, done.stderr) == (0, here.stdout, "")
    assert done.stdout.startswith(command[-1].replace("_", "-"))


def test_the_emulator_finds_its_document(environment: Environment, tmp_path: Path) -> None:
    """An installed emulator reads the copy of `openapi.yaml` in its own package, outside any checkout."""
    done = environment.run("python", "-c", "import zof_emulator; zof_emulator.create_app()", cwd=tmp_path)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_the_harness_lists_its_rules(wheel: Path, tmp_path: Path) -> None:
    """An installed harness reads the copy of `openapi.yaml` in its own package, outside any checkout."""
    installed = install(wheel, tmp_path / "venv", extra="contracts")
    done = installed.run("zof-contracts", "rules", cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert "runs.cancel" in done.stdout


# --- what is in it


def contents(wheel: Path) -> dict[str, bytes]:
    """The files of a wheel."""
    with zipfile.ZipFile(wheel) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def test_the_wheel_holds_the_document_once_for_each_package(wheel: Path) -> None:
    """Each package has one copy of `openapi.yaml`, the same bytes as at the root of the checkout."""
    document = (ROOT / "openapi.yaml").read_bytes()
    copies = {name: content for name, content in contents(wheel).items() if name.endswith("openapi.yaml")}
    assert copies == {"zof_contracts/openapi.yaml": document, "zof_emulator/openapi.yaml": document}


def test_the_wheel_holds_every_file_of_the_packages(wheel: Path) -> None:
    """The wheel holds two packages, all their files, and no folder that could hide a user's own."""
    held = contents(wheel)
    sources = [ROOT / "emulator" / "zof_emulator", ROOT / "contracts" / "zof_contracts"]
    wanted = {
        path.relative_to(source.parent).as_posix(): path.read_bytes()
        for source in sources
        for path in source.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    assert wanted.items() <= held.items()
    assert {name.partition("/")[0] for name in held} == {
        "zof_emulator",
        "zof_contracts",
        f"{wheel.name.removesuffix('-py3-none-any.whl')}.dist-info",
    }


def test_a_wheel_from_the_source_distribution_is_the_same(wheel: Path, tmp_path: Path) -> None:
    """The source distribution builds a wheel with the same files and the same bytes as the checkout does."""
    sdist = build("sdist", ROOT, tmp_path / "sdist")
    source = unpack(sdist, tmp_path / "source")
    assert contents(build("wheel", source, tmp_path / "wheel")) == contents(wheel)


def test_no_symbolic_link_is_committed() -> None:
    """A checkout works where there are no symbolic links: on Windows, and from an archive."""
    command = ["git", "ls-files", "--stage"]
    listed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert [line for line in listed.stdout.splitlines() if line.startswith("120000")] == []
