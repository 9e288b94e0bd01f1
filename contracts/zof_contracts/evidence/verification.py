"""A finished verification as one value, with its counts and its exit status.

`zof_contracts.verification.run` makes a `Verification`; `zof_contracts.report` turns it into reports.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from zof_contracts.contract.rules import SECTIONS
from zof_contracts.evidence.findings import Verdict

if TYPE_CHECKING:
    from collections.abc import Mapping

    from zof_contracts.evidence.exchange import Exchange
    from zof_contracts.evidence.findings import Finding, RuleResult
    from zof_contracts.evidence.subject import Subject

NOTHING_FOUND: Final = 0
FOUND: Final = 1
COULD_NOT: Final = 2
INTERRUPTED: Final = 130


@dataclass(frozen=True, slots=True)
class Receipt:
    """A run that was started on the target, and its last known state."""

    run: str
    key: str
    """The name of the key that started it."""
    state: str
    """`ended`, `canceled`, that it was deleted, or why it was left running."""


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
    """The number of generated requests."""
    throttled: int = 0
    """The number of answers with status 429."""
    stopped: str = ""
    """Why it ended early: the budget, for example; empty if it did not."""
    notes: tuple[str, ...] = ()
    """Facts about the target that a reader should know, and that are no findings."""
    interrupted: bool = False
    error: str = ""
    """Why it could not be finished: the target was lost, or an internal error; empty if it was finished."""
    unwritten: str = ""
    """Which reports could not be written, and why; empty if all were."""
    has_baseline: bool = False
    """Whether there is a baseline; it may hold no finding."""
    fail_under: float = 0.0
    """The percentage of the rules that must have been exercised."""
    known: frozenset[str] = frozenset()
    """The keys of the findings that a baseline holds."""
    sections: Mapping[int, str] = field(default_factory=lambda: SECTIONS)
    """The titles of the sections of its rules."""
    recorded: int = 0
    """The number of exchanges that were read from recordings; 0 for a verification that sent requests itself."""

    @property
    def findings(self) -> tuple[Finding, ...]:
        """All findings, violations first, flaky ones last."""
        found = [finding for each in self.results for finding in each.findings]
        return tuple(sorted(found, key=lambda one: (one.flaky, one.verdict is not Verdict.VIOLATED)))

    @property
    def new_findings(self) -> tuple[Finding, ...]:
        """The findings that count: neither flaky nor known."""
        return tuple(one for one in self.findings if not one.flaky and one.key not in self.known)

    @property
    def request_count(self) -> int:
        """The number of requests that were judged."""
        return self.recorded or len(self.journal)

    @property
    def counts(self) -> Counter[Verdict]:
        """The number of rules by verdict."""
        return Counter(each.verdict for each in self.results)

    @property
    def exercised_count(self) -> int:
        """The number of rules that were exercised."""
        return sum(each.verdict is not Verdict.NOT_EXERCISED for each in self.results)

    @property
    def has_evidence(self) -> bool:
        """Whether any rule was exercised."""
        return self.exercised_count > 0

    @property
    def is_thin(self) -> bool:
        """Whether fewer rules were exercised than `fail_under` demands."""
        return 100 * self.exercised_count < self.fail_under * len(self.results)

    def list_failing(self, *, strict: bool) -> tuple[Finding, ...]:
        """The findings that fail a pipeline."""
        return tuple(one for one in self.new_findings if strict or one.verdict is Verdict.VIOLATED)

    def exit_code(self, *, strict: bool) -> int:
        """The exit status of the command line.

        0: nothing was found. 1: violations, or differences when strict. 2: the verification could not be finished, a
        report could not be written, or too little was exercised. 130: interrupted.
        """
        if self.interrupted:
            return INTERRUPTED
        if self.error or self.unwritten or not self.has_evidence:
            return COULD_NOT
        if self.list_failing(strict=strict):
            return FOUND
        return COULD_NOT if self.is_thin else NOTHING_FOUND
