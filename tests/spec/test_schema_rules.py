"""Rules compiled from a schema of the tests: parameter paths, timestamps, and formats."""

from __future__ import annotations

from typing import Any, Final

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from zof_emulator.core.instants import parse_rfc3339
from zof_emulator.core.refusal import Refused
from zof_emulator.spec.schema import ObjectRules, compile_schema

NESTED: Final[dict[str, Any]] = {
    "type": "object",
    "required": ["a"],
    "additionalProperties": False,
    "x-expected": "a thing",
    "properties": {
        "a": {
            "type": "object",
            "properties": {"b": {"type": "array", "items": {"type": "string", "x-expected": "text"}}},
        },
        "count": {"type": "integer"},
        "at": {"type": "string", "format": "date-time", "x-expected": "a time"},
    },
}


@pytest.mark.parametrize(
    ("value", "param", "expected"),
    [
        (5, None, "a thing"),
        ({"a": 5}, "a", "a thing"),
        ({"a": {"b": 5}}, "a.b", "a thing"),
        ({"a": {"b": ["x", 5]}}, "a.b[1]", "text"),
        ({"a": {}, "at": "soon"}, "at", "a time"),
    ],
)
def test_a_param_is_a_path(value: object, param: str | None, expected: str) -> None:
    """The refusal has the path of the faulty value and the expected form of it or of its parent."""
    with pytest.raises(Refused) as refused:
        ObjectRules(NESTED, "field").judge(value, {})
    assert (refused.value.reason, refused.value.param, refused.value.values["expected"]) == (
        "invalid_value",
        param,
        expected,
    )


@given(
    st.text(max_size=40)
    | st.from_regex(
        r"\A[0-9]{4}-(0[1-9]|1[0-3])-[0-3][0-9][Tt]2[0-4]:[0-5]9:[56][0-9](\.[0-9]+)?([Zz]|[+-][0-2][0-9]:[0-6]0)\Z"
    )
)
@example("2026-01-01t00:00:00z")
@example("0000-01-01T00:00:00Z")
@example("2026-01-01T12:00:60Z")
@example("2026-01-01T00:00:00+23:59")
@example("2026-01-01T00:00:00+24:00")
def test_a_timestamp_is_what_the_core_can_read(text: str) -> None:
    """A timestamp is accepted if it is an instant of the core, and is decoded to that instant."""
    rules = ObjectRules(NESTED, "field")
    try:
        expected: object = parse_rfc3339(text)
    except ValueError:
        expected = "refused"
    try:
        found: object = rules.judge({"a": {}, "at": text}, {})["at"]
    except Refused:
        found = "refused"
    assert found == expected


@pytest.mark.parametrize("count", [3, 3.0, -0.0])
def test_an_integer_may_be_written_with_a_point(count: float) -> None:
    """A number with a zero fraction is an integer, as in JSON Schema, and is decoded as one."""
    found = ObjectRules(NESTED, "field").judge({"a": {}, "count": count}, {})["count"]
    assert (type(found), found) == (int, count)


@given(number=st.integers(0, 1 << 53), depth=st.integers(0, 3))
def test_an_integer_at_any_depth(number: int, depth: int) -> None:
    """An integer that is written with a point is decoded as an integer, however deep its object is."""
    schema: Any = {"type": "integer"}
    value: Any = float(number)
    expected: Any = number
    for _ in range(depth + 1):
        schema = {"type": "object", "properties": {"a": schema, "b": {"type": "string"}}}
        value, expected = {"a": value, "b": "x"}, {"a": expected, "b": "x"}
    assert repr(ObjectRules(schema, "field").judge(value, {})) == repr(expected)


def test_formats_are_asserted() -> None:
    """A format in a schema is enforced."""
    assert compile_schema({"format": "date-time"})("2026-01-01T00:00:00Z")
    assert not compile_schema({"format": "date-time"})("2026-02-30T00:00:00Z")
    assert not compile_schema({"format": "uri"})("not a uri")
