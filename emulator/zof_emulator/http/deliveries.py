"""The pipeline's interface to webhook deliveries: a lock, and the service to notify of changed worlds."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from concurrent.futures import Future
    from contextlib import AbstractContextManager

    from zof_emulator.http.hosted_world import HostedWorld


class Deliveries(Protocol):
    """Sends the deliveries of all worlds in a thread; `webhooks.service.DeliveryService` implements it."""

    @property
    def lock(self) -> AbstractContextManager[object]:
        """The lock that must be held while a world is used."""

    def notify(self, hosted: HostedWorld, /) -> None:
        """Note that a world has changed; called with the lock held."""

    def close(self) -> None:
        """Stop sending; called without the lock."""

    def when_idle(self, hosted: HostedWorld, /) -> Future[None]:
        """A future that is done when no delivery of a world is being sent or due; called with the lock held."""


async def wait_for(future: Future[None]) -> None:
    """Wait until a future is done. Without a running event loop, as in a call in process, the thread blocks."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        future.result()
    else:
        await asyncio.wrap_future(future)
