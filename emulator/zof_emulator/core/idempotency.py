"""Idempotency: answers stored by key for a limited time, so that a repeated request gets the original answer."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Generic, NamedTuple, TypeVar

from zof_emulator.core.refusal import Refused

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

Answer = TypeVar("Answer")


class Scope(NamedTuple):
    """The scope of a key: the same key with another organization, method or path is a different key."""

    organization: str
    method: str
    path: str
    key: str


@dataclass(frozen=True, slots=True)
class _Kept(Generic[Answer]):
    fingerprint: bytes
    answer: Answer
    size: int
    expires_at: int


class IdempotencyStore(Generic[Answer]):
    """Stores answers for `keep_ms`. If they take more than `most_bytes`, the oldest are deleted."""

    __slots__ = ("_keep_ms", "_kept", "_most_bytes", "_size")

    def __init__(self, keep_ms: int, most_bytes: int) -> None:
        self._keep_ms = keep_ms
        self._most_bytes = most_bytes
        self._kept: OrderedDict[Scope, _Kept[Answer]] = OrderedDict()
        self._size = 0

    def __len__(self) -> int:
        return len(self._kept)

    def recall(self, scope: Scope, fingerprint: bytes, now: int) -> Answer | None:
        """The answer that is stored for this key at `now` (ms), or None.

        Raises:
            Refused: the key was used with another body.
        """
        kept = self._kept.get(scope)
        if kept is None or kept.expires_at <= now:
            return None
        if kept.fingerprint != fingerprint:
            raise Refused("idempotency_key_reused", "Idempotency-Key")
        return kept.answer

    def keep(self, scope: Scope, fingerprint: bytes, answer: Answer, size: int, now: int) -> int:
        """Store an answer of about `size` bytes at `now` (ms).

        Returns:
            The number of answers that were deleted before they expired.
        """
        self._drop(scope)
        self._kept[scope] = _Kept(fingerprint, answer, size, now + self._keep_ms)
        self._size += size
        return self._make_room(now)

    def to_json(self, write: Callable[[Answer], Any]) -> list[Any]:
        """All stored answers as JSON, the oldest first; `write` turns an answer into JSON."""
        return [
            [*scope, one.fingerprint.decode(), write(one.answer), one.size, one.expires_at]
            for scope, one in self._kept.items()
        ]

    def restore(self, saved: Iterable[Any], read: Callable[[Any], Answer]) -> None:
        """Add the saved answers; `read` is the inverse of `write`."""
        for organization, method, path, key, fingerprint, answer, size, expires_at in saved:
            scope = Scope(organization, method, path, key)
            self._kept[scope] = _Kept(fingerprint.encode(), read(answer), size, expires_at)
            self._size += size

    def _make_room(self, now: int) -> int:
        forgotten = 0
        while self._kept:
            oldest = next(iter(self._kept))
            expired = self._kept[oldest].expires_at <= now
            if not expired and self._size <= self._most_bytes:
                break
            forgotten += not expired
            self._drop(oldest)
        return forgotten

    def _drop(self, scope: Scope) -> None:
        kept = self._kept.pop(scope, None)
        if kept is not None:
            self._size -= kept.size
