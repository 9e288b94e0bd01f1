"""Neighbours: the name that a misspelt one was meant to be, for error messages."""

from __future__ import annotations

from difflib import get_close_matches
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable

_MOST_LISTED: Final = 12
_LONGEST: Final = 100


def find_neighbour(given: str, known: Iterable[str]) -> str | None:
    """The known name that is most like a given one; None if none is like it."""
    found = get_close_matches(given[:_LONGEST], list(known), n=1)
    return found[0] if found else None


def suggest(given: object, known: Iterable[str]) -> str:
    """The end of an error message: the name that was meant, or all names if there are few; empty if neither helps."""
    names = list(known)
    meant = find_neighbour(str(given), names)
    if meant is not None:
        return f"; did you mean {meant}?"
    return f"; use {', '.join(names)}" if 0 < len(names) <= _MOST_LISTED else ""
