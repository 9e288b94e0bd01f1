"""A proxy in a thread of this process, for tests."""

from __future__ import annotations

import asyncio
import threading
from typing import TYPE_CHECKING, Any, Self

from zof_contracts.proxy.judging import TrafficJudge
from zof_contracts.proxy.server import ProxyServer, ProxySettings
from zof_contracts.target.base_url import BaseUrl

if TYPE_CHECKING:
    from zof_contracts.proxy.judging import Outcome


class RunningProxy:
    """A proxy on a free port in front of a port on loopback; ends with its `with`."""

    def __init__(self, upstream_port: int, *, is_host_kept: bool = True, **settings: Any) -> None:  # noqa: ANN401
        upstream = BaseUrl.parse(f"http://127.0.0.1:{upstream_port}")
        self.judge = TrafficJudge(str(upstream))
        chosen = ProxySettings(upstream=upstream, is_host_kept=is_host_kept, **settings)
        self._server = ProxyServer(chosen, self.judge, None)
        self._loop = asyncio.new_event_loop()
        self._ready = threading.Event()
        self._end = asyncio.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self.port = 0

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._loop.run_until_complete(self._serve())
        self._loop.run_until_complete(self._loop.shutdown_default_executor())
        self._loop.close()

    async def _serve(self) -> None:
        listening = await self._server.start("127.0.0.1", 0)
        self.port = listening.sockets[0].getsockname()[1]
        self._ready.set()
        await self._end.wait()
        listening.close()
        tasks = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def report(self) -> Outcome:
        """The findings so far."""
        return self.judge.report()

    def __enter__(self) -> Self:
        self._thread.start()
        assert self._ready.wait(10)
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._end.set)
        self._thread.join(10)
        self.judge.close()
