"""Again: what was found is tried once more from scratch, by whoever knows how, and cut down to what shows it.

What is not there then, though its rule was seen kept, is flaky. Plug in: `with judge_separately(client, ledger) as scratch:`
for a second try whose evidence is its own; `mark_flaky(ledger, key, scratch)` says what came of it; `shorten(…)` does
both for a sequence of moves, and leaves moves out as long as the finding still shows. `client.Stopped` comes through.
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
    """What was done, by its name, and with which arguments."""
    Play = Callable[[Ledger, Sequence[Action]], Mapping[str, "Sighting"]]
    """Makes moves, and says what was seen on the way, by the findings' keys."""

_TRIES: Final = 20
"""How often a sequence is played to shorten it, at the most."""
_PATIENCE: Final = 30.0
"""Seconds after which it is short enough."""
_PAIR: Final = 2


@dataclass(frozen=True, slots=True)
class Sighting:
    """A finding as it was made."""

    finding: Finding
    moves: tuple[Action, ...]
    """What was done until then."""
    last: int
    """How many exchanges of its trace are those of the last move, which together show it."""


@contextmanager
def judge_separately(client: Client, ledger: Ledger) -> Iterator[Ledger]:
    """While it lasts, what the client sends is judged in a ledger of its own."""
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
    """Call a finding flaky if it is not there again, though its rule was reached."""
    finding = ledger.findings[key]
    if scratch.evidence[finding.rule.name] and not is_reproduced(finding, scratch):
        ledger.findings[key] = replace(finding, flaky=True)


def shorten(ledger: Ledger, client: Client, key: str, seen: Sighting, play: Play, *, cut: bool) -> None:  # noqa: PLR0913
    """Play the moves of a finding again; if it is there, and is to be cut, keep the shortest trace that shows it."""
    search = _Shorter(ledger, client, key, play)
    again = search.played(seen.moves)
    mark_flaky(ledger, key, search.scratch)
    if cut and again is not None and len(ledger.findings[key].trace) > _PAIR:
        shortest = search.fewest(again)
        _keep(ledger, key, shortest.finding)
        _keep(ledger, key, minimize(shortest.finding, client, last=shortest.last))


class _Shorter:
    """A search for fewer moves, while it is worth it."""

    def __init__(self, ledger: Ledger, client: Client, key: str, play: Play) -> None:
        self.ledger = ledger
        self.client = client
        self.key = key
        self.play = play
        self.scratch = ledger
        """Where the last try was judged."""
        self._since = time.monotonic()
        self._tries = 0

    def played(self, moves: Sequence[Action]) -> Sighting | None:
        """The finding, if these moves show it."""
        self._tries += 1
        with judge_separately(self.client, self.ledger) as self.scratch:
            return self.play(self.scratch, moves).get(self.key)

    def fewest(self, seen: Sighting) -> Sighting:
        """Leave out ever smaller pieces as long as the finding shows."""
        size = len(seen.moves) // 2
        while size:
            place = 0
            while place < len(seen.moves) and self._worth():
                again = self.played(seen.moves[:place] + seen.moves[place + size :])
                if again is None:
                    place += size
                else:
                    seen = again
            size //= 2
        return seen

    def _worth(self) -> bool:
        return self._tries < _TRIES and time.monotonic() < self._since + _PATIENCE


def _keep(ledger: Ledger, key: str, shorter: Finding) -> None:
    known = ledger.findings[key]
    if len(shorter.trace) < len(known.trace):
        ledger.findings[key] = replace(known, trace=shorter.trace, got=shorter.got)
