"""Proof that the harness can fail: each planted defect is found under its rule, and none where there is none."""

from __future__ import annotations

import pytest
from zof_contracts.contract.rules import RULES

from tests.mutants.catalogue import MUTANTS
from tests.mutants.table import PAGE, broken, rows, table


@pytest.mark.parametrize("name", MUTANTS)
def test_mutant(name: str) -> None:
    """The defect is found under the rule that it names."""
    assert MUTANTS[name].rule in broken(MUTANTS[name])


def test_enough() -> None:
    """There are at least 60 defects; every rule has one, and every section that the catalogue covers."""
    assert len(MUTANTS) >= 60
    assert {mutant.rule for mutant in MUTANTS.values()} == set(RULES)


def test_table() -> None:
    """docs/mutants.md has every defect, found under its rule; `python -m tests.mutants.table` measures it."""
    page = PAGE.read_text(encoding="utf-8")
    found = rows(page)
    assert found.keys() == MUTANTS.keys()
    assert "not found" not in page
    assert {rule for name in found for rule in found[name]} == set(RULES)
    assert page == table(found), "the catalogue has changed since it was measured"
