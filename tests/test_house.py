"""Rules of the repository itself: imports, the length of modules, names of hosts and machines, and lock files."""

import ast
import json
import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[1]
PACKAGES = [*sorted((ROOT / "emulator").rglob("*.py")), *sorted((ROOT / "contracts").rglob("*.py"))]
FOLDERS = ["emulator", "contracts", "tests", "examples", "bench"]
MODULES = [*(path for folder in FOLDERS for path in sorted((ROOT / folder).rglob("*.py"))), ROOT / "hatch_build.py"]
SCRIPTS = [*sorted(path for path in (ROOT / "scripts").iterdir() if path.is_file()), ROOT / ".ci" / "run"]
LONGEST_MODULE = 500

# What would tie the project to one machine or one registry. No pattern matches itself.
HOSTS = r"pypi\.org|pythonhosted\.org|npmjs\.(?:org|com)|yarnpkg\.com|deb\.debian\.org|proxy\.golang\.org"
PLACES = r"(?<![\w.}-])/(?:work|farm|root|home|Users)/|\.\./shared|[.]library/"


def name(path: Path) -> str:
    """The path from the root of the repository."""
    return path.relative_to(ROOT).as_posix()


def list_committed() -> list[Path]:
    """Every file that git tracks, or would track if all were added now; none outside a checkout."""
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False).stdout
    return [path for line in listed.split("\0") if (path := ROOT / line).is_file()]


def read_pins(lock: str) -> dict[str, tuple[str, frozenset[str]]]:
    """Version and hashes of each package in a lock file, by its canonical name."""
    text = (ROOT / "requirements" / f"{lock}.txt").read_text()
    found = re.findall(r"^([\w.-]+)==(\S+)(.*?)(?=^\S|\Z)", text, re.MULTILINE | re.DOTALL)
    return {package: (version, frozenset(re.findall(r"sha256:\w+", rest))) for package, version, rest in found}


def test_imports_go_downhill() -> None:
    """No import breaks the rules in pyproject.toml."""
    command = [sys.executable, "-c", "from importlinter.cli import lint_imports_command as run; run()", "--no-logo"]
    lint = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert lint.returncode == 0, lint.stdout + lint.stderr


def test_the_rules_hold_for_both_packages() -> None:
    """Import rules place every room of both packages, and coverage and the type checker look at both."""
    tools = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]
    layers = [each for each in tools["importlinter"]["contracts"] if each["type"] == "layers"]
    assert tools["importlinter"]["root_packages"] == ["zof_emulator", "zof_contracts"]
    assert sorted(each["containers"][0] for each in layers) == ["zof_contracts", "zof_emulator"]
    assert all(each["exhaustive"] and each["exhaustive_ignores"] == ["__main__"] for each in layers)
    assert {"zof_emulator", "zof_contracts"} <= set(tools["coverage"]["run"]["source"])
    assert {"emulator", "contracts"} <= set(tools["mypy"]["files"])


@pytest.mark.parametrize("module", PACKAGES, ids=name)
def test_no_import_inside_a_function(module: Path) -> None:
    """A module imports at its top only."""
    functions = [
        node
        for node in ast.walk(ast.parse(module.read_text()))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    ]
    inside = [
        node.lineno
        for function in functions
        for node in ast.walk(function)
        if isinstance(node, ast.Import | ast.ImportFrom)
    ]
    assert inside == []


@pytest.mark.parametrize("module", MODULES, ids=name)
def test_a_module_has_a_docstring(module: Path) -> None:
    """A module begins with a docstring."""
    assert ast.get_docstring(ast.parse(module.read_text()))


@pytest.mark.parametrize("module", MODULES, ids=name)
def test_a_module_is_short(module: Path) -> None:
    """A module stays under 500 lines."""
    assert len(module.read_text().splitlines()) < LONGEST_MODULE


def test_no_file_names_a_registry_or_a_machine() -> None:
    """The committed files work on any machine and with any mirror."""
    forbidden = re.compile(f"{HOSTS}|{PLACES}")
    named = {
        f"{name(path)}: {found.group()}"
        for path in list_committed()
        for found in forbidden.finditer(path.read_text(errors="replace"))
    }
    assert named == set()


@pytest.mark.parametrize("script", SCRIPTS, ids=name)
def test_a_script_is_ready_to_run(script: Path) -> None:
    """A script is executable, says which interpreter reads it, and is free of syntax errors."""
    assert os.access(script, os.X_OK)
    text = script.read_text()
    interpreter = text.splitlines()[0].removeprefix("#!").removeprefix("/usr/bin/env ").removeprefix("/bin/")
    if interpreter == "python3":
        compile(text, script, "exec")
    else:
        assert interpreter in {"sh", "bash"}
        syntax = subprocess.run([interpreter, "-n", script], capture_output=True, text=True, check=False)
        assert (syntax.returncode, syntax.stderr) == (0, "")


def test_the_lock_files_agree() -> None:
    """The tests run with what users install: dev has each pin of serve with its hashes, and every pin has hashes."""
    serve, dev = read_pins("serve"), read_pins("dev")
    assert serve
    assert serve.items() <= dev.items()
    assert all(hashes for _, hashes in dev.values())


@pytest.mark.parametrize("lock", ["serve", "dev"])
def test_the_lock_files_keep_to_the_project(lock: str) -> None:
    """The lock file meets each requirement in pyproject.toml; if not, run scripts/lock."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    lines = project["project"]["dependencies"] + (project["dependency-groups"]["dev"] if lock == "dev" else [])
    locked = {package: version for package, (version, _) in read_pins(lock).items()}
    unmet = [line for line in lines if not is_met(Requirement(line), locked)]
    assert unmet == []


def is_met(requirement: Requirement, locked: dict[str, str]) -> bool:
    """Whether the lock file pins a version that the requirement allows."""
    version = locked.get(canonicalize_name(requirement.name))
    return version is not None and version in requirement.specifier


def test_the_node_lock_keeps_to_the_project() -> None:
    """The linters from npm are pinned to one version, with a hash and without the address of a registry."""
    wanted = json.loads((ROOT / "package.json").read_text())["devDependencies"]
    packages = json.loads((ROOT / "package-lock.json").read_text())["packages"]
    assert {package: packages[f"node_modules/{package}"]["version"] for package in wanted} == wanted
    assert [path for path, package in packages.items() if path and "integrity" not in package] == []
    assert [path for path, package in packages.items() if "resolved" in package] == []
