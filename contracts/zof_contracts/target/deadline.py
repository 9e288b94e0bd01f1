"""Sockets that keep to one deadline for a whole answer. A socket's own timeout bounds a single read only."""

from __future__ import annotations

import queue
import socket
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final

import httpcore

if TYPE_CHECKING:
    import ssl
    from collections.abc import Iterable

LookUp = Callable[[str, int], list[str]]
"""Returns the addresses of a host and a port; raises `OSError` if it has none."""

_PIECE: Final = 1 << 14
"""Bytes that are written at once, so that a target that reads slowly is noticed in time."""
_CONNECT_TIMEOUT: Final = 10.0
_LEAST: Final = 0.001


class DeadlinePassed(Exception):  # noqa: N818  an event, not a fault
    """The time for the answer is over."""


class Deadline:
    """The moment by which the request of the current thread must be answered."""

    def __init__(self) -> None:
        self._local = threading.local()

    def set(self, seconds: float) -> None:
        """Give the current thread's request this number of seconds from now."""
        self._local.until = time.monotonic() + seconds

    def measure_left(self) -> float:
        """The seconds that are left; `DeadlinePassed` if there are none."""
        left: float = self._local.until - time.monotonic()
        if left <= 0:
            raise DeadlinePassed
        return max(left, _LEAST)


def look_up_host(host: str, port: int) -> list[str]:
    """The addresses of a host, each once, in the order of the system.

    Raises:
        OSError: it has none.
    """
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(address[0]) for *_, address in found))


class DeadlineBackend(httpcore.NetworkBackend):
    """Opens connections whose every step takes no longer than the deadline permits."""

    def __init__(self, deadline: Deadline, look_up: LookUp = look_up_host) -> None:
        self._backend = httpcore.SyncBackend()
        self._deadline = deadline
        self._look_up = look_up

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ARG002  the deadline decides
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.NetworkStream:
        """Connect to a server."""
        until = time.monotonic() + min(self._deadline.measure_left(), _CONNECT_TIMEOUT)
        options = list(socket_options or ())
        addresses = self._find_addresses(host, port, until - time.monotonic())
        for address in addresses[:-1]:
            with suppress(httpcore.ConnectError, httpcore.ConnectTimeout):
                share = max((until - time.monotonic()) / 2, _LEAST)  # the next address may answer
                return self._connect(address, port, share, local_address, options)
        return self._connect(addresses[-1], port, max(until - time.monotonic(), _LEAST), local_address, options)

    def _connect(
        self, address: str, port: int, seconds: float, local_address: str | None, options: list[Any]
    ) -> httpcore.NetworkStream:
        stream = self._backend.connect_tcp(address, port, seconds, local_address, options)
        return _DeadlineStream(stream, self._deadline)

    def _find_addresses(self, host: str, port: int, seconds: float) -> list[str]:
        """Look a host up in a thread of its own, since nothing else bounds the time that it takes."""
        found: queue.SimpleQueue[list[str] | OSError] = queue.SimpleQueue()

        def work() -> None:
            try:
                found.put(self._look_up(host, port))
            except OSError as error:
                found.put(error)

        threading.Thread(target=work, daemon=True, name=f"look up {host}").start()
        try:
            addresses = found.get(timeout=max(seconds, _LEAST))
        except queue.Empty as error:
            raise httpcore.ConnectTimeout("the name of the host was not found in time") from error
        if isinstance(addresses, OSError):
            raise httpcore.ConnectError("the name of the host was not found") from addresses
        return addresses


class _DeadlineStream(httpcore.NetworkStream):
    def __init__(self, stream: httpcore.NetworkStream, deadline: Deadline) -> None:
        self._stream = stream
        self._deadline = deadline

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:  # noqa: ARG002  the deadline decides
        return self._stream.read(max_bytes, self._deadline.measure_left())

    def write(self, buffer: bytes, timeout: float | None = None) -> None:  # noqa: ARG002  the deadline decides
        for start in range(0, len(buffer), _PIECE):
            self._stream.write(buffer[start : start + _PIECE], self._deadline.measure_left())

    def close(self) -> None:
        self._stream.close()

    def start_tls(
        self,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,  # noqa: ARG002  the deadline decides
    ) -> httpcore.NetworkStream:
        seconds = min(self._deadline.measure_left(), _CONNECT_TIMEOUT)
        return _DeadlineStream(self._stream.start_tls(ssl_context, server_hostname, seconds), self._deadline)

    def get_extra_info(self, info: str) -> Any:  # noqa: ANN401  as httpcore has it
        return self._stream.get_extra_info(info)
