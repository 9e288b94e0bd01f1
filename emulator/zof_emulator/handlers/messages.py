"""The values of the pipeline: the decoded `Request`, the handler's `Reply`, and the `Encoded` answer.

They are named tuples, because every request makes them and a frozen dataclass takes five times as long to make.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Hashable, Iterable, Mapping, Sequence

    Slices = Generator[None, None, "Reply"]
    """An operation that is carried out in slices: it yields between them, and returns its reply."""

    View = Callable[[Any, Any, str], dict[str, Any]]
    """A view: makes the JSON object of a subject from its world, the subject, and the base URL of links."""


class Request(NamedTuple):
    """A request that is valid by the document."""

    operation: str
    """The operation's ID in its document."""
    organization: str
    parameters: Mapping[str, str]
    """The parameters of the path, by name."""
    query: Mapping[str, Any]
    body: Mapping[str, Any]
    base: str
    """The URL below which the client reaches the world; links in answers begin with it."""
    start: int | None = None
    """The position in the query's cursor; None without a cursor."""

    @property
    def id(self) -> str:
        """The path parameter `id`; empty if the path has none."""
        return self.parameters.get("id", "")


class Item(NamedTuple):
    """An object. The subject never changes, so its encoding may be cached."""

    subject: Hashable
    view: View


class Page(NamedTuple):
    """A page of a list. The subjects never change, so their encodings may be cached."""

    subjects: Sequence[Hashable]
    view: View
    has_more: bool
    next_cursor: str | None


class Document(NamedTuple):
    """An object that is made for this answer only."""

    value: dict[str, Any]


class File(NamedTuple):
    """A file to download. `pieces` returns the same bytes each time."""

    media_type: str
    name: str
    pieces: Callable[[], Iterable[bytes]]
    size: int | None = None
    """In bytes, where it is known before the pieces are made."""
    sample: Mapping[str, Any] | None = None
    """A value that is checked against the schema in the place of a long JSON document, which is made only once."""


class Export(NamedTuple):
    """All items of a list as one JSON document in pieces. `subjects` returns the same items each time."""

    name: str
    subjects: Callable[[], Iterable[Hashable]]
    view: View


class Waiting(NamedTuple):
    """No answer yet: others must be served first, and then `resume` is called."""

    resume: Callable[[], Reply | Waiting]
    is_slice: bool = False
    """Whether a slice of a long operation has ended; otherwise webhook deliveries that are due must be attempted."""


def carry_out(slices: Slices) -> Reply | Waiting:
    """Carry out the next slice of an operation."""
    try:
        next(slices)
    except StopIteration as finished:
        reply: Reply = finished.value
        return reply
    return Waiting(lambda: carry_out(slices), is_slice=True)


class Reply(NamedTuple):
    """A handler's answer: status, body, and the headers that only this answer has."""

    status: int
    body: Item | Page | Document | File | Export
    headers: tuple[tuple[str, str], ...] = ()


class Encoded(NamedTuple):
    """An answer in bytes, without the headers of every answer; a `content` function makes the same bytes each time."""

    status: int
    headers: tuple[tuple[bytes, bytes], ...]
    content: bytes | Callable[[], Iterable[bytes]]

    def pieces(self) -> Iterable[bytes]:
        """The content, in pieces."""
        return (self.content,) if isinstance(self.content, bytes) else self.content()

    def materialize(self) -> Encoded:
        """The same answer with its pieces made now, so that it can be stored while the world changes."""
        if isinstance(self.content, bytes):
            return self
        content = b"".join(self.content())
        return self._replace(content=lambda: (content,))

    @property
    def size(self) -> int:
        """The approximate number of bytes that storing a materialized answer takes."""
        return sum(map(len, self.pieces())) + 500
