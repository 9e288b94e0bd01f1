"""Sends an answer: at once, or in pieces while other requests are served."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from contextlib import AbstractContextManager

    from starlette.types import Scope, Send

    from zof_emulator.handlers.messages import Encoded
    from zof_emulator.journal.ring import Sending

    Headers = tuple[tuple[bytes, bytes], ...]

_PIECE: Final = 1 << 16


async def send_answer(  # noqa: PLR0913, PLR0917  what is sent, and to whom
    send: Send,
    scope: Scope,
    encoded: Encoded,
    headers: Headers,
    lock: AbstractContextManager[object],
    sending: Sending | None = None,
) -> None:
    """Send an answer; `sending` takes note of its pieces."""
    content = encoded.content
    if isinstance(content, bytes):
        await send({"type": "http.response.start", "status": encoded.status, "headers": headers})
        await send({"type": "http.response.body", "body": content})
        return
    pieces = _join_pieces(content())
    if scope.get("http_version") == "1.0":  # HTTP/1.0 knows no chunks (RFC 9112, 6.1)
        with lock:
            whole = b"".join(pieces)
        pieces = iter((whole,))
        if not any(name == b"content-length" for name, _ in headers):
            headers = (*headers, (b"content-length", b"%d" % len(whole)))
    await send({"type": "http.response.start", "status": encoded.status, "headers": headers})
    while True:
        with lock:  # a piece may be made from the world's current state
            piece = next(pieces, None)
        if piece is None:
            break
        await send({"type": "http.response.body", "body": piece, "more_body": True})
        if sending is not None:
            sending.add(piece)
        await asyncio.sleep(0)  # other requests are served while a long answer is made
    await send({"type": "http.response.body", "body": b""})
    if sending is not None:
        sending.finish()


def _join_pieces(pieces: Iterable[bytes]) -> Iterator[bytes]:
    """The pieces, joined into pieces of at least 64 KiB."""
    waiting: list[bytes] = []
    size = 0
    for piece in pieces:
        waiting.append(piece)
        size += len(piece)
        if size >= _PIECE:
            yield b"".join(waiting)
            waiting, size = [], 0
    if waiting:
        yield b"".join(waiting)
