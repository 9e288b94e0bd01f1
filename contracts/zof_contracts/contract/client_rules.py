"""The catalogue of rules for clients: what the vendor advises those who use the API, each rule with a stable name.

`client_rules.yaml` states the rules in the form of `rules.yaml`. A deployment cannot break them; a client can.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import yaml

from zof_contracts.contract.document import Basis
from zof_contracts.contract.rules import Rule

if TYPE_CHECKING:
    from collections.abc import Mapping

_REQUIRED: Final = frozenset({"says", "at", "basis", "how", "mend"})
_MEMBERS: Final = _REQUIRED | {"least"}

CLIENT_SECTIONS: Final = {
    1: "Idempotency",
    2: "Retries",
    3: "Waiting for runs",
    4: "Lists",
    5: "Cancels",
    6: "Keys",
    7: "Errors",
    8: "Requests",
    9: "Artifacts",
    10: "Webhooks",
}
"""The sections of the catalogue of client rules."""


def _read_rule(name: str, said: dict[str, Any], section: int) -> Rule:
    if wrong := (said.keys() - _MEMBERS) | (_REQUIRED - said.keys()):
        raise ValueError(f"client_rules.yaml: {name} lacks or misspells the keys {sorted(wrong)}")
    return Rule(
        name=name,
        sentence=said["says"],
        section=section,
        at=said["at"],
        basis=Basis.read(said["basis"]),
        needs=frozenset(),
        least=said.get("least", 1),
        how=said["how"],
        mend=said["mend"],
    )


def load_client_rules() -> Mapping[str, Rule]:
    """All client rules by name, in the order of the file."""
    text = (Path(__file__).parent / "client_rules.yaml").read_text(encoding="utf-8")
    return {
        name: _read_rule(name, said, section)
        for section, rules in yaml.safe_load(text).items()
        for name, said in rules.items()
    }


CLIENT_RULES: Final = load_client_rules()
"""All client rules by name."""
