"""The ledger: the evidence for and against every rule of one verification.

Probes, checks, state machine and fuzzing share one `Ledger` and record what they observe. The first finding of a
defect is stored with its trace; further ones are counted. A rule is *kept* when it was kept as often as it requires, so
that a target that answers 401 or 429 to everything keeps none.
"""

from __future__ import annotations

import secrets
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from functools import cache
from typing import TYPE_CHECKING, Final

from zof_contracts.contract.document import load_contract
from zof_contracts.contract.rules import NEEDS, RULES, Rule
from zof_contracts.evidence.events import Event, FindingRecorded
from zof_contracts.evidence.exchange import Exchange
from zof_contracts.evidence.findings import Claim, Finding, RuleResult, Verdict

if TYPE_CHECKING:
    from collections.abc import Mapping

    from zof_contracts.evidence.events import Listener
    from zof_contracts.evidence.subject import Subject

_ABOUT_FORM: Final = ("conventions.", "limits.", "client.")
"""The beginnings of the names of rules that do not rest on the JSON of an answer."""
_ABOUT_CLIENTS: Final = "client."
"""The beginning of the names of rules for clients, many of which are about what a client does after an error."""
_ABOUT_SERVER_ERRORS: Final = frozenset(
    {"conventions.no-server-error", "conventions.answered", "conventions.strings", "runs.capacity"}
)
"""The rules that a 5xx can break. It says nothing about others, because the request failed for a reason of its own."""

Trace = Exchange | Sequence[Exchange]


class Ledger:
    """Collects evidence."""

    def __init__(
        self,
        target: Subject,
        *,
        rules: Sequence[Rule] | None = None,
        seed: int = 0,
        listeners: Sequence[Listener] = (),
        catalogue: Mapping[str, Rule] = RULES,
    ) -> None:
        self.target = target
        self.catalogue = catalogue
        """All rules that may be named, whether they are to be verified or not."""
        self.rules = {rule.name: rule for rule in (catalogue.values() if rules is None else rules)}
        """The rules to verify; findings about others are dropped."""
        self.seed = seed
        # In process the same seed sends the same bytes; a server may hold idempotency keys of earlier verifications.
        self.nonce = f"{seed}" if target.is_in_process else f"{seed}-{secrets.token_hex(6)}"
        """The part of this verification's idempotency keys that no other verification uses."""
        self.listeners = tuple(listeners)
        self.evidence: Counter[str] = Counter()
        self.findings: dict[str, Finding] = {}
        self.reasons: dict[str, str] = {}
        self.recording = ""
        """The name of the recording that is being judged; empty if there is none."""

    def record_kept(self, rule: str) -> None:
        """Record that a rule was kept once."""
        self.evidence[self.catalogue[rule].name] += 1

    def record_violation(self, rule: str, *, expected: str, got: str, trace: Trace, place: str = "") -> None:
        """Record that the last exchange of a trace broke a rule.

        Two findings are one if rule, operation and place are the same, whatever their wording. Give a place if the rule
        is about many things; it must name a part of the document, not an ID or a time.
        """
        if self.catalogue[rule].name not in self.rules:
            return
        exchanges = (trace,) if isinstance(trace, Exchange) else tuple(trace)
        if not rule.startswith(_ABOUT_FORM) and any(map(_is_unreadable, exchanges)):
            self.record_skip(rule, "an answer that it is about is not JSON")
            return
        if failure := self._find_server_failure(rule, exchanges):
            self.record_skip(rule, f"a request that it is about was answered {failure.response.status}")
            return
        finding = Finding(
            self.catalogue[rule],
            self.target.redact(expected),
            self.target.redact(got),
            exchanges,
            place=place,
            recordings=(self.recording,) if self.recording else (),
        )
        known = self.findings.get(finding.key)
        if known is None:
            self.findings[finding.key] = finding
            self.publish(FindingRecorded(finding))
        else:
            self.findings[finding.key] = _join(known, finding)

    def _find_server_failure(self, rule: str, exchanges: Sequence[Exchange]) -> Exchange | None:
        """The first answer of a trace that says nothing about the rule: one of a gateway, or a 5xx."""
        if rule in _ABOUT_SERVER_ERRORS or rule.startswith(_ABOUT_CLIENTS):
            return None
        is_binding = self.catalogue[rule].basis.is_binding
        failures = (
            each
            for each in exchanges
            if each.response.is_from_gateway or (is_binding and each.response.is_server_error)
        )
        return next(failures, None)

    def check(self, rule: str, holds: object, *, expected: str, got: object, trace: Trace, place: str = "") -> bool:  # noqa: PLR0913
        """Record a rule as kept when it holds, else as broken; returns whether it holds."""
        if holds:
            self.record_kept(rule)
        else:
            self.record_violation(rule, expected=expected, got=str(got), trace=trace, place=place)
        return bool(holds)

    def record(self, claim: Claim, trace: Trace) -> bool:
        """Record a claim that follows from a trace; returns whether it holds."""
        exchanges = [trace] if isinstance(trace, Exchange) else list(trace)
        if any(exchange.operation == claim.operation for exchange in exchanges):
            while exchanges[-1].operation != claim.operation:
                exchanges.pop()
        return self.check(
            claim.rule, claim.holds, expected=claim.expected, got=claim.got, trace=exchanges, place=claim.place
        )

    def record_skip(self, rule: str, reason: str) -> None:
        """Record why a rule could not be judged; the first reason is the one reported."""
        self.reasons.setdefault(self.catalogue[rule].name, reason)

    def merge(self, other: Ledger) -> None:
        """Take over the evidence of a ledger in which a part of this verification was judged."""
        self.evidence.update(other.evidence)
        for rule, reason in other.reasons.items():
            self.reasons.setdefault(rule, reason)
        for key, finding in other.findings.items():
            known = self.findings.get(key)
            if known is None:
                self.findings[key] = finding
                self.publish(FindingRecorded(finding))
            else:
                self.findings[key] = _join(known, finding)

    def publish(self, event: Event) -> None:
        """Pass an event to every listener."""
        for listener in self.listeners:
            listener(event)

    def results(self) -> tuple[RuleResult, ...]:
        """The state of every rule to verify, in the order of the contract."""
        return tuple(self._make_result(rule) for rule in self.rules.values())

    def _make_result(self, rule: Rule) -> RuleResult:
        findings = tuple(finding for finding in self.findings.values() if finding.rule.name == rule.name)
        seen = self.evidence[rule.name]
        if any(not finding.flaky for finding in findings):
            return RuleResult(rule, findings[0].verdict, seen, "", findings)
        if findings:
            return RuleResult(rule, Verdict.NOT_EXERCISED, seen, "flaky: not there when tried again", findings)
        if seen >= rule.least:
            return RuleResult(rule, Verdict.KEPT, seen, "", ())
        return RuleResult(rule, Verdict.NOT_EXERCISED, seen, self._explain(rule, seen), ())

    def _explain(self, rule: Rule, seen: int) -> str:
        if lacking := self.target.lacks(rule):
            return "needs " + "; ".join(NEEDS[need] for need in lacking)
        if rule.name in self.reasons:
            return self.reasons[rule.name]
        return f"seen kept {seen} of {rule.least} times" if seen else "no answer gave evidence"


def _join(known: Finding, other: Finding) -> Finding:
    """One finding for two of the same defect, with the shorter trace."""
    shorter = min(known, other, key=lambda each: len(each.trace))
    recordings = tuple(dict.fromkeys((*known.recordings, *other.recordings)))
    return replace(shorter, times=known.times + other.times, flaky=False, recordings=recordings)


def _is_unreadable(exchange: Exchange) -> bool:
    """Whether a success that must be JSON is not, so that nothing follows from what its fields seem to be."""
    answer = exchange.response
    return answer.ok and answer.json is None and exchange.operation in _list_json_operations()


@cache
def _list_json_operations() -> frozenset[str]:
    """The operations whose successes are JSON and nothing else."""
    contract = load_contract()
    return frozenset(
        operation.id
        for operation in contract.operations.values()
        for status, response in operation.responses.items()
        if status.startswith("2") and list(contract.resolve(response).get("content", ())) == ["application/json"]
    )
