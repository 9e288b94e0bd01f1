"""Pauses, and faults of an application that is called in process, with and without an event loop."""

from __future__ import annotations

import asyncio
import threading
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from zof_emulator.core.faults import LONGEST_MS
from zof_emulator.http.pauses import Pauses

from tests.http.faults import RecordedPauses, add
from tests.zof import ADMIN, Zof

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

HOUR_MS = 3_600_000


async def never() -> dict[str, Any]:
    """A client that stays."""
    await asyncio.Event().wait()
    return {}


async def report_disconnect() -> dict[str, Any]:
    """A client that has left."""
    return {"type": "http.disconnect"}


def finish(make: Callable[[Pauses], Awaitable[None]]) -> None:
    """Run a program with pauses; nothing waits after it."""
    pauses = Pauses()

    async def main() -> None:
        await make(pauses)

    asyncio.run(main())
    assert len(pauses) == 0


def test_a_pause_ends_in_time() -> None:
    """A pause says whether its time was up."""

    async def main(pauses: Pauses) -> None:
        assert await pauses.pause("fault_1", 1)
        assert await pauses.pause("fault_1", 1, never)

    finish(main)


@pytest.mark.parametrize("release", ["one", "all"])
def test_a_pause_is_released(release: str) -> None:
    """The pauses of a fault end together, those of another go on, and all can be ended."""

    async def main(pauses: Pauses) -> None:
        tasks = [asyncio.create_task(pauses.pause(name, HOUR_MS, never)) for name in ("a", "a", "b")]
        await asyncio.sleep(0)
        assert len(pauses) == 3
        pauses.release("a") if release == "one" else pauses.release_all()
        assert [await task for task in tasks[:2]] == [False, False]
        pauses.release_all()
        assert await tasks[2] is False

    finish(main)


def test_a_pause_ends_with_its_client() -> None:
    """A pause ends when the client has left."""

    async def main(pauses: Pauses) -> None:
        assert not await pauses.pause("fault_1", HOUR_MS, report_disconnect)

    finish(main)


def test_a_pause_that_is_canceled() -> None:
    """A pause whose task is canceled, as at the end of a server, leaves nothing behind."""

    async def main(pauses: Pauses) -> None:
        task = asyncio.create_task(pauses.pause("fault_1", HOUR_MS, never))
        await asyncio.sleep(0)
        assert len(pauses) == 1
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    finish(main)


def test_without_an_event_loop() -> None:
    """Without an event loop the thread waits, and another thread may end the pause."""
    pauses = Pauses()

    def pause(ms: int) -> bool:
        try:
            pauses.pause("fault_1", ms).send(None)
        except StopIteration as end:
            return bool(end.value)
        raise AssertionError("it waits for an event loop")

    assert pause(1)
    found: list[bool] = []
    thread = threading.Thread(target=lambda: found.append(pause(HOUR_MS)))
    thread.start()
    while not len(pauses):
        pass
    pauses.release("fault_1")
    thread.join()
    assert found == [False]


@pytest.mark.parametrize(
    ("effect", "error"),
    [
        ({"reset": True}, ConnectionResetError),
        ({"stall": True}, ConnectionAbortedError),
        ({"truncate": True}, ConnectionAbortedError),
    ],
)
def test_a_broken_connection_in_process(effect: dict[str, Any], error: type[Exception]) -> None:
    """A client that calls the application in process gets an exception, and a stall lasts no longer than its bound."""
    zof = Zof()
    zof.app.hosted.pauses = recorder = RecordedPauses()  # type: ignore[assignment]
    name = add(zof, effect)

    async def ask() -> None:
        transport = httpx.ASGITransport(app=zof.app)
        async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1/v1") as client:
            await client.get("/runs", headers={"authorization": f"Bearer {ADMIN}"})

    with pytest.raises(error, match=name):
        asyncio.run(ask())
    assert recorder.pauses == ([(name, LONGEST_MS)] if "stall" in effect else [])


def test_a_stall_without_an_event_loop() -> None:
    """A stall in a call that nothing else could end ends at once."""
    zof = Zof()
    add(zof, {"stall": True})
    with pytest.raises(ConnectionAbortedError):
        zof.get("/runs")


def test_a_long_drip_is_bounded() -> None:
    """A body that would drip for longer than the bound comes whole when the bound is reached."""
    zof = Zof()
    zof.app.hosted.pauses = recorder = RecordedPauses()  # type: ignore[assignment]
    whole = zof.get("/runs").content
    add(zof, {"drip_ms": LONGEST_MS // 3, "after_bytes": 0})
    assert zof.get("/runs").content == whole
    assert len(recorder.pauses) == 3
