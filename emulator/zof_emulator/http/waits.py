"""Requests that cannot be answered at once: what they wait for, and how they continue."""

from __future__ import annotations

import asyncio
from concurrent.futures import Future
from typing import TYPE_CHECKING

from zof_emulator.http.deliveries import wait_for

if TYPE_CHECKING:
    from zof_emulator.handlers.messages import Waiting
    from zof_emulator.http.hosted_world import HostedWorld

    Headers = tuple[tuple[bytes, bytes], ...]


class Waits(Exception):  # noqa: N818  not an error
    """A request must wait for webhook deliveries, or let others be served; then it continues with `resume`."""

    def __init__(self, waiting: Waiting | None = None, base: str = "", *, is_slice: bool = False) -> None:
        """`waiting` is None for a request that is judged again; `is_slice` says what that request waits for."""
        super().__init__()
        self.resume = None if waiting is None else waiting.resume
        self.is_slice = is_slice if waiting is None else waiting.is_slice
        self.base = base
        """The URL at which links in its answer begin."""
        self.organization = ""
        """The organization of the key; empty without a valid key."""
        self.limits: Headers = ()
        """The headers of the rate limit."""
        self.at = 0
        """When the request came, by the world's clock in ms; 0 before the world is settled."""
        self.idle: Future[None] = Future()
        """Done after the attempts to send the deliveries."""


async def wait(waits: Waits, hosted: HostedWorld) -> None:
    """Wait until an operation may continue."""
    if not waits.is_slice:
        await wait_for(waits.idle)
        await wait_until_settled(hosted)
        return
    hosted.is_settling = True
    try:
        await asyncio.sleep(0)
    finally:
        hosted.is_settling = False


async def wait_until_settled(hosted: HostedWorld) -> None:
    """Wait while an advance of the world is carried out in slices."""
    while hosted.is_settling:  # noqa: ASYNC110  an event belongs to one event loop, and there may be none
        await asyncio.sleep(0)
