"""The runner: one verification from the first request to the receipt.

`run(target)` returns a `Verification`, whatever happened on the way, also when it was interrupted. Only a
target that cannot be verified at all is an exception: `Unreachable` or `Stopped`, with one clear line.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from zof_contracts.checks.conformance import ConformanceCheck
from zof_contracts.checks.history import HistoryCheck
from zof_contracts.contract.rules import RULES
from zof_contracts.evidence.events import PartFinished, PartStarted, VerificationFinished, VerificationStarted
from zof_contracts.target.transport import HttpTransport, Unreachable
from zof_contracts.evidence.ledger import Ledger
from zof_contracts.evidence.verification import Verification
from zof_contracts.probes import PROBES, Probe, ProbeContext, Unsettled
from zof_contracts.search import fuzz, state_machine
from zof_contracts.search.recheck import is_reproduced, judge_separately, mark_flaky
from zof_contracts.target.budget import Budget, ReadOnly, Stopped
from zof_contracts.target.client import Client
from zof_contracts.target.clock import find_clock_control
from zof_contracts.verification.cleanup import clean_up
from zof_contracts.verification.preflight import preflight

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from zof_contracts.contract.rules import Rule
    from zof_contracts.evidence.events import Listener
    from zof_contracts.target.target import Target

Part = Callable[..., object]
"""What drives the target with inputs that it makes up: `part(client, session, seed=…, max_examples=…)`."""

PARTS: Final[tuple[tuple[str, Part], ...]] = (
    ("promises over time", state_machine.run),
    ("shapes of requests", fuzz.run),
)
"""What goes on when the probes are done, by what is being tried."""

_EXAMPLES: Final = 30
_NO_BUDGET: Final = Budget()
_SETTLED_BY_PROBES: Final = frozenset(rule for probe in PROBES for rule in probe.rules)


class _Over(Exception):  # noqa: N818  a decision, not a fault
    """Nothing more is sent; the message says why."""


def run(  # noqa: PLR0913  what a verification may be told
    target: Target,
    *,
    rules: Sequence[Rule] | None = None,
    budget: Budget = _NO_BUDGET,
    seed: int = 0,
    max_examples: int | None = None,
    listeners: Sequence[Listener] = (),
    known: Collection[str] = (),
) -> Verification:
    """Verify a deployment.

    Args:
        target: where, with which keys, and what may be done there. A clock that can be moved is found by itself.
        rules: what is asked for; the whole catalogue by default.
        budget: what it may cost; what it did not reach is *not exercised*, with the reason.
        seed: what repeats it.
        max_examples: how many inputs each part after the probes may make up; 0 leaves those parts out.
        listeners: are told what happens.
        known: findings, by their key, that a baseline holds already.

    Raises:
        Unreachable: the target is down, redirects, speaks no TLS or HTML, or refuses the key.
        Stopped: the budget or the target allow not even the first requests.
    """
    began, clock = time.time(), time.perf_counter()
    session = Ledger(target, rules=rules, seed=seed, listeners=listeners)
    client = Client(target, budget=budget, tell=session.publish)
    preflight(client)
    if target.advance is None and target.find_clock:
        target = client.target = session.target = replace(target, advance=find_clock_control(target))
    verification = _Running(client, session, _EXAMPLES if max_examples is None else max_examples)
    stopped, interrupted = verification.done()
    receipt = clean_up(client)
    if isinstance(client.transport, HttpTransport):
        client.transport.close()
    facts = Verification(
        target=target,
        settled=session.results(),
        journal=tuple(client.journal),
        receipt=receipt,
        seed=seed,
        began=began,
        seconds=time.perf_counter() - clock,
        examples=verification.examples,
        throttled=client.throttled,
        stopped=stopped,
        interrupted=interrupted,
        known=frozenset(known),
    )
    session.publish(VerificationFinished(facts.settled))
    return facts


class _Running:
    """A verification under way."""

    def __init__(self, client: Client, session: Ledger, max_examples: int) -> None:
        self.client = client
        self.session = session
        self.max_examples = max_examples
        self.examples = 0
        """Requests that were made up."""
        self._found_by: dict[str, Probe] = {}
        """The probe on whose way a finding came up, by the finding's key."""

    def done(self) -> tuple[str, bool]:
        """Do all of it: why it ended early, if it did, and whether it was interrupted."""
        target, parts = self.client.target, [part for part in PARTS if self.max_examples]
        probes = [probe for probe in PROBES if self._wanted(probe)]
        count = len(probes) + len(parts)
        self.session.publish(VerificationStarted(target.url, target.profile, len(self.session.rules), count))
        self.client.observers = [ConformanceCheck(self.session), HistoryCheck(self.session)]
        try:
            self._probe(probes, ProbeContext(self.client, self.session, self.session.nonce), self.session)
            self._again(probes)
            for name, part in parts:
                self._make_up(name, part)
        except _Over as over:
            self._leave(self.session.rules, str(over))
            return str(over), False
        except KeyboardInterrupt:
            self._leave(self.session.rules, "interrupted")
            return "interrupted", True
        return "", False

    def _wanted(self, probe: Probe) -> bool:
        """Whether a probe can settle what is asked for; rules that any traffic shows want all of them."""
        asked = self.session.rules.keys()
        if asked - _SETTLED_BY_PROBES:
            return True
        return any(not self.client.target.lacks(RULES[rule]) for rule in asked & set(probe.rules))

    def _probe(self, probes: Sequence[Probe], context: ProbeContext, session: Ledger) -> None:
        left = list(probes)
        while left:
            probe = next((each for each in left if each.is_opportune(context)), left[0])
            left.remove(probe)
            before = set(session.findings)
            try:
                self._settle(probe, context, session)
            finally:
                for key in session.findings.keys() - before:
                    self._found_by.setdefault(key, probe)

    def _settle(self, probe: Probe, context: ProbeContext, session: Ledger) -> None:
        session.publish(PartStarted(probe.name))
        why = ""
        try:
            probe.settle(context)
        except (Unsettled, ReadOnly) as error:
            why = str(error)
        except (Stopped, Unreachable) as error:
            session.publish(PartFinished(probe.name, str(error)))
            raise _Over(str(error)) from error
        except Exception as error:  # noqa: BLE001  an answer that no one foresaw must not end the verification
            why = f"the probe could not read an answer: {type(error).__name__}: {self.client.target.redact(str(error))}"
        if why:
            for rule in probe.rules:
                session.record_skip(rule, why)
        session.publish(PartFinished(probe.name, why))

    def _again(self, probes: Sequence[Probe]) -> None:
        """Try what was found once more from scratch; what is not there then is flaky."""
        found_by, self._found_by = self._found_by, {}
        concerned = {probe.name for probe in found_by.values()}
        scratch = self._once_more([probe for probe in probes if probe.name in concerned], "again")
        left = self._absent(found_by, scratch)
        if left and self.client.target.app:  # Another round is free, and shows what only shows between probes.
            scratch = self._once_more(probes, "and-again")
            left = self._absent(left, scratch)
        for key in left:
            mark_flaky(self.session, key, scratch)

    def _once_more(self, probes: Sequence[Probe], word: str) -> Ledger:
        with judge_separately(self.client, self.session) as scratch:
            self._probe(probes, ProbeContext(self.client, scratch, f"{self.session.nonce}-{word}"), scratch)
        return scratch

    def _absent(self, keys: Collection[str], scratch: Ledger) -> list[str]:
        return [key for key in keys if not is_reproduced(self.session.findings[key], scratch)]

    def _make_up(self, name: str, part: Part) -> None:
        self.session.publish(PartStarted(name))
        used, why = self.client.used, ""
        try:
            part(self.client, self.session, seed=self.session.seed, max_examples=self.max_examples)
        except (Stopped, Unreachable) as error:
            why = str(error)
            raise _Over(why) from error
        finally:
            self.examples += self.client.used - used
            self.session.publish(PartFinished(name, why))

    def _leave(self, rules: Collection[str], why: str) -> None:
        for rule in rules:
            self.session.record_skip(rule, why)
