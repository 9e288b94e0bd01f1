"""Compares two deployments: the rules that hold at one of them alone, and the answers that differ.

`compare(url, against)` verifies both by the probes, plays the same stories on both, and returns a `Comparison`.
"""

from __future__ import annotations

import time
from contextlib import contextmanager
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import TYPE_CHECKING, Final

from zof_contracts.comparison.lockstep import TOUR, Divergence, Lockstep
from zof_contracts.contract.rules import RULES
from zof_contracts.evidence.findings import Verdict
from zof_contracts.evidence.ledger import Ledger
from zof_contracts.evidence.verification import COULD_NOT, FOUND, INTERRUPTED, NOTHING_FOUND
from zof_contracts.search.state_machine import draw_stories
from zof_contracts.target.budget import Budget, Stopped
from zof_contracts.target.client import Client
from zof_contracts.target.clock import find_clock_control
from zof_contracts.target.transport import Unreachable
from zof_contracts.target.world import fork_world
from zof_contracts.verification.cleanup import clean_up
from zof_contracts.verification.run import run

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from zof_contracts.contract.rules import Rule
    from zof_contracts.evidence.findings import Finding
    from zof_contracts.evidence.verification import Verification
    from zof_contracts.search.stories import Step
    from zof_contracts.target.target import Target

STORIES: Final = 20
"""The number of stories that are played by default."""
_CALIBRATION: Final[tuple[Step, ...]] = (("calibrate", {}),)
_FIXED_STORIES: Final = (TOUR, _CALIBRATION)
"""The stories that every comparison plays before those that are drawn."""
_OUTCOMES: Final = frozenset({("getRun", "200/body/status"), ("getRun", "200/body/case_outcomes/*/status")})
"""The kinds of divergences that show that the outcomes of the cases differ."""
_MOST_CUT: Final = 20
"""How many divergences are cut down by playing their steps again."""
_BROKEN: Final = frozenset({Verdict.VIOLATED, Verdict.DIFFERS})


class Party(StrEnum):
    """One of the two deployments."""

    URL = "url"
    AGAINST = "against"


class Kind(StrEnum):
    """The kinds of difference."""

    VIOLATES = "violates"
    """One deployment breaks a rule that is documented or inferred."""
    MAY_DIFFER = "may differ"
    """The rule is assumed, so that both may behave as they do."""
    SILENT = "silent"
    """No rule is about the difference."""


@dataclass(frozen=True, slots=True)
class RuleDifference:
    """A rule that one deployment breaks and the other does not."""

    rule: Rule
    party: Party
    """The deployment that breaks it."""
    findings: tuple[Finding, ...]
    other: Verdict
    """The verdict on the other deployment: kept, or not exercised."""

    @property
    def kind(self) -> Kind:
        """The kind of the difference."""
        return Kind.VIOLATES if self.rule.basis.is_binding else Kind.MAY_DIFFER


@dataclass(frozen=True, slots=True)
class AnswerDifference:
    """A place where the answers to the same request differ."""

    divergence: Divergence
    rules: tuple[tuple[Rule, Party], ...]
    """The rules that explain it, each with the deployment that breaks it."""

    @property
    def kind(self) -> Kind:
        """The kind of the difference."""
        if not self.rules:
            return Kind.SILENT
        is_binding = any(rule.basis.is_binding for rule, _ in self.rules)
        return Kind.VIOLATES if is_binding else Kind.MAY_DIFFER


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """Two deployments side by side."""

    url: Target
    against: Target
    seed: int
    rules: tuple[RuleDifference, ...]
    answers: tuple[AnswerDifference, ...]
    stories: int
    """The number of stories that were played on both, with the tour and the one that compares outcomes."""
    requests: int
    """The number of requests that the stories sent to the other deployment."""
    verifications: tuple[Verification, ...]
    """The results of the probes on both deployments, or on those that were verified before an early end."""
    errors: tuple[str, ...] = ()
    """Why the comparison could not be finished; empty if it was."""
    is_interrupted: bool = False
    notes: tuple[str, ...] = ()

    @property
    def has_differences(self) -> bool:
        """Whether anything differs."""
        return bool(self.rules or self.answers)

    @property
    def exit_code(self) -> int:
        """The exit status: 0 nothing differs, 1 something does, 2 not finished or nothing compared, 130 interrupted."""
        if self.is_interrupted:
            return INTERRUPTED
        if self.errors or not (self.requests or self.compared_rule_count):
            return COULD_NOT
        return FOUND if self.has_differences else NOTHING_FOUND

    @property
    def compared_rule_count(self) -> int:
        """The number of rules that were exercised on both deployments."""
        if len(self.verifications) < len(Party):
            return 0
        exercised = [
            {result.rule.name for result in each.results if result.verdict is not Verdict.NOT_EXERCISED}
            for each in self.verifications
        ]
        return len(set.intersection(*exercised))

    @property
    def drawn_story_count(self) -> int:
        """The number of stories that were played besides those that every comparison has."""
        return max(0, self.stories - len(_FIXED_STORIES))


def compare(
    url: Target, against: Target, *, seed: int = 0, stories: int = STORIES, seconds: float | None = None
) -> Comparison:
    """Compare a deployment with another one. An interrupted comparison returns what it found until then.

    Args:
        url: the deployment.
        against: the deployment that it is compared with. Rules that need a key which only one of them has are not
            exercised there, and not compared.
        seed: the seed of the stories.
        stories: the number of stories; 0 compares the rules only. None is played where runs may not be started.
        seconds: how long the comparison may take; None is no limit.

    Raises:
        Unreachable: a deployment is down, or refuses the key.
        Stopped: a deployment does not permit the first requests.
    """
    progress = _Progress(seconds)
    play = _Play(progress.notes)
    try:
        for target in (url, against):
            progress.verify(target, seed)
        if not all(each.profile == "full" for each in (url, against)):
            progress.notes.append("no stories were played, since the profile read-only starts no runs")
        elif stories and not progress.errors:
            with _enter(url, progress.budget) as ours, _enter(against, progress.budget) as theirs:
                try:
                    play.run(ours, theirs, seed=seed, stories=stories)
                except (Stopped, Unreachable) as error:
                    progress.note_error(str(error))
    except KeyboardInterrupt:
        progress.is_interrupted = True
    return Comparison(
        url=url,
        against=against,
        seed=seed,
        rules=tuple(_compare_rules(progress.verifications)),
        answers=tuple(_explain(each, progress.verifications) for each in play.divergences.values()),
        stories=play.stories,
        requests=play.requests,
        verifications=tuple(progress.verifications),
        errors=tuple(progress.errors),
        is_interrupted=progress.is_interrupted,
        notes=tuple(dict.fromkeys(progress.notes)),
    )


class _Progress:
    """The verifications of a comparison, the time that is left for it, and why it ended early."""

    def __init__(self, seconds: float | None) -> None:
        self.verifications: list[Verification] = []
        self.errors: list[str] = []
        self.notes: list[str] = []
        self.is_interrupted = False
        self._seconds = seconds
        self._until = None if seconds is None else time.monotonic() + seconds

    def note_error(self, why: str) -> None:
        """Note why the comparison cannot be finished; if its time is used up, that is the reason."""
        is_over = self._until is not None and time.monotonic() >= self._until
        self.errors.append(f"the {self._seconds:g} seconds are used up" if is_over else why)

    @property
    def budget(self) -> Budget:
        """The budget of the next part."""
        return Budget(seconds=None if self._until is None else max(self._until - time.monotonic(), 0.0))

    def verify(self, target: Target, seed: int) -> None:
        """Verify a deployment by the probes, unless the comparison has ended early.

        Raises:
            KeyboardInterrupt: the verification was interrupted, and its runs have been canceled.
            Unreachable: the deployment is down, or refuses the key.
            Stopped: nothing could be verified, not even on another deployment before this one.
        """
        if self.errors:
            return
        try:
            verification = run(target, seed=seed, max_examples=0, budget=self.budget)
        except Stopped as error:
            if not self.verifications:
                raise
            self.note_error(f"{target.base}: {error}")
            return
        self.verifications.append(verification)
        self.notes += [f"{target.base}: {note}" for note in verification.notes]
        if verification.interrupted:
            raise KeyboardInterrupt
        if ending := verification.error or verification.stopped:
            self.note_error(f"{target.base}: {ending}")


@contextmanager
def _enter(target: Target, budget: Budget) -> Iterator[Client]:
    """A client for a copy of the target's world, if it offers one; the client cleans up at the end."""
    world, client = None, Client(target, budget=budget)
    if target.advance is None and target.find_clock:
        world = fork_world(client)
        client.change_target(world.target if world else target)
        client.change_target(replace(client.target, advance=find_clock_control(client)))
    try:
        yield client
    finally:
        clean_up(client)
        client.close()
        if world is not None:
            world.delete(client)


class _Play:
    """Plays stories on both deployments and collects the divergences."""

    def __init__(self, notes: list[str]) -> None:
        self.divergences: dict[tuple[str, str], Divergence] = {}
        self.stories = self.requests = 0
        self._notes = notes
        self._shortest: dict[tuple[str, str], Divergence] = {}
        """The divergences of the stories that were played to cut others down."""
        self._salt = ""
        self._played = 0
        self._last: Lockstep | None = None
        """The story that is being played, or the last one."""
        self._has_equal_outcomes = True

    def run(self, url: Client, against: Client, *, seed: int, stories: int) -> None:
        """Play the stories; the first finds out whether the outcomes of the cases are the same on both.

        What a story shows until it ends early counts too.
        """
        self._salt = Ledger(
            replace(url.target, app=None) if against.target.app is None else url.target, seed=seed
        ).nonce
        self._find_outcomes(url, against)
        drawn = [each for each in draw_stories(url, seed=seed, max_examples=stories) if len(each) > 1][:stories]
        if "other-org" not in against.target.keys:
            drawn = [[step for step in story if step[0] != "visit_as_stranger"] for story in drawn]
        try:
            for story in (*_FIXED_STORIES, *drawn):
                for kind, divergence in self._play(url, against, story).items():
                    if kind not in self.divergences:
                        self.divergences[kind] = divergence
                        self.divergences[kind] = self._cut(url, against, divergence)
                self.stories += 1
        finally:
            self.requests = len(against.journal)
            for kind, divergence in ({} if self._last is None else self._last.divergences).items():
                self.divergences.setdefault(kind, divergence)

    def _find_outcomes(self, url: Client, against: Client) -> None:
        self._has_equal_outcomes = _OUTCOMES.isdisjoint(self._play(url, against, _CALIBRATION))
        if not self._has_equal_outcomes:
            self._notes.append("outcomes were not compared, since the same cases end differently on both deployments")

    def _play(self, url: Client, against: Client, story: Sequence[Step]) -> dict[tuple[str, str], Divergence]:
        self._played += 1
        salt = f"{self._salt}-{self._played}"
        lockstep = self._last = Lockstep(url, against, salt, has_equal_outcomes=self._has_equal_outcomes)
        lockstep.play(story)
        if lockstep.is_incomplete:
            self._notes.append("some runs did not end in time, and the steps that need their end were left out")
        return lockstep.divergences

    def _cut(self, url: Client, against: Client, divergence: Divergence) -> Divergence:
        """Leave out steps one by one while the divergence stays, where that takes no time."""
        can_cut = url.target.can_move_clock and against.target.can_move_clock and len(self.divergences) < _MOST_CUT
        divergence, index = self._shortest.get(divergence.kind, divergence), 0
        while can_cut and index < len(divergence.steps) - 1:
            found = self._play(url, against, divergence.steps[:index] + divergence.steps[index + 1 :])
            for kind, each in found.items():
                known = self._shortest.get(kind)
                if known is None or len(each.steps) < len(known.steps):
                    self._shortest[kind] = each
            if divergence.kind in found:
                divergence = found[divergence.kind]
            else:
                index += 1
        return divergence


def _compare_rules(verifications: Sequence[Verification]) -> Iterator[RuleDifference]:
    """The rules that one deployment alone breaks. If a verification ended early, both must have exercised them."""
    if len(verifications) < len(Party):
        return
    ended_early = any(each.interrupted or each.stopped or each.error for each in verifications)
    for ours, theirs in zip(*(each.results for each in verifications), strict=True):
        verdicts = {ours.verdict, theirs.verdict}
        if (ours.verdict in _BROKEN) is (theirs.verdict in _BROKEN):
            continue
        if ended_early and Verdict.NOT_EXERCISED in verdicts:
            continue
        if ours.verdict in _BROKEN:
            yield RuleDifference(ours.rule, Party.URL, ours.findings, theirs.verdict)
        else:
            yield RuleDifference(theirs.rule, Party.AGAINST, theirs.findings, ours.verdict)


def _explain(divergence: Divergence, verifications: Sequence[Verification]) -> AnswerDifference:
    """Name the rules that explain a divergence and that one of the deployments alone breaks."""
    url, against = divergence.url_rules, divergence.against_rules
    url |= _find_rules(verifications[0], divergence)
    against |= _find_rules(verifications[1], divergence)
    named = [(RULES[name], Party.URL) for name in sorted(url - against)]
    named += [(RULES[name], Party.AGAINST) for name in sorted(against - url)]
    return AnswerDifference(divergence, tuple(named))


def _find_rules(verification: Verification, divergence: Divergence) -> frozenset[str]:
    """The rules that the operation of a divergence breaks at its place, or at no place in particular."""
    parts = divergence.difference.place.lower().split("/")[1:]
    return frozenset(
        finding.rule.name
        for finding in verification.new_findings
        if finding.operation == divergence.operation and (not finding.place or finding.place.lower() in parts)
    )
