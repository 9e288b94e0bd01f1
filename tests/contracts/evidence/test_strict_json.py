"""JSON by RFC 8259, whatever a target sends."""

from __future__ import annotations

import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from zof_contracts.evidence.exchange import Response
from zof_contracts.evidence.strict_json import BOM, MAX_DEPTH, parse_json

_TEXTS = st.text(st.characters(codec="utf-8"))
_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | _TEXTS,
    lambda inner: st.lists(inner) | st.dictionaries(_TEXTS, inner),
    max_leaves=20,
)


@given(_VALUES)
def test_json_is_what_was_written(value: object) -> None:
    """The output of a JSON writer is read back, also with a byte order mark."""
    body = json.dumps(value).encode()
    assert parse_json(body) == parse_json(BOM + body) == value


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be", "utf-32", "latin-1"])
def test_only_utf8_is_json(encoding: str) -> None:
    """UTF-16, UTF-32 and Latin-1 are not JSON."""
    with pytest.raises(ValueError, match=r"UTF-8|at character"):
        parse_json('{"name": "\xe9"}'.encode(encoding))


@pytest.mark.parametrize("word", ["NaN", "Infinity", "-Infinity"])
def test_a_number_is_finite(word: str) -> None:
    """NaN and Infinity are not JSON."""
    with pytest.raises(ValueError, match=f"{word} is not a JSON number"):
        parse_json(f'{{"duration_ms": {word}}}'.encode())


@pytest.mark.parametrize("opening", [b"[", b'{"a":'])
@pytest.mark.parametrize("depth", [MAX_DEPTH + 1, 2_000, 100_000])
def test_depth_is_bounded(opening: bytes, depth: int) -> None:
    """A deeply nested body is refused, and ends nothing."""
    closing = b"]" if opening == b"[" else b"}"
    with pytest.raises(ValueError, match="nested more than 100 deep"):
        parse_json(opening * depth + b"1" + closing * depth)
    assert parse_json(opening * MAX_DEPTH + b"1" + closing * MAX_DEPTH)


@pytest.mark.parametrize("digits", [301, 5_000])
def test_an_integer_is_bounded(digits: int) -> None:
    """An integer that fits no float is refused."""
    with pytest.raises(ValueError, match=f"an integer has {digits} digits"):
        parse_json(b"[" + b"1" * digits + b"]")


def test_a_float_is_finite() -> None:
    """A number beyond the range of floats is read as the largest one."""
    (value,) = parse_json(b"[-1e999]")
    assert math.isfinite(value)


def test_a_lone_surrogate_is_shown_as_its_escape() -> None:
    """Every string that is read can be encoded."""
    value = parse_json(rb'{"a\ud800": ["\udfff", "\ud83d\ude00"]}')
    assert value == {r"a\ud800": [r"\udfff", "\U0001f600"]}
    assert str(value).encode()


@given(st.binary(max_size=40))
def test_any_bytes_are_survived(body: bytes) -> None:
    """An answer says of any body whether it is JSON, and if not, why."""
    answer = Response(200, (), body)
    assert (answer.json is None) >= bool(answer.json_flaw)
    assert "\n" not in answer.json_flaw
