"""`Scenario`: what a world begins with besides its settings: data, existing runs, and rules for outcomes."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

from zof_emulator.core.outcome_rules import NO_RULES

if TYPE_CHECKING:
    from zof_emulator.core.faults import FaultRule
    from zof_emulator.core.outcome_rules import OutcomeRules
    from zof_emulator.core.tenants import Key, SeedData


class Problem(NamedTuple):
    """A mistake in a scenario."""

    path: tuple[str | int, ...]
    """The place: the fields and the indexes that lead to it."""
    message: str
    """The value that was found, and the values that are allowed."""

    def __str__(self) -> str:
        steps = "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in self.path)
        where = steps.removeprefix(".")
        return f"{where}: {self.message}" if where else self.message


class ScenarioError(ValueError):
    """A scenario cannot be used. The message names every mistake."""

    def __init__(self, problems: list[Problem]) -> None:
        """`problems` are the mistakes, in the order of the scenario."""
        super().__init__("; ".join(map(str, problems)))
        self.problems = problems


@dataclass(frozen=True, slots=True, kw_only=True)
class PastRuns:
    """Runs that a world begins with, all of the same cases."""

    organization: str
    project_id: str
    environment: str
    suite: str | None
    cases: tuple[str, ...]
    """The cases, also if they are those of a suite."""
    count: int = 1
    over_ms: int = 0
    """The length of the period over which they are spread."""
    age_ms: int = 0
    """How long before the start of the world the period ends."""
    failed_percent: int = 0
    error_percent: int = 0
    canceled_percent: int = 0
    has_shares: bool = False
    """Whether the shares decide on outcomes; if not, each case ends as it would end now."""
    is_queued: bool = False
    """Whether the runs start when the world begins, and have not ended before."""
    word: str = ""
    """The ID of the run without its prefix; empty for a generated one."""


@dataclass(frozen=True, slots=True)
class Scenario:
    """A scenario. Two scenarios are equal if their JSON forms are, which hold digests in the place of keys."""

    DEFAULT: ClassVar[Scenario]
    """The data of the process, with the ended runs of the contract's examples."""
    EMPTY: ClassVar[Scenario]
    """The data of the process without runs."""

    name: str
    text: str = ""
    """The JSON form as text; empty for `default` and `empty`."""
    data: SeedData | None = field(default=None, compare=False, repr=False)
    """The data of a world; None means that of the process."""
    runs: tuple[PastRuns, ...] = field(default=(), compare=False, repr=False)
    rules: OutcomeRules = field(default=NO_RULES, compare=False, repr=False)
    faults: tuple[FaultRule, ...] = field(default=(), compare=False, repr=False)
    """The fault rules that a world begins with."""
    has_samples: bool = field(default=False, compare=False, repr=False)
    """Whether a world begins with the ended runs and the webhooks of its data."""

    def __str__(self) -> str:
        return self.name

    def to_json(self) -> Any:  # noqa: ANN401  JSON
        """The scenario as JSON: a name, or an object without secrets."""
        return json.loads(self.text) if self.text else self.name

    def choose_key(self, usual: SeedData) -> Key:
        """The key to give to a client: of those that are neither revoked nor expired, one with the most permissions.

        `usual` has the keys of a scenario without data. If there is no such key, it is the first key of `usual`.
        """
        keys = [one for one in (self.data or usual).keys if one.secret and not one.revoked and one.expires_at is None]
        return max(keys, key=lambda one: (len(one.permissions), one.expires_in is None), default=usual.keys[0])


Scenario.DEFAULT = Scenario("default", has_samples=True)
Scenario.EMPTY = Scenario("empty")
