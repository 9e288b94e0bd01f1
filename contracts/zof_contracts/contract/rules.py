"""The catalogue: every statement of the contract that HTTP can show, each a rule with a stable name.

What a rule says lies in `rules.yaml`; on what it rests is read from `openapi.yaml` at the place that the rule
names. Plug in: `RULES["runs.cancel.terminal-conflict"]`; whoever observes evidence for or against a rule tells a
`zof_contracts.evidence.ledger.Session` its name. A name that is not in the catalogue is a `KeyError` there.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import yaml

from zof_contracts.contract.document import Basis, Contract, load_contract

if TYPE_CHECKING:
    from collections.abc import Mapping

NEEDS: Final = {
    "full": "a profile that may create runs (--profile full)",
    "key-readonly": "a key of the same organization without runs:create (--key-readonly)",
    "key-no-projects": "a key of the same organization without projects:read (--key-no-projects)",
    "key-other-org": "a key of another organization (--key-other-org)",
    "key-expired": "an expired or revoked key (--key-expired)",
    "time": "a target whose clock can be moved",
    "quota": "leave to use up a rate-limit window (--use-up-quota)",
    "two-keys": "a second valid key of the same organization (--key-readonly or --key-no-webhooks)",
    "strict": "strict mode (--strict)",
    "failing-case": "a test case that fails (--failing-case)",
}
"""What a rule may need of the target, and what to say when it is not there."""


@dataclass(frozen=True, slots=True)
class Rule:
    """One statement of the contract."""

    name: str
    sentence: str
    """What is promised."""
    section: int
    """The section of the contract: 1 conventions, 2 errors, … 9 results, 11 projects."""
    at: str
    """The place of `openapi.yaml` it goes by, in short; see `Contract.pointer`."""
    basis: Basis
    needs: frozenset[str]
    least: int
    """How many times it must be seen kept before it counts as kept."""
    how: str
    """What is done to settle it."""
    mend: str
    """What to do about a finding."""

    @property
    def breach(self) -> str:
        """The verdict when it is broken: `violated`, or `differs` from what was merely assumed."""
        return "violated" if self.basis.binding else "differs"


SECTIONS: Final = {
    1: "Conventions",
    2: "Errors",
    3: "Authentication, tenants, permissions",
    4: "Rate limits",
    5: "Pagination",
    6: "Idempotency",
    7: "Runs",
    8: "Logs and artifacts",
    9: "Results",
    11: "Projects",
}
"""The sections of the contract that the catalogue covers."""


def _rule(name: str, said: dict[str, Any], section: int, document: Contract) -> Rule:
    basis = document.basis(said["at"])
    if "tag" in said:  # A part of a documented place may be assumed, and the other way round.
        basis = Basis(said["tag"], basis.sources if said["tag"] != "A" else ())
    needs = frozenset(said.get("needs", "").split())
    if unknown := needs - NEEDS.keys():
        raise ValueError(f"{name} needs {sorted(unknown)}, which is not known")
    return Rule(
        name=name,
        sentence=said["says"],
        section=section,
        at=said["at"],
        basis=basis,
        needs=needs,
        least=said.get("least", 1),
        how=said.get("how", ""),
        mend=said.get("mend", ""),
    )


@cache
def catalogue() -> Mapping[str, Rule]:
    """All rules by name, in the order of the contract."""
    text = (Path(__file__).parent / "rules.yaml").read_text(encoding="utf-8")
    sections: dict[int, dict[str, Any]] = yaml.safe_load(text)
    document = load_contract()
    return {
        name: _rule(name, said, section, document)
        for section, rules in sections.items()
        for name, said in rules.items()
    }


RULES: Final = catalogue()
"""All rules by name."""
