"""Proof that the harness can fail: each planted defect is found under its rule, and docs/mutants.md says so."""

from __future__ import annotations

import pytest
from zof_contracts.contract.rules import RULES

from tests.mutants.catalogue import MUTANTS
from tests.mutants.scripts import is_seen
from tests.mutants.table import PAGE, list_broken, rows, table, verify

ROWS = rows(PAGE.read_text(encoding="utf-8"))
"""The rows of docs/mutants.md."""


@pytest.mark.parametrize("name", MUTANTS)
def test_mutant(name: str) -> None:
    """The defect is found under its rule, its script shows it when run as printed, and its row names what it breaks."""
    mutant = MUTANTS[name]
    verification = verify(mutant)
    found = list_broken(verification)
    assert mutant.rule in found
    finding = next(each for each in verification.findings if each.rule.name == mutant.rule)
    assert is_seen(mutant, finding)
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
