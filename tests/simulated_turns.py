"""Threads on a simulated clock: their waits take no time, and the same threads always run in the same order.

`SimulatedTurns(on_advance=advance)` takes the place of `ThreadTurns` and of the client's timer, and
`Delayed(transport, turns, seed=1)` is a network on which requests and answers overtake each other.
"""

from __future__ import annotations

import heapq
from contextlib import contextmanager
from random import Random
from typing import TYPE_CHECKING

from zof_contracts.target.turns import ThreadTurns

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from zof_contracts.evidence.exchange import Headers, Response
    from zof_contracts.target.transport import Transport


class SimulatedTurns(ThreadTurns):
    """A thread runs until it waits; then the thread that is due first runs, and the clock moves on to its time."""

    def __init__(self, *, on_advance: Callable[[int], None] = lambda _: None) -> None:
        super().__init__()
        self.time = 0.0
        self._on_advance = on_advance
        self._missing = 0
        self._sequence = 0
        self._due: list[tuple[float, int]] = []
        self._current: tuple[float, int] | None = None

    def expect(self, threads: int) -> None:
        """Set the number of threads that must have come before one of them runs."""
        self._missing = threads

    def now(self) -> float:
        """The seconds since the clock was made."""
        return self.time

    @contextmanager
    def take(self) -> Iterator[None]:
        """Have the turn once all threads have come."""
        with self._turn:
            self._missing -= 1
            self._pass_time(0)
            try:
                yield
            finally:
                self._run_next()

    @contextmanager
    def give_up(self) -> Iterator[None]:
        """Keep the turn: only waits take time."""
        yield

    def sleep(self, seconds: float) -> None:
        """Let other threads run for so many seconds of the simulated clock."""
        if self._current is None:  # the thread that starts the others waits before and after them
            self._advance(self.time + seconds)
            return
        self._pass_time(seconds)
        self.require_going()

    def wait_until(self, is_reached: Callable[[], bool]) -> None:
        """Let other threads run until a condition is met."""
        seconds = 0.001
        while not is_reached():
            self.sleep(seconds)
            seconds = min(2 * seconds, 0.1)

    def _pass_time(self, seconds: float) -> None:
        self._sequence += 1
        mine = (self.time + seconds, self._sequence)
        heapq.heappush(self._due, mine)
        self._run_next()
        while self._current != mine:
            self._turn.wait()

    def _run_next(self) -> None:
        self._current = heapq.heappop(self._due) if self._due and not self._missing else None
        if self._current is not None and not self.is_halted:
            self._advance(self._current[0])
        self._turn.notify_all()

    def _advance(self, until: float) -> None:
        if until > self.time:
            self._on_advance(round(until * 1000) - round(self.time * 1000))
            self.time = until


class Delayed:
    """A transport whose requests and answers take a moment that the seed decides."""

    is_parallel = True

    def __init__(self, transport: Transport, turns: SimulatedTurns, *, seed: int) -> None:
        self._transport = transport
        self._turns = turns
        self._random = Random(seed)  # noqa: S311  not for secrets

    def carry(  # noqa: PLR0913  see Transport
        self, method: str, target: str, headers: Headers, body: bytes, *, seconds: float = 30.0, fresh: bool = False
    ) -> Response:
        """Send the request some time later, and give the answer some time after that."""
        self._turns.sleep(self._random.random() / 20)
        answer = self._transport.carry(method, target, headers, body, seconds=seconds, fresh=fresh)
        self._turns.sleep(self._random.random() / 20)
        return answer

    def close(self) -> None:
        """Close the connections that are kept open."""
        self._transport.close()
