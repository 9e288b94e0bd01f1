"""The session: evidence for and against every rule of one verification.

Plug in: probes, tap, oracle, machine and fuzz all hold one `Ledger` and say `kept`, `broken` or `skip`. The first
finding of a defect is kept with its trace; the same one again is counted. *Kept* needs as much evidence as the rule
asks for, so that a target that answers 401 or 429 to everything keeps nothing.
"""

from __future__ import annotations

import secrets
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from zof_contracts.contract.rules import NEEDS, RULES, Rule
from zof_contracts.evidence.events import Event, FindingRecorded
from zof_contracts.evidence.exchange import Exchange
from zof_contracts.evidence.findings import Finding, RuleResult, Verdict

if TYPE_CHECKING:
    from zof_contracts.evidence.events import Listener
    from zof_contracts.evidence.subject import Subject

Trace = Exchange | Sequence[Exchange]


class Ledger:
    """Collects evidence."""

    def __init__(
        self, target: Subject, *, rules: Sequence[Rule] | None = None, seed: int = 0, listeners: Sequence[Listener] = ()
    ) -> None:
        self.target = target
        self.rules = {rule.name: rule for rule in (RULES.values() if rules is None else rules)}
        """The rules that are asked for; evidence about others is dropped."""
        self.seed = seed
        # In process the same seed sends the same bytes; elsewhere what earlier verifications left must not be met.
        self.nonce = f"{seed}" if target.in_process else f"{seed}-{secrets.token_hex(6)}"
        """What tells this verification's idempotency keys from those of others."""
        self.listeners = tuple(listeners)
        self.evidence: Counter[str] = Counter()
        self.findings: dict[str, Finding] = {}
        self.reasons: dict[str, str] = {}

    def record_kept(self, rule: str, exchange: Exchange | None = None, *, times: int = 1) -> None:  # noqa: ARG002  for readers
        """A rule was seen kept."""
        self.evidence[RULES[rule].name] += times

    def record_violation(self, rule: str, *, expected: str, got: str, trace: Trace, place: str = "") -> None:
        """A rule was seen broken, by the last exchange of the trace.

        Two findings are one when rule, operation and `place` are the same, however they are worded; so name a place
        where a rule speaks of many things, and say neither IDs nor times in it.
        """
        if RULES[rule].name not in self.rules:
            return
        exchanges = (trace,) if isinstance(trace, Exchange) else tuple(trace)
        finding = Finding(RULES[rule], self.target.redact(expected), self.target.redact(got), exchanges, place=place)
        known = self.findings.get(finding.key)
        if known is None:
            self.findings[finding.key] = finding
            self.publish(FindingRecorded(finding))
        else:
            shorter = min(known, finding, key=lambda each: len(each.trace))
            self.findings[finding.key] = replace(shorter, times=known.times + 1, flaky=False)

    def check(self, rule: str, holds: object, *, expected: str, got: object, trace: Trace, place: str = "") -> bool:  # noqa: PLR0913
        """One or the other: `kept` when it holds, `broken` when it does not; whether it held."""
        if holds:
            self.record_kept(rule)
        else:
            self.record_violation(rule, expected=expected, got=str(got), trace=trace, place=place)
        return bool(holds)

    def record_skip(self, rule: str, reason: str) -> None:
        """A rule could not be settled, and why; the first reason stays."""
        self.reasons.setdefault(RULES[rule].name, reason)

    def publish(self, event: Event) -> None:
        """Tell every listener."""
        for listener in self.listeners:
            listener(event)

    def results(self) -> tuple[RuleResult, ...]:
        """How every rule that was asked for stands, in the order of the contract."""
        return tuple(self._result(rule) for rule in self.rules.values())

    def _result(self, rule: Rule) -> RuleResult:
        findings = tuple(finding for finding in self.findings.values() if finding.rule.name == rule.name)
        seen = self.evidence[rule.name]
        if any(not finding.flaky for finding in findings):
            return RuleResult(rule, findings[0].verdict, seen, "", findings)
        if findings:
            return RuleResult(rule, Verdict.NOT_EXERCISED, seen, "flaky: not there when tried again", findings)
        if seen >= rule.least:
            return RuleResult(rule, Verdict.KEPT, seen, "", ())
        return RuleResult(rule, Verdict.NOT_EXERCISED, seen, self._reason(rule, seen), ())

    def _reason(self, rule: Rule, seen: int) -> str:
        if lacking := self.target.lacks(rule):
            return "needs " + "; ".join(NEEDS[need] for need in lacking)
        if rule.name in self.reasons:
            return self.reasons[rule.name]
        return f"seen kept {seen} of {rule.least} times" if seen else "nothing that was seen shows it"
