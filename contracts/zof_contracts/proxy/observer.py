"""Puts requests and answers of one connection together to exchanges."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from zof_contracts.proxy.judging import MAX_BODY
from zof_contracts.traffic.exchanges import Parts

if TYPE_CHECKING:
    from collections.abc import Callable

    from zof_contracts.proxy.framing import Head, Piece
    from zof_contracts.target.base_url import BaseUrl


@dataclass(slots=True)
class _Message:
    """A message while it passes."""

    head: Head
    at: float
    body: bytearray = field(default_factory=bytearray)
    is_whole: bool = True

    def add(self, content: bytes) -> None:
        """Keep a part of the body, up to a bound."""
        if len(self.body) + len(content) > MAX_BODY:
            self.is_whole = False
            self.body.clear()
        if self.is_whole:
            self.body += content


class ConnectionObserver:
    """Watches the pieces of both directions of a connection."""

    def __init__(self, upstream: BaseUrl, clock: Callable[[], float], *, is_host_kept: bool) -> None:
        self._upstream = upstream
        self._is_host_kept = is_host_kept
        self._clock = clock
        self._request: _Message | None = None
        self._waiting: deque[_Message] = deque()
        """The requests that have not been answered."""
        self._answer: _Message | None = None

    def observe_request(self, piece: Piece) -> None:
        """Take a piece of the client's direction."""
        if piece.head is not None:
            self._request = _Message(piece.head, self._clock())
            self._waiting.append(self._request)
        elif self._request is not None:
            self._request.add(piece.content)

    def observe_answer(self, piece: Piece) -> Parts | None:
        """Take a piece of the upstream's direction; the exchange that ends with it, if one does."""
        if piece.head is not None:
            if piece.head.status < 200 or not self._waiting:  # noqa: PLR2004  interim answers
                return None
            self._answer = _Message(piece.head, self._clock())
        elif self._answer is not None:
            self._answer.add(piece.content)
        return self._finish() if piece.is_end and self._answer is not None else None

    def end(self) -> list[Parts]:
        """The exchanges that end with the connection, before their answer is complete."""
        found = [self._finish(is_lost=True)] if self._answer is not None and self._waiting else []
        return found + [self._make(request, None, is_lost=True) for request in self._waiting]

    def _find_base(self, head: Head) -> str:
        """The address that the upstream saw: its links are built from it."""
        host = head.header("host") if self._is_host_kept else ""
        return f"{self._upstream.scheme}://{host or self._upstream.authority}"

    def _finish(self, *, is_lost: bool = False) -> Parts:
        request, answer = self._waiting.popleft(), self._answer
        self._answer = None
        return self._make(request, answer, is_lost=is_lost)

    def _make(self, request: _Message, answer: _Message | None, *, is_lost: bool) -> Parts:
        headers = () if answer is None else answer.head.headers
        return Parts(
            method=request.head.method,
            url=self._find_base(request.head) + request.head.target,
            headers=request.head.headers,
            body=bytes(request.body),
            status=0 if answer is None else answer.head.status,
            answer_headers=tuple((name.lower(), value) for name, value in headers),
            answer_body=b"" if answer is None else bytes(answer.body),
            flaw="the connection ended before its answer was complete" if is_lost else "",
            began=request.at,
            ended=self._clock(),
            is_request_whole=request.is_whole,
            is_answer_whole=answer is not None and answer.is_whole,
            is_lost=is_lost,
        )
