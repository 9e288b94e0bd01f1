"""Makes text that a target sent safe to show: characters that control a terminal or reorder text are escaped."""

from __future__ import annotations

import json
import unicodedata
from typing import Final

_ESCAPED: Final = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})
"""Unicode categories: control, format (bidirectional marks among them), surrogate, line and paragraph separator."""
_LAYOUT: Final = "\n\t"


def escape_controls(text: str) -> str:
    r"""Replace control, format and surrogate characters by escapes such as `\x1b`; keep newlines and tabs."""
    if text.isascii() and text.isprintable():
        return text
    return "".join(_escape(each) if is_control(each) else each for each in text)


def dump_json(value: object, indent: int = 2) -> str:
    """Return a value as JSON of printable ASCII, with a final newline."""
    return json.dumps(value, indent=indent).replace("\x7f", "\\u007f") + "\n"


def is_control(character: str) -> bool:
    """Whether a character is escaped: it controls a terminal, changes the order of text, or is invisible."""
    return unicodedata.category(character) in _ESCAPED and character not in _LAYOUT


def _escape(character: str) -> str:
    code = ord(character)
    if code <= 0xFF:  # noqa: PLR2004  the two digits of \x
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code <= 0xFFFF else f"\\U{code:08x}"  # noqa: PLR2004  the four digits of \u
