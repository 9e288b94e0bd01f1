"""What was found: verdicts, findings, and when two findings are one.

Plug in: nobody makes a `Finding` by hand; `Session.broken` does. Reports read `Finding` and `RuleResult`.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from zof_contracts.contract.rules import Rule
    from zof_contracts.evidence.exchange import Exchange


class Verdict(StrEnum):
    """How a rule ended."""

    KEPT = "kept"
    """Enough evidence for it, and none against."""
    VIOLATED = "violated"
    """Documented or inferred, and broken."""
    DIFFERS = "differs"
    """Assumed, and otherwise here."""
    NOT_EXERCISED = "not exercised"
    """Too little evidence; the reason says why."""


@dataclass(frozen=True, slots=True)
class Finding:
    """A rule that was seen broken."""

    rule: Rule
    expected: str
    got: str
    """What came instead. Without IDs and times, so that the same defect reads the same each time."""
    trace: tuple[Exchange, ...]
    """The shortest known script that shows it; the last exchange is the one that breaks the rule."""
    seed: int | None = None
    """What repeats it, where chance had a part."""
    flaky: bool = False
    """It was not there when tried again from scratch."""
    times: int = 1
    """How many times it was seen."""
    place: str = ""
    """What the rule was broken about, where it speaks of many things: a field, a header, a parameter."""

    @property
    def verdict(self) -> Verdict:
        """Whose fault it is."""
        return Verdict.VIOLATED if self.rule.basis.binding else Verdict.DIFFERS

    @property
    def operation(self) -> str:
        """The operation of the exchange that breaks the rule."""
        return self.trace[-1].operation if self.trace else ""

    @property
    def request_id(self) -> str | None:
        """The request ID of the exchange that breaks the rule."""
        return self.trace[-1].response.header("x-request-id") if self.trace else None

    @property
    def key(self) -> str:
        """What one defect has in common however often it is found, and by whom: rule, operation and place."""
        words = f"{self.rule.name}\0{self.operation}\0{self.place}"
        return hashlib.sha256(words.encode()).hexdigest()[:16]


@dataclass(frozen=True, slots=True)
class RuleResult:
    """A rule at the end of a verification."""

    rule: Rule
    verdict: Verdict
    evidence: int
    """How many times it was seen kept."""
    reason: str
    """Why it was not exercised; empty otherwise."""
    findings: tuple[Finding, ...]
