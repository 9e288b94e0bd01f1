"""Builds the wheel and installs it, without a network, into environments that hold exactly what it requires."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tarfile
from dataclasses import dataclass
from importlib.metadata import Distribution, distribution
from pathlib import Path
from typing import TYPE_CHECKING, Final

from packaging.requirements import Requirement

if TYPE_CHECKING:
    from collections.abc import Iterable

ROOT: Final = Path(__file__).parents[1]
_PATIENCE: Final = 120.0


def build(kind: str, source: Path, target: Path) -> Path:
    """Build the "wheel" or the "sdist" of a source tree into a folder, and return the file."""
    command = [sys.executable, "-m", "hatchling", "build", "-t", kind, "-d", str(target)]
    subprocess.run(command, cwd=source, check=True, capture_output=True, timeout=_PATIENCE)
    (built,) = target.iterdir()
    return built


def unpack(sdist: Path, target: Path) -> Path:
    """Unpack a source distribution into a folder, and return its root."""
    with tarfile.open(sdist) as archive:
        archive.extractall(target, filter="data")
    (root,) = target.iterdir()
    return root


def _requirements(found: Distribution, extra: str) -> Iterable[Requirement]:
    for line in found.requires or ():
        requirement = Requirement(line)
        if requirement.marker is None or requirement.marker.evaluate({"extra": extra}):
            yield requirement


def closure(requirements: Iterable[Requirement]) -> dict[str, Distribution]:
    """The installed distributions that requirements need, directly or not, by name."""
    found: dict[str, Distribution] = {}
    waiting = [(each.name, extra) for each in requirements for extra in (*each.extras, "")]
    done = set[tuple[str, str]]()
    while waiting:
        name, extra = waiting.pop()
        if (name, extra) in done:
            continue
        done.add((name, extra))
        found[name] = distribution(name)
        needed = _requirements(found[name], extra)
        waiting += [(each.name, inner) for each in needed for inner in (*each.extras, "")]
    return found


@dataclass(frozen=True)
class Environment:
    """A virtual environment outside the checkout, into which the wheel is installed."""

    path: Path

    def run(self, *command: str, cwd: Path) -> subprocess.CompletedProcess[str]:
        """Run one of the environment's commands in a folder; nothing of this process's own settings reaches it."""
        settings = re.compile(r"PYTHON|PYTEST|COV|ZOF_|CI$|HYPOTHESIS")
        variables = {name: value for name, value in os.environ.items() if not settings.match(name)}
        return subprocess.run(
            [str(self.path / "bin" / command[0]), *command[1:]],
            cwd=cwd,
            env=variables,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=_PATIENCE,
            check=False,
        )


def install(wheel: Path, target: Path, *, extra: str = "") -> Environment:
    """Make an environment with the wheel, what it requires (with an extra, if one is named), and pytest.

    What is required is linked from the environment of the tests, so that no network is needed.
    """
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(target)], check=True, timeout=_PATIENCE)
    python = target / "bin" / "python"
    pip = [sys.executable, "-m", "pip", "--python", str(python), "install", "-qq", "--no-index", "--no-deps"]
    subprocess.run([*pip, "--disable-pip-version-check", str(wheel)], check=True, timeout=_PATIENCE)
    (site,) = target.glob("lib/python*/site-packages")
    installed = next(iter(Distribution.discover(path=[str(site)])))
    wanted = [*_requirements(installed, extra), *_requirements(installed, ""), Requirement("pytest")]
    for each in closure(wanted).values():
        _link(each, site)
    return Environment(target)


def _link(source: Distribution, site: Path) -> None:
    names = {file.parts[0] for file in source.files or () if file.parts[0] not in {"..", "__pycache__"}}
    for name in names:
        if not (site / name).exists():
            (site / name).symlink_to(Path(str(source.locate_file(name))))
