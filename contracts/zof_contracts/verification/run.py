"""The runner: one verification from the first request to the receipt.

`run(target)` returns a `Verification`, also if the budget ran out or the verification was interrupted. It raises
`Unreachable` or `Stopped`, with a message of one line, only if the target cannot be verified at all.
"""

from __future__ import annotations

import tempfile
import time
import traceback
from collections.abc import Callable
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from hypothesis.configuration import set_hypothesis_home_dir, storage_directory

from zof_contracts.checks.conformance import ConformanceCheck
from zof_contracts.checks.history import HistoryCheck
from zof_contracts.contract.rules import RULES
from zof_contracts.evidence.events import PartFinished, PartStarted, VerificationFinished, VerificationStarted
from zof_contracts.evidence.ledger import Ledger
from zof_contracts.evidence.verification import Verification
from zof_contracts.probes import PROBES, Probe, ProbeContext, Unsettled
from zof_contracts.probes.webhooks import RULES_OF_RETRY, RetryInRealTime
from zof_contracts.search import fuzz, state_machine
from zof_contracts.search.recheck import is_reproduced, judge_separately, mark_flaky
from zof_contracts.target.budget import Budget, ReadOnly, Stopped, Throttled, WrongArgument
from zof_contracts.target.client import Client, Unanswered
from zof_contracts.target.clock import find_clock_control
from zof_contracts.target.interruption import INTERRUPTION
from zof_contracts.target.transport import Unreachable
from zof_contracts.target.world import ForkedWorld, fork_world
from zof_contracts.verification.arguments import ArgumentCheck
from zof_contracts.verification.cleanup import clean_up
from zof_contracts.verification.keys import KeyCheck
from zof_contracts.verification.notes import collect_notes
from zof_contracts.verification.preflight import check_target
from zof_contracts.verification.traces import complete_traces

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Sequence

    from zof_contracts.contract.rules import Rule
    from zof_contracts.evidence.events import Listener
    from zof_contracts.evidence.findings import Finding
    from zof_contracts.target.target import Target

Part = Callable[..., object]
"""A part with generated requests: `part(client, ledger, seed=…, max_examples=…)`."""

PARTS: Final[tuple[tuple[str, Part], ...]] = (
    ("random sequences of requests", state_machine.run),
    ("generated requests", fuzz.run),
)
"""The parts that follow the probes, by name."""

_DELETED: Final = "deleted with the copy of the target's world"
_LEFT: Final = "left "
"""The beginning of the states of what the clean-up could not end."""
_EXAMPLES: Final = 30
_NO_BUDGET: Final = Budget()
_SETTLED_BY_PROBES: Final = frozenset(rule for probe in PROBES for rule in probe.rules)


def _describe_internal_error(error: Exception) -> str:
    frame = traceback.extract_tb(error.__traceback__)[-1]
    return f"internal error: {type(error).__name__}: {error} ({frame.filename}:{frame.lineno})"


def _describe_deleted(state: str) -> str:
    """The state of a run or a webhook after the world in which it was made has been deleted."""
    return _DELETED if state.startswith(_LEFT) else f"{state}; {_DELETED}"


@dataclass(frozen=True, slots=True)
class _End:
    """The end of a verification."""

    stopped: str = ""
    """Why it came early; empty if it did not."""
    interrupted: bool = False
    error: str = ""
    """Why the verification could not be finished; empty if nothing went wrong."""

    @classmethod
    def from_error(cls, error: Exception) -> _End:
        """Return the end that an error means: a budget is no failure, a target that no longer answers is one."""
        is_lost = isinstance(error, (Unreachable, Throttled))
        return cls(str(error), error=str(error) if is_lost else "")


class _EndedEarly(Exception):  # noqa: N818  a decision, not a fault
    """The verification ends early."""

    def __init__(self, end: _End) -> None:
        super().__init__(end.stopped)
        self.end = end


def run(  # noqa: PLR0913  the options of a verification
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
        target: the deployment, its keys and what is permitted there. A clock that can be moved is found automatically.
        rules: the rules to check; the whole catalogue by default.
        budget: the maximum numbers of requests, seconds and runs. Rules that they leave out are *not exercised*.
        seed: the seed for generated requests; the same seed sends the same requests.
        max_examples: the number of examples of each part with generated requests; 0 leaves these parts out.
        listeners: functions that are called with each event.
        known: the keys of the findings that a baseline holds.

    Raises:
        Unreachable: the target is down, redirects, answers HTML, fails TLS, or refuses the key.
        Stopped: the budget or the target does not permit the first requests, or the target refuses an argument.
    """
    began, clock = time.time(), time.perf_counter()
    ledger = Ledger(target, rules=rules, seed=seed, listeners=listeners)
    client = Client(target, budget=budget, tell=ledger.publish)
    runner = _Runner(client, ledger, _EXAMPLES if max_examples is None else max_examples)
    try:
        with _store_elsewhere():
            end = runner.run()
    finally:
        receipt = clean_up(client)
        client.close()
        with _survive_interrupt():
            if runner.leave_world():
                receipt = tuple(replace(each, state=_describe_deleted(each.state)) for each in receipt)
    with _survive_interrupt():
        complete_traces(ledger, client.journal)
    verification = Verification(
        target=replace(client.target, url=target.url),
        results=ledger.results(),
        journal=tuple(client.journal),
        receipt=receipt,
        seed=seed,
        began=began,
        seconds=time.perf_counter() - clock,
        examples=runner.examples,
        throttled=client.account.throttled,
        stopped=end.stopped,
        interrupted=end.interrupted,
        error=end.error,
        notes=collect_notes(client),
        known=frozenset(known),
    )
    ledger.publish(VerificationFinished(verification.results))
    return verification


@contextmanager
def _survive_interrupt() -> Iterator[None]:
    """End the context at an interrupt, and go on: the report is written after any number of interrupts."""
    try:
        yield
    except KeyboardInterrupt:
        INTERRUPTION.acknowledge()


@contextmanager
def _store_elsewhere() -> Iterator[None]:
    """Let Hypothesis store its caches in a temporary folder, so that it leaves nothing in the caller's."""
    before = storage_directory(intent_to_write=False).home_directory
    with tempfile.TemporaryDirectory(prefix="zof-contracts-") as folder:
        set_hypothesis_home_dir(folder)
        try:
            yield
        finally:
            set_hypothesis_home_dir(before)


class _Runner:
    """A verification in progress."""

    def __init__(self, client: Client, ledger: Ledger, max_examples: int) -> None:
        self.client = client
        self.ledger = ledger
        self.max_examples = max_examples
        self.examples = 0
        """The number of generated requests."""
        self._world: ForkedWorld | None = None
        self._found_by: dict[str, Probe] = {}
        """The probe during which each finding was made, by the finding's key."""

    def run(self) -> _End:
        """Run every part, and return how it ended.

        Raises:
            Unreachable, Stopped: the target cannot be verified at all, or an argument is wrong.
        """
        parts = [part for part in PARTS if self.max_examples]
        try:
            self._prepare()
            probes = [probe for probe in PROBES if self._is_needed(probe)]
            late = self._list_late_probes(has_parts=bool(parts))
            target, count = self.client.target, len(probes) + len(late) + len(parts)
            self.ledger.publish(VerificationStarted(target.url, target.profile, len(self.ledger.rules), count))
            context = ProbeContext(self.client, self.ledger, self.ledger.nonce)
            self._run_probes(probes, context, self.ledger)
            self._recheck(probes)
            for probe in late[:1]:
                self._settle(probe, context, self.ledger)
            for name, part in parts:
                self._generate(name, part)
            for probe in late[1:]:
                self._settle(probe, context, self.ledger)
            INTERRUPTION.raise_if_requested()
        except _EndedEarly as early:
            end = early.end
        except KeyboardInterrupt:
            INTERRUPTION.acknowledge()
            end = _End("interrupted", interrupted=True)
        except (Stopped, Unreachable):
            raise  # nothing could be verified, or an argument is wrong
        except Exception as error:  # noqa: BLE001  the runs are canceled and the report is written all the same
            message = self.client.target.redact(_describe_internal_error(error))
            end = _End(message, error=message)
        else:
            return _End()
        self._skip_all(self.ledger.rules, end.stopped)
        return end

    def _prepare(self) -> None:
        """Check that the target and the keys can be used, and find the clock; `Unreachable` or `Stopped` if not."""
        check_target(self.client)
        target = self.client.target
        if target.advance is None and target.find_clock:
            self._enter_world(target)
        keys = KeyCheck(self.client, target.base)
        self.client.observers = [ArgumentCheck(target), keys, ConformanceCheck(self.ledger), HistoryCheck(self.ledger)]
        keys.check_keys(self.ledger.rules.values())

    def _enter_world(self, target: Target) -> None:
        """Verify a copy of the target's world where it offers one, and find the clock."""
        self._world = fork_world(self.client)
        if self._world is not None:
            target = self._world.target
            self.client.change_target(target)
        self.ledger.target = replace(target, advance=find_clock_control(self.client))
        self.client.change_target(self.ledger.target)

    def leave_world(self) -> bool:
        """Delete the copy of the target's world, or say by how much the clock was moved where there is none.

        Returns whether there was a copy and it was deleted.
        """
        target, notes = self.client.target, self.client.notes
        if self._world is not None:
            if self._world.delete(self.client):
                return True
            notes.setdefault(f"the world {self._world.name}, which was made for this verification, was not deleted")
        elif target.can_move_clock and not target.is_in_process and self.client.seconds_waited:
            notes.setdefault(f"the target's clock was moved forward by {self.client.seconds_waited:.0f} s in all")
        return False

    def _list_late_probes(self, *, has_parts: bool) -> tuple[Probe, ...]:
        """The probes of the retry of a webhook on a real clock, before and after the parts that let its time pass."""
        rules = [RULES[name] for name in RULES_OF_RETRY if name in self.ledger.rules]
        if self.client.target.advance is not None or not rules or self.client.target.lacks(rules[0]):
            return ()
        if not has_parts:
            for rule in rules:
                self.ledger.record_skip(rule.name, "no generated requests let the 10 s before the retry pass")
            return ()
        return RetryInRealTime().list_probes()

    def _is_needed(self, probe: Probe) -> bool:
        """Whether the probe is needed. Rules that no single probe settles need the traffic of all probes."""
        selected = self.ledger.rules.keys()
        if selected - _SETTLED_BY_PROBES:
            return True
        return any(not self.client.target.lacks(RULES[rule]) for rule in selected & set(probe.rules))

    def _run_probes(self, probes: Sequence[Probe], context: ProbeContext, ledger: Ledger) -> None:
        left = list(probes)
        while left:
            probe = next((each for each in left if each.is_opportune(context)), left[0])
            left.remove(probe)
            before = set(ledger.findings)
            try:
                self._settle(probe, context, ledger)
            finally:
                for key in ledger.findings.keys() - before:
                    self._found_by.setdefault(key, probe)

    def _settle(self, probe: Probe, context: ProbeContext, ledger: Ledger) -> None:
        ledger.publish(PartStarted(probe.name))
        why = ""
        try:
            probe.settle(context)
        except WrongArgument:
            raise
        except (Unsettled, ReadOnly, Unanswered) as error:
            why = str(error)
        except (Stopped, Unreachable) as error:
            ledger.publish(PartFinished(probe.name, str(error)))
            raise _EndedEarly(_End.from_error(error)) from error
        except Exception as error:  # noqa: BLE001  an unforeseen answer must not end the verification
            why = f"the probe could not read an answer: {type(error).__name__}: {self.client.target.redact(str(error))}"
        if why:
            for rule in probe.rules:
                ledger.record_skip(rule, why)
        ledger.publish(PartFinished(probe.name, why))

    def _recheck(self, probes: Sequence[Probe]) -> None:
        """Run the probes of the findings again; a finding that does not recur is flaky."""
        found_by, self._found_by = self._found_by, {}
        concerned = {probe.name for probe in found_by.values()}
        scratch = self._rerun([probe for probe in probes if probe.name in concerned], "again")
        left = self._list_unreproduced(found_by, scratch)
        if (
            left and self.client.target.app
        ):  # Another round costs no time, and reproduces findings that need several probes.
            scratch = self._rerun(probes, "and-again")
            left = self._list_unreproduced(left, scratch)
        for key in left:
            if not self._is_still_shown(self.ledger.findings[key]):
                mark_flaky(self.ledger, key, scratch)

    def _is_still_shown(self, finding: Finding) -> bool:
        """Whether the request that showed a finding shows it again; a probe that runs again looks at other runs."""
        request = finding.trace[-1].request
        if not request.is_safe:
            return False
        try:
            with judge_separately(self.client, self.ledger) as scratch, suppress(Unanswered, ReadOnly):
                self.client.send(request)
        except (Stopped, Unreachable) as error:
            raise _EndedEarly(_End.from_error(error)) from error
        return is_reproduced(finding, scratch)

    def _rerun(self, probes: Sequence[Probe], word: str) -> Ledger:
        with judge_separately(self.client, self.ledger) as scratch:
            self._run_probes(probes, ProbeContext(self.client, scratch, f"{self.ledger.nonce}-{word}"), scratch)
        return scratch

    def _list_unreproduced(self, keys: Collection[str], scratch: Ledger) -> list[str]:
        return [key for key in keys if not is_reproduced(self.ledger.findings[key], scratch)]

    def _generate(self, name: str, part: Part) -> None:
        self.ledger.publish(PartStarted(name))
        used, why = self.client.account.used, ""
        try:
            part(self.client, self.ledger, seed=self.ledger.seed, max_examples=self.max_examples)
        except WrongArgument:
            raise
        except (Stopped, Unreachable) as error:
            why = str(error)
            raise _EndedEarly(_End.from_error(error)) from error
        finally:
            self.examples += self.client.account.used - used
            self.ledger.publish(PartFinished(name, why))

    def _skip_all(self, rules: Collection[str], why: str) -> None:
        for rule in rules:
            self.ledger.record_skip(rule, why)
