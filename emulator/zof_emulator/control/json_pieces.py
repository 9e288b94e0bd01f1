"""Parsing JSON text that arrives in pieces: values are read one by one, so that a long document is never held whole.

A parser is a generator that yields when it needs more text. The work is proportional to the length of the text: a value
that is cut at the end of the text is parsed again only when the text has doubled.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any, Final, NoReturn

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

    Parsing = Generator[None, None, Any]
    """Yields when it needs more text; returns what it has parsed."""

_SPACE: Final = re.compile(r"[ \t\n\r]*")
_CUT: Final = 16
"""More characters than a word of JSON or an escape has, which may be cut at the end of the text."""


_NUMERIC: Final = frozenset(".eE+-")
"""The characters that may continue a number that seems to have ended, as after the 1 of `1.` and `1e+`."""


class MalformedError(ValueError):
    """The text is no JSON."""


class TooLongError(ValueError):
    """A value is longer than it may be."""


def _refuse_constant(name: str) -> NoReturn:
    raise MalformedError(f"{name} is no JSON")


class Fraction(float):
    """A number that is written as a fraction or with an exponent; it is no integer, even if its value is one."""


_DECODE: Final = json.JSONDecoder(parse_constant=_refuse_constant, parse_float=Fraction).raw_decode


class JsonPieces:
    """Text of which more may follow, and the place up to which it is parsed."""

    __slots__ = ("_at", "_length", "_pending", "_text", "_wanted", "is_whole")

    def __init__(self) -> None:
        self.is_whole = False
        """Whether no text follows."""
        self._text = ""
        self._at = 0
        self._pending: list[str] = []
        self._length = 0
        self._wanted = 1

    def add(self, text: str) -> bool:
        """Add text; return whether the parser can continue."""
        self._pending.append(text)
        self._length += len(text)
        return self._length >= self._wanted

    def _await(self, wanted: int) -> Parsing:
        """Wait for this many characters more, or the end."""
        self._wanted = wanted
        yield
        self._text = self._text[self._at :] + "".join(self._pending)
        self._at = self._length = 0
        self._pending.clear()

    def peek(self) -> Parsing:
        """The next character that is no space; empty at the end of the text."""
        while True:
            space = _SPACE.match(self._text, self._at)
            self._at = self._at if space is None else space.end()
            if self._at < len(self._text):
                return self._text[self._at]
            if self.is_whole and not self._pending:
                return ""
            yield from self._await(1)

    def skip(self) -> Parsing:
        """Skip the character that was peeked at, and peek at the next one."""
        self._at += 1
        return (yield from self.peek())

    def read_value(self, most: int) -> Parsing:
        """Read a value of at most `most` characters. Raises `ValueError` or `RecursionError` if there is none."""
        yield from self.peek()
        while True:
            length = len(self._text) - self._at
            is_last = self.is_whole and not self._pending
            try:
                value, end = _DECODE(self._text, self._at)
            except json.JSONDecodeError as error:
                is_cut = error.msg.startswith("Unterminated") or error.pos + _CUT > len(self._text)
                if is_last or not is_cut:
                    raise
            else:
                if end - self._at > most:
                    raise TooLongError("a value is too long")
                is_cut = end == len(self._text) or (self._text[end] in _NUMERIC and end + _CUT > len(self._text))
                if is_last or not is_cut:
                    self._at = end
                    return value
            if length > most:
                raise TooLongError("a value is too long")
            yield from self._await(length)

    def read_object(self, read: Callable[[str], Parsing]) -> Parsing:
        """Read an object; `read` reads the value of each name."""
        mark = yield from self.skip()
        while mark != "}":
            name = yield from self.read_value(_MOST_NAME)
            if not isinstance(name, str) or (yield from self.peek()) != ":":
                raise MalformedError("an object has names and values")
            yield from self.skip()
            yield from read(name)
            mark = yield from self._next("}")
        self._at += 1

    def read_array(self, read: Callable[[], Parsing]) -> Parsing:
        """Read an array; `read` reads each of its values."""
        mark = yield from self.skip()
        while mark != "]":
            yield from read()
            mark = yield from self._next("]")
        self._at += 1

    def _next(self, end: str) -> Parsing:
        """Skip the comma before the next value; return the first character of that, or `end` after the last value."""
        mark = yield from self.peek()
        if mark == end:
            return mark
        if mark != "," or (mark := (yield from self.skip())) in {end, ""}:
            raise MalformedError("values are separated by commas")
        return mark


_MOST_NAME: Final = 1 << 10
