"""The server: runs an application on a socket until a signal. Only this module and `protocol` import uvicorn."""

from __future__ import annotations

import asyncio
import errno
import gc
import logging
import signal
import socket
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

import uvicorn
from uvicorn.protocols.http.httptools_impl import STATUS_LINE

from zof_emulator.server.protocol import make_connection_type

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator
    from types import FrameType

    from zof_emulator.server.protocol import UnreadableAnswer

    Application = Callable[..., Awaitable[None]]

_KEEP_ALIVE: Final = 75
"""Seconds. Common clients close idle connections earlier, so that no connection closes during a request."""
_BACKLOG: Final = 2048
_ATTEMPTS: Final = 10
"""How many ports are tried until one is free on both loopback addresses."""
_NO_IPV6: Final = frozenset({errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT})
_COLLECTED_AFTER: Final = (50_000, 20, 50)


def listen(host: str, port: int) -> list[socket.socket]:
    """Sockets that listen on an address; port 0 picks a free one.

    `localhost` is both loopback addresses, with the same port; only the first one where the machine lacks IPv6.

    Raises:
        OSError: the address is unknown or in use.
    """
    if host != "localhost":
        return [_listen(host, port)]
    attempts = 1 if port else _ATTEMPTS
    while True:
        attempts -= 1
        first = _listen("127.0.0.1", port)
        try:
            return [first, _listen("::1", first.getsockname()[1])]
        except OSError as error:
            if error.errno in _NO_IPV6:
                return [first]
            first.close()
            if error.errno != errno.EADDRINUSE or not attempts:
                raise


def _listen(host: str, port: int) -> socket.socket:
    family, kind, proto, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    listener = socket.socket(family, kind, proto)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
        listener.listen(_BACKLOG)
    except OSError:
        listener.close()
        raise
    return listener


def run(
    app: Application,
    listeners: list[socket.socket],
    *,
    on_started: Callable[[], None],
    on_stopped: Callable[[], object],
    answer_unreadable: UnreadableAnswer,
) -> None:
    """Serve an application until SIGINT or SIGTERM.

    Args:
        app: an ASGI application.
        listeners: the sockets that listen.
        on_started: called when the server accepts requests.
        on_stopped: called when the server has stopped.
        answer_unreadable: makes the answer to input that is not a valid HTTP request.

    Raises:
        KeyboardInterrupt: SIGINT ended the server.
    """
    logging.getLogger("uvicorn.error").setLevel(logging.ERROR)  # invalid input is answered, and not logged
    server = _Server(_make_config(app, answer_unreadable), on_started, on_stopped, tunes_collector=True)
    server.run(sockets=listeners)
    if server.interrupted:
        raise KeyboardInterrupt


@contextmanager
def serve_in_thread(
    app: Application, listeners: list[socket.socket], *, answer_unreadable: UnreadableAnswer
) -> Iterator[asyncio.AbstractEventLoop]:
    """Serve an application in a thread of this process until the block ends; signals are left to the process.

    The value is the event loop of the thread. Raises `RuntimeError` when the server ends before it serves.
    """
    ready = threading.Event()
    logger = logging.getLogger("uvicorn.error")
    level = logger.level  # the shutdown changes it, and the process may use uvicorn for itself
    server = _Server(_make_config(app, answer_unreadable), ready.set, lambda: None, tunes_collector=False)

    def serve() -> None:
        try:
            server.run(sockets=listeners)
        finally:
            ready.set()

    thread = threading.Thread(target=serve, name="zof-emulator", daemon=True)
    thread.start()
    ready.wait()
    if not server.started or server.loop is None:
        raise RuntimeError("the emulator's server ended before it served")
    try:
        yield server.loop
    finally:
        server.should_exit = True
        thread.join()
        logger.setLevel(level)


def _make_config(app: Application, answer_unreadable: UnreadableAnswer) -> uvicorn.Config:
    STATUS_LINE[413] = b"HTTP/1.1 413 Content Too Large\r\n"  # as RFC 9110 has it, and Python since 3.13
    return uvicorn.Config(
        app,
        http=make_connection_type(answer_unreadable),
        ws="none",
        lifespan="off",
        workers=1,
        log_config=None,
        access_log=False,
        server_header=False,  # its own headers follow the system's clock, ours the world's
        date_header=False,
        proxy_headers=False,
        timeout_keep_alive=_KEEP_ALIVE,
        timeout_graceful_shutdown=0,
    )


class _Server(uvicorn.Server):
    """Uvicorn's server, with callbacks for its start and its end; it stops at once and logs nothing."""

    def __init__(
        self,
        config: uvicorn.Config,
        on_started: Callable[[], None],
        on_stopped: Callable[[], object],
        *,
        tunes_collector: bool,
    ) -> None:
        """`tunes_collector`: whether the garbage collector of the process is set up for a server."""
        super().__init__(config)
        self._tunes_collector = tunes_collector
        self._on_started = on_started
        self._on_stopped = on_stopped
        self.interrupted = False
        """Whether SIGINT ended it."""
        self.loop: asyncio.AbstractEventLoop | None = None
        """The event loop that serves; None before the start."""

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Stop, and record SIGINT: a background process of a shell ignores SIGINT, so Python would not report it."""
        self.interrupted = self.interrupted or sig == signal.SIGINT
        super().handle_exit(sig, frame)

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """End on SIGHUP as on SIGTERM, unless it is ignored, as under nohup; uvicorn would die of it at once."""
        hangup = getattr(signal, "SIGHUP", None)
        in_main_thread = threading.current_thread() is threading.main_thread()
        if hangup is None or not in_main_thread or signal.getsignal(hangup) is signal.SIG_IGN:
            with super().capture_signals():
                yield
            return
        with super().capture_signals():  # which raises the signal again at its end, as it was before
            before = signal.signal(hangup, self.handle_exit)
            try:
                yield
            finally:
                signal.signal(hangup, before)

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Accept requests, and call the callback of the start."""
        self.loop = asyncio.get_running_loop()
        await super().startup(sockets)
        # Objects that were made at boot stay: searching them for cycles costs a tenth of the time of a request that
        # starts a run. Requests leave few cycles, so the collector runs less often than by default.
        if self._tunes_collector:
            gc.collect()
            gc.freeze()
            gc.set_threshold(*_COLLECTED_AFTER)
        self._on_started()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Stop, without log lines about connections that are cut off, and call the callback of the end."""
        logging.getLogger("uvicorn.error").setLevel(logging.CRITICAL + 1)
        for connection in list(self.server_state.connections):
            connection.transport.abort()
        await super().shutdown(sockets)
        self._on_stopped()
