"""Encoding: turns a reply into bytes and checks it against the document. Values that cannot change are encoded once."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final

import orjson

from zof_emulator.handlers.messages import Document, Encoded, Export, File, Item, Page, Reply
from zof_emulator.spec.operation import JSON, Answer

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Iterator

    from zof_emulator.handlers.messages import View

_MOST_STORES: Final = 32
_MOST_KEPT: Final = 4096
_MOST_BYTES: Final = 1 << 25
"""How many bytes of encoded objects are kept for a world."""
_JSON_TYPE: Final = (b"content-type", b"application/json")


class SpecBroken(Exception):  # noqa: N818  the name says what is broken
    """An answer of the emulator violates the document, which is a bug of the emulator."""


@lru_cache(maxsize=4096)
def _build_headers(length: int) -> tuple[tuple[bytes, bytes], ...]:
    """The headers of a JSON body of `length` bytes."""
    return _JSON_TYPE, (b"content-length", b"%d" % length)


def encode_json(value: Any) -> bytes:  # noqa: ANN401  JSON
    """A value as JSON, copied: the bytes that orjson returns occupy at least 4 KiB of memory."""
    return b"%b" % orjson.dumps(value)


class Encoder:
    """Encodes the replies of one world."""

    __slots__ = ("_size", "_stores", "world")

    def __init__(self, world: Any) -> None:  # noqa: ANN401  only passed to the views
        self.world = world
        self._stores: dict[tuple[View, str], dict[Hashable, bytes]] = {}
        self._size = 0

    def encode(self, reply: Reply, answer: Answer, base: str) -> Encoded:
        """The reply in bytes; `base` is the URL at which links begin.

        Raises:
            SpecBroken: the reply violates the document.
        """
        body = reply.body
        if isinstance(body, Item):
            subject, view = body
            store = self._stores.get((view, base)) or self._find_store(view, base)
            content = store.get(subject) or self._encode_and_store(store, view, base, subject, answer.holds[JSON])
        elif isinstance(body, Page):
            content = self._encode_page(body, answer, base)
        elif isinstance(body, Document):
            content = self._write(body.value, answer.holds[JSON])
        elif isinstance(body, File):
            return _encode_file(reply, body, answer)
        else:
            headers = (_JSON_TYPE, _build_disposition(body.name))
            return Encoded(reply.status, headers, self._encode_export(body, answer, base))
        heads = _build_headers(len(content))
        if not reply.headers:
            return Encoded(reply.status, heads, content)
        own = [(name.encode(), value.encode("latin-1")) for name, value in reply.headers]
        return Encoded(reply.status, (*heads, *own), content)

    def _find_store(self, view: View, base: str) -> dict[Hashable, bytes]:
        store = self._stores.get((view, base))
        if store is None:
            if len(self._stores) >= _MOST_STORES:
                self._clear()
            store = self._stores[view, base] = {}
        return store

    def _clear(self) -> None:
        self._stores.clear()
        self._size = 0

    def _encode_and_store(
        self, store: dict[Hashable, bytes], view: View, base: str, subject: Hashable, holds: Callable[[Any], bool]
    ) -> bytes:
        content = self._render(view, base, subject, holds)
        if self._size + len(content) > _MOST_BYTES:
            self._clear()
            store = self._find_store(view, base)
        elif len(store) > _MOST_KEPT:
            self._size -= sum(map(len, store.values()))
            store.clear()
        store[subject] = content
        self._size += len(content)
        return content

    def _render(self, view: View, base: str, subject: Hashable, holds: Callable[[Any], bool]) -> bytes:
        """A subject as JSON."""
        return self._write(view(self.world, subject, base), holds)

    def _write(self, value: dict[str, Any], holds: Callable[[Any], bool]) -> bytes:
        """An object as JSON."""
        if not holds(value):
            raise SpecBroken(f"an answer violates its schema: {value}")
        return encode_json(value)

    def evolve_error(self, encoded: Encoded) -> Encoded:
        """An error as this world sends it."""
        return encoded

    @property
    def size(self) -> int:
        """How many bytes of encoded objects are kept."""
        return sum(len(content) for store in self._stores.values() for content in store.values())

    def _encode_page(self, page: Page, answer: Answer, base: str) -> bytes:
        assert answer.item_holds is not None, "the spec has a page where a page is sent"  # noqa: S101
        store, view, holds = self._find_store(page.view, base), page.view, answer.item_holds
        items = [store.get(one) or self._encode_and_store(store, view, base, one, holds) for one in page.subjects]
        rest = {"data": [], "has_more": page.has_more, "next_cursor": page.next_cursor}
        return b'{"data":[' + b",".join(items) + self._write(rest, answer.holds[JSON])[len(b'{"data":[') :]

    def _encode_export(self, export: Export, answer: Answer, base: str) -> Callable[[], Iterator[bytes]]:
        holds = answer.item_holds or answer.holds[JSON]

        def pieces() -> Iterator[bytes]:
            before = b'{"data":['
            for subject in export.subjects():
                yield before + self._write(export.view(self.world, subject, base), holds)
                before = b","
            yield b"]}" if before == b"," else before + b"]}"

        return pieces


def _encode_file(reply: Reply, file: File, answer: Answer) -> Encoded:
    holds = answer.holds.get(file.media_type)
    if holds is None:
        raise SpecBroken(f"the spec knows no {file.media_type} here")
    if file.media_type == JSON and not holds(file.sample or orjson.loads(b"".join(file.pieces()))):
        raise SpecBroken(f"{file.name} does not hold to its schema")
    headers = [(b"content-type", file.media_type.encode()), _build_disposition(file.name)]
    if file.size is not None:
        headers.append((b"content-length", b"%d" % file.size))
    return Encoded(reply.status, tuple(headers), file.pieces)


def _build_disposition(name: str) -> tuple[bytes, bytes]:
    return b"content-disposition", f'attachment; filename="{name}"'.encode("ascii")
