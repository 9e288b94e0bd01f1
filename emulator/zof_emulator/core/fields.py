"""Fields of a JSON object: the checks that fault rules make, and the error that names a field by its path."""

from __future__ import annotations

from difflib import get_close_matches
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

LONGEST_ECHO: Final = 100
"""The number of characters of a wrong name or value that a message shows."""
LONGEST_NAME: Final = 1000
_MOST_LISTED: Final = 12


class InvalidField(ValueError):  # noqa: N818  it reads as the error that it is
    """A field of a fault rule is not allowed.

    Attributes:
        path: where the field is, such as `effect.status`.
        expected: what is allowed, as in "an integer from 200 to 599".
    """

    def __init__(self, path: str, value: object, expected: str) -> None:
        shown = repr(value)
        shown = shown if len(shown) <= LONGEST_ECHO else shown[:LONGEST_ECHO] + "..."
        super().__init__(f"invalid {path} {shown}: use {expected}")
        self.path = path
        self.expected = expected


def describe_nearest(name: str, known: Iterable[str]) -> str:
    """The text `; the nearest is X` for a name that is not known; empty if none is near."""
    near = get_close_matches(name[:LONGEST_ECHO], list(known), 1)
    return f"; the nearest is {near[0]}" if near else ""


def suggest(name: str, known: Iterable[str]) -> str:
    """The end of a message about a name that is not known: the nearest one, or all if they are few; may be empty."""
    names = list(known)
    return describe_nearest(name, names) or (f"; use {', '.join(names)}" if 0 < len(names) <= _MOST_LISTED else "")


def read_object(value: object, path: str, known: Iterable[str]) -> Mapping[str, Any]:
    """The value, if it is an object whose fields are all known."""
    if not isinstance(value, dict):
        raise InvalidField(path or "rule", value, "an object")
    names = list(known)
    for name in value:
        if name not in names:
            inner = f"{path}.{name}" if path else str(name)
            expected = f"one of {', '.join(names)}{describe_nearest(str(name), names)}"
            raise InvalidField(inner[:LONGEST_ECHO], value[name], expected)
    return value


def read_pair(value: object, path: str, expected: str) -> tuple[str, Any]:
    """The name and the value of the only field of an object."""
    if not isinstance(value, dict) or len(value) != 1:
        raise InvalidField(path, value, expected)
    ((name, item),) = value.items()
    check_text(name, path, expected)
    return name, item


def read_alternative(given: Iterable[str], kinds: Iterable[str], path: str) -> str:
    """The only name that is given."""
    names = list(given)
    if len(names) != 1:
        raise InvalidField(path, ", ".join(names), f"exactly one of {', '.join(kinds)}")
    return names[0]


def check_text(value: object, path: str, expected: str) -> str:
    """The value, if it is a text of 1 to `LONGEST_NAME` characters."""
    if not isinstance(value, str) or not 0 < len(value) <= LONGEST_NAME:
        raise InvalidField(path, value, expected)
    return value


def check_integer(value: object, path: str, least: int, most: int) -> int:
    """The value, if it is an integer within the bounds; JSON Schema also takes `1.0` for an integer."""
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if not isinstance(value, int) or isinstance(value, bool) or not least <= value <= most:
        raise InvalidField(path, value, f"an integer from {least} to {most}")
    return value
