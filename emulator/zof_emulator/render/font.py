"""The letters of a screenshot: ASCII in a bitmap font, five dots wide and eight high with the tails, one dot apart."""

from __future__ import annotations

import re
from typing import Final

WIDTH: Final = 6
"""The width of a letter with its gap, in dots."""
HEIGHT: Final = 8
"""The height of a line of text, in dots."""

_FIRST: Final = 0x20
_BOX: Final = "\x7f"
"""Drawn as a box; it replaces characters that the font lacks."""
_PLAIN: Final = dict.fromkeys([*range(0x2010, 0x2016), 0x2212], "-") | {
    **dict.fromkeys([0x2018, 0x2019], "'"),
    **dict.fromkeys([0x201C, 0x201D], '"'),
}
"""The ASCII forms of dashes, the minus sign and curly quotes."""
_COLUMNS: Final = bytes.fromhex(
    # Five columns a letter, the topmost dot the lowest bit; eight letters a line.
    "0000000000 00005f0000 0007000700 147f147f14 242a7f2a12 2313086462 3649562050 0000070000"
    "001c224100 0041221c00 14083e0814 08083e0808 0080603000 0808080808 0000606000 2010080402"
    "3e5149453e 00427f4000 4261514946 2141454b31 1814127f10 2745454539 3c4a494930 0171090503"
    "3649494936 064949291e 0000363600 0080763600 0814224100 1414141414 0041221408 0201510906"
    "324979413e 7e1111117e 7f49494936 3e41414122 7f4141221c 7f49494941 7f09090901 3e4149497a"
    "7f0808087f 00417f4100 2040413f01 7f08142241 7f40404040 7f020c027f 7f0408107f 3e4141413e"
    "7f09090906 3e4151215e 7f09192946 2649494932 01017f0101 3f4040403f 1f2040201f 3f4038403f"
    "6314081463 0304780403 6151494543 00007f4100 0204081020 00417f0000 0402010204 8080808080"
    "0001020400 2054545478 7f48444438 3844444428 384444487f 3854545418 087e090102 18a4a4a47c"
    "7f08040478 00447d4000 4080847d00 7f10284400 00417f4000 7c04180478 7c08040478 3844444438"
    "fc24242418 18242424fc 7c08040408 4854545424 043f444020 3c4040207c 1c2040201c 3c4030403c"
    "4428102844 1ca0a0a07c 4464544c44 0008364100 00007f0000 0041360800 0201020402 7f4141417f",
)


def replace_unprintable(text: str) -> str:
    """The text in characters of the font: spaces, dashes and quotes in ASCII, other characters as boxes."""
    return re.sub(r"[^ -~]", _BOX, re.sub(r"[\t-\r\xa0]", " ", text.translate(_PLAIN)))


def draw_rows(text: str) -> tuple[str, ...]:
    """A line of printable text as rows of dots from the top, `1` where there is ink and `0` where there is none."""
    return tuple(text.translate(letters) for letters in _LETTERS)


def _draw_dots(letter: int, row: int) -> str:
    columns = _COLUMNS[5 * letter : 5 * letter + 5]
    return "".join(str(column >> row & 1) for column in columns) + "0"


_LETTERS: Final = tuple(
    {_FIRST + letter: _draw_dots(letter, row) for letter in range(len(_COLUMNS) // 5)} for row in range(HEIGHT)
)
