"""Outcome rules: the results, durations, failures, log lines and artifacts that a scenario gives to cases.

The first rule that matches decides. A case that no rule matches follows the words in its ID, as in `outcomes`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property, lru_cache, partial
from hashlib import blake2b
from typing import TYPE_CHECKING, Final, NamedTuple

from zof_emulator.core import outcomes
from zof_emulator.core.lifecycle import Status
from zof_emulator.core.results import Failure

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from zof_emulator.core.runs import Run

NO_RULE: Final = -1
"""The index of the rule of a case that no rule matches."""
_CATEGORIES: Final = {Status.FAILED: "assertion", Status.ERROR: "platform"}


class LogText(NamedTuple):
    """A log line of a case."""

    level: str
    """`info`, `warning` or `error`."""
    message: str


class OwnFile(NamedTuple):
    """An artifact of a case whose content a scenario gives."""

    name: str
    type: str
    """`screenshot`, `trace` or `export`."""
    content_type: str
    content: bytes


class Plan(NamedTuple):
    """The outcome that a case will have, decided when it begins."""

    status: Status
    duration_ms: int
    rule: int
    """The index of the rule that decided; `NO_RULE` if none did."""


@dataclass(frozen=True, slots=True)
class Timing:
    """The durations of cases for which no rule gives one, in ms."""

    shortest_ms: int = outcomes.SHORTEST_MS
    longest_ms: int = outcomes.LONGEST_PLAIN_MS
    slow_factor: int = outcomes.SLOW_FACTOR
    """The factor for cases whose ID contains `slow`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OutcomeRule:
    """A rule. Its patterns may contain `*`; an empty pattern matches everything, also what is absent."""

    case: str = ""
    suite: str = ""
    environment: str = ""
    nth: tuple[int, ...] = ()
    """The runs that it applies to, counted from 1; empty means all."""
    first: int = 0
    """It applies to this number of runs, the first ones; 0 means all."""
    every: int = 0
    """It applies to every run whose number is a multiple of this; 0 means all."""
    percent: int = 100
    """The share of runs that it applies to, chosen by the seed."""
    status: Status | None = None
    """None leaves the outcome to the words in the case's ID."""
    shortest_ms: int | None = None
    longest_ms: int = 0
    message: str = ""
    category: str = ""
    log: tuple[LogText, ...] = ()
    artifacts: tuple[OwnFile, ...] = ()

    @property
    def has_schedule(self) -> bool:
        """Whether it applies to some runs only, so that runs must be counted."""
        return bool(self.nth or self.first or self.every) or self.percent < 100  # noqa: PLR2004  all of them

    def is_due(self, seed: int, subject: str, nth: int) -> bool:
        """Whether it applies to the nth run of a subject, counted from 1."""
        if self.nth:
            return nth in self.nth
        if self.first:
            return nth <= self.first
        if self.every:
            return nth % self.every == 0
        return self.percent == 100 or draw(f"{seed}/share/{subject}/{nth}") % 100 < self.percent  # noqa: PLR2004


@dataclass(frozen=True)
class OutcomeRules:
    """The rules of a scenario, in order, and the durations that apply without a rule."""

    rules: tuple[OutcomeRule, ...] = ()
    timing: Timing = field(default_factory=Timing)

    @cached_property
    def longest_ms(self) -> int:
        """The longest duration of a case, in ms."""
        timing = self.timing
        return max(timing.longest_ms * timing.slow_factor, *(one.longest_ms for one in self.rules), 0)

    @cached_property
    def _timing(self) -> tuple[int, ...]:
        """The arguments of `choose_duration` that differ from its defaults, which most worlds keep."""
        timing = self.timing
        return () if timing == Timing() else (timing.shortest_ms, timing.longest_ms, timing.slow_factor)

    @cached_property
    def most_artifacts(self) -> int:
        """The largest number of artifacts that a rule adds to a case."""
        return max((len(one.artifacts) for one in self.rules), default=0)

    @cached_property
    def _find_candidates(self) -> Callable[[str, str | None, str], tuple[int, ...]]:
        """The indexes of the rules that match a case, a suite and an environment, whatever the number of the run."""
        matchers = [
            (_compile(one.case), _compile(one.suite), _compile(one.environment), one.has_schedule) for one in self.rules
        ]

        @lru_cache(maxsize=8192)
        def find(case: str, suite: str | None, environment: str) -> tuple[int, ...]:
            found = []
            for index, (of_case, of_suite, of_environment, has_schedule) in enumerate(matchers):
                if of_case(case) and of_suite(suite or "") and of_environment(environment):
                    found.append(index)
                    if not has_schedule:
                        break  # it always applies, so no later rule does
            return tuple(found)

        return find

    def counts_case(self, run: Run, case: str) -> bool:
        """Whether the outcome of a case depends on how often it has run."""
        if not self.rules or outcomes.is_flaky(case):
            return outcomes.is_flaky(case)
        candidates = self._find_candidates(case, run.test_suite_id, run.environment)
        return any(self.rules[one].has_schedule and not self.rules[one].suite for one in candidates)

    def can_count_case(self, case: str) -> bool:
        """Whether the outcome of a case depends, in some run, on how often it has run."""
        rules = (one for one in self.rules if one.has_schedule and not one.suite)
        return outcomes.is_flaky(case) or any(_compile(one.case)(case) for one in rules)

    def counts_suite(self, suite: str | None) -> bool:
        """Whether the outcome of a suite's cases depends on how often the suite has run."""
        if suite is None or not self.rules:
            return False
        return any(one.has_schedule and one.suite and _compile(one.suite)(suite) for one in self.rules)

    def plan(self, seed: int, run: Run, case: str, nth: int) -> Plan:
        """The plan of a case that begins; `nth` is how often it has begun, this time included, if that is counted."""
        if self.rules:
            for index in self._find_candidates(case, run.test_suite_id, run.environment):
                rule = self.rules[index]
                subject = run.test_suite_id if rule.suite else case
                number = run.nth if rule.suite else nth
                if not rule.has_schedule or rule.is_due(seed, f"{index}/{run.organization}/{subject}", number):
                    status = rule.status or outcomes.choose_outcome(case, nth)
                    return Plan(status, self._choose_duration(seed, case, rule, number), index)
        return Plan(outcomes.choose_outcome(case, nth), outcomes.choose_duration(seed, case, *self._timing), NO_RULE)

    def _choose_duration(self, seed: int, case: str, rule: OutcomeRule, nth: int) -> int:
        if rule.shortest_ms is None:
            return outcomes.choose_duration(seed, case, *self._timing)
        span = rule.longest_ms - rule.shortest_ms + 1
        return rule.shortest_ms + (draw(f"{seed}/duration/{case}/{nth}") % span if span > 1 else 0)

    def find_rule(self, run: Run, index: int) -> OutcomeRule | None:
        """The rule that decided on the case at `index` of a run; None if none did, or the case has not ended."""
        rules = run.rules
        return self.rules[rules[index]] if index < len(rules) and rules[index] != NO_RULE else None

    def failure(self, run: Run, index: int) -> Failure | None:
        """Why the case at `index` has its status; None unless the status is `failed` or `error`."""
        case, status, took = run.cases[index], run.case_status(index), run.case_duration_ms(index) or 0
        usual = outcomes.explain_failure(case, status, took)
        rule = self.find_rule(run, index)
        if usual is None or rule is None or not (rule.message or rule.category):
            return usual
        category = rule.category or (_CATEGORIES[status] if rule.message else usual.category)
        return Failure(rule.message or usual.message, category)


NO_RULES: Final = OutcomeRules()
"""No rule: words in the IDs of cases decide."""


def draw(text: str) -> int:
    """A number of 64 bits that follows from a text."""
    return int.from_bytes(blake2b(text.encode(), digest_size=8).digest(), "big")


@lru_cache(maxsize=1024)
def _compile(pattern: str) -> Callable[[str], object]:
    """The function that says whether a text matches a pattern."""
    if not pattern:
        return lambda _text: True
    if "*" not in pattern:
        return pattern.__eq__
    first, *middle, last = pattern.split("*")
    return partial(_matches, first, tuple(filter(None, middle)), last)


def _matches(first: str, middle: Sequence[str], last: str, text: str) -> bool:
    """Whether a text begins with `first`, then holds each part of `middle` in order, and ends with `last`.

    Each part is looked for once, from the end of the part before it. A regular expression would try all ways to divide
    the text, which are exponentially many.
    """
    end = len(text) - len(last)
    if end < len(first) or not text.startswith(first) or not text.endswith(last):
        return False
    place = len(first)
    for part in middle:
        found = text.find(part, place, end)
        if found < 0:
            return False
        place = found + len(part)
    return True
