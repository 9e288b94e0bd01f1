"""Proof that the harness can fail: each planted defect is found under its rule, and none where there is none."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from contracts.findings import Verdict
from contracts.rules import RULES
from contracts.runner import run
from tests.mutants.catalogue import HEALTHY, MUTANTS, target
from tests.mutants.table import MISSED, PAGE, table

if TYPE_CHECKING:
    from tests.mutants.layer import Mutant


def _found(mutant: Mutant, seed: int, examples: int) -> set[str]:
    facts = run(target(mutant, seed=seed), seed=seed, max_examples=examples)
    broken = {Verdict.VIOLATED, Verdict.DIFFERS}
    return {settled.rule.name for settled in facts.settled if settled.verdict in broken}


@pytest.mark.parametrize("name", [name for name in MUTANTS if name not in MISSED])
def test_mutant(name: str) -> None:
    """The defect is found under the rule that it names."""
    assert MUTANTS[name].rule in _found(MUTANTS[name], seed=0, examples=0)


@pytest.mark.parametrize("name", MISSED)
def test_missed(name: str) -> None:
    """A defect stands among the missed ones only as long as it is missed."""
    assert MUTANTS[name].rule not in _found(MUTANTS[name], seed=0, examples=0)


@pytest.mark.parametrize("seed", range(20))
def test_healthy(seed: int) -> None:
    """Nothing is found on the emulator by probes."""
    assert not _found(HEALTHY, seed, examples=0)


def test_healthy_with_made_up_inputs() -> None:
    """Nothing is found on the emulator by the model and by Schemathesis."""
    assert not _found(HEALTHY, seed=1, examples=2)


def test_enough() -> None:
    """There are at least 60 defects; every rule has one, and every section that the catalogue covers."""
    assert len(MUTANTS) >= 60
    assert {mutant.rule for mutant in MUTANTS.values()} == set(RULES)


def test_table() -> None:
    """docs/mutants.md is what the catalogues say; `python -m tests.mutants.table` writes it."""
    assert PAGE.read_text(encoding="utf-8") == table()
