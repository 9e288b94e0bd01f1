"""The recheck: every finding is tried again from the start, and reduced to the requests that show it.

A finding that does not occur again, though its rule was observed, is flaky. `judge_separately(client, ledger)` judges a
second try in a ledger of its own, `mark_flaky` compares it with the first, and `shorten` repeats a sequence of actions
and leaves actions out as long as the finding still occurs. All of them let `zof_contracts.target.budget.Stopped` pass.
"""

from __future__ import annotations

import time
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final

from zof_contracts.checks.conformance import ConformanceCheck
from zof_contracts.checks.history import HistoryCheck
from zof_contracts.evidence.ledger import Ledger
from zof_contracts.search.minimize import minimize

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from zof_contracts.evidence.findings import Finding
    from zof_contracts.target.client import Client

    Action = tuple[str, dict[str, Any]]
    """The name of an action, and its arguments."""
    Play = Callable[[Ledger, Sequence[Action]], Mapping[str, "Discovery"]]
    """Repeats actions; returns the discoveries on the way, by the keys of the findings."""

_TRIES: Final = 20
"""How often a sequence is repeated to shorten it."""
_PATIENCE: Final = 30.0
"""Seconds after which no more is left out."""
_PAIR: Final = 2
_WAYS: Final = 3
"""How many of the ways in which a finding was found are tried again."""


_CONTRADICTIONS: Final = frozenset(
    {"runs.status.terminal", "runs.status.transitions", "runs.terminal.frozen", "results.stable", "logs.append-only"}
)
"""Rules that a target breaks by two answers that contradict each other, so that no second try can excuse it."""


@dataclass(frozen=True, slots=True)
class Discovery:
    """A finding, and the steps by which the state machine made it."""

    finding: Finding
    actions: tuple[Action, ...]
    """The actions up to the finding."""
    last: int
    """The number of exchanges of the last action, which together show the finding."""


@contextmanager
def judge_separately(client: Client, ledger: Ledger) -> Iterator[Ledger]:
    """Judge what the client sends in a ledger of its own, for as long as the context lasts."""
    scratch = Ledger(ledger.target, rules=tuple(ledger.rules.values()), seed=ledger.seed)
    observers = client.observers
    client.observers = [ConformanceCheck(scratch), HistoryCheck(scratch)]
    try:
        yield scratch
    finally:
        client.observers = observers


def is_reproduced(finding: Finding, scratch: Ledger) -> bool:
    """Whether the rule of a finding was broken again."""
    return any(one.rule.name == finding.rule.name for one in scratch.findings.values())


def mark_flaky(ledger: Ledger, key: str, scratch: Ledger) -> None:
    """Mark a finding as flaky if its rule was kept on the second try, unless the first try proves it."""
    finding = ledger.findings[key]
    is_proved = finding.rule.name in _CONTRADICTIONS
    if not is_proved and scratch.evidence[finding.rule.name] and not is_reproduced(finding, scratch):
        ledger.findings[key] = replace(finding, flaky=True)


def shorten(ledger: Ledger, client: Client, key: str, found: Sequence[Discovery], play: Play, *, cut: bool) -> None:  # noqa: PLR0913
    """Repeat the actions of a finding; if it occurs again and is to be cut, store the shortest trace that shows it.

    `found` are the ways in which it was found, each by itself; they are tried until one shows it again.
    """
    search = _Shortener(ledger, client, key, play)
    repeated = None
    for each in found[:_WAYS]:
        repeated = search.repeat(each.actions)
        if repeated is not None or is_reproduced(ledger.findings[key], search.scratch):
            break
    mark_flaky(ledger, key, search.scratch)
    if cut and repeated is not None and len(ledger.findings[key].trace) > _PAIR:
        shortest = search.leave_out(repeated)
        _store_shorter(ledger, key, shortest.finding)
        _store_shorter(ledger, key, minimize(shortest.finding, client, last=shortest.last))


class _Shortener:
    """A search for fewer actions, within tries and time."""

    def __init__(self, ledger: Ledger, client: Client, key: str, play: Play) -> None:
        self.ledger = ledger
        self.client = client
        self.key = key
        self.play = play
        self.scratch = ledger
        """The ledger of the last try."""
        self._since = time.monotonic()
        self._tries = 0

    def repeat(self, actions: Sequence[Action]) -> Discovery | None:
        """Repeat actions; the discovery of the finding, if it occurs."""
        self._tries += 1
        with judge_separately(self.client, self.ledger) as self.scratch:
            return self.play(self.scratch, actions).get(self.key)

    def leave_out(self, found: Discovery) -> Discovery:
        """Leave out ever smaller pieces as long as the finding occurs."""
        size = len(found.actions) // 2
        while size:
            index = 0
            while index < len(found.actions) and self._may_continue():
                shorter = self.repeat(found.actions[:index] + found.actions[index + size :])
                if shorter is None:
                    index += size
                else:
                    found = shorter
            size //= 2
        return found

    def _may_continue(self) -> bool:
        return self._tries < _TRIES and time.monotonic() < self._since + _PATIENCE


def _store_shorter(ledger: Ledger, key: str, shorter: Finding) -> None:
    known = ledger.findings[key]
    if len(shorter.trace) < len(known.trace):
        ledger.findings[key] = replace(known, trace=shorter.trace, got=shorter.got)
