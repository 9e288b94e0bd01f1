"""Sockets that keep to one deadline for a whole answer. A socket's own timeout bounds a single read only."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, Any, Final

import httpcore

if TYPE_CHECKING:
    import ssl
    from collections.abc import Iterable

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
        """Let the current thread's request have so many seconds from now."""
        self._local.until = time.monotonic() + seconds

    def measure_left(self) -> float:
        """The seconds that are left; `DeadlinePassed` if there are none."""
        left: float = self._local.until - time.monotonic()
        if left <= 0:
            raise DeadlinePassed
        return max(left, _LEAST)


class DeadlineBackend(httpcore.NetworkBackend):
    """Opens connections whose every step takes no longer than the deadline permits."""

    def __init__(self, deadline: Deadline) -> None:
        self._backend = httpcore.SyncBackend()
        self._deadline = deadline

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ARG002  the deadline decides
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.NetworkStream:
        """Connect to a server."""
        seconds = min(self._deadline.measure_left(), _CONNECT_TIMEOUT)
        stream = self._backend.connect_tcp(host, port, seconds, local_address, socket_options)
        return _DeadlineStream(stream, self._deadline)


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
