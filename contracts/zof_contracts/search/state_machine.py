"""The state machine: stories about runs, drawn by Hypothesis, and what is done with those that find something.

`run(client, ledger, seed=1, max_examples=30)` searches. All stories are drawn before the first is played, and several
are played at once where waiting takes time (see `zof_contracts.search.parallel`). In process Hypothesis plays each
story while it draws it and shrinks a failure; against a real target nothing is sent twice to shrink. In both cases the
steps that led to a finding are repeated once at the end, and cut down within the budget (see
`zof_contracts.search.recheck`). `zof_contracts.target.budget.Stopped` passes through.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, Final

from hypothesis import HealthCheck, Phase, Verbosity, settings
from hypothesis import seed as seeded
from hypothesis import strategies as st
from hypothesis.errors import Flaky
from hypothesis.stateful import RuleBasedStateMachine, get_state_machine_test, initialize, precondition, rule

from zof_contracts.contract.document import load_contract
from zof_contracts.search.actions import NASTY_IDS, NASTY_VALUES
from zof_contracts.search.minimize import settle_runs
from zof_contracts.search.parallel import play_stories
from zof_contracts.search.recheck import Discovery, shorten
from zof_contracts.search.stories import FindingRaised, Story
from zof_contracts.target.budget import Stopped
from zof_contracts.target.client import Unanswered
from zof_contracts.target.transport import Unreachable

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Sequence

    from zof_contracts.evidence.ledger import Ledger
    from zof_contracts.search.stories import Step
    from zof_contracts.target.client import Client

    Perform = Callable[[str, dict[str, Any]], None]
    """Called with each step as it is drawn."""

_ROUNDS: Final = 3
"""How many defects are shrunk; further findings are tried again, and keep their trace."""
_PATIENCE: Final = 2.0
"""Seconds to shrink one defect."""
_STEPS: Final = 12

_indexes = st.integers(0, 7)
_limits = st.sampled_from([1, 2, 3, 5, 20])
_keys = st.sampled_from(["one", "two"])
_parts = st.sampled_from([(0,), (1,), (0, 1), (1, 0), (0, 2), (2,), (0, 1, 2)])
_statuses = st.sampled_from(sorted(load_contract().transitions))
_filters = st.sampled_from(["status", "created_after", "project_id", "limit"])


class _Halt(BaseException):
    """Carries `Stopped` and `Unreachable` past Hypothesis, which would try to shrink them.

    Without a cause it ends a search that has shrunk for long enough.
    """


def _define_step(
    name: str,
    /,
    *,
    starts: bool = False,
    writes: bool = False,
    needs_run: bool = False,
    needs_stranger: bool = False,
    **drawn: Any,  # noqa: ANN401  strategies
) -> Any:  # noqa: ANN401  a rule of Hypothesis
    """A rule that draws the arguments of a step.

    Args:
        name: the method of `Story` that performs it.
        starts: whether it starts a run.
        writes: whether it changes runs otherwise.
        needs_run: whether it needs a run of the story.
        needs_stranger: whether it needs a key of another organization.
        drawn: the strategies of its arguments.
    """

    def draw(self: StoryMachine, **given: Any) -> None:  # noqa: ANN401  what Hypothesis draws
        self.perform(name, given)
        self.has_run = self.has_run or starts

    def is_possible(self: StoryMachine) -> bool:
        is_permitted = self.can_start_runs or not (starts or writes)
        return is_permitted and (self.has_run or not needs_run) and (self.has_stranger or not needs_stranger)

    draw.__name__ = name
    return precondition(is_possible)(rule(**drawn)(draw))  # type: ignore[no-untyped-call]


class StoryMachine(RuleBasedStateMachine):
    """Draws one story: any steps in any order. It sends nothing and does not depend on the answers."""

    def __init__(self, client: Client, perform: Perform, *, has_run: bool) -> None:
        super().__init__()
        self.perform = perform
        self.can_start_runs = client.target.profile == "full"
        self.has_stranger = "other-org" in client.target.keys
        self.has_run = has_run
        """Whether the story has a run at this step."""

    @initialize()
    def begin(self) -> None:
        """Every story begins in the same way."""
        self.perform("begin", {})

    start = _define_step("start", starts=True, parts=_parts)
    start_keyed = _define_step("start_keyed", starts=True, key=_keys, parts=_parts, is_spaced=st.booleans())
    start_wait_replay = _define_step(
        "start_wait_replay", starts=True, key=_keys, parts=_parts, seconds=st.sampled_from([1, 5])
    )
    start_wait_cancel = _define_step(
        "start_wait_cancel", starts=True, parts=_parts, seconds=st.sampled_from([0.2, 0.4, 0.8, 1.5])
    )
    start_many = _define_step("start_many", starts=True, runs=st.sampled_from([3, 6]), parts=_parts, status=_statuses)
    wait = _define_step("wait", seconds=st.sampled_from([0.3, 1, 4]))
    retrieve = _define_step("retrieve", needs_run=True, index=_indexes)
    cancel = _define_step("cancel", needs_run=True, writes=True, index=_indexes)
    cancel_twice = _define_step("cancel_twice", needs_run=True, writes=True, index=_indexes)
    finish_then_cancel = _define_step("finish_then_cancel", needs_run=True, writes=True, index=_indexes)
    finish_then_results = _define_step("finish_then_results", needs_run=True, index=_indexes, limit=_limits)
    list_results = _define_step("list_results", needs_run=True, index=_indexes, limit=_limits)
    follow_logs = _define_step("follow_logs", needs_run=True, index=_indexes, limit=_limits)
    list_artifacts = _define_step("list_artifacts", needs_run=True, index=_indexes)
    walk_runs = _define_step("walk_runs", needs_run=True, limit=_limits, starting=st.booleans())
    filter_status = _define_step("filter_status", needs_run=True, status=_statuses)
    visit_as_stranger = _define_step("visit_as_stranger", needs_run=True, needs_stranger=True, index=_indexes)
    retrieve_nasty_id = _define_step("retrieve_nasty_id", name=st.sampled_from(NASTY_IDS))
    filter_by_nasty_value = _define_step("filter_by_nasty_value", name=_filters, value=st.sampled_from(NASTY_VALUES))


def run(client: Client, ledger: Ledger, *, seed: int, max_examples: int) -> None:
    """Play `max_examples` stories.

    Raises:
        Stopped: no request may be sent any more.
    """
    free = client.target.app is not None and client.target.advance is not None and client.budget.requests is None
    confirmed = {key for key, finding in ledger.findings.items() if not finding.flaky}
    search = _Search(client, ledger, confirmed)
    if free:
        for number in range(_ROUNDS):
            if not search.search_once(seed * 1000 + number, max_examples):
                break
        found = {key: [discovery] for key, discovery in search.discoveries.items()}
    else:
        found = play_stories(client, ledger, draw_stories(client, seed=seed, max_examples=max_examples))
    fresh = [key for key in found if key not in confirmed]
    for index, key in enumerate(fresh):
        shorten(ledger, client, key, found[key], search.play, cut=free or index < _ROUNDS)


def draw_stories(client: Client, *, seed: int, max_examples: int) -> list[list[Step]]:
    """Draw stories for a target. In the profile read-only it is asked whether it has runs; nothing else is sent."""
    stories: list[list[Step]] = []
    has_run = _can_adopt_runs(client)

    def make_machine() -> StoryMachine:
        steps: list[Step] = []
        stories.append(steps)
        return StoryMachine(client, lambda *step: steps.append(step), has_run=has_run)

    test = get_state_machine_test(make_machine, settings=_make_settings(max_examples, shrinking=False))  # type: ignore[arg-type]
    seeded(seed * 1000)(test)()
    return stories


class _Search:
    """A search: what was found, and which findings were shrunk."""

    def __init__(self, client: Client, ledger: Ledger, confirmed: Collection[str]) -> None:
        self.client = client
        self.ledger = ledger
        self.discoveries: dict[str, Discovery] = {}
        self._has_run = False
        """Whether a story has a run before it starts one."""
        self._story: Story | None = None
        self._shrunk = set(confirmed)
        self._kinds: dict[str, type[FindingRaised]] = {}
        self._since = 0.0

    def search_once(self, salt: int, max_examples: int) -> bool:
        """Play stories while they are drawn; returns whether the search stopped to shrink a finding."""
        self._kinds = {}
        self._has_run = _can_adopt_runs(self.client)
        chosen = _make_settings(max_examples, shrinking=True)
        test = get_state_machine_test(self._make_playing_machine, settings=chosen)  # type: ignore[arg-type]
        try:
            seeded(salt)(test)()
        except (FindingRaised, Flaky):
            self._shrunk |= self._kinds.keys()
        except _Halt as halt:
            if halt.__cause__ is not None:
                raise halt.__cause__ from None
            self._shrunk |= self._kinds.keys()
        return bool(self._kinds)

    def play(self, scratch: Ledger, steps: Sequence[Step]) -> dict[str, Discovery]:
        """Repeat the steps of a story; returns the discoveries on the way."""
        settle_runs(self.client)
        story = Story(self.client, scratch, f"{scratch.nonce}-again-{self.client.account.recorded}")
        story.play(steps)
        story.end()
        return story.discoveries

    def _make_playing_machine(self) -> StoryMachine:
        if self._kinds and time.monotonic() > self._since + _PATIENCE:
            raise _Halt
        salt = f"{self.ledger.nonce}-{self.client.account.recorded}"
        story = Story(self.client, self.ledger, salt, on_finding=self._stop_at_finding)
        story.discoveries = self.discoveries

        def perform(name: str, arguments: dict[str, Any]) -> None:
            try:
                story.perform(name, arguments)
            except (Stopped, Unreachable) as stopped:
                raise _Halt from stopped

        return StoryMachine(self.client, perform, has_run=self._has_run)

    def _stop_at_finding(self, key: str) -> None:
        if key not in self._shrunk:
            self._since = self._since if self._kinds else time.monotonic()
            raise self._kinds.setdefault(key, type(f"Raised_{key}", (FindingRaised,), {}))


def _can_adopt_runs(client: Client) -> bool:
    """Whether a story has runs before it starts any: those of the target, in a profile that starts none."""
    if client.target.profile == "full":
        return False
    try:
        return bool(client.get("/runs", limit=1).response.items)
    except Unanswered:
        return False


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
