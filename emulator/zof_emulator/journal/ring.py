"""The journal of a world: a ring of its newest exchanges, stored in their raw form and decoded on demand."""

from __future__ import annotations

from collections import deque
from hashlib import sha256
from sys import intern
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from zof_emulator.core.instants import SECOND, format_http_date

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from zof_emulator.core.faults import FaultMark
    from zof_emulator.core.world import World
    from zof_emulator.handlers.messages import Encoded
    from zof_emulator.spec.operation import Operation

    Headers = Sequence[tuple[bytes, bytes]]

MOST_BODY: Final = 1 << 16
"""The largest number of bytes of a body that the journal keeps."""


class Cut(NamedTuple):
    """A long body, of which only the beginning is kept."""

    kept: bytes
    size: int
    """The size of the whole body, in bytes."""
    sha256: str
    """The digest of the whole body; empty if the body was not read."""


class Sending:
    """A long answer while it is sent: its beginning, and the size and digest of what has been sent so far."""

    __slots__ = ("_hash", "_is_complete", "_kept", "_size")

    def __init__(self) -> None:
        self._kept = b""
        self._size = 0
        self._hash = sha256()
        self._is_complete = False

    def add(self, piece: bytes) -> None:
        """Note a piece that is sent."""
        if len(self._kept) < MOST_BODY:
            self._kept += piece[: MOST_BODY - len(self._kept)]
        self._size += len(piece)
        self._hash.update(piece)

    def finish(self) -> None:
        """Note that all of the answer has been sent."""
        self._is_complete = True

    def to_cut(self) -> Cut:
        """The part that has been sent; the digest is empty as long as more follows."""
        return Cut(self._kept, self._size, self._hash.hexdigest() if self._is_complete else "")


class DelayedArrival(NamedTuple):
    """When a request came that was delayed before it was carried out."""

    after: int
    """The number of the newest exchange at that time; 0 if there was none."""
    order: int
    """Its place among the delayed requests to the world."""


class Addition(NamedTuple):
    """An exchange as the pipeline hands it to the journal."""

    at: int
    """The world's time when the request came, in ms."""
    answered_at: int
    """The world's time after the answer was made, in ms."""
    operation: Operation | None
    """None if the request reached no operation."""
    organization: str
    reason: str
    """Why the request was refused; empty if it was not."""
    scope: Mapping[str, Any]
    """The ASGI scope of the request."""
    body: bytes | Cut
    answer: Encoded
    request_id: str
    """The request ID of the answer; empty if it follows from the world's numbering."""
    limits: Headers
    """The headers of the rate limit; empty if the request did not reach the limiter."""
    fault: FaultMark | None = None
    """The fault that answered; None if none did."""
    arrival: DelayedArrival | None = None
    """When the request came; None if it was carried out at once."""


class Entry(NamedTuple):
    """An exchange. It consists of few objects, because the garbage collector's work grows with their number."""

    at: int
    """The world's time when the request came, in ms."""
    answered_at: int
    """The world's time after the answer was made, in ms; the operation may have moved the clock."""
    operation: str
    """The operation's ID; empty if the request reached none."""
    organization: str
    reason: str
    """Why it was refused; empty if it was not."""
    method: str
    decoded: str
    """The decoded path; empty if it equals `raw_path`."""
    raw_path: bytes
    """The path without the prefix `/w/NAME`."""
    query: bytes
    head: bytes
    """Names and values of the request's headers, each on its own line."""
    body: bytes | Cut
    status: int
    own: Headers
    """The headers that only this answer has."""
    request_id: str
    """The request ID of the answer; in the ring empty if it follows from the world's numbering."""
    limit: tuple[bytes, bytes] | None
    """The header with the rate limit, or None; `remaining` is the value of the second one, `reset` is the third."""
    remaining: bytes
    reset: tuple[bytes, bytes] | None
    content: bytes | Cut | Sending
    fault: FaultMark | None
    """The fault that answered; None if none did."""
    arrival: DelayedArrival | None
    """When the request came; None if it was carried out at once."""

    @property
    def path(self) -> str:
        """The decoded path without the prefix `/w/NAME`."""
        return self.decoded or self.raw_path.decode("latin-1")

    @property
    def headers(self) -> Headers:
        """The headers of the request."""
        parts = self.head.split(b"\n")
        return tuple(zip(parts[::2], parts[1::2], strict=False))

    @property
    def answer_headers(self) -> Headers:
        """The headers of the answer."""
        named = b"x-request-id", self.request_id.encode()
        dated = b"date", format_http_date(self.answered_at // SECOND).encode()
        if self.limit is None or self.reset is None:
            return (*self.own, named, dated)
        return (*self.own, named, dated, self.limit, (b"x-ratelimit-remaining", self.remaining), self.reset)


_NO_LIMITS: Final = (None, b"", None)


class Journal:
    """A ring of exchanges. If it is full, a new exchange replaces the oldest one."""

    __slots__ = ("_head", "_headers", "_raw_path", "_rows", "cleared", "count", "most")

    def __init__(self, most: int) -> None:
        """Make a journal that keeps `most` exchanges."""
        self.most = most
        self.count = 0
        """The number of exchanges since the journal was last cleared."""
        self.cleared = 0
        """The number of exchanges that have been cleared since the world began."""
        self._rows: deque[tuple[Any, ...]] = deque(maxlen=most)
        self._raw_path = b""
        self._headers: Headers = ()
        self._head = b""

    def add(self, addition: Addition) -> Sending | None:
        """Store an exchange as a plain tuple with the fields of `Entry`.

        The path and headers are stored once while consecutive requests repeat them. Returns what takes note
        of an answer that is sent in pieces.
        """
        at, answered_at, operation, organization, reason, scope, body, answer, request_id, limits, *marks = addition
        self.count += 1
        path, headers, content = scope["path"], scope["headers"], answer.content
        raw_path = scope.get("raw_path") or path.encode()
        if raw_path != self._raw_path:
            self._raw_path = raw_path
        if headers != self._headers:
            self._headers = headers
            self._head = b"\n".join([part for header in headers for part in header])
        kept = (limits[0], limits[1][1], limits[2]) if limits else _NO_LIMITS
        if isinstance(body, bytes):
            body = _cut(body)
        sent = _cut(content) if isinstance(content, bytes) else Sending()
        self._rows.append(
            (
                at,
                answered_at,
                "" if operation is None else operation.id,
                organization,
                reason,
                intern(scope["method"]),  # every exchange holds the same string
                path if b"%" in raw_path else "",
                self._raw_path,
                scope["query_string"],
                self._head,
                body,
                answer.status,
                answer.headers,
                request_id,
                *kept,
                sent,
                *marks,
            )
        )
        return sent if isinstance(sent, Sending) else None

    def clear(self) -> None:
        """Delete all exchanges; the next one has the number 1."""
        self.cleared += self.count
        self.count = 0
        self._rows.clear()

    def begin(self) -> None:
        """Reset the journal for a new world."""
        self.clear()
        self.cleared = 0

    @property
    def dropped_count(self) -> int:
        """The number of exchanges that newer ones have replaced."""
        return self.count - len(self._rows)

    def list_entries(self, world: World, above: int = 0) -> Iterator[tuple[int, Entry]]:
        """The exchanges of the world with a number greater than `above`, each with its number, the oldest first."""
        entries = [Entry._make(row) for row in self._rows]
        answer = world.answered - sum(not one.request_id for one in entries)
        for number, one in enumerate(entries, self.dropped_count + 1):
            answer += not one.request_id
            if number > above:
                yield number, one if one.request_id else one._replace(request_id=world.names.request(answer))


def _cut(body: bytes) -> bytes | Cut:
    """A body as it is kept: the beginning of a long one."""
    return body if len(body) <= MOST_BODY else Cut(body[:MOST_BODY], len(body), sha256(body).hexdigest())
