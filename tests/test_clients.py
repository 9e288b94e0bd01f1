"""docs/clients.md and the recipes behind it; the clients themselves are built and driven by scripts/clients."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import pytest

from tests.clients import page
from tests.clients.__main__ import STEPS, Trial
from tests.clients.recipes import PROGRAMS, RECIPES, Recipe

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


def test_a_difference_from_the_recipe_is_a_surprise() -> None:
    """A step that fails, a step that is not reached and a limit that is gone are each reported."""
    recipe = next(one for one in RECIPES if "export csv" in one.limits)
    expected = {step: recipe.limits.get(step, "") for step in STEPS}
    assert Trial(recipe, expected).list_surprises() == []
    assert Trial(recipe, {**expected, "poll": "no answer"}).list_surprises() == ["poll: no answer"]
    assert len(Trial(recipe, {**expected, "export csv": ""}).list_surprises()) == 1
    assert Trial(recipe, {step: why for step, why in expected.items() if step != "har"}).list_surprises() == [
        "har: not tried"
    ]
    assert Trial(recipe, {}, missing="go").list_surprises() == []


def test_every_step_has_a_title() -> None:
    """The page says of every step what is done in it."""
    assert all(step in page.TITLES or step.startswith("error ") for step in STEPS)
