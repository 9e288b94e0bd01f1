"""The catalogue: every statement of the contract that HTTP can show, each a rule with a stable name.

`rules.yaml` states what a rule promises, how it is checked and which parts of `openapi.yaml` it owns. What the rule
rests on is read from `openapi.yaml` at the place that the rule names. `RULES["runs.cancel.terminal-conflict"]` is one
rule; a name that is not in the catalogue is a `KeyError`.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import yaml

from zof_contracts.contract.document import Basis, Contract, load_contract
from zof_contracts.contract.owners import KINDS, Owners, assign_owners
from zof_contracts.contract.resources import load_resources

if TYPE_CHECKING:
    from collections.abc import Mapping

NEEDS: Final = {
    "full": "a profile that may create runs (--profile full)",
    "key-readonly": "a key of the same organization without runs:create (--key-readonly)",
    "key-no-projects": "a key of the same organization without projects:read (--key-no-projects)",
    "key-other-org": "a key of another organization (--key-other-org)",
    "key-expired": "an expired or revoked key (--key-expired)",
    "key-ci": "a key of the same organization with runs:create and projects:read only (--key-ci)",
    "time": "a target whose clock can be moved",
    "quota": "permission to use up a rate-limit window (--use-up-quota)",
    "two-keys": "a second valid key of the same organization (--key-readonly or --key-no-webhooks)",
    "key-no-webhooks": "a key of the same organization without webhooks:manage (--key-no-webhooks)",
    "receiver": "an address at which the deployment reaches this machine (--webhook-public-url)",
    "strict": "strict mode (--strict)",
    "failing-case": "a test case that fails (--failing-case)",
}
"""The properties of the target that a rule may need, and the text of a report for each that is missing."""
_MEMBERS: Final = frozenset({"says", "at", "tag", "needs", "least", "how", "mend", *KINDS})
"""The keys that a rule may have in `rules.yaml`."""


@dataclass(frozen=True, slots=True)
class Rule:
    """One statement of the contract."""

    name: str
    sentence: str
    """The promise."""
    section: int
    """The section of the contract, a key of `SECTIONS`."""
    at: str
    """The place of `openapi.yaml` that states it, in short; see `Contract.pointer`."""
    basis: Basis
    needs: frozenset[str]
    """The properties that the target must have, by the keys of `NEEDS`."""
    least: int
    """The number of observations after which the rule counts as kept."""
    how: str
    """How it is checked."""
    mend: str
    """The advice for a finding."""


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
    10: "Webhooks",
    11: "Projects",
}
"""The sections of the contract that the catalogue covers."""


def _read_rule(name: str, said: dict[str, Any], section: int, contract: Contract) -> Rule:
    if unknown := said.keys() - _MEMBERS:
        raise ValueError(f"rules.yaml: {name} has the unknown keys {sorted(unknown)}; allowed are {sorted(_MEMBERS)}")
    basis = contract.basis(said["at"])
    if "tag" in said:  # A part of a documented place may be assumed, and the other way round.
        basis = Basis(said["tag"], basis.sources if said["tag"] != "A" else ())
    needs = frozenset(said.get("needs", "").split())
    if lost := needs - NEEDS.keys():
        raise ValueError(f"rules.yaml: {name} has the unknown needs {sorted(lost)}; allowed are {sorted(NEEDS)}")
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
def _read_catalogue() -> dict[int, dict[str, Any]]:
    text = (Path(__file__).parent / "rules.yaml").read_text(encoding="utf-8")
    sections: dict[int, dict[str, Any]] = yaml.safe_load(text)
    return sections


def load_rules() -> Mapping[str, Rule]:
    """All rules by name, in the order of the contract."""
    contract = load_contract()
    return {
        name: _read_rule(name, said, section, contract)
        for section, rules in _read_catalogue().items()
        for name, said in rules.items()
    }


def load_ownership() -> Mapping[str, Mapping[str, Any]]:
    """The entries of `rules.yaml`, by the name of the rule."""
    return {name: said for rules in _read_catalogue().values() for name, said in rules.items()}


RULES: Final = load_rules()
"""All rules by name."""
OWNERS: Final[Owners] = assign_owners(load_ownership(), load_resources())
"""The rules that own the parts of the document."""
