"""Proof that the harness can fail: each planted defect is found under its rule, and none where there is none."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from contracts.findings import Verdict
from contracts.rules import RULES
from contracts.runner import run
from tests.mutants.catalogue import HEALTHY, MUTANTS, target
from tests.mutants.table import PAGE, table

if TYPE_CHECKING:
    from tests.mutants.layer import Mutant


def _found(mutant: Mutant, seed: int, examples: int) -> set[str]:
    facts = run(target(mutant, seed=seed), seed=seed, max_examples=examples)
    broken = {Verdict.VIOLATED, Verdict.DIFFERS}
    return {settled.rule.name for settled in facts.settled if settled.verdict in broken}


@pytest.mark.parametrize("name", MUTANTS)
def test_mutant(name: str) -> None:
    """The defect is found under the rule that it names."""
    assert MUTANTS[name].rule in _found(MUTANTS[name], seed=0, examples=0)


@pytest.mark.parametrize("seed", range(20))
def test_healthy(seed: int) -> None:
    """Nothing is found on the emulator, by probes and by the machine."""
    assert not _found(HEALTHY, seed, examples=5)


def test_enough() -> None:
    """There are at least 60 defects; every rule has one, and every section that the catalogue covers."""
    assert len(MUTANTS) >= 60
    assert {mutant.rule for mutant in MUTANTS.values()} == set(RULES)


def test_table() -> None:
    """docs/mutants.md is what the catalogues say; `python -m tests.mutants.table` writes it."""
    assert PAGE.read_text(encoding="utf-8") == table()
