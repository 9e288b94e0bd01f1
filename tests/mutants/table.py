"""The table of mutants and rules: `python -m tests.mutants.table` writes it into docs/mutants.md."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final

from contracts.rules import RULES, SECTIONS
from tests.mutants.catalogue import MUTANTS

if TYPE_CHECKING:
    from collections.abc import Iterator

PAGE: Final = Path(__file__).parents[2] / "docs" / "mutants.md"
_HEAD: Final = """# Planted defects, and the rules that find them

<!-- Written by `python -m tests.mutants.table`. -->

Each name is a deployment of the emulator with one planted defect; `tests/mutants/` holds them, and
`tests/contracts/test_mutants.py` holds `zof-contracts` to finding each under the rule beside it. A rule that no defect
trips would be a rule that nobody has seen fail.
"""


def table() -> str:
    """The page."""
    return "\n".join(_lines()) + "\n"


def _lines() -> Iterator[str]:
    yield (
        _HEAD + f"\n{len(MUTANTS)} defects, {len({mutant.rule for mutant in MUTANTS.values()})} of {len(RULES)} rules."
    )
    for number, title in SECTIONS.items():
        yield f"\n## {number} {title}\n\n| rule | basis | planted defects |\n| --- | --- | --- |"
        for rule in RULES.values():
            if rule.section == number:
                names = ", ".join(f"`{mutant.name}`" for mutant in MUTANTS.values() if mutant.rule == rule.name)
                yield f"| `{rule.name}` | {rule.basis.tag} | {names or 'none'} |"


if __name__ == "__main__":
    PAGE.parent.mkdir(exist_ok=True)
    PAGE.write_text(table(), encoding="utf-8")
