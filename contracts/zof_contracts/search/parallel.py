"""Plays stories: one after another where the target's clock can be moved, several at once where waiting takes time.

Each story has a client, a ledger and checks of its own, so that its answers are judged in the order in which it
requested them. The ledgers are merged in the order of the stories, and the exchanges in the order of the answers.
"""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, Final

from zof_contracts.checks.conformance import ConformanceCheck
from zof_contracts.checks.history import HistoryCheck
from zof_contracts.evidence.ledger import Ledger
from zof_contracts.search.stories import Story
from zof_contracts.target.interruption import INTERRUPTION
from zof_contracts.target.turns import Halted, ThreadTurns

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from zof_contracts.evidence.exchange import Exchange
    from zof_contracts.search.recheck import Discovery
    from zof_contracts.search.stories import Step
    from zof_contracts.target.client import Client, Observer
    from zof_contracts.target.turns import Turns

_PER_WORKER: Final = 10
"""The requests of a rate-limit window for each story that is played at once, at least."""
_OPEN_PER_WORKER: Final = 3
"""The stories that are begun for each that is played at once; the others let time pass, and send nothing."""
_SIGNAL_DELAY: Final = 0.2
"""Seconds after which a signal is noticed that the system has delivered to another thread."""
_LAST_ANSWERS: Final = 1.0
"""Seconds for which the answers on their way are awaited after the stories were halted."""


def play_stories(
    client: Client,
    ledger: Ledger,
    stories: Sequence[Sequence[Step]],
    *,
    make_turns: Callable[[], ThreadTurns] = ThreadTurns,
) -> dict[str, list[Discovery]]:
    """Play stories; returns how each finding was discovered, first by the story whose trace the ledger has.

    Raises:
        Stopped: no request may be sent any more.
        Unreachable: the target no longer answers.
    """
    players = [_Player(client, ledger, f"{ledger.nonce}-{index}", steps) for index, steps in enumerate(stories)]
    workers = count_workers(client, len(players))
    try:
        if workers == 1:
            for player in players:
                player.play(client.turns)
                player.merge()
        else:
            _Pool(players, make_turns()).run(workers)
    finally:
        _bring_together(client, players)
    found: dict[str, list[Discovery]] = {}
    for player in players:
        for key, discovery in player.discoveries.items():
            has_trace = ledger.findings[key].trace is discovery.finding.trace
            ways = found.setdefault(key, [])
            ways.insert(0 if has_trace else len(ways), discovery)
    return found


def count_workers(client: Client, stories: int) -> int:
    """How many stories to play at once: as many as the target and its rate limit permit, one if time is free."""
    if client.patience.is_free:
        return 1
    limit = client.rate_limit.limits.get("main")
    by_quota = stories if limit is None else limit // _PER_WORKER
    return max(1, min(client.target.workers, stories, by_quota))


def count_threads(workers: int, stories: int) -> int:
    """How many stories may be begun and not over."""
    return min(_OPEN_PER_WORKER * workers, stories)


def _bring_together(client: Client, players: Sequence[_Player]) -> None:
    """Hand what the players have seen and recorded to the client and its observers."""
    for player in players:
        player.merge()
    exchanges = sorted((each for player in players for each in player.journal), key=lambda each: each.number)
    client.journal += exchanges
    for observer in client.observers:
        if isinstance(observer, HistoryCheck):
            observer.absorb([check for player in players for check in player.history_checks], exchanges)


class _Player:
    """Plays one story, and merges its evidence."""

    def __init__(self, client: Client, ledger: Ledger, salt: str, steps: Sequence[Step]) -> None:
        self._main_client = client
        self._main_ledger = ledger
        self._salt = salt
        self._steps = steps
        self._ledger = Ledger(ledger.target, rules=tuple(ledger.rules.values()), seed=ledger.seed)
        self._client: Client | None = None
        self._story: Story | None = None
        self.is_over = False
        self._is_merged = False

    @property
    def journal(self) -> Sequence[Exchange]:
        """The exchanges of the story so far."""
        return self._client.journal if self._client else ()

    @property
    def discoveries(self) -> Mapping[str, Discovery]:
        """The steps by which the story made its findings."""
        return self._story.discoveries if self._story else {}

    @property
    def history_checks(self) -> Sequence[HistoryCheck]:
        """The checks that know what the answers showed."""
        return [each for each in self._client.observers if isinstance(each, HistoryCheck)] if self._client else ()

    def play(self, turns: Turns) -> None:
        """Play the story to its end.

        Raises:
            Stopped, Unreachable: the verification ends.
        """
        self._client = self._main_client.branch(turns)
        self._client.observers = [_fork(observer, self._ledger) for observer in self._main_client.observers]
        self._story = Story(self._client, self._ledger, self._salt)
        self._story.play(self._steps)
        self._story.end()
        self.is_over = True

    def merge(self) -> None:
        """Merge evidence, findings and notes, once."""
        if self._is_merged or self._client is None:
            return
        self._is_merged = True
        self._main_ledger.merge(self._ledger)
        self._main_client.seconds_waited = max(self._main_client.seconds_waited, self._client.seconds_waited)
        for note in self._client.notes:
            self._main_client.notes.setdefault(note)

    def abandon(self) -> None:
        """Remember a start that was sent and that nobody awaits any more."""
        if self._client is not None and not self.is_over:
            self._client.abandon()


def _fork(observer: Observer, ledger: Ledger) -> Observer:
    return observer.fork(ledger) if isinstance(observer, ConformanceCheck | HistoryCheck) else observer


class _Pool:
    """Threads that play stories, in the order of the stories."""

    def __init__(self, players: Sequence[_Player], turns: ThreadTurns) -> None:
        self._players = players
        self._turns = turns
        self._next = 0
        self._error: Exception | None = None

    def run(self, workers: int) -> None:
        """Play all stories, several at once, and raise the error that ended them early."""
        self._turns.places = workers
        count = count_threads(workers, len(self._players))
        threads = [threading.Thread(target=self._work, daemon=True) for _ in range(count)]
        try:
            for thread in threads:
                thread.start()
            for thread in threads:
                while thread.is_alive():
                    thread.join(_SIGNAL_DELAY)
                    INTERRUPTION.raise_if_requested()
        finally:
            self._end(threads)
        if self._error is not None:
            raise self._error

    def _work(self) -> None:
        with self._turns.take():
            try:
                while self._next < len(self._players):
                    with self._turns.take_place():
                        self._play_next()
            except Halted:
                return
            except Exception as error:  # noqa: BLE001  the thread that waits for this one raises it
                self._error = self._error or error
                self._turns.halt()

    def _play_next(self) -> None:
        """Play the first story that has not begun, if there is one."""
        self._turns.require_going()
        if self._next < len(self._players):
            player = self._players[self._next]
            self._next += 1
            player.play(self._turns)
            self._merge()

    def _merge(self) -> None:
        """Merge the stories that have ended, up to the first that has not."""
        for player in self._players:
            if not player.is_over:
                return
            player.merge()

    def _end(self, threads: Sequence[threading.Thread]) -> None:
        """Halt the threads, and give up those that still wait for an answer."""
        self._turns.halt()
        until = time.monotonic() + _LAST_ANSWERS
        for thread in threads:
            if thread.ident is not None:
                thread.join(max(0.0, until - time.monotonic()))
        if any(thread.is_alive() for thread in threads):
            with self._turns.take():
                self._turns.abandon()
                for player in self._players:
                    player.abandon()
