"""docs/clients.md and the recipes behind it; the clients themselves are built and driven by scripts/clients."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import Final

import pytest

from tests.clients import page
from tests.clients.__main__ import STEPS, Trial, print_trial, try_recipe
from tests.clients.install import install_packages
from tests.clients.recipes import PROGRAMS, RECIPES, Need, Recipe

PAGE: Final = Path("docs/clients.md").read_text(encoding="utf-8")
TABLE: Final = [line[1:-1].split(" | ") for line in PAGE.partition("\n## ")[0].splitlines() if line.startswith("| ")]


def test_the_page_has_a_column_for_each_generator() -> None:
    """The page names every generator that is tried, in the order of the recipes, and no other."""
    assert [name.strip() for name in TABLE[0][1:]] == [recipe.name for recipe in RECIPES]


def test_no_cell_is_empty() -> None:
    """Every generator has a verdict on every step: yes, or no with the number of a reason that stands below."""
    assert len(TABLE) == len(STEPS) + 3
    for row in TABLE[3:]:
        assert len(row) == len(RECIPES) + 1
        for cell in map(str.strip, row[1:]):
            assert cell == "yes" or (cell.startswith("no (") and f"\n{cell[4:-1]}. The generator " in PAGE), row
    assert "not tried" not in PAGE


def test_the_page_says_no_where_the_recipes_have_limits() -> None:
    """The page was written by a run in which the clients did what the recipes say."""
    verdicts = dict(zip(STEPS, TABLE[3:], strict=True))
    for column, recipe in enumerate(RECIPES, 1):
        failed = {step for step, row in verdicts.items() if row[column].strip() != "yes"}
        assert failed == set(recipe.limits), recipe.name


@pytest.mark.parametrize("recipe", RECIPES, ids=lambda recipe: recipe.name)
def test_a_recipe(recipe: Recipe) -> None:
    """A recipe names a program that exists, and limits only steps that are tried."""
    assert (PROGRAMS / recipe.program).exists()
    assert recipe.limits.keys() <= set(STEPS)


def test_a_difference_from_the_recipe_is_reported() -> None:
    """A step that fails, a step that is not reached and a limit that is gone are each reported."""
    recipe = next(one for one in RECIPES if "export csv" in one.limits)
    expected = {step: recipe.limits.get(step, "") for step in STEPS}
    assert Trial(recipe, expected).list_differences() == []
    assert Trial(recipe, {**expected, "poll": "no answer"}).list_differences() == ["poll: no answer"]
    assert len(Trial(recipe, {**expected, "export csv": ""}).list_differences()) == 1
    assert Trial(recipe, {step: why for step, why in expected.items() if step != "har"}).list_differences() == [
        "har: not tried"
    ]
    assert Trial(recipe, {}, missing="go").list_differences() == []


def test_every_step_has_a_title() -> None:
    """The page says of every step what is done in it."""
    assert all(step in page.TITLES or step.startswith("error ") for step in STEPS)


PRESENT: Final = Need("a shell", ("sh", "-c", "exit 0"), "dash")
ABSENT: Final = Need("a compiler", ("sh", "-c", "exit 1"), "compiler-package")
UNKNOWN: Final = Need("a program", ("zof-no-such-program",))


def test_a_generator_that_is_skipped_says_what_is_missing(capsys: pytest.CaptureFixture[str]) -> None:
    """A generator whose needs are not met is not tried, and the output names each of them with its package."""
    trial = try_recipe(replace(RECIPES[0], needs=(PRESENT, ABSENT, UNKNOWN)), 0, 0)
    assert trial.outcomes == {}
    assert print_trial(trial) == 0
    name = RECIPES[0].name
    skipped = "skipped, because this machine lacks a compiler (Debian: compiler-package), a program"
    assert capsys.readouterr().out == f"{name}, 0 s: {skipped}\n"


@pytest.fixture
def apt_get(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A fake apt-get that writes its calls to a file, and fails at the command that `failing` names."""
    calls = tmp_path / "calls"
    script = tmp_path / "apt-get"
    refusal = f'[ "$1" != "$(cat {tmp_path}/failing)" ] || {{ echo no network >&2; exit 100; }}'
    script.write_text(f'#!/bin/sh\necho "$@" >>{calls}\n{refusal}\n')
    script.chmod(0o755)
    (tmp_path / "failing").write_text("none")
    monkeypatch.setenv("PATH", os.pathsep.join((str(tmp_path), os.environ["PATH"])))
    return calls


def test_missing_packages_are_installed(apt_get: Path) -> None:
    """Packages for needs that are not met are downloaded and then installed; a need that is met installs nothing."""
    assert install_packages([PRESENT, ABSENT, ABSENT, UNKNOWN]) == ""
    update, download, install = apt_get.read_text().splitlines()
    assert update == "update -qq"
    assert "--download-only" in download
    assert install.startswith("install -y ")
    assert install.endswith(" compiler-package")


def test_nothing_is_installed_when_nothing_is_missing(apt_get: Path) -> None:
    """The package client is not called when every need is met."""
    assert install_packages([PRESENT]) == ""
    assert not apt_get.exists()


def test_a_failed_install_is_explained(apt_get: Path) -> None:
    """When the package client fails, the reason names the packages, the command and what it said."""
    (apt_get.parent / "failing").write_text("update")
    reason = install_packages([ABSENT])
    assert reason == "cannot install compiler-package: apt-get update ended with status 100: no network"
    assert apt_get.read_text() == "update -qq\n"


def test_a_machine_without_a_package_client_is_explained(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without apt-get the reason says so, and nothing is run."""
    monkeypatch.setenv("PATH", "")
    assert install_packages([UNKNOWN, ABSENT]) == "cannot install compiler-package: there is no apt-get"
