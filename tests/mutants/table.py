"""The table of mutants and rules: `python -m tests.mutants.table` writes it into docs/mutants.md."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final

from contracts.rules import RULES, SECTIONS
from tests.mutants.catalogue import MUTANTS

if TYPE_CHECKING:
    from collections.abc import Iterator

MISSED: Final = {
    "error-is-passed": "the target names no case that ends in error",
    "log-not-followable": "no probe reads a log while it grows",
    "passed-then-failed": "no probe looks again much later",
    "queued-unlisted": "no probe lists a run over capacity",
    "both-stories": "it is found, but under limits.exact",
    "cancel-not-done": "it is found, but under runs.cancel.race and others",
    "projects-not-found": "it is found, but under conventions.status",
    "projects-without-id": "it is found, but under projects.fields",
}
"""Defects that probes do not find yet under their own rule, and why; whoever mends one strikes it off."""

PAGE: Final = Path(__file__).parents[2] / "docs" / "mutants.md"
_HEAD: Final = """# Planted defects, and the rules that find them

<!-- Written by `python -m tests.mutants.table`. -->

Each name is a deployment of the emulator with one planted defect; `tests/mutants/` holds them, and
`tests/contracts/test_mutants.py` holds `zof-contracts` to finding each under the rule beside it. A rule that no defect
trips would be a rule that nobody has seen fail. In *italics*, with the reason at the end, stand those that the probes
do not find under that rule yet.
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
                names = ", ".join(_shown(mutant.name) for mutant in MUTANTS.values() if mutant.rule == rule.name)
                yield f"| `{rule.name}` | {rule.basis.tag} | {names or 'none'} |"
    yield "\n## Not found yet\n\n| planted defect | why |\n| --- | --- |"
    for name, why in MISSED.items():
        yield f"| `{name}` | {why} |"


def _shown(name: str) -> str:
    return f"*`{name}`*" if name in MISSED else f"`{name}`"


if __name__ == "__main__":
    PAGE.parent.mkdir(exist_ok=True)
    PAGE.write_text(table(), encoding="utf-8")
