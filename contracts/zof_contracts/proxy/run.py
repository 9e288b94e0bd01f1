"""Runs the proxy until a signal ends it."""

from __future__ import annotations

import asyncio
import signal
import sys
from contextlib import suppress
from typing import TYPE_CHECKING

from zof_contracts.proxy.judging import TrafficJudge
from zof_contracts.proxy.server import ProxyServer, ProxySettings
from zof_contracts.target.proxies import make_ssl_context

if TYPE_CHECKING:
    from collections.abc import Callable

    from zof_contracts.proxy.judging import Outcome

try:
    from uvloop import new_event_loop
except ModuleNotFoundError:  # on Windows, which it does not support
    from asyncio import new_event_loop  # type: ignore[assignment]  # a loop is a loop

_SWITCH_SECONDS = 0.0005
"""Seconds after which the thread that judges makes way for the one that forwards; 0.005 would delay answers."""
_SIGNALS = ("SIGINT", "SIGTERM", "SIGHUP")


def run_proxy(  # noqa: PLR0913  the options of a proxy
    settings: ProxySettings,
    *,
    host: str,
    port: int,
    is_strict: bool = False,
    ca_file: str = "",
    on_ready: Callable[[int], None],
) -> Outcome:
    """Forward traffic until the process is asked to end; what was found.

    Args:
        settings: how to forward.
        host: the address to listen on.
        port: the port to listen on; 0 picks a free one.
        is_strict: whether differences from assumptions fail too.
        ca_file: a file of certificate authorities to trust besides the system's.
        on_ready: called with the port as soon as connections are accepted.

    Raises:
        OSError: it cannot listen there, or the file of authorities cannot be read.
    """
    judge = TrafficJudge(str(settings.upstream), is_strict=is_strict)
    context = make_ssl_context(ca_file) if settings.upstream.scheme == "https" else None
    server = ProxyServer(settings, judge, context)
    sys.setswitchinterval(_SWITCH_SECONDS)
    with suppress(KeyboardInterrupt), asyncio.Runner(loop_factory=new_event_loop) as runner:
        runner.run(_serve(server, host, port, on_ready))
    judge.close()
    return judge.report()


async def _serve(server: ProxyServer, host: str, port: int, on_ready: Callable[[int], None]) -> None:
    end = asyncio.Event()
    loop = asyncio.get_running_loop()
    for name in _SIGNALS:
        with suppress(NotImplementedError, AttributeError):  # where the system has no such signal, Ctrl-C ends the loop
            loop.add_signal_handler(getattr(signal, name), end.set)
    listening = await server.start(host, port)
    on_ready(listening.sockets[0].getsockname()[1])
    await end.wait()
    listening.close()
