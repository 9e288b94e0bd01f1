"""The machine: promises over time, looked for by Hypothesis, which drives target and model side by side.

Plug in: `run(client, ledger, seed=1, max_examples=30)`. In process a failure is shrunk freely, and the shrunk trace is
the one that the ledger keeps; against a real target nothing is sent twice to shrink. Either way the moves that led
to a finding are played once more at the end, and cut down within the budget (see `zof_contracts.search.recheck`).
`zof_contracts.target.budget.Stopped` comes through.
"""

# ruff: noqa: D102  a rule is told by its name, and by the step that it takes

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
from zof_contracts.search.recheck import Sighting, shorten
from zof_contracts.target.budget import Stopped
from zof_contracts.target.transport import Unreachable

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Sequence

    from zof_contracts.evidence.ledger import Ledger
    from zof_contracts.search.recheck import Action
    from zof_contracts.target.client import Client

_ROUNDS: Final = 3
"""How many defects are shrunk, at the most; what else was found is tried again, and keeps its trace."""
_PATIENCE: Final = 2.0
"""Seconds to shrink one."""
_STEPS: Final = 12

_places = st.integers(0, 7)
_limits = st.sampled_from([1, 2, 3, 5, 20])
_keys = st.sampled_from(["one", "two"])
_parts = st.sampled_from([(0,), (1,), (0, 1), (1, 0), (0, 2), (2,), (0, 1, 2)])
_full = precondition(lambda self: self.steps.full)
_running = precondition(lambda self: self.steps.mine)


class _Broken(Exception):  # noqa: N818  a decision to shrink here
    """A finding that is worth shrinking; each has a class of its own, so that one does not slip into another."""


class _Halt(BaseException):
    """Carries `Stopped` and `Unreachable` past Hypothesis, which would else try to shrink them.

    Without a cause it says that enough was shrunk.
    """


class _Pointless(Exception):  # noqa: N818  a decision, not a fault
    """A move needs a run, and there is none now that others were left out."""


def _guarded(step: Callable[..., None]) -> Callable[..., None]:
    @wraps(step)
    def guarded(self: StoryMachine, **given: Any) -> None:  # noqa: ANN401  what Hypothesis draws
        self.moves.append((step.__name__, given))
        self.moved = len(self.steps.client.journal)
        try:
            step(self, **given)
        except (Stopped, Unreachable) as stopped:
            raise _Halt from stopped
        except (_Broken, _Pointless):
            raise
        except Exception:  # noqa: BLE001, S110  an answer that no one foresaw must not end the verification
            pass
        finally:
            self.note()

    return guarded


def _rule(**drawn: Any) -> Callable[[Callable[..., None]], Any]:  # noqa: ANN401  strategies
    return lambda step: rule(**drawn)(_guarded(step))  # type: ignore[no-untyped-call]


class StoryMachine(RuleBasedStateMachine):
    """Any sequence of steps."""

    def __init__(
        self, client: Client, ledger: Ledger, seen: dict[str, Sighting], hunt: Callable[[str], None] = lambda _: None
    ) -> None:
        super().__init__()
        self.steps = Actions(client, ledger, hunt)
        self.salt = f"{ledger.nonce}-{len(client.journal)}"
        self.moves: list[Action] = []
        self.moved = 0
        """The number of the last exchange before the last move."""
        self.seen = seen
        target = client.target
        self.cases = (*target.cases[:2], target.failing_case or target.cases[0])

    def run(self, place: int) -> str:
        """One of the runs."""
        mine = self.steps.mine
        if not mine:
            raise _Pointless
        return mine[place % len(mine)]

    def note(self) -> None:
        """Remember the moves that led to what was found just now."""
        for key, finding in self.steps.ledger.findings.items():
            ours = finding.trace and finding.trace[-1].number > self.steps.began
            if ours and (key not in self.seen or self.seen[key].finding.trace is not finding.trace):
                last = sum(exchange.number > self.moved for exchange in finding.trace)
                self.seen[key] = Sighting(finding, tuple(self.moves), last)

    def play(self, moves: Sequence[Action]) -> None:
        """Make moves that were made before."""
        for name, given in moves:
            with suppress(_Pointless):
                getattr(self, name)(**given)

    @initialize()
    @_guarded
    def begin(self) -> None:
        """Tell this example's runs from those before, where that costs nothing; or take the runs that are there."""
        if not self.steps.full:
            self.steps.adopt()
        elif self.steps.client.target.advance:
            self.steps.client.wait(1, "a new example")

    @_full
    @_rule(parts=_parts)
    def start(self, parts: tuple[int, ...]) -> None:
        self.steps.start(self._cases(parts))

    @_full
    @_rule(key=_keys, parts=_parts, spaced=st.booleans())
    def start_keyed(self, key: str, parts: tuple[int, ...], spaced: bool) -> None:  # noqa: FBT001  Hypothesis names it
        self.steps.start_keyed(f"{self.salt}-{key}", self._cases(parts), spaced=spaced)

    @_full
    @_rule(key=_keys, parts=_parts, seconds=st.sampled_from([1, 5]))
    def start_wait_replay(self, key: str, parts: tuple[int, ...], seconds: int) -> None:
        cases = self._cases(parts)
        self.steps.start_keyed(f"{self.salt}-{key}", cases, spaced=False)
        self.steps.client.wait(seconds, "a replay later")
        self.steps.start_keyed(f"{self.salt}-{key}", cases, spaced=True)

    def _cases(self, parts: tuple[int, ...]) -> tuple[str, ...]:
        return tuple(dict.fromkeys(self.cases[part] for part in parts))

    @_running
    @_rule(place=_places)
    def show(self, place: int) -> None:
        self.steps.show(self.run(place))

    @_full
    @_running
    @_rule(place=_places)
    def cancel(self, place: int) -> None:
        self.steps.cancel(self.run(place))

    @_full
    @_running
    @_rule(place=_places)
    def cancel_twice(self, place: int) -> None:
        self.steps.cancel(self.run(place))
        self.steps.cancel(self.run(place))

    @_full
    @_running
    @_rule(place=_places)
    def finish_then_cancel(self, place: int) -> None:
        self.steps.finish(self.run(place))
        self.steps.cancel(self.run(place))
        self.steps.client.wait(1, "what a cancel does later")
        self.steps.show(self.run(place))

    @_full
    @_rule(parts=_parts, seconds=st.sampled_from([0.2, 0.4, 0.8, 1.5]))
    def start_wait_cancel(self, parts: tuple[int, ...], seconds: float) -> None:
        self.steps.start(self._cases(parts))
        if self.steps.mine:
            self.steps.client.wait(seconds, "a run that runs")
            self.steps.cancel(self.steps.mine[-1])
            self.steps.finish(self.steps.mine[-1])

    @_full
    @_rule(runs=st.sampled_from([3, 6]), parts=_parts, status=st.sampled_from(sorted(load_contract().transitions)))
    def crowd(self, runs: int, parts: tuple[int, ...], status: str) -> None:
        for _ in range(runs):
            self.steps.start(self._cases(parts))
        if self.steps.mine:
            self.steps.filter_status(status)
            self.steps.walk_runs(2, starting=True)
            self.steps.cancel(self.steps.mine[-2:][0])

    @_rule(seconds=st.sampled_from([0.3, 1, 4]))
    def wait(self, seconds: float) -> None:
        if self.steps.full:
            self.steps.client.wait(seconds, "what time brings")

    @_running
    @_rule(place=_places, limit=_limits)
    def finish_then_results(self, place: int, limit: int) -> None:
        self.steps.finish(self.run(place))
        self.steps.results(self.run(place), limit)
        self.steps.export(self.run(place))
        self.steps.follow_logs(self.run(place), limit)

    @_running
    @_rule(place=_places, limit=_limits)
    def results(self, place: int, limit: int) -> None:
        self.steps.results(self.run(place), limit)

    @_running
    @_rule(place=_places, limit=_limits)
    def logs(self, place: int, limit: int) -> None:
        self.steps.follow_logs(self.run(place), limit)

    @_running
    @_rule(place=_places)
    def artifacts(self, place: int) -> None:
        self.steps.artifacts(self.run(place))

    @_running
    @_rule(limit=_limits, starting=st.booleans())
    def page(self, limit: int, starting: bool) -> None:  # noqa: FBT001  Hypothesis names it
        self.steps.walk_runs(max(2, limit), starting=starting and self.steps.full)

    @_running
    @_rule(status=st.sampled_from(sorted(load_contract().transitions)))
    def filter_status(self, status: str) -> None:
        self.steps.filter_status(status)

    @precondition(lambda self: self.steps.mine and "other-org" in self.steps.client.target.keys)
    @_rule(place=_places)
    def foreign(self, place: int) -> None:
        self.steps.foreign(self.run(place))

    @_rule(name=st.sampled_from(NASTY_IDS))
    def nasty_id(self, name: str) -> None:
        self.steps.nasty_id(name)

    @_rule(
        name=st.sampled_from(["status", "created_after", "project_id", "limit"]), value=st.sampled_from(NASTY_VALUES)
    )
    def nasty_value(self, name: str, value: str) -> None:
        self.steps.nasty_value(name, value)


def run(client: Client, ledger: Ledger, *, seed: int, max_examples: int) -> None:
    """Drive the target through so many sequences; `Stopped` when nothing may be sent any more."""
    free = client.target.app is not None and client.budget.requests is None
    settled = {key for key, finding in ledger.findings.items() if not finding.flaky}
    search = _Search(client, ledger, settled, shrinking=free)
    for number in range(_ROUNDS if free else 1):
        if not search.round(seed * 1000 + number, max_examples):
            break
    fresh = [key for key in search.seen if key not in settled]
    for place, key in enumerate(fresh):
        shorten(ledger, client, key, search.seen[key], search.play, cut=free or place < _ROUNDS)


class _Search:
    """A search under way: what was found, and what of it was shrunk."""

    def __init__(self, client: Client, ledger: Ledger, settled: Collection[str], *, shrinking: bool) -> None:
        self.client = client
        self.ledger = ledger
        self.shrinking = shrinking
        self.seen: dict[str, Sighting] = {}
        self._shrunk = set(settled)
        self._kinds: dict[str, type[_Broken]] = {}
        self._since = 0.0

    def round(self, salt: int, max_examples: int) -> bool:
        """Search once; whether it stopped at a finding, which is then among those that were shrunk."""
        self._kinds = {}
        test = get_state_machine_test(self._made, settings=_settings(max_examples, shrinking=self.shrinking))  # type: ignore[arg-type]
        try:
            seeded(salt)(test)()
        except (_Broken, Flaky):
            self._shrunk |= self._kinds.keys()
        except _Halt as halt:
            if halt.__cause__ is not None:
                raise halt.__cause__ from None
            self._shrunk |= self._kinds.keys()
        return bool(self._kinds)

    def play(self, scratch: Ledger, moves: Sequence[Action]) -> dict[str, Sighting]:
        """Make the moves of one sequence once more: what was seen on the way."""
        settle_runs(self.client)
        machine = StoryMachine(self.client, scratch, {})
        try:
            machine.play(moves)
        except _Halt as halt:
            raise halt.__cause__ or halt from None
        return machine.seen

    def _made(self) -> StoryMachine:
        if self._kinds and time.monotonic() > self._since + _PATIENCE:
            raise _Halt
        return StoryMachine(self.client, self.ledger, self.seen, self._hunt)

    def _hunt(self, key: str) -> None:
        if self.shrinking and key not in self._shrunk:
            self._since = self._since if self._kinds else time.monotonic()
            raise self._kinds.setdefault(key, type(f"Broken_{key}", (_Broken,), {}))


def _settings(max_examples: int, *, shrinking: bool) -> settings:
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
