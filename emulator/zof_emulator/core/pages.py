"""Pages and cursors: a slice of an ordered index, and the sealed text that names the start of the next slice."""

from __future__ import annotations

import re
from bisect import bisect_left
from hashlib import blake2b
from typing import TYPE_CHECKING, Final

from zof_emulator.core.refusal import Refused

if TYPE_CHECKING:
    from collections.abc import Sequence

CURSOR: Final = "starting_after"
"""The query parameter that holds a cursor."""
_SEALED: Final = re.compile(r"cur_([0-9a-f]{12})([0-9a-f]{16})")


def take_newest(index: Sequence[int], lower: int, upper: int, limit: int) -> tuple[list[int], bool]:
    """The `limit` greatest numbers of an ascending index with `lower <= number < upper`, greatest first.

    Takes logarithmic time in the length of the index.

    Returns:
        The numbers, and whether more follow.
    """
    end = bisect_left(index, upper)
    floor = bisect_left(index, lower, 0, end)
    start = max(floor, end - limit)
    return list(index[start:end])[::-1], start > floor


def seal(seed: int, scope: str, position: int) -> str:
    """The cursor for a position (0 to 2**48 - 1) in the list that `scope` names, filters included."""
    word = f"{position:012x}"
    return f"cur_{word}{_sign(seed, scope, word)}"


def unseal(seed: int, scope: str, cursor: str) -> int:
    """The position in a cursor.

    Raises:
        Refused: the cursor is malformed or forged, or belongs to another list or other filters.
    """
    match = _SEALED.fullmatch(cursor)
    if match is None or _sign(seed, scope, match[1]) != match[2]:
        raise Refused("invalid_cursor", CURSOR)
    return int(match[1], 16)


def _sign(seed: int, scope: str, word: str) -> str:
    return blake2b(f"{seed}/{scope}/{word}".encode(), digest_size=8).hexdigest()
