"""Pauses: requests that a fault delays or stalls.

Each pause ends when its time is up, when its rule is removed, when its world ends, or when the client leaves. Delays
are real milliseconds, under every clock mode.
"""

from __future__ import annotations

import asyncio
from concurrent.futures import Future
from concurrent.futures import wait as wait_blocking
from typing import TYPE_CHECKING, Any, Final

from zof_emulator.core.instants import SECOND

if TYPE_CHECKING:
    from collections.abc import Iterable

    from starlette.types import Receive

_DISCONNECT: Final = "http.disconnect"


class Pauses:
    """The requests of a world that wait because of a fault, by the ID of the fault."""

    __slots__ = ("_waiting", "delayed")

    def __init__(self) -> None:
        self.delayed = 0
        """The number of requests that have been delayed before they were carried out."""
        self._waiting: dict[str, set[Future[None]]] = {}

    def __len__(self) -> int:
        """The number of requests that wait."""
        return sum(map(len, self._waiting.values()))

    async def pause(self, name: str, ms: int, receive: Receive | None = None) -> bool:
        """Wait for so many ms; return whether the time is up. With `receive`, the client's departure ends the pause.

        Without a running event loop, as in a call in process, the thread blocks.
        """
        end: Future[None] = Future()
        self._waiting.setdefault(name, set()).add(end)
        try:
            try:
                asyncio.get_running_loop()
            except RuntimeError:
                return not wait_blocking((end,), ms / SECOND).done
            return not await _wait(end, ms, receive)
        finally:
            waiting = self._waiting.get(name, set())
            waiting.discard(end)
            if not waiting:
                self._waiting.pop(name, None)

    def release(self, name: str) -> None:
        """End the pauses of a fault."""
        _finish(self._waiting.pop(name, ()))

    def release_all(self) -> None:
        """End all pauses."""
        for name in tuple(self._waiting):
            self.release(name)


async def _wait(end: Future[None], ms: int, receive: Receive | None) -> bool:
    """Wait for so many ms; return whether something ended the pause before."""
    ends: set[asyncio.Future[Any]] = {asyncio.wrap_future(end)}
    if receive is not None:
        ends.add(asyncio.ensure_future(_until_client_gone(receive)))
    try:
        done, _ = await asyncio.wait(ends, timeout=ms / SECOND, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for one in ends:
            one.cancel()
    return bool(done)


async def _until_client_gone(receive: Receive) -> None:
    while (await receive())["type"] != _DISCONNECT:
        pass


def _finish(ends: Iterable[Future[None]]) -> None:
    for one in tuple(ends):
        if not one.done():
            one.set_result(None)
