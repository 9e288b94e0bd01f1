"""The mistakes of a user that show the same as a finding.

Whether a key is expired or lacks a permission shows only in the requests that a rule is about. A finding that such a
request shows therefore names the option that gave the key.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from zof_contracts.target.target import KEYS

if TYPE_CHECKING:
    from zof_contracts.evidence.findings import Finding

_PREFIX: Final = "key-"
_TWO_KEYS: Final = "two-keys"


def describe_doubt(finding: Finding) -> str:
    """Describe the mistake that shows the same as the finding; empty if there is none."""
    named = [need.removeprefix(_PREFIX) for need in sorted(finding.rule.needs) if need.startswith(_PREFIX)]
    if _TWO_KEYS in finding.rule.needs and finding.trace:
        named.append(finding.trace[-1].request.key)
    doubts = [f"--key-{name} is wrong: it must be a key of this kind: {KEYS[name]}" for name in named if name in KEYS]
    return "; or ".join(doubts)
