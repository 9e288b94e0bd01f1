"""Turns: threads that share one verification run one at a time, until they wait for an answer or for time to pass.

What the threads share (account, rate limit, ledger) therefore needs no locks of its own. `SingleTurn` is for a
verification in a single thread.
"""

from __future__ import annotations

import sys
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final, Protocol

from zof_contracts.target.budget import Stopped
from zof_contracts.target.interruption import INTERRUPTION

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager

    from zof_contracts.target.timer import Timer


_ENDED: Final = "the verification ended"


class Halted(Stopped):
    """Another thread has ended the part that this thread works for."""


class Turns(Protocol):
    """Lets threads take turns."""

    @property
    def is_shared(self) -> bool:
        """Whether several threads take turns."""
        ...

    def require_going(self) -> None:
        """Raise `Halted` if the threads are to end."""
        ...

    def give_up(self) -> AbstractContextManager[None]:
        """Let another thread run for as long as the context lasts."""
        ...

    def sleep(self, seconds: float) -> None:
        """Let other threads run for this number of seconds; `Halted` ends it early."""
        ...

    def wait_until(self, is_reached: Callable[[], bool]) -> None:
        """Let other threads run until a condition on what the threads share is met."""
        ...

    def release_place(self) -> AbstractContextManager[None]:
        """Let a thread that waits for a place work for as long as the context lasts."""
        ...


class SingleTurn:
    """The turn of a verification that runs in one thread."""

    is_shared = False

    def __init__(self, timer: Timer) -> None:
        self._timer = timer

    def require_going(self) -> None:
        """Raise `KeyboardInterrupt` if a signal asked the command to end."""
        INTERRUPTION.raise_if_requested()

    @contextmanager
    def give_up(self) -> Iterator[None]:
        """Do nothing: there is no other thread."""
        yield

    def sleep(self, seconds: float) -> None:
        """Wait."""
        self._timer.sleep(seconds)

    def wait_until(self, is_reached: Callable[[], bool]) -> None:
        """Return at once: no other thread changes what the condition is about."""

    @contextmanager
    def release_place(self) -> Iterator[None]:
        """Do nothing: there is no other thread."""
        yield


class ThreadTurns:
    """The turns of several threads on the machine's clock; `with turns.take():` runs a thread's part.

    The number of places to work at is fixed; a thread takes one by `with turns.take_place():`. A thread that lets time
    pass and needs nothing of the target meanwhile releases its place.
    """

    is_shared = True

    def __init__(self) -> None:
        self.places = sys.maxsize
        """The number of threads that may work at once."""
        self._taken = 0
        self._turn = threading.Condition(threading.Lock())
        self._halt = threading.Event()
        self._is_abandoned = False

    @contextmanager
    def take(self) -> Iterator[None]:
        """Have the turn for as long as the context lasts, apart from the waits in it."""
        with self._turn:
            try:
                yield
            finally:
                self._turn.notify_all()

    @contextmanager
    def take_place(self) -> Iterator[None]:
        """Wait for a place, and have it for as long as the context lasts."""
        self.wait_until(self._has_place)
        self._taken += 1
        try:
            yield
        finally:
            self._taken -= 1
            self._turn.notify_all()

    @contextmanager
    def release_place(self) -> Iterator[None]:
        """Let a thread that waits for a place work for as long as the context lasts."""
        self._taken -= 1
        try:
            yield
        finally:
            try:
                self.wait_until(self._has_place)
            finally:
                self._taken += 1

    def _has_place(self) -> bool:
        return self._taken < self.places

    def halt(self) -> None:
        """Let every thread end as soon as it waits, or asks for its turn."""
        self._halt.set()

    def abandon(self) -> None:
        """Let a thread that still waits for an answer end without recording it."""
        self._is_abandoned = True

    @property
    def is_halted(self) -> bool:
        """Whether the threads are to end."""
        return self._halt.is_set()

    def require_going(self) -> None:
        """Raise `Halted` if the threads are to end."""
        if self._halt.is_set():
            raise Halted(_ENDED)

    @contextmanager
    def give_up(self) -> Iterator[None]:
        """Let another thread run for as long as the context lasts."""
        self._turn.notify_all()
        self._turn.release()
        try:
            yield
        finally:
            self._turn.acquire()
            if self._is_abandoned:
                raise Halted(_ENDED)

    def sleep(self, seconds: float) -> None:
        """Let other threads run for this number of seconds; `Halted` ends it early."""
        with self.give_up():
            self._halt.wait(seconds)
        self.require_going()

    def wait_until(self, is_reached: Callable[[], bool]) -> None:
        """Let other threads run until a condition is met."""
        while not is_reached():
            self.require_going()
            self._turn.wait(0.5)  # a thread that halts the others may have no turn to notify them
