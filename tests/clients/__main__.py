"""Generates, builds and drives a client with each generator; writes docs/clients.md; `scripts/clients` runs it.

Exit status: 0 when every client does what the recipes say, 1 when one does less or more, 2 when nothing was tried.
"""

from __future__ import annotations

import argparse
import os
import shutil
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from tests.clients.install import install_packages, is_met
from tests.clients.page import PAGE, render_page
from tests.clients.processes import run_command
from tests.clients.recipes import CONTRACT, CONTROL, HERE, PROGRAMS, RECIPES, ROOT, Recipe
from tests.clients.servers import serve

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Iterable, Sequence
    from pathlib import Path

FOLDER: Final = ROOT / "build" / "clients"
SECONDS: Final = 240
"""How long one command may take."""
STEPS: Final = (
    *("generate", "build", "control", "start", "retry", "poll", "page", "results", "png", "zip", "har", "junit"),
    *(
        "export json",
        "export csv",
        "webhook",
        "webhook test",
        *(f"error {status}" for status in (400, 401, 403, 404, 409, 429)),
    ),
    *("unknown status", "unknown code"),
)


@dataclass
class Trial:
    """The result of a generator: for each step an empty text if it succeeded, else the reason why it did not."""

    recipe: Recipe
    outcomes: dict[str, str] = field(default_factory=dict)
    missing: str = ""
    """The programs that the machine lacks; empty if the generator was tried."""
    seconds: float = 0.0

    def list_differences(self) -> list[str]:
        """How the outcomes differ from what the recipe says."""
        if self.missing:
            return []
        limits = self.recipe.limits
        failed = [f"{step}: {why}" for step, why in self.outcomes.items() if why and step not in limits]
        never = [f"{step}: not tried" for step in STEPS if step not in self.outcomes]
        gained = [f"{step}: works, but the recipe calls it a limit" for step in limits if self.outcomes.get(step) == ""]
        return failed + never + gained


def try_recipe(recipe: Recipe, port: int, altered: int) -> Trial:
    """Generate, build and run the client of one generator."""
    trial = Trial(recipe)
    trial.missing = ", ".join(str(need) for need in recipe.needs if not is_met(need))
    if trial.missing:
        return trial
    began = time.monotonic()
    name = recipe.program.partition(".")[0].lower()
    folder = FOLDER / name
    control = FOLDER / f"{name}_control"
    if _perform(trial, "generate", folder, recipe.generate, recipe, CONTRACT):
        _perform(trial, "build", folder, recipe.build, recipe, CONTRACT)
    _perform(trial, "control", control, (*recipe.generate, *recipe.build), recipe, CONTROL)
    for path in PROGRAMS.glob("steps.*"):
        shutil.copy(path, folder)
    shutil.copy(PROGRAMS / recipe.program, folder)
    environment = {
        "ZOF_BASE_URL": f"http://127.0.0.1:{port}/w/{name}/v1",
        "ZOF_ALTERED_URL": f"http://127.0.0.1:{altered}/w/{name}/v1",
    }
    why = _run_all(recipe.build_program, folder)
    if why:
        trial.outcomes["build"] = trial.outcomes.get("build") or f"the program: {why}"
    else:
        ran = _run(recipe.run, folder, environment)
        for line in ran.stdout.splitlines():
            verdict, _, said = line.partition(" ")
            step, _, why = said.partition(": ")
            if verdict in {"ok", "no"}:
                trial.outcomes[step] = "" if verdict == "ok" else why or "failed"
        if ran.returncode:
            trial.outcomes.setdefault("start", _shorten(ran.stderr))
    trial.seconds = time.monotonic() - began
    return trial


def _perform(  # noqa: PLR0913, PLR0917  one step of a trial
    trial: Trial, step: str, folder: Path, commands: Iterable[Sequence[str]], recipe: Recipe, document: Path
) -> bool:
    if step != "build":
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        (folder / "node_modules").symlink_to(HERE / "node_modules")
        for path, content in recipe.extra:
            (folder / path).parent.mkdir(exist_ok=True)
            (folder / path).write_text(content, encoding="utf-8")
    given = os.path.relpath(document, folder)  # openapi-generator takes no absolute path with a space
    filled = [tuple(part.replace("{document}", given) for part in command) for command in commands]
    trial.outcomes[step] = _run_all(filled, folder)
    return not trial.outcomes[step]


def _run_all(commands: Iterable[Sequence[str]], folder: Path) -> str:
    """Run commands until one fails: what it printed; empty when none failed."""
    for command in commands:
        ran = _run(command, folder, {})
        if ran.returncode:
            return _shorten(ran.stderr + ran.stdout)
    return ""


def _run(command: Sequence[str], folder: Path, variables: dict[str, str]) -> subprocess.CompletedProcess[str]:
    variables = {"NODE_NO_WARNINGS": "1", "GOCACHE": str(FOLDER / "go"), **variables}
    return run_command(command, seconds=SECONDS, folder=folder, variables=variables)


def _shorten(text: str) -> str:
    return " ".join(text.split())[:300] or "failed without a word"


def main(arguments: list[str]) -> int:
    """Try the generators that are named, or all; write the page, or compare it, when all were tried."""
    parser = argparse.ArgumentParser(prog="scripts/clients", description="Generate, build and drive API clients.")
    parser.add_argument("only", nargs="*", help="parts of the names of the generators to try; all when left out")
    parser.add_argument("--jobs", type=int, default=2, help="generators to try at once (default: 2)")
    parser.add_argument("--install", action="store_true", help="install missing compilers and libraries with apt-get")
    parser.add_argument("--check", action="store_true", help="compare docs/clients.md, do not write it")
    options = parser.parse_args(arguments)
    chosen = [one for one in RECIPES if not options.only or any(part in one.name for part in options.only)]
    if options.install:
        problem = install_packages(need for recipe in chosen for need in recipe.needs)
        sys.stdout.write(f"{problem}\n" if problem else "")
    with serve() as (port, altered), ThreadPoolExecutor(options.jobs) as pool:
        trials = list(pool.map(lambda recipe: try_recipe(recipe, port, altered), chosen))
    differences = sum(print_trial(trial) for trial in trials)
    tried = [trial for trial in trials if not trial.missing]
    if len(tried) == len(RECIPES):
        differences += _store_page(render_page(trials, STEPS), is_checked=options.check)
    elif options.check:
        sys.stdout.write("docs/clients.md was not compared, because not all generators were tried\n")
    sys.stdout.write(f"{len(tried)} of {len(RECIPES)} generators tried, differences: {differences}\n")
    return 2 if not tried else 1 if differences else 0


def print_trial(trial: Trial) -> int:
    """Print how a trial went: the number of its differences from the recipe."""
    found = trial.list_differences()
    verdict = f"skipped, because this machine lacks {trial.missing}" if trial.missing else "FAILED" if found else "ok"
    sys.stdout.write(f"{trial.recipe.name}, {trial.seconds:.0f} s: {verdict}\n")
    sys.stdout.writelines(f"        {line}\n" for line in found)
    return len(found)


def _store_page(page: str, *, is_checked: bool) -> int:
    """Write the page, or compare it with the one that is there: 1 if they differ, else 0."""
    if not is_checked:
        PAGE.write_text(page, encoding="utf-8")
        return 0
    if PAGE.read_text(encoding="utf-8") == page:
        return 0
    sys.stdout.write("docs/clients.md differs from the outcome of this run; write it with scripts/clients\n")
    return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
