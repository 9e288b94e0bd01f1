"""A verification that has ended, as one value: the results of the rules, the journal and the counts.

`zof_contracts.verification.run` makes it; every report reads it through `zof_contracts.report.document`, which removes
the keys.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from zof_contracts.evidence.findings import Verdict

if TYPE_CHECKING:
    from zof_contracts.evidence.exchange import Exchange
    from zof_contracts.evidence.findings import Finding, RuleResult
    from zof_contracts.evidence.subject import Subject

NOTHING_FOUND: Final = 0
FOUND: Final = 1
COULD_NOT: Final = 2
INTERRUPTED: Final = 130


@dataclass(frozen=True, slots=True)
class Receipt:
    """A run that was started on the target, and its state after the clean-up."""

    run: str
    key: str
    """The name of the key that started it."""
    state: str
    """`ended`, `canceled`, or why it was left running."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Verification:
    """A verification that has ended."""

    target: Subject
    results: tuple[RuleResult, ...]
    journal: tuple[Exchange, ...] = ()
    receipt: tuple[Receipt, ...] = ()
    seed: int = 0
    began: float = 0.0
    """Unix seconds."""
    seconds: float = 0.0
    examples: int = 0
    """The number of generated requests, of fuzzing and of the state machine."""
    throttled: int = 0
    """How often the target answered 429 to the client."""
    stopped: str = ""
    """Why it ended early, such as a budget; empty when it did not."""
    interrupted: bool = False
    known: frozenset[str] = frozenset()
    """The keys of the findings that a baseline holds."""

    @property
    def findings(self) -> tuple[Finding, ...]:
        """All findings, violations first, flaky ones last."""
        found = [finding for each in self.results for finding in each.findings]
        return tuple(sorted(found, key=lambda one: (one.flaky, one.verdict is not Verdict.VIOLATED)))

    @property
    def new_findings(self) -> tuple[Finding, ...]:
        """The findings that are neither flaky nor in the baseline."""
        return tuple(one for one in self.findings if not one.flaky and one.key not in self.known)

    @property
    def counts(self) -> Counter[Verdict]:
        """The number of rules by verdict."""
        return Counter(each.verdict for each in self.results)

    @property
    def has_evidence(self) -> bool:
        """Whether any rule was exercised."""
        return any(each.verdict is not Verdict.NOT_EXERCISED for each in self.results)

    def failing(self, *, strict: bool) -> tuple[Finding, ...]:
        """The findings that make a pipeline fail."""
        return tuple(one for one in self.new_findings if strict or one.verdict is Verdict.VIOLATED)

    def exit_code(self, *, strict: bool) -> int:
        """0 nothing found, 1 violations (or differences, when strict), 2 nothing was tested, 130 interrupted."""
        if self.interrupted:
            return INTERRUPTED
        if not self.has_evidence:
            return COULD_NOT
        return FOUND if self.failing(strict=strict) else NOTHING_FOUND
