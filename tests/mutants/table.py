"""The table of mutants and rules: `python -m tests.mutants.table [NAME...]` measures it and writes docs/mutants.md.

With names, only these mutants and new ones are measured again.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final

from zof_contracts.contract.rules import RULES, SECTIONS
from zof_contracts.evidence.findings import Verdict
from zof_contracts.verification.run import run

from tests.mutants.catalogue import MUTANTS, target

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from zof_contracts.evidence.verification import Verification

    from tests.mutants.layer import Mutant

PAGE: Final = Path(__file__).parents[2] / "docs" / "mutants.md"
_ROW: Final = re.compile(r"^\| `([^`]+)` \| `([^`]+)` \| (.*) \|$", re.MULTILINE)
_HEAD: Final = """# Planted defects, and the rules that find them

<!-- Measured and written by `python -m tests.mutants.table`. -->

Each row is a deployment of the emulator with one planted defect, and the rules that the probes of `zof-contracts` find
broken there (seed 0): first the one that the defect was planted to break, then whatever else it breaks on the way.
`tests/mutants/` holds the defects, and `tests/contracts/test_mutants.py` holds `zof-contracts` to finding each of them
under its rule. A rule that no defect trips would be a rule that nobody has seen fail.
"""


def verify(mutant: Mutant) -> Verification:
    """Verify a new deployment of a mutant by the probes."""
    return run(target(mutant), max_examples=0)


def list_broken(verification: Verification) -> frozenset[str]:
    """The rules that a verification finds broken."""
    verdicts = {Verdict.VIOLATED, Verdict.DIFFERS}
    return frozenset(each.rule.name for each in verification.results if each.verdict in verdicts)


def table(found: Mapping[str, frozenset[str]]) -> str:
    """The page, from the broken rules of each mutant."""
    return "\n".join(_lines(found)) + "\n"


def rows(page: str) -> dict[str, frozenset[str]]:
    """The broken rules of each mutant in a page."""
    return {name: frozenset({first, *re.findall(r"`([^`]+)`", rest)}) for name, first, rest in _ROW.findall(page)}


def _lines(found: Mapping[str, frozenset[str]]) -> Iterator[str]:
    rules, pairs = {mutant.rule for mutant in MUTANTS.values()}, sum(map(len, found.values()))
    planted = f"{len(MUTANTS)} defects, planted for {len(rules)} of {len(RULES)} rules"
    yield f"{_HEAD}\n{planted}; {pairs} pairs of a defect and a rule that it breaks."
    for number, title in SECTIONS.items():
        yield f"\n## {number} {title}\n\n| planted defect | its rule | broken too |\n| --- | --- | --- |"
        for rule in (each for each in RULES.values() if each.section == number):
            for mutant in (each for each in MUTANTS.values() if each.rule == rule.name):
                others = [name for name in RULES if name in found[mutant.name] - {rule.name}]
                missed = [] if rule.name in found[mutant.name] else ["**not found**"]
                cells = ", ".join([*missed, *(f"`{name}`" for name in others)])
                yield f"| `{mutant.name}` | `{rule.name}` | {cells} |"


def measure(names: Sequence[str]) -> dict[str, frozenset[str]]:
    """The broken rules of each mutant: those in `names` measured, the others as the page has them if it has them."""
    known = rows(PAGE.read_text(encoding="utf-8")) if names else {}
    return {
        name: known[name] if name in known and name not in names else list_broken(verify(mutant))
        for name, mutant in MUTANTS.items()
    }


if __name__ == "__main__":
    PAGE.write_text(table(measure(sys.argv[1:])), encoding="utf-8")
