"""The proxy server: one upstream connection for each connection of a client, and the bytes of both as they come.

The bytes are forwarded before they are judged. They change in three cases only: the Host of a request to another
machine is that of the upstream; the header with the token of the proxy is removed; and with `mark` an answer that
breaks a rule gets a header. In these cases a head is held back until it is complete, and with `mark` a short answer
until its end.
"""

from __future__ import annotations

import asyncio
import hmac
import json
import socket
import struct
import time
from contextlib import suppress
from dataclasses import dataclass
from http import HTTPStatus
from typing import TYPE_CHECKING, Final

from zof_contracts.proxy.framing import Head, MessageReader, Piece
from zof_contracts.proxy.observer import ConnectionObserver

if TYPE_CHECKING:
    import ssl
    from collections.abc import Iterable

    from zof_contracts.proxy.judging import TrafficJudge
    from zof_contracts.target.base_url import BaseUrl

OWN_PATH: Final = "/_contracts/"
"""The paths that the proxy answers itself."""
REPORT_PATH: Final = "/_contracts/report"
MARK: Final = "X-Zof-Contracts-Finding"
TOKEN_HEADER: Final = "proxy-authorization"  # noqa: S105  the name of a header
_PIECE: Final = 1 << 16
_OWN_METHODS: Final = frozenset({"GET", "HEAD"})
"""The methods of requests that the proxy answers itself."""
_LONGEST_MARKED: Final = 1 << 20
"""Bytes of an answer that is held back for its mark."""
_CONNECT_SECONDS: Final = 10.0
_LINGER_SECONDS: Final = 5.0
"""Seconds in which a client closes a connection that the upstream has closed."""
_NO_LINGER: Final = struct.pack("ii", 1, 0)
"""SO_LINGER of a socket that ends with a reset when it is closed."""
_UNREACHABLE: Final = "the upstream could not be reached"


@dataclass(frozen=True, slots=True, kw_only=True)
class ProxySettings:
    """How the proxy forwards."""

    upstream: BaseUrl
    is_host_kept: bool
    """Whether the Host of requests stays as it is."""
    is_marking: bool = False
    token: str = ""
    """The token that clients must send as `Proxy-Authorization: Bearer TOKEN`; empty for none."""

    @property
    def changes_heads(self) -> bool:
        """Whether the head of a request may change."""
        return not self.is_host_kept or bool(self.token)


class ProxyServer:
    """Accepts connections until it is closed."""

    def __init__(self, settings: ProxySettings, judge: TrafficJudge, context: ssl.SSLContext | None) -> None:
        self.settings = settings
        self.judge = judge
        self.context = context
        self._tasks: set[asyncio.Task[None] | None] = set()

    async def start(self, host: str, port: int) -> asyncio.Server:
        """Listen on an address. Raises `OSError` when that is impossible."""
        return await asyncio.start_server(self._serve, host, port, limit=_PIECE)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connection = _Connection(self, reader, writer)
        task = asyncio.current_task()
        self._tasks.add(task)  # the loop itself holds tasks by weak references only
        try:
            await connection.run()
        except (OSError, asyncio.CancelledError):
            pass
        finally:
            self._tasks.discard(task)
            connection.close()


class _Connection:
    """One connection of a client, and that to the upstream which belongs to it."""

    def __init__(self, server: ProxyServer, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._settings = server.settings
        self._judge = server.judge
        self._context = server.context
        self._client = reader, writer
        self._upstream: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None
        is_holding, must_change = server.settings.is_marking, server.settings.changes_heads
        self._requests = MessageReader(is_answer=False, must_hold=lambda start: must_change or _may_be_own(start))
        self._answers = MessageReader(is_answer=True, must_hold=lambda _: is_holding)
        self._observer = ConnectionObserver(
            server.settings.upstream, time.time, is_host_kept=server.settings.is_host_kept
        )
        self._is_own = False
        """Whether the proxy answers the current request itself."""
        self._held = b""
        """An answer that waits for its mark."""
        self._is_holding = server.settings.is_marking

    async def run(self) -> None:
        """Forward both directions until both have ended."""
        self._upstream = await self._connect()
        forward = asyncio.create_task(self._forward_requests())
        if self._upstream is None:
            await forward
            return
        backward = asyncio.create_task(self._forward_answers(self._upstream[0]))
        try:
            await asyncio.wait({forward, backward}, return_when=asyncio.FIRST_COMPLETED)
            if not forward.done():  # a client that does not close after the upstream did is not waited for
                await asyncio.wait({forward}, timeout=_LINGER_SECONDS)
            elif forward.exception() is None:
                await asyncio.wait({backward})
            if any(task.done() and task.exception() is not None for task in (forward, backward)):
                self._abort()
        finally:
            for task in (forward, backward):
                task.cancel()
            await asyncio.gather(forward, backward, return_exceptions=True)

    def close(self) -> None:
        """Judge what is left, and close both connections."""
        for parts in self._observer.end():
            self._judge.submit(parts)
        for side in (self._client, self._upstream):
            if side is not None:
                side[1].close()

    def _abort(self) -> None:
        """Pass a reset on."""
        for side in (self._client, self._upstream):
            if side is not None:
                with suppress(OSError):
                    side[1].get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _NO_LINGER)
                side[1].transport.abort()

    async def _connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter] | None:
        upstream = self._settings.upstream
        opening = asyncio.open_connection(upstream.host, upstream.port, ssl=self._context, limit=_PIECE)
        try:
            return await asyncio.wait_for(opening, _CONNECT_SECONDS)
        except (OSError, TimeoutError):
            return None

    # --- from the client to the upstream

    async def _forward_requests(self) -> None:
        reader, _ = self._client
        while data := await reader.read(_PIECE):
            await self._pass_request(data)
        await self._send_upstream(b"".join(piece.raw for piece in self._requests.end()))
        if self._upstream is not None:
            with suppress(OSError, NotImplementedError):  # TLS cannot end one direction
                self._upstream[1].write_eof()

    async def _pass_request(self, data: bytes) -> None:
        for piece in self._requests.feed(data):
            await self._take_request(piece)
            self._is_own = self._is_own and not piece.is_end
            if self._requests.is_opaque:
                self._answers_are_opaque()

    async def _take_request(self, piece: Piece) -> None:
        raw = piece.raw
        if piece.is_early:
            await self._send_upstream(b"" if self._is_own else raw)
            return
        if piece.head is not None:
            self._is_own = piece.head.method in _OWN_METHODS and piece.head.target.startswith(OWN_PATH)
            if refusal := self._refuse(piece.head):
                await self._answer(*refusal)
                self._is_own = True
                return
            if self._is_own:
                await self._answer_own(piece.head)
                return
            raw = self._change_head(piece)
        if self._is_own:
            return
        if not self._requests.is_opaque and self._upstream is not None:
            self._observer.observe_request(piece)
            if piece.head is not None:
                self._answers.expect(piece.head.method)
        await self._send_upstream(raw)

    def _answers_are_opaque(self) -> None:
        """Recognize nothing more: without its requests an answer cannot be read."""
        if not self._answers.is_opaque:
            self._judge.skip("forwarded without a judgement: not HTTP/1.1 that can be read")
            held = self._held + self._answers.give_up()
            self._held = b""
            if held:
                self._client[1].write(held)

    async def _send_upstream(self, raw: bytes) -> None:
        if not raw:
            return
        if self._upstream is None:
            self._judge.skip(_UNREACHABLE)
            await self._answer(HTTPStatus.BAD_GATEWAY, "bad_gateway", f"{_UNREACHABLE}.")
            raise ConnectionError(_UNREACHABLE)
        _, writer = self._upstream
        writer.write(raw)
        await writer.drain()

    def _refuse(self, head: Head) -> tuple[HTTPStatus, str, str] | None:
        """The refusal of a request without the token; None if it may pass."""
        if not self._settings.token:
            return None
        given = head.header(TOKEN_HEADER).encode("latin-1")
        if hmac.compare_digest(given, f"Bearer {self._settings.token}".encode()):
            return None
        message = "Send the token of the proxy as Proxy-Authorization: Bearer TOKEN."
        return HTTPStatus.PROXY_AUTHENTICATION_REQUIRED, "proxy_unauthorized", message

    def _change_head(self, piece: Piece) -> bytes:
        """The bytes of a head as the upstream gets them."""
        if not self._settings.changes_heads:
            return piece.raw
        lines = piece.raw.split(b"\r\n")
        kept = [line for line in lines if not line.lower().startswith(TOKEN_HEADER.encode() + b":")]
        if not self._settings.is_host_kept:
            host = b"Host: " + self._settings.upstream.authority.encode()
            kept = [host if line.lower().startswith(b"host:") else line for line in kept]
        return b"\r\n".join(kept)

    # --- from the upstream to the client

    async def _forward_answers(self, reader: asyncio.StreamReader) -> None:
        _, writer = self._client
        while data := await reader.read(_PIECE):
            self._pass_answer(self._answers.feed(data), writer)
            await writer.drain()
        self._pass_answer(self._answers.end(), writer)
        writer.write(self._held)
        self._held = b""
        await writer.drain()
        with suppress(OSError):
            writer.write_eof()

    def _pass_answer(self, pieces: Iterable[Piece], writer: asyncio.StreamWriter) -> None:
        for piece in pieces:
            is_seen = not self._answers.is_opaque and not piece.is_early
            parts = self._observer.observe_answer(piece) if is_seen else None
            if not self._settings.is_marking:
                writer.write(piece.raw)
                if parts is not None:
                    self._judge.submit(parts)
                continue
            self._held += piece.raw
            if parts is not None:
                keys = self._judge.judge_now(parts)
                writer.write(_mark(self._held, keys) if self._is_holding else self._held)
                self._held, self._is_holding = b"", True
            elif len(self._held) > _LONGEST_MARKED or not self._is_holding or self._answers.is_opaque:
                writer.write(self._held)
                self._held, self._is_holding = b"", False

    # --- answers of the proxy itself

    async def _answer_own(self, head: Head) -> None:
        if head.target.partition("?")[0] != REPORT_PATH:
            await self._answer(HTTPStatus.NOT_FOUND, "not_found", f"The proxy answers GET {REPORT_PATH}.")
            return
        outcome = await asyncio.to_thread(self._judge.report)
        await self._write_json(HTTPStatus.OK, outcome.build())

    async def _answer(self, status: HTTPStatus, code: str, message: str) -> None:
        await self._write_json(status, {"error": {"code": code, "message": message}})

    async def _write_json(self, status: HTTPStatus, value: object) -> None:
        body = json.dumps(value, ensure_ascii=False).encode("utf-8", "replace")
        challenge = "Proxy-Authenticate: Bearer\r\n" if status is HTTPStatus.PROXY_AUTHENTICATION_REQUIRED else ""
        head = (
            f"HTTP/1.1 {status.value} {status.phrase}\r\nContent-Type: application/json\r\n"
            f"Content-Length: {len(body)}\r\n{challenge}X-Zof-Contracts-Proxy: true\r\n\r\n"
        )
        _, writer = self._client
        writer.write(head.encode("latin-1") + body)
        await writer.drain()


def _may_be_own(start: bytes) -> bool:
    """Whether a request that begins so may be one to the proxy itself."""
    method, space, rest = start.partition(b" ")
    if not space:
        return any(each.encode().startswith(method) for each in _OWN_METHODS)
    if method.decode("latin-1") not in _OWN_METHODS:
        return False
    target, own = rest.partition(b" ")[0], OWN_PATH.encode()
    return own.startswith(target) or target.startswith(own)


def _mark(answer: bytes, keys: Iterable[str]) -> bytes:
    """An answer with a header that names the findings it shows; unchanged without any."""
    names = ", ".join(keys)
    line, end, rest = answer.partition(b"\r\n")
    return line + end + f"{MARK}: {names}\r\n".encode() + rest if names else answer
