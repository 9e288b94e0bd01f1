"""Proof that the harness can fail: each planted defect is found under its rule, and docs/mutants.md says so."""

from __future__ import annotations

import pytest
from zof_contracts.contract.rules import RULES

from tests.mutants.catalogue import MUTANTS
from tests.mutants.table import PAGE, broken, rows, table

ROWS = rows(PAGE.read_text(encoding="utf-8"))
"""The rows of docs/mutants.md."""


@pytest.mark.parametrize("name", MUTANTS)
def test_mutant(name: str) -> None:
    """The defect is found under its rule, and breaks the rules that its row in docs/mutants.md names."""
    found = broken(MUTANTS[name])
    assert MUTANTS[name].rule in found
    assert found == ROWS[name], "docs/mutants.md is out of date: python -m tests.mutants.table writes it"


def test_enough() -> None:
    """There are at least 60 defects, and every rule has one."""
    assert len(MUTANTS) >= 60
    assert {mutant.rule for mutant in MUTANTS.values()} == set(RULES)


def test_table() -> None:
    """docs/mutants.md has a row for every defect, in the order and with the counts of the catalogue."""
    assert ROWS.keys() == MUTANTS.keys()
    page = PAGE.read_text(encoding="utf-8")
    assert "not found" not in page
    assert page == table(ROWS), "docs/mutants.md is out of date: python -m tests.mutants.table writes it"
