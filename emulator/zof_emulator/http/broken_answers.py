"""Sends an answer as a fault has it: late, slowly, in part, or not at all.

ASGI has no message for a connection that breaks. The emulator's own server offers one as an extension. Under any other
server, and in a call in process, the application raises `ConnectionResetError` or `ConnectionAbortedError`.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from zof_emulator.core.faults import LONGEST_MS, EffectKind, Place

if TYPE_CHECKING:
    from collections.abc import Mapping

    from starlette.types import Receive, Scope, Send

    from zof_emulator.core.faults import Effect, FaultMark
    from zof_emulator.handlers.messages import Encoded
    from zof_emulator.http.outcome import Headers
    from zof_emulator.http.pauses import Pauses

DISCONNECT: Final = "zof_emulator.disconnect"
"""The extension of ASGI, and the type of its message; `reset` says whether the connection is reset or closed."""
UNDISTURBED: Final = "zof_emulator.undisturbed"
"""The extension of ASGI by which a caller asks for answers as they were made, without a delay; replay does.

`hold` in its value is awaited in the place of a delay before the request is carried out.
"""
_LENGTH: Final = b"content-length"


class BrokenAnswer(NamedTuple):
    """An answer, and the fault that it meets on its way."""

    mark: FaultMark
    effect: Effect
    latency_ms: int
    encoded: Encoded
    headers: Headers


def is_undisturbed(scope: Scope) -> bool:
    """Whether the caller asks for answers as they were made."""
    return UNDISTURBED in _list_extensions(scope)


async def hold_undisturbed(scope: Scope) -> None:
    """Wait in the place of a delay, as long as the caller that asks for undisturbed answers wants."""
    hold = _list_extensions(scope)[UNDISTURBED].get("hold")
    if hold is not None:
        await hold()


def _list_extensions(scope: Scope) -> Mapping[str, Any]:
    return scope.get("extensions") or {}


class _Sender:
    """Sends an answer in parts."""

    def __init__(self, broken: BrokenAnswer, scope: Scope, pauses: Pauses, receive: Receive, send: Send) -> None:
        self._broken = broken
        self._scope = scope
        self._pauses = pauses
        self._receive = receive
        self._send = send

    async def pause(self, ms: int) -> bool:
        """Wait; return whether the time is up."""
        return await self._pauses.pause(self._broken.mark.id, ms, self._receive)

    async def start(self) -> None:
        """Send the head."""
        headers, content = self._broken.headers, self._content
        if self._scope.get("http_version") == "1.0" and not any(name == _LENGTH for name, _ in headers):
            headers = (*headers, (_LENGTH, b"%d" % len(content)))  # HTTP/1.0 knows no chunks (RFC 9112, 6.1)
        await self._send({"type": "http.response.start", "status": self._broken.encoded.status, "headers": headers})

    async def send(self, piece: bytes, *, is_last: bool = False) -> None:
        """Send a part of the body."""
        await self._send({"type": "http.response.body", "body": piece, "more_body": not is_last})

    async def send_all(self) -> None:
        """Send head and body."""
        await self.start()
        await self.send(self._content, is_last=True)

    async def disconnect(self, *, reset: bool) -> None:
        """End the connection."""
        if DISCONNECT in _list_extensions(self._scope):
            await self._send({"type": DISCONNECT, "reset": reset})
        elif reset:
            raise ConnectionResetError(f"{self._broken.mark.id}: the connection is reset")
        else:
            raise ConnectionAbortedError(f"{self._broken.mark.id}: the connection is closed")

    async def stall(self) -> None:
        """Send nothing more, and close the connection when the stall ends."""
        try:
            asyncio.get_running_loop()
        except RuntimeError:
            pass  # a call in process without an event loop could wait for nothing but itself
        else:
            await self.pause(LONGEST_MS)
        await self.disconnect(reset=False)

    @property
    def _content(self) -> bytes:
        content = self._broken.encoded.content
        return content if isinstance(content, bytes) else b"".join(content())

    async def break_body(self) -> None:
        """Send the body until the middle, and then what the fault makes of the rest."""
        effect, content = self._broken.effect, self._content
        middle = len(content) // 2 if effect.after_bytes is None else min(effect.after_bytes, len(content))
        if effect.kind is EffectKind.TRUNCATE:
            middle = min(middle, max(0, len(content) - 1))
        await self.start()
        await self.send(content[:middle])
        if self._broken.latency_ms:
            await self.pause(self._broken.latency_ms)
        if effect.kind is EffectKind.RESET:
            await self.disconnect(reset=True)
        elif effect.kind is EffectKind.STALL:
            await self.stall()
        elif effect.kind is EffectKind.TRUNCATE:
            await self.disconnect(reset=False)
        elif effect.kind is EffectKind.DRIP:
            await self._drip(content[middle:], effect)
        else:
            await self.send(content[middle:], is_last=True)

    async def _drip(self, content: bytes, effect: Effect) -> None:
        """Send content in small pieces; what is left after the longest time is sent at once."""
        most = LONGEST_MS // effect.drip_ms
        for nth, place in enumerate(range(0, len(content), effect.drip_bytes)):
            if nth >= most or not await self.pause(effect.drip_ms):
                await self.send(content[place:], is_last=True)
                return
            await self.send(content[place : place + effect.drip_bytes])
        await self.send(b"", is_last=True)


async def send_broken(broken: BrokenAnswer, scope: Scope, pauses: Pauses, receive: Receive, send: Send) -> None:
    """Send an answer as its fault has it."""
    sender = _Sender(broken, scope, pauses, receive, send)
    place, kind = broken.mark.place, broken.effect.kind
    if place is Place.BODY:
        await sender.break_body()
        return
    if place is Place.AFTER and broken.latency_ms:
        await sender.pause(broken.latency_ms)
    if kind is EffectKind.RESET:
        await sender.disconnect(reset=True)
    elif kind is EffectKind.STALL:
        await sender.stall()
    else:
        await sender.send_all()
