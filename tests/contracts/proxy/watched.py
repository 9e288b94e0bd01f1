"""A proxy with a recorder on each side of it: what one side sends must reach the other side without a changed byte.

`WatchedProxy` listens on a port. The bytes of each connection are recorded before they enter the proxy and after they
have left it, in both directions, and are compared when the connection ends.
"""

from __future__ import annotations

import asyncio
import socket
import threading
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, Self

from tests.contracts.proxy.proxies import RunningProxy

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Coroutine, Sequence

    from zof_contracts.proxy.judging import Outcome

_PIECE: Final = 1 << 16
_PATIENCE: Final = 10.0
_SHOWN: Final = 200
_RESET: Final = b"\1\0\0\0\0\0\0\0"
"""SO_LINGER of a socket whose end is a reset."""

Stream = tuple[asyncio.StreamReader, asyncio.StreamWriter]


@dataclass
class Direction:
    """The bytes of one direction of a connection."""

    entered: bytearray = field(default_factory=bytearray)
    """The bytes that the sender gave to the proxy."""
    left: bytearray = field(default_factory=bytearray)
    """The bytes that the proxy gave to the receiver."""
    is_whole: bool = False
    """Whether the sender ended before the connection did, so that all of it had to arrive."""

    def describe_change(self) -> str:
        """The first difference; empty if there is none."""
        length = len(self.left)
        if self.entered[:length] != self.left:
            at = next(
                place for place in range(length) if self.entered[place : place + 1] != self.left[place : place + 1]
            )
            return f"byte {at} differs: {self.entered[at : at + _SHOWN]!r} became {self.left[at : at + _SHOWN]!r}"
        if self.is_whole and length < len(self.entered):
            return f"{len(self.entered) - length} bytes are missing: {self.entered[length : length + _SHOWN]!r}"
        return ""


class WatchedProxy:
    """A proxy before a port on loopback, and the recorders around it; ends with its `with`."""

    def __init__(self, upstream_port: int, **settings: Any) -> None:  # noqa: ANN401  fields of ProxySettings
        self.port = 0
        """The port for clients."""
        self.connections = 0
        self.byte_count = 0
        """The bytes that left the proxy, in both directions."""
        self.changes: list[str] = []
        """The differences that were found."""
        self.outcome: Outcome | None = None
        """The findings of the proxy at the end of the traffic."""
        self._upstream_port = upstream_port
        self._settings = settings
        self._proxy: RunningProxy | None = None
        self._loop = asyncio.new_event_loop()
        self._behind: asyncio.Queue[Stream] = asyncio.Queue()
        """The connections that the proxy has opened."""
        self._opening = asyncio.Lock()
        self._tasks: set[asyncio.Task[None]] = set()
        self._servers: list[asyncio.Server] = []
        self._thread = threading.Thread(target=self._loop.run_forever, name="watched-proxy", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        behind = self._call(self._listen(self._accept_from_proxy))
        self._proxy = RunningProxy(behind, **self._settings).__enter__()
        self.port = self._call(self._listen(self._accept_from_client))
        return self

    def __exit__(self, *_: object) -> None:
        assert self._proxy is not None
        self._call(self._end())
        self._proxy.__exit__()
        self.outcome = self._proxy.report()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(_PATIENCE)
        self._loop.close()

    def describe(self) -> str:
        """The traffic, the findings of the proxy and the changes, as lines."""
        assert self.outcome is not None
        contract = self.outcome.contract
        lines = [f"{self.connections} connections, {self.byte_count} bytes, {contract.recorded} exchanges judged"]
        lines += [f"{each.verdict.value} {each.rule.name}, {each.operation}: {each.got}" for each in contract.findings]
        return "\n".join([*lines, *contract.notes, *(self.changes or ["no byte was changed"]), ""])

    def _call(self, work: Coroutine[None, None, int]) -> int:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(_PATIENCE)

    async def _listen(
        self, on_connection: Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]
    ) -> int:
        server = await asyncio.start_server(on_connection, "127.0.0.1", 0, limit=_PIECE)
        self._servers.append(server)
        port: int = server.sockets[0].getsockname()[1]
        return port

    async def _end(self) -> int:
        for server in self._servers:
            server.close()
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        return len(tasks)

    async def _accept_from_proxy(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._behind.put_nowait((reader, writer))

    async def _accept_from_client(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        streams: list[Stream] = [(reader, writer)]
        try:
            await self._watch(streams)
        except (OSError, asyncio.CancelledError):
            pass
        finally:
            for _, each in streams:
                each.close()
            self._tasks.discard(task)

    async def _watch(self, streams: list[Stream]) -> None:
        """Pass all bytes of a client's connection on, and compare them at its end."""
        assert self._proxy is not None
        async with self._opening:  # one at a time, so that the next connection of the proxy is that of this client
            streams.append(await asyncio.open_connection("127.0.0.1", self._proxy.port, limit=_PIECE))
            streams.append(await asyncio.wait_for(self._behind.get(), _PATIENCE))
        streams.append(await asyncio.open_connection("127.0.0.1", self._upstream_port, limit=_PIECE))
        client, front, back, upstream = streams
        requests, answers = Direction(), Direction()
        pumps = [
            _pump(client, front, requests.entered),
            _pump(back, upstream, requests.left),
            _pump(upstream, back, answers.entered),
            _pump(front, client, answers.left),
        ]
        tasks = [asyncio.create_task(each) for each in pumps]
        try:
            await self._wait(tasks, requests, answers)
        finally:
            for each in tasks:
                each.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            self._compare(requests, answers)

    async def _wait(self, tasks: Sequence[asyncio.Task[bool]], requests: Direction, answers: Direction) -> None:
        """Wait for the end of a connection, and note which of its senders ended in order and first."""
        sending, _, answering, _ = tasks
        await asyncio.wait({sending, answering}, return_when=asyncio.FIRST_COMPLETED)
        requests.is_whole = sending.done() and not answering.done() and sending.result()
        await asyncio.wait(tasks)
        answers.is_whole = all(task.result() for task in tasks)

    def _compare(self, requests: Direction, answers: Direction) -> None:
        self.connections += 1
        self.byte_count += len(requests.left) + len(answers.left)
        for name, direction in (("requests", requests), ("answers", answers)):
            if change := direction.describe_change():
                self.changes.append(f"{name} of connection {self.connections}: {change}")


async def _pump(source: Stream, target: Stream, record: bytearray) -> bool:
    """Pass bytes on until the source ends, and its end too; whether it ended in order and all of it was passed on."""
    reader, writer = source[0], target[1]
    try:
        while data := await reader.read(_PIECE):
            record += data
            writer.write(data)
            await writer.drain()
        writer.write_eof()
    except (OSError, RuntimeError):  # a reset, or a transport that is closed already
        _reset(target)
        _reset(source)
        return False
    return True


def _reset(stream: Stream) -> None:
    """End a connection with a reset."""
    with suppress(OSError):
        stream[1].get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
    stream[1].transport.abort()
