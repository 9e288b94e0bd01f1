"""Rules compiled from a schema of our own: paths of what is to blame, timestamps, and formats that count."""

from __future__ import annotations

from typing import Any, Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from emulator.core.instants import parse_rfc3339
from emulator.core.refusal import Refused
from emulator.spec.schema import ObjectRules, compiled

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
    """What is to blame is told by its path, with what is expected there, or of what it is a part."""
    with pytest.raises(Refused) as refused:
        ObjectRules(NESTED, "field").judged(value, {})
    assert (refused.value.reason, refused.value.param, refused.value.words["expected"]) == (
        "invalid_value",
        param,
        expected,
    )


@given(st.text(max_size=40))
def test_a_timestamp_is_what_the_core_can_read(text: str) -> None:
    """A time that a request may name is one that the core has an instant for, which is what the judged value holds."""
    rules = ObjectRules(NESTED, "field")
    try:
        expected: object = parse_rfc3339(text)
    except ValueError:
        expected = "refused"
    try:
        found: object = rules.judged({"a": {}, "at": text}, {})["at"]
    except Refused:
        found = "refused"
    assert found == expected


def test_formats_are_asserted() -> None:
    """A format that a schema names is a rule."""
    assert compiled({"format": "date-time"})("2026-01-01T00:00:00Z")
    assert not compiled({"format": "date-time"})("2026-02-30T00:00:00Z")
    assert not compiled({"format": "uri"})("not a uri")
