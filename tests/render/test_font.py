"""The bitmap font of the screenshots."""

from __future__ import annotations

import pytest
from hypothesis import given
from zof_emulator.render.font import HEIGHT, WIDTH, draw_rows, replace_unprintable

from tests.render.strategies import anything

ASCII = "".join(map(chr, range(0x20, 0x7F)))


def test_letters_differ() -> None:
    """Every ASCII character and the replacement box have distinct shapes."""
    assert len({draw_rows(letter) for letter in ASCII + replace_unprintable("é")}) == len(ASCII) + 1


def test_shape() -> None:
    """The bitmap of a letter has its shape."""
    assert draw_rows("R") == ("111100", "100010", "100010", "111100", "101000", "100100", "100010", "000000")


@given(anything)
def test_size(text: str) -> None:
    """A line is as wide as its letters, each with a free column after it, and always as high."""
    drawn = draw_rows(replace_unprintable(text))
    assert [len(row) for row in drawn] == [WIDTH * len(text)] * HEIGHT
    assert all(set(row[WIDTH - 1 :: WIDTH]) <= {"0"} for row in drawn)


@pytest.mark.parametrize(
    ("text", "shown"), [("a\tb\r\nc", "a b  c"), ("“1 \N{EN DASH} 2”", '"1 - 2"'), ("é\x00~", "\x7f\x7f~")]
)
def test_replace_unprintable(text: str, shown: str) -> None:
    """White space becomes spaces, typeset punctuation plain, and what the font lacks a box; ASCII stays."""
    assert replace_unprintable(text) == shown
    assert replace_unprintable(ASCII) == ASCII
