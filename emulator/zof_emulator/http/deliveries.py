"""What the pipeline knows of webhook deliveries: a lock, and whom to tell that there may be something to send."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from concurrent.futures import Future
    from contextlib import AbstractContextManager

    from zof_emulator.http.hosted_world import HostedWorld


class Deliveries(Protocol):
    """What sends the deliveries of all worlds, from a thread of its own; `webhooks.service.DeliveryService` does."""

    @property
    def lock(self) -> AbstractContextManager[object]:
        """Held by whoever touches a world."""

    def notify(self, hosted: HostedWorld, /) -> None:
        """A world has changed; called with the lock held."""

    def close(self) -> None:
        """Send nothing more; called without the lock."""

    def when_idle(self, hosted: HostedWorld, /) -> Future[None]:
        """Done when nothing of a world is being sent or due any more; called with the lock held."""


async def wait_for(future: Future[None]) -> None:
    """Wait until something is done elsewhere; where no event loop runs, as in a call in process, by blocking."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        future.result()
    else:
        await asyncio.wrap_future(future)
