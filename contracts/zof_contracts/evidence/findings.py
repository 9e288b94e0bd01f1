"""Verdicts, claims and findings, and what makes two findings one.

`Ledger` turns claims into findings; reports read `Finding` and `RuleResult`.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from zof_contracts.contract.rules import Rule
    from zof_contracts.evidence.exchange import Exchange

_LONGEST: Final = 80
"""The characters of a value that a finding shows."""


class Verdict(StrEnum):
    """The state of a rule at the end of a verification."""

    KEPT = "kept"
    """There is enough evidence for it, and none against it."""
    VIOLATED = "violated"
    """It is documented or inferred, and was broken."""
    DIFFERS = "differs"
    """It is assumed, and the deployment behaves differently."""
    NOT_EXERCISED = "not exercised"
    """There is too little evidence; the reason says why."""


@dataclass(frozen=True, slots=True)
class Claim:
    """A statement about answers: a rule, and whether the answers keep it."""

    rule: str
    holds: bool
    expected: str
    got: str
    """The observed status, field and value."""
    place: str = ""
    """The field, header or parameter that the finding is about; empty if the rule is about a single thing."""
    operation: str = ""
    """The operation whose last answer decides it; empty when that is the last answer of all."""


@dataclass(frozen=True, slots=True)
class Finding:
    """A rule that was broken."""

    rule: Rule
    expected: str
    got: str
    """The observed status, field and value, without any key."""
    trace: tuple[Exchange, ...]
    """The shortest known sequence of requests that shows it; the last exchange breaks the rule."""
    seed: int | None = None
    """The seed that repeats it, where it was found by generated requests."""
    flaky: bool = False
    """Whether it did not occur again when it was tried from scratch."""
    times: int = 1
    """How many times it occurred."""
    place: str = ""
    """The field, header or parameter that broke the rule; empty if the rule is about a single thing."""
    recordings: tuple[str, ...] = ()
    """The names of the recordings that show it; empty for a verification that sent its requests itself."""

    @property
    def verdict(self) -> Verdict:
        """Violated, or differs where the rule is only assumed."""
        return Verdict.VIOLATED if self.rule.basis.is_binding else Verdict.DIFFERS

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
        """The identity of the finding: a hash of rule, operation and place, never of the wording."""
        parts = f"{self.rule.name}\0{self.operation}\0{self.place}"
        return hashlib.sha256(parts.encode()).hexdigest()[:16]


@dataclass(frozen=True, slots=True)
class RuleResult:
    """A rule at the end of a verification."""

    rule: Rule
    verdict: Verdict
    evidence: int
    """The number of times it was kept."""
    reason: str
    """Why it was not exercised; empty otherwise."""
    findings: tuple[Finding, ...]


def quote_value(value: object) -> str:
    """A JSON value as a finding shows it, cut to length."""
    text = json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 1]}…"
