"""JSON in pieces: however a text is cut, its values are those of the whole text, and the work is linear."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, NoReturn

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from zof_emulator.control import json_pieces
from zof_emulator.control.json_pieces import Fraction, JsonPieces, MalformedError, TooLongError

if TYPE_CHECKING:
    from zof_emulator.control.json_pieces import Parsing

MOST = 1_000
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text() | st.floats(allow_nan=False, allow_infinity=False),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4),
    max_leaves=15,
)


def parse(text: str, cuts: list[int]) -> Any:  # noqa: ANN401  JSON
    """The value of a text that arrives in pieces, its outermost object or array read value by value."""
    pieces, found = JsonPieces(), list[Any]()

    def read(name: str) -> Parsing:
        found.append((name, (yield from pieces.read_value(MOST))))

    def read_item() -> Parsing:
        found.append((yield from pieces.read_value(MOST)))

    def read_all() -> Parsing:
        mark = yield from pieces.peek()
        if mark == "{":
            yield from pieces.read_object(read)
            value: Any = dict(found)
        elif mark == "[":
            yield from pieces.read_array(read_item)
            value = found
        else:
            value = yield from pieces.read_value(MOST)
        if (yield from pieces.peek()):
            raise MalformedError("more than one value")
        return value

    parsing = read_all()
    next(parsing)
    places = sorted({min(cut, len(text)) for cut in cuts} | {0, len(text)})
    try:
        for start, end in zip(places, [*places[1:], len(text)], strict=True):
            pieces.is_whole = start == len(text)
            if pieces.add(text[start:end]) or pieces.is_whole:
                next(parsing)
    except StopIteration as finished:
        return finished.value
    raise AssertionError("the parser waits for more")


def refuse(name: str) -> NoReturn:
    """Refuse what Python takes for JSON."""
    raise ValueError(name)


CUTS = st.lists(st.integers(0, 60), max_size=8)


@given(value=VALUES, cuts=CUTS, indent=st.sampled_from([None, 0, 2]))
@example(value=12, cuts=[1], indent=None)
@example(value=[1.5], cuts=[3], indent=None)
@example(value=[1e-30], cuts=[4], indent=None)
@example(value=[True, None], cuts=[3, 7], indent=None)
@example(value=["\\u00e9"], cuts=[3, 4, 5, 6], indent=None)
def test_pieces_make_the_whole(value: Any, cuts: list[int], indent: int | None) -> None:  # noqa: ANN401
    """A text that arrives in any pieces has the value of the whole text."""
    assert parse(json.dumps(value, indent=indent), cuts) == value


@given(text=st.text(alphabet='[]{}:, \n"\\utfn0123e.-', max_size=12), cuts=CUTS)
@example(text="[1,]", cuts=[])
@example(text='{"a":1,}', cuts=[])
@example(text="NaN", cuts=[])
@example(text='["\\u00e', cuts=[4])
def test_what_is_no_json_is_refused(text: str, cuts: list[int]) -> None:
    """A text is refused exactly when it is no JSON."""
    try:
        expected = json.loads(text, parse_constant=refuse)
    except ValueError:
        with pytest.raises(ValueError, match=r"\w"):
            parse(text, cuts)
    else:
        assert parse(text, cuts) == expected


def test_a_fraction_is_no_integer() -> None:
    """A number with a fraction or an exponent is told apart from an integer of the same value."""
    assert [type(one) for one in parse("[1, 1.0, 1e0]", [])] == [int, Fraction, Fraction]


def test_a_long_value_is_refused() -> None:
    """A value that is longer than it may be is refused before its end comes."""
    for text in (f'"{"a" * MOST}"', '"' + "a" * (MOST + 1), f"[1{'0' * MOST}]", f'{{"{"a" * 2_000}":1}}'):
        with pytest.raises(TooLongError):
            parse(text, [])


def test_work_is_linear(monkeypatch: pytest.MonkeyPatch) -> None:
    """The number of parsed characters is proportional to the length of a text, however small the pieces are."""
    parsed = [0]
    decode = json_pieces._DECODE  # noqa: SLF001  the steps to count

    def count(text: str, at: int) -> tuple[Any, int]:
        parsed[0] += len(text) - at
        return decode(text, at)

    monkeypatch.setattr(json_pieces, "_DECODE", count)
    text = json.dumps(["a" * 900] * 100)
    parse(text, list(range(0, len(text), 10)))
    assert parsed[0] < 5 * len(text)
