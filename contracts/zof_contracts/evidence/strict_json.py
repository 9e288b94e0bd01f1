"""JSON as RFC 8259 defines it: UTF-8, no NaN, no Infinity. `json.loads` accepts more than that.

Whatever parses here is safe to handle: it is not nested deeply, its numbers are finite, and its strings can be encoded.
"""

from __future__ import annotations

import json
import re
import sys
from typing import Any, Final, NoReturn

BOM: Final = b"\xef\xbb\xbf"
"""The UTF-8 byte order mark, which RFC 8259 lets a parser ignore."""
MAX_DEPTH: Final = 100
"""The depth to which arrays and objects may be nested."""
MAX_DIGITS: Final = 300
"""Digits of an integer; a longer one fits no float."""
_SURROGATE_ESCAPE: Final = re.compile(rb"\\u[dD][89a-fA-F]")


def parse_json(body: bytes) -> Any:  # noqa: ANN401  a JSON value
    r"""Parse a body. A lone surrogate becomes the six characters of its escape, such as `\ud800`.

    Raises:
        ValueError: the body is not JSON, or exceeds a bound; the message is one line that quotes nothing of it.
    """
    try:
        text = body.removeprefix(BOM).decode()
    except UnicodeDecodeError as error:
        raise ValueError(f"byte {error.start} is not UTF-8") from error
    try:
        value = json.loads(text, parse_constant=_refuse_constant, parse_int=_parse_integer, parse_float=_parse_float)
    except RecursionError as error:
        raise ValueError(f"it is nested more than {MAX_DEPTH} deep") from error
    except json.JSONDecodeError as error:
        raise ValueError(f"{error.msg} at character {error.pos}") from error
    if body.count(b"[") + body.count(b"{") > MAX_DEPTH and _measure_depth(value) > MAX_DEPTH:
        raise ValueError(f"it is nested more than {MAX_DEPTH} deep")
    return _escape_surrogates(value) if _SURROGATE_ESCAPE.search(body) else value


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not a JSON number")


def _parse_integer(digits: str) -> int:
    if len(digits) > MAX_DIGITS:
        raise ValueError(f"an integer has {len(digits)} digits")
    return int(digits)


def _parse_float(text: str) -> float:
    return min(max(float(text), -sys.float_info.max), sys.float_info.max)


def _measure_depth(value: object) -> int:
    depth, level = 0, [value]
    while level := [each for each in level if isinstance(each, dict | list)]:
        depth += 1
        level = [child for each in level for child in (each.values() if isinstance(each, dict) else each)]
    return depth


def _escape_surrogates(value: Any) -> Any:  # noqa: ANN401  a JSON value
    if isinstance(value, str):
        return value.encode("utf-8", "backslashreplace").decode()
    if isinstance(value, dict):
        return {_escape_surrogates(name): _escape_surrogates(child) for name, child in value.items()}
    return [_escape_surrogates(child) for child in value] if isinstance(value, list) else value
