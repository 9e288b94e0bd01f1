"""The journal: the newest exchanges of a world, kept as they came and went, and read only when somebody asks."""

from __future__ import annotations

from collections import deque
from hashlib import sha256
from itertools import islice
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

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


class Entry(NamedTuple):
    """An exchange as it was; nothing is worked out that is not asked for."""

    at: int
    """The world's time, in ms."""
    operation: str
    """The operation's ID; empty when there was none."""
    organization: str
    reason: str
    """Why it was refused; empty when it was not."""
    method: str
    path: str
    """Without the mark of the world."""
    raw_path: bytes
    query: bytes
    headers: Headers
    body: bytes | Cut
    status: int
    answer_headers: Headers
    content: bytes | Cut | Callable[[], Iterable[bytes]]


class Journal:
    """A ring of exchanges; when there are more than it takes, the oldest go."""

    __slots__ = ("_entries", "count", "most")

    def __init__(self, most: int) -> None:
        """Keeps `most` exchanges."""
        self.most = most
        self.count = 0
        """How many exchanges there have been."""
        self._entries: deque[Entry] = deque(maxlen=most)

    def add(self, entry: Entry) -> None:
        """Take an exchange."""
        self.count += 1
        if isinstance(entry.body, bytes) and len(entry.body) > MOST_BODY:
            entry = entry._replace(body=_cut(entry.body))
        if isinstance(entry.content, bytes) and len(entry.content) > MOST_BODY:
            entry = entry._replace(content=_cut(entry.content))
        self._entries.append(entry)

    def clear(self) -> None:
        """Forget all of them; what comes is numbered from 1 again."""
        self.count = 0
        self._entries.clear()

    @property
    def dropped(self) -> int:
        """How many of the oldest are gone."""
        return self.count - len(self._entries)

    def numbered(self, above: int = 0) -> Iterator[tuple[int, Entry]]:
        """The exchanges and their numbers, the oldest first, from the first one above a number."""
        skipped = max(0, above - self.dropped)
        return enumerate(islice(self._entries, skipped, None), self.dropped + skipped + 1)


def _cut(body: bytes) -> Cut:
    return Cut(body[:MOST_BODY], len(body), sha256(body).hexdigest())
