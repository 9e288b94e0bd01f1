"""The journal: the newest exchanges of a world, kept as they came and went, and read only when somebody asks."""

from __future__ import annotations

from collections import deque
from hashlib import sha256
from sys import intern
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from zof_emulator.core.instants import SECOND, http_date

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from zof_emulator.core.world import World
    from zof_emulator.handlers.messages import Encoded
    from zof_emulator.spec.operation import Operation

    Headers = Sequence[tuple[bytes, bytes]]

MOST_BODY: Final = 1 << 16
"""How many bytes of a body are kept."""


class Cut(NamedTuple):
    """A long body, of which only the beginning is kept."""

    kept: bytes
    size: int
    """How many bytes it had."""
    sha256: str
    """The digest of all of it."""


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

    def as_cut(self) -> Cut:
        """What has been sent; the digest is empty as long as more follows."""
        return Cut(self._kept, self._size, self._hash.hexdigest() if self._is_complete else "")


class Entry(NamedTuple):
    """An exchange, in few objects: what is kept of each request is paid for by the next ones."""

    at: int
    """The world's time when the request came, in ms."""
    answered_at: int
    """And when the answer left: it may have moved the clock."""
    operation: str
    """The operation's ID; empty when there was none."""
    organization: str
    reason: str
    """Why it was refused; empty when it was not."""
    method: str
    decoded: str
    """The path as it was decoded; empty when that is `raw_path` as it stands."""
    raw_path: bytes
    """Without the mark of the world."""
    query: bytes
    head: bytes
    """Names and values of the request's headers, a line each."""
    body: bytes | Cut
    status: int
    own: Headers
    """The headers of the answer that others have not."""
    request_id: str
    """The answer's ID; in the ring empty when it is the world's next one."""
    limit: tuple[bytes, bytes] | None
    """The headers of the rate limit, if it has them; of the one that differs each time, the value alone."""
    remaining: bytes
    reset: tuple[bytes, bytes] | None
    content: bytes | Cut | Sending

    @property
    def path(self) -> str:
        """The path, without the mark of the world."""
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
        dated = b"date", http_date(self.answered_at // SECOND).encode()
        if self.limit is None or self.reset is None:
            return (*self.own, named, dated)
        return (*self.own, named, dated, self.limit, (b"x-ratelimit-remaining", self.remaining), self.reset)


_NO_LIMITS: Final = (None, b"", None)


class Journal:
    """A ring of exchanges; when there are more than it takes, the oldest go."""

    __slots__ = ("_head", "_headers", "_raw_path", "_rows", "cleared", "count", "most")

    def __init__(self, most: int) -> None:
        """Keeps `most` exchanges."""
        self.most = most
        self.count = 0
        """How many exchanges there have been."""
        self.cleared = 0
        """How many of them somebody has cleared since the world began."""
        self._rows: deque[tuple[Any, ...]] = deque(maxlen=most)
        self._raw_path = b""
        self._headers: Headers = ()
        self._head = b""

    def add(  # noqa: PLR0913, PLR0917  what an exchange is; one call, since every request pays for it
        self,
        at: int,
        answered_at: int,
        operation: Operation | None,
        organization: str,
        reason: str,
        scope: Mapping[str, Any],
        body: bytes | Cut,
        answer: Encoded,
        request_id: str,
        limits: Headers,
    ) -> Sending | None:
        """Take an exchange; of its `Entry` only the tuple is made.

        A client that repeats itself has its path and headers kept once. When the answer is sent in pieces, returns what
        takes note of them.
        """
        self.count += 1
        path, headers, content = scope["path"], scope["headers"], answer.content
        sent = _cut(content) if isinstance(content, bytes) else Sending()
        raw_path = scope.get("raw_path") or path.encode()
        if raw_path != self._raw_path:
            self._raw_path = raw_path
        if headers != self._headers:
            self._headers = headers
            self._head = b"\n".join([part for header in headers for part in header])
        kept = (limits[0], limits[1][1], limits[2]) if limits else _NO_LIMITS
        if isinstance(body, bytes):
            body = _cut(body)
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
            )
        )
        return sent if isinstance(sent, Sending) else None

    def clear(self) -> None:
        """Forget all of them; what comes is entries_of from 1 again."""
        self.cleared += self.count
        self.count = 0
        self._rows.clear()

    def begin(self) -> None:
        """Begin anew, with a world that has just begun."""
        self.clear()
        self.cleared = 0

    @property
    def dropped_count(self) -> int:
        """How many of the oldest are gone."""
        return self.count - len(self._rows)

    def entries_of(self, world: World, above: int = 0) -> Iterator[tuple[int, Entry]]:
        """The exchanges of this world and their numbers, the oldest first, from the first one above a number."""
        entries = [Entry._make(row) for row in self._rows]
        answer = world.answered - sum(not one.request_id for one in entries)
        for number, one in enumerate(entries, self.dropped_count + 1):
            answer += not one.request_id
            if number > above:
                yield number, one if one.request_id else one._replace(request_id=world.names.request(answer))


def _cut(body: bytes) -> bytes | Cut:
    """A body as it is kept: the beginning of a long one."""
    return body if len(body) <= MOST_BODY else Cut(body[:MOST_BODY], len(body), sha256(body).hexdigest())
