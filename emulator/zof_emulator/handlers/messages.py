"""Values of the pipeline: the decoded `Request`, the core's `Reply`, and the `Encoded` answer; all frozen.

Named tuples, since one is made for every request and a frozen dataclass takes five times as long to make.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence

    Words = Callable[[Any, Any, str], dict[str, Any]]
    """Turns a subject into the object of the wire, given its world, the subject, and the base of absolute links."""


class Request(NamedTuple):
    """A request, judged as far as the spec can: who asks for what, in the words of the wire."""

    operation: str
    """The operation's ID in its document."""
    organization: str
    parameters: Mapping[str, str]
    """The parameters of the path, by name."""
    query: Mapping[str, Any]
    body: Mapping[str, Any]
    base: str
    """The URL below which the client reaches this world; links in answers begin with it."""
    start: int | None = None
    """The position that the cursor of the query names; None without a cursor."""

    @property
    def id(self) -> str:
        """The path parameter `id`; empty when the path has none."""
        return self.parameters.get("id", "")


class Item(NamedTuple):
    """One object. `subject` never changes, so its encoding may be kept."""

    subject: Hashable
    words: Words


class Page(NamedTuple):
    """A page of a list; the subjects never change, so their encodings may be kept."""

    subjects: Sequence[Hashable]
    words: Words
    has_more: bool
    next_cursor: str | None


class Document(NamedTuple):
    """An object that is made for this answer."""

    value: dict[str, Any]


class File(NamedTuple):
    """A file to download, in pieces that can be made again: the same each time."""

    media_type: str
    name: str
    pieces: Callable[[], Iterable[bytes]]
    size: int | None = None
    """In bytes, where it is known before the pieces are made."""
    sample: Mapping[str, Any] | None = None
    """What is held against the schema in the place of a long JSON document, which is not made twice."""


class Export(NamedTuple):
    """All that a list would show, as one JSON document in pieces; its subjects are the same each time."""

    name: str
    subjects: Callable[[], Iterable[Hashable]]
    words: Words


class Waiting(NamedTuple):
    """No answer yet: the webhook deliveries that are due must be attempted first, and then `resume` is called."""

    resume: Callable[[], Reply | Waiting]


class Reply(NamedTuple):
    """An answer: its status, what it holds, and the headers beyond those that every answer has."""

    status: int
    body: Item | Page | Document | File | Export
    headers: tuple[tuple[str, str], ...] = ()


class Encoded(NamedTuple):
    """An answer in bytes, without the headers that every answer has. Pieces can be made again, the same each time."""

    status: int
    headers: tuple[tuple[bytes, bytes], ...]
    content: bytes | Callable[[], Iterable[bytes]]

    def pieces(self) -> Iterable[bytes]:
        """The content, in pieces."""
        return (self.content,) if isinstance(self.content, bytes) else self.content()

    def materialize(self) -> Encoded:
        """The same answer, to be kept: pieces that are made of a world are made now, for it changes."""
        if isinstance(self.content, bytes):
            return self
        content = b"".join(self.content())
        return self._replace(content=lambda: (content,))

    @property
    def size(self) -> int:
        """About how many bytes it takes to keep it; one that is `whole` is one piece."""
        return sum(map(len, self.pieces())) + 500
