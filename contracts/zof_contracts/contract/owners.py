"""The owners: the rule that is about each part of the document, as `rules.yaml` states it.

A finding about a schema, an operation or a list is attributed to the rule that owns it. A part that no rule owns, or
that two rules own, is an error when the catalogue is loaded, so that no finding is attributed to an unrelated rule.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from zof_contracts.contract.resources import Resources

KINDS: Final = ("schemas", "assumed", "values", "prefixes", "accepts", "filters", "order")
"""The keys of `rules.yaml` under which a rule names what it owns."""


@dataclass(frozen=True, slots=True)
class Owners:
    """The names of rules by the parts of the document that they own."""

    schemas: Mapping[str, str]
    """By schema: the rule that an error in a documented or inferred part of it breaks."""
    assumed: Mapping[str, str]
    """By schema: the rule that an error in an assumed part of it breaks."""
    values: Mapping[str, str]
    """By schema of a single value: the rule that a malformed value breaks."""
    prefixes: Mapping[str, str]
    """By schema of an ID with a documented prefix: the rule that another prefix breaks."""
    accepts: Mapping[str, str]
    """By operation: the rule that the refusal of a correct request breaks."""
    filters: Mapping[str, str]
    """By operation that lists: the rule that an accepted wrong filter breaks."""
    order: Mapping[str, str]
    """By operation that lists: the rule that a wrong order breaks."""


def assign_owners(rules: Mapping[str, Mapping[str, Any]], resources: Resources) -> Owners:
    """Read what each rule owns.

    Raises:
        ValueError: a part of the document has no owner or two, or a rule names a part that does not exist.
    """
    owned: dict[str, dict[str, str]] = {kind: {} for kind in KINDS}
    faults: list[str] = []
    for rule, said in rules.items():
        for kind in KINDS:
            for part in str(said.get(kind, "")).split():
                if part in owned[kind]:
                    faults.append(f"{kind}: {rule} and {owned[kind][part]} both name {part}")
                owned[kind][part] = rule
    owned["assumed"] = {**owned["schemas"], **owned["assumed"]}
    required: dict[str, Iterable[str]] = {
        "schemas": resources.schemas,
        "assumed": resources.schemas,
        "values": resources.values,
        "prefixes": (),
        "accepts": resources.operations,
        "filters": resources.filters,
        "order": resources.pages,
    }
    for kind, parts in required.items():
        faults += [f"{kind}: no rule names {part}" for part in sorted(set(parts) - owned[kind].keys())]
        known = resources.prefixes if kind == "prefixes" else parts
        faults += [
            f"{kind}: {owned[kind][part]} names {part}, which does not exist"
            for part in owned[kind].keys() - set(known)
        ]
    if faults:
        raise ValueError(f"rules.yaml does not fit openapi.yaml: {'; '.join(faults)}")
    return Owners(**owned)
