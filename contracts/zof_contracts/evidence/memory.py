"""The memory of judges: it is bounded, and holds shortened exchanges."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import replace
from typing import TYPE_CHECKING, Final, Generic, TypeVar

from zof_contracts.evidence.exchange import Response

if TYPE_CHECKING:
    from collections.abc import Iterator

    from zof_contracts.evidence.exchange import Exchange

K = TypeVar("K")
V = TypeVar("V")

MOST_REMEMBERED: Final = 5_000
"""The number of things of one kind that a judge of recordings remembers; older ones are forgotten."""
_LONGEST_KEPT_BODY: Final = 1 << 13
"""Bytes of an answer's body that are kept for the script of a finding."""


def shorten_answer(exchange: Exchange) -> Exchange:
    """An exchange without the body of its answer, if that is long."""
    if len(exchange.response.body) <= _LONGEST_KEPT_BODY:
        return exchange
    return replace(exchange, response=Response(exchange.response.status, exchange.response.headers, b""))


class Memory(Generic[K, V]):
    """A mapping that forgets its oldest entries when it has too many."""

    def __init__(self, most: int = MOST_REMEMBERED) -> None:
        self._most = most
        self._values: OrderedDict[K, V] = OrderedDict()
        self.has_forgotten = False
        """Whether an entry was forgotten."""

    def get(self, key: K) -> V | None:
        """The value of a key; None if there is none."""
        return self._values.get(key)

    def pop(self, key: K) -> V | None:
        """Remove a key, and return its value; None if there is none."""
        return self._values.pop(key, None)

    def set(self, key: K, value: V) -> V | None:
        """Set the value of a key as the newest one; the value that was forgotten for it, if one was."""
        self._values[key] = value
        self._values.move_to_end(key)
        if len(self._values) <= self._most:
            return None
        self.has_forgotten = True
        return self._values.popitem(last=False)[1]

    def update(self, other: Memory[K, V]) -> None:
        """Set all entries of another memory, the oldest first."""
        for key, value in other.items():
            self.set(key, value)

    def values(self) -> Iterator[V]:
        """The values, the oldest first."""
        return iter(tuple(self._values.values()))

    def items(self) -> Iterator[tuple[K, V]]:
        """The keys and values, the oldest first."""
        return iter(tuple(self._values.items()))

    def __contains__(self, key: K) -> bool:
        return key in self._values

    def __len__(self) -> int:
        return len(self._values)
