"""The state machine: rules about sequences of requests, searched by Hypothesis, which drives target and model.

`run(client, ledger, seed=1, max_examples=30)` searches. In process Hypothesis shrinks a failure, and the ledger stores
the shrunk trace; against a real target nothing is sent twice to shrink. In both cases the actions that led to a finding
are repeated once at the end, and cut down within the budget (see `zof_contracts.search.recheck`).
`zof_contracts.target.budget.Stopped` passes through.
"""

# ruff: noqa: D102  the name of a rule and the action that it calls say what it does

from __future__ import annotations

import time
from contextlib import suppress
from functools import wraps
from typing import TYPE_CHECKING, Any, Final

from hypothesis import HealthCheck, Phase, Verbosity, settings
from hypothesis import seed as seeded
from hypothesis import strategies as st
from hypothesis.errors import Flaky
from hypothesis.stateful import RuleBasedStateMachine, get_state_machine_test, initialize, precondition, rule

from zof_contracts.contract.document import load_contract
from zof_contracts.search.actions import NASTY_IDS, NASTY_VALUES, Actions
from zof_contracts.search.minimize import settle_runs
from zof_contracts.search.recheck import Discovery, shorten
from zof_contracts.target.budget import Stopped
from zof_contracts.target.transport import Unreachable

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Sequence

    from zof_contracts.evidence.ledger import Ledger
    from zof_contracts.search.recheck import Action
    from zof_contracts.target.client import Client

_ROUNDS: Final = 3
"""How many defects are shrunk; further findings are tried again, and keep their trace."""
_PATIENCE: Final = 2.0
"""Seconds to shrink one defect."""
_STEPS: Final = 12

_indexes = st.integers(0, 7)
_limits = st.sampled_from([1, 2, 3, 5, 20])
_keys = st.sampled_from(["one", "two"])
_parts = st.sampled_from([(0,), (1,), (0, 1), (1, 0), (0, 2), (2,), (0, 1, 2)])
_with_profile_full = precondition(lambda self: self.actions.can_start_runs)
_with_a_run = precondition(lambda self: self.actions.runs)


class _Broken(Exception):  # noqa: N818  a decision to shrink here
    """A finding to shrink. Each finding has a class of its own, so that Hypothesis does not shrink one into another."""


class _Halt(BaseException):
    """Carries `Stopped` and `Unreachable` past Hypothesis, which would try to shrink them.

    Without a cause it ends a search that has shrunk for long enough.
    """


class _NoRun(Exception):  # noqa: N818  a decision, not a fault
    """An action needs a run, and there is none after other actions were left out."""


def _guard(step: Callable[..., None]) -> Callable[..., None]:
    @wraps(step)
    def guarded(self: ContractMachine, **given: Any) -> None:  # noqa: ANN401  what Hypothesis draws
        self.history.append((step.__name__, given))
        self.last_number = len(self.actions.client.journal)
        try:
            step(self, **given)
        except (Stopped, Unreachable) as stopped:
            raise _Halt from stopped
        except (_Broken, _NoRun):
            raise
        except Exception:  # noqa: BLE001, S110  an unexpected answer must not end the verification
            pass
        finally:
            self.note_findings()

    return guarded


def _rule(**drawn: Any) -> Callable[[Callable[..., None]], Any]:  # noqa: ANN401  strategies
    return lambda step: rule(**drawn)(_guard(step))  # type: ignore[no-untyped-call]


class ContractMachine(RuleBasedStateMachine):
    """Any sequence of actions."""

    def __init__(
        self,
        client: Client,
        ledger: Ledger,
        discoveries: dict[str, Discovery],
        on_finding: Callable[[str], None] = lambda _: None,
    ) -> None:
        super().__init__()
        self.actions = Actions(client, ledger, on_finding)
        self.salt = f"{ledger.nonce}-{len(client.journal)}"
        self.history: list[Action] = []
        self.last_number = 0
        """The number of the last exchange before the last action."""
        self.discoveries = discoveries
        target = client.target
        self.cases = (*target.cases[:2], target.failing_case or target.cases[0])

    def run(self, index: int) -> str:
        """One of the runs."""
        runs = self.actions.runs
        if not runs:
            raise _NoRun
        return runs[index % len(runs)]

    def note_findings(self) -> None:
        """Remember the actions that led to the findings of the last action."""
        for key, finding in self.actions.ledger.findings.items():
            ours = finding.trace and finding.trace[-1].number > self.actions.began
            if ours and (key not in self.discoveries or self.discoveries[key].finding.trace is not finding.trace):
                last = sum(exchange.number > self.last_number for exchange in finding.trace)
                self.discoveries[key] = Discovery(finding, tuple(self.history), last)

    def play(self, actions: Sequence[Action]) -> None:
        """Repeat actions."""
        for name, given in actions:
            with suppress(_NoRun):
                getattr(self, name)(**given)

    @initialize()
    @_guard
    def begin(self) -> None:
        """Separate the runs of this example from earlier ones in time, or adopt the runs that exist."""
        if not self.actions.can_start_runs:
            self.actions.adopt_runs()
        elif self.actions.client.target.advance:
            self.actions.client.wait(1, "a new example")

    @_with_profile_full
    @_rule(parts=_parts)
    def start(self, parts: tuple[int, ...]) -> None:
        self.actions.start(self._cases(parts))

    @_with_profile_full
    @_rule(key=_keys, parts=_parts, is_spaced=st.booleans())
    def start_keyed(self, key: str, parts: tuple[int, ...], is_spaced: bool) -> None:  # noqa: FBT001  Hypothesis names it
        self.actions.start_keyed(f"{self.salt}-{key}", self._cases(parts), is_spaced=is_spaced)

    @_with_profile_full
    @_rule(key=_keys, parts=_parts, seconds=st.sampled_from([1, 5]))
    def start_wait_replay(self, key: str, parts: tuple[int, ...], seconds: int) -> None:
        cases = self._cases(parts)
        self.actions.start_keyed(f"{self.salt}-{key}", cases, is_spaced=False)
        self.actions.client.wait(seconds, "a later replay")
        self.actions.start_keyed(f"{self.salt}-{key}", cases, is_spaced=True)

    def _cases(self, parts: tuple[int, ...]) -> tuple[str, ...]:
        return tuple(dict.fromkeys(self.cases[part] for part in parts))

    @_with_a_run
    @_rule(index=_indexes)
    def retrieve(self, index: int) -> None:
        self.actions.retrieve(self.run(index))

    @_with_profile_full
    @_with_a_run
    @_rule(index=_indexes)
    def cancel(self, index: int) -> None:
        self.actions.cancel(self.run(index))

    @_with_profile_full
    @_with_a_run
    @_rule(index=_indexes)
    def cancel_twice(self, index: int) -> None:
        self.actions.cancel(self.run(index))
        self.actions.cancel(self.run(index))

    @_with_profile_full
    @_with_a_run
    @_rule(index=_indexes)
    def finish_then_cancel(self, index: int) -> None:
        self.actions.finish(self.run(index))
        self.actions.cancel(self.run(index))
        self.actions.client.wait(1, "a late effect of the cancel")
        self.actions.retrieve(self.run(index))

    @_with_profile_full
    @_rule(parts=_parts, seconds=st.sampled_from([0.2, 0.4, 0.8, 1.5]))
    def start_wait_cancel(self, parts: tuple[int, ...], seconds: float) -> None:
        self.actions.start(self._cases(parts))
        if self.actions.runs:
            self.actions.client.wait(seconds, "a run in progress")
            self.actions.cancel(self.actions.runs[-1])
            self.actions.finish(self.actions.runs[-1])

    @_with_profile_full
    @_rule(runs=st.sampled_from([3, 6]), parts=_parts, status=st.sampled_from(sorted(load_contract().transitions)))
    def start_many(self, runs: int, parts: tuple[int, ...], status: str) -> None:
        for _ in range(runs):
            self.actions.start(self._cases(parts))
        if self.actions.runs:
            self.actions.filter_status(status)
            self.actions.walk_runs(2, starting=True)
            self.actions.cancel(self.actions.runs[-2:][0])

    @_rule(seconds=st.sampled_from([0.3, 1, 4]))
    def wait(self, seconds: float) -> None:
        if self.actions.can_start_runs:
            self.actions.client.wait(seconds, "runs in progress")

    @_with_a_run
    @_rule(index=_indexes, limit=_limits)
    def finish_then_results(self, index: int, limit: int) -> None:
        self.actions.finish(self.run(index))
        self.actions.list_results(self.run(index), limit)
        self.actions.export(self.run(index))
        self.actions.follow_logs(self.run(index), limit)

    @_with_a_run
    @_rule(index=_indexes, limit=_limits)
    def list_results(self, index: int, limit: int) -> None:
        self.actions.list_results(self.run(index), limit)

    @_with_a_run
    @_rule(index=_indexes, limit=_limits)
    def follow_logs(self, index: int, limit: int) -> None:
        self.actions.follow_logs(self.run(index), limit)

    @_with_a_run
    @_rule(index=_indexes)
    def list_artifacts(self, index: int) -> None:
        self.actions.list_artifacts(self.run(index))

    @_with_a_run
    @_rule(limit=_limits, starting=st.booleans())
    def walk_runs(self, limit: int, starting: bool) -> None:  # noqa: FBT001  Hypothesis names it
        self.actions.walk_runs(max(2, limit), starting=starting and self.actions.can_start_runs)

    @_with_a_run
    @_rule(status=st.sampled_from(sorted(load_contract().transitions)))
    def filter_status(self, status: str) -> None:
        self.actions.filter_status(status)

    @precondition(lambda self: self.actions.runs and "other-org" in self.actions.client.target.keys)
    @_rule(index=_indexes)
    def visit_as_stranger(self, index: int) -> None:
        self.actions.visit_as_stranger(self.run(index))

    @_rule(name=st.sampled_from(NASTY_IDS))
    def retrieve_nasty_id(self, name: str) -> None:
        self.actions.retrieve_nasty_id(name)

    @_rule(
        name=st.sampled_from(["status", "created_after", "project_id", "limit"]), value=st.sampled_from(NASTY_VALUES)
    )
    def filter_by_nasty_value(self, name: str, value: str) -> None:
        self.actions.filter_by_nasty_value(name, value)


def run(client: Client, ledger: Ledger, *, seed: int, max_examples: int) -> None:
    """Drive the target through `max_examples` sequences.

    Raises:
        Stopped: no request may be sent any more.
    """
    free = client.target.app is not None and client.budget.requests is None
    confirmed = {key for key, finding in ledger.findings.items() if not finding.flaky}
    search = _Search(client, ledger, confirmed, shrinking=free)
    for number in range(_ROUNDS if free else 1):
        if not search.search_once(seed * 1000 + number, max_examples):
            break
    fresh = [key for key in search.discoveries if key not in confirmed]
    for index, key in enumerate(fresh):
        shorten(ledger, client, key, search.discoveries[key], search.play, cut=free or index < _ROUNDS)


class _Search:
    """A search: what was found, and which findings were shrunk."""

    def __init__(self, client: Client, ledger: Ledger, confirmed: Collection[str], *, shrinking: bool) -> None:
        self.client = client
        self.ledger = ledger
        self.shrinking = shrinking
        self.discoveries: dict[str, Discovery] = {}
        self._shrunk = set(confirmed)
        self._kinds: dict[str, type[_Broken]] = {}
        self._since = 0.0

    def search_once(self, salt: int, max_examples: int) -> bool:
        """Search once; returns whether the search stopped to shrink a finding."""
        self._kinds = {}
        chosen = _make_settings(max_examples, shrinking=self.shrinking)
        test = get_state_machine_test(self._make_machine, settings=chosen)  # type: ignore[arg-type]
        try:
            seeded(salt)(test)()
        except (_Broken, Flaky):
            self._shrunk |= self._kinds.keys()
        except _Halt as halt:
            if halt.__cause__ is not None:
                raise halt.__cause__ from None
            self._shrunk |= self._kinds.keys()
        return bool(self._kinds)

    def play(self, scratch: Ledger, actions: Sequence[Action]) -> dict[str, Discovery]:
        """Repeat the actions of a sequence; returns the discoveries on the way."""
        settle_runs(self.client)
        machine = ContractMachine(self.client, scratch, {})
        try:
            machine.play(actions)
        except _Halt as halt:
            raise halt.__cause__ or halt from None
        return machine.discoveries

    def _make_machine(self) -> ContractMachine:
        if self._kinds and time.monotonic() > self._since + _PATIENCE:
            raise _Halt
        return ContractMachine(self.client, self.ledger, self.discoveries, self._stop_at_finding)

    def _stop_at_finding(self, key: str) -> None:
        if self.shrinking and key not in self._shrunk:
            self._since = self._since if self._kinds else time.monotonic()
            raise self._kinds.setdefault(key, type(f"Broken_{key}", (_Broken,), {}))


def _make_settings(max_examples: int, *, shrinking: bool) -> settings:
    return settings(
        max_examples=max_examples,
        stateful_step_count=_STEPS,
        phases=[Phase.generate, Phase.shrink] if shrinking else [Phase.generate],
        database=None,
        deadline=None,
        derandomize=False,
        report_multiple_bugs=False,
        suppress_health_check=list(HealthCheck),
        verbosity=Verbosity.quiet,
    )
