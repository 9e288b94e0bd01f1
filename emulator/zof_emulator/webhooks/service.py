"""The delivery service: a thread that takes due deliveries from the outboxes of all worlds, and sends them.

The thread starts at the first delivery and imports httpcore then, so an emulator without webhooks pays for neither. It
ends when no delivery is waiting, so an emulator that a test drops leaves no thread and no socket behind, and the next
delivery starts another one. It uses a world only while it holds the lock that requests hold too.
"""

from __future__ import annotations

import asyncio
import sys
from concurrent.futures import Future
from importlib import import_module
from threading import Lock, Thread
from typing import TYPE_CHECKING, Final, Protocol
from weakref import WeakKeyDictionary

from zof_emulator.core.timeline import NEVER

if TYPE_CHECKING:
    from collections.abc import Callable

    from zof_emulator.core.deliveries import AttemptResult, Delivery
    from zof_emulator.core.world import World
    from zof_emulator.webhooks.post import CallPolicy, Post

_COURIER: Final = "zof_emulator.webhooks.courier"
_SECOND_MS: Final = 1_000
_SWITCH_INTERVAL: Final = 0.0005
"""Seconds after which a thread hands the interpreter on to another one that waits for it."""
_LONGEST_PAUSE_MS: Final = 60_000


class Sender(Protocol):
    """Sends requests; `Courier` sends them over the network."""

    async def send(self, post: Post, /) -> AttemptResult:
        """Send a request; return the result of the attempt. Raises nothing."""

    async def aclose(self) -> None:
        """Close all connections."""


class WorldHolder(Protocol):
    """Holds a world, and may replace it by another one."""

    world: World

    def settle_without_use(self) -> World:
        """The world, brought to the current instant; the call does not count as use."""


def load_courier(policy: CallPolicy) -> Sender:
    """Make the courier. Its module is imported here, because httpcore takes time that most emulators do not need."""
    sender: Sender = import_module(_COURIER).Courier(policy)
    return sender


class DeliveryService:
    """Sends the due deliveries of all worlds of an emulator."""

    def __init__(
        self,
        compose: Callable[[World, Delivery], Post],
        make_sender: Callable[[], Sender],
        *,
        linger_ms: int = 1_000,
    ) -> None:
        """Start no thread yet.

        Args:
            compose: makes a delivery's request.
            make_sender: called in each thread that is started.
            linger_ms: how long a thread waits for another delivery, with its connections open, when none is waiting.
        """
        self.lock = Lock()
        """The lock that must be held while a world is used."""
        self.compose = compose
        """Makes a delivery's request."""
        self._make_sender = make_sender
        self._linger_ms = linger_ms
        self._asleep: WeakKeyDictionary[WorldHolder, int] = WeakKeyDictionary()
        """The instant, in ms of a world's clock, until which no delivery of it is due unless its outbox changes."""
        self._waiting: list[tuple[WorldHolder, Future[None]]] = []
        self._tasks: set[asyncio.Task[None]] = set()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._wake = asyncio.Event()
        self._thread: Thread | None = None
        self._is_woken = False
        self._is_closed = False

    # --- called with the lock held

    def notify(self, holder: WorldHolder) -> None:
        """Wake the thread if a world's outbox or instant has changed so that a delivery may be due."""
        world = holder.world
        if not world.outbox.is_active:
            return
        if world.outbox.is_ready or (
            not world.clock.is_stopped and world.agenda.first < self._asleep.get(holder, NEVER)
        ):
            self._asleep[holder] = 0
            self._rouse()

    def when_idle(self, holder: WorldHolder) -> Future[None]:
        """A future that is done when no delivery of a world is being sent or is due."""
        idle: Future[None] = Future()
        self._waiting.append((holder, idle))
        self._settle_waiting()
        self.notify(holder)
        return idle

    def _rouse(self) -> None:
        if self._thread is None and not self._is_closed:
            # Else a request waits 5 ms for the interpreter, again and again, while webhooks are being sent.
            sys.setswitchinterval(_SWITCH_INTERVAL)
            self._thread = Thread(target=self._run, name="zof-webhooks", daemon=True)
            self._thread.start()
        elif self._loop is not None and not self._is_woken and not self._is_closed:
            self._is_woken = True
            self._loop.call_soon_threadsafe(self._wake.set)

    def _settle_waiting(self) -> None:
        still = []
        for holder, future in self._waiting:
            if holder.world.outbox.has_due(holder.world.now):
                still.append((holder, future))
            elif not future.done():
                future.set_result(None)
        self._waiting = still

    # --- called without the lock

    def close(self) -> None:
        """Stop sending; attempts in progress end without a result."""
        with self.lock:
            loop, self._loop, self._is_closed = self._loop, None, True
            if loop is not None:
                loop.call_soon_threadsafe(self._wake.set)
            thread = self._thread
        if thread is not None:
            thread.join(1)

    # --- in the thread

    def _run(self) -> None:
        asyncio.run(self._serve())

    async def _serve(self) -> None:
        sender = self._make_sender()
        with self.lock:
            self._wake = asyncio.Event()
            self._loop = None if self._is_closed else asyncio.get_running_loop()
        while not self._is_closed:
            self._wake.clear()
            with self.lock:
                self._is_woken = False
                pause = min([self._advance(one, sender) for one in tuple(self._asleep)], default=_LONGEST_PAUSE_MS)
                is_idle = not self._tasks and all(until == NEVER for until in self._asleep.values())
            try:
                async with asyncio.timeout((self._linger_ms if is_idle else max(pause, 1)) / _SECOND_MS):
                    await self._wake.wait()
            except TimeoutError:
                if is_idle and self._retire():
                    await sender.aclose()
                    return
        for task in tuple(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await sender.aclose()

    def _retire(self) -> bool:
        """Let the next delivery start another thread, unless one is due by now; whether this thread ends."""
        with self.lock:
            if not self._is_woken:
                self._loop = self._thread = None
        return self._loop is None

    def _advance(self, holder: WorldHolder, sender: Sender) -> int:
        """Begin the due deliveries of a world; return the ms until the next one, as known now."""
        world = holder.settle_without_use()
        for delivery in world.outbox.take(world.now):
            post = self.compose(world, delivery)
            task = asyncio.get_running_loop().create_task(self._deliver(holder, world, delivery.number, post, sender))
            self._tasks.add(task)
            task.add_done_callback(self._forget)
        self._asleep[holder] = until = NEVER if world.clock.is_stopped else world.agenda.first
        return min(_LONGEST_PAUSE_MS, until - world.now)

    def _forget(self, task: asyncio.Task[None]) -> None:
        """Drop a task that has ended; after the last one the thread may be idle."""
        self._tasks.discard(task)
        if not self._tasks:
            self._wake.set()

    async def _deliver(self, holder: WorldHolder, world: World, number: int, post: Post, sender: Sender) -> None:
        result = await sender.send(post)
        with self.lock:
            before = self._asleep.get(holder, NEVER)
            if holder.world is world:
                holder.settle_without_use()
            world.outbox.finish(number, result, world.now)
            self._advance(holder, sender)
            self._settle_waiting()
            if self._asleep[holder] < before:
                self._wake.set()
