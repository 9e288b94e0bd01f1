"""A receiver of webhooks that does the least possible work: `python -m bench.receiver PORT`."""

from __future__ import annotations

import asyncio
import re
import sys
from typing import TYPE_CHECKING, Final, cast

if TYPE_CHECKING:
    from asyncio import BaseTransport, Transport

_LENGTH: Final = re.compile(rb"\ncontent-length: *([0-9]+)", re.IGNORECASE)
_NO_CONTENT: Final = b"HTTP/1.1 204 No Content\r\n\r\n"
_PAGE: Final = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"


class _Protocol(asyncio.Protocol):
    """Answers a GET with 200, which shows that it listens, and every other request with 204."""

    def connection_made(self, transport: BaseTransport) -> None:
        self._transport = cast("Transport", transport)
        self._buffer = b""

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        while (end := self._buffer.find(b"\r\n\r\n")) >= 0:
            length = _LENGTH.search(self._buffer, 0, end)
            size = end + 4 + (int(length[1]) if length else 0)
            if len(self._buffer) < size:
                return
            self._transport.write(_PAGE if self._buffer.startswith(b"GET") else _NO_CONTENT)
            self._buffer = self._buffer[size:]


async def _serve(port: int) -> None:
    server = await asyncio.get_running_loop().create_server(_Protocol, "127.0.0.1", port)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(_serve(int(sys.argv[1])))
