"""Idempotency: answers kept by key for a while, so that a repeated request gets the original one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Generic, NamedTuple, TypeVar

from zof_emulator.core.refusal import Refused

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

Answer = TypeVar("Answer")


class Scope(NamedTuple):
    """What a key is good for: the same key elsewhere is another key."""

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
    """Keeps answers for `keep_ms`, at most `most_bytes` of them; when there are more, the oldest make room."""

    __slots__ = ("_keep_ms", "_kept", "_most_bytes", "_size")

    def __init__(self, keep_ms: int, most_bytes: int) -> None:
        self._keep_ms = keep_ms
        self._most_bytes = most_bytes
        self._kept: dict[Scope, _Kept[Answer]] = {}
        self._size = 0

    def __len__(self) -> int:
        return len(self._kept)

    def recall(self, scope: Scope, fingerprint: bytes, now: int) -> Answer | None:
        """The answer kept for this key, or None; `Refused` when the key was used with another body."""
        kept = self._kept.get(scope)
        if kept is None or kept.expires_at <= now:
            return None
        if kept.fingerprint != fingerprint:
            raise Refused("idempotency_key_reused", "Idempotency-Key")
        return kept.answer

    def keep(self, scope: Scope, fingerprint: bytes, answer: Answer, size: int, now: int) -> int:
        """Keep an answer of about `size` bytes from `now` (ms) on; how many were forgotten before their time."""
        self._drop(scope)
        self._kept[scope] = _Kept(fingerprint, answer, size, now + self._keep_ms)
        self._size += size
        return self._make_room(now)

    def to_json(self, write: Callable[[Answer], Any]) -> list[Any]:
        """All that is kept, the oldest first, as JSON; `write` writes an answer."""
        return [
            [*scope, one.fingerprint.decode(), write(one.answer), one.size, one.expires_at]
            for scope, one in self._kept.items()
        ]

    def restore(self, saved: Iterable[Any], read: Callable[[Any], Answer]) -> None:
        """Take what was saved; `read` reads what `write` wrote."""
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
