"""Conditions and extensions of the document, which both generators and the loader understand."""

from __future__ import annotations

from typing import Any, Final

import pytest
from hypothesis import given
from hypothesis import strategies as st
from zof_emulator.core.refusal import Refused
from zof_emulator.spec.schema import ObjectRules, compile_schema, find_alternatives

NAMES: Final = ("by_ms", "to", "until", "at")
either: Final[dict[str, Any]] = {
    "if": {"required": ["by_ms"]},
    "then": {"not": {"required": ["to"]}},
    "else": {"required": ["to"]},
}
one_of_three: Final[dict[str, Any]] = {
    "if": {"required": ["by_ms"]},
    "then": {"not": {"anyOf": [{"required": ["to"]}, {"required": ["until"]}]}},
    "else": {"if": {"required": ["to"]}, "then": {"not": {"required": ["until"]}}, "else": {"required": ["until"]}},
}


def rules(condition: dict[str, Any]) -> ObjectRules:
    """The rules of an object whose fields are integers, under a condition."""
    properties = {name: {"type": "integer", "x-expected": "an integer"} for name in NAMES}
    return ObjectRules({"type": "object", "properties": properties, **condition}, "field")


@pytest.mark.parametrize(("condition", "names"), [(either, NAMES[:2]), (one_of_three, NAMES[:3]), ({}, ())])
def test_the_alternatives_of_a_condition(condition: dict[str, Any], names: tuple[str, ...]) -> None:
    """The alternative fields are read from the condition, in its order."""
    assert find_alternatives(condition) == list(names)


@given(st.sampled_from([either, one_of_three]), st.sets(st.sampled_from(NAMES)))
def test_exactly_one_of_the_alternatives_is_given(condition: dict[str, Any], given_: set[str]) -> None:
    """An object with none or two of the alternatives is refused with the matching reason."""
    names = find_alternatives(condition)
    found = [name for name in names if name in given_]
    value = dict.fromkeys(sorted(given_), 1)
    if len(found) == 1:
        assert rules(condition).judge(value, {}) == value
        return
    with pytest.raises(Refused) as refused:
        rules(condition).judge(value, {})
    assert refused.value.reason == ("conflicting_field" if found else "missing_alternative")
    assert refused.value.param == (found[-1] if found else names[0])
    assert refused.value.values == {"allowed": " or ".join(names)}


@pytest.mark.parametrize(
    "condition",
    [
        {**either, "then": {}},
        {**either, "then": {"not": {"required": ["until"]}}},
        {**either, "if": {"required": ["by_ms", "at"]}},
        {**either, "else": {"required": ["to", "at"]}},
        {**one_of_three, "then": {"not": {"required": ["until"]}}},
    ],
)
def test_a_condition_that_says_something_else_is_refused(condition: dict[str, Any]) -> None:
    """An unsupported condition stops the boot, and the error names the supported ones."""
    with pytest.raises(ValueError, match=r"must say that exactly one of .* is given"):
        rules(condition)


@pytest.mark.parametrize(
    ("schema", "good", "bad"),
    [
        ({"type": "string", "x-pattern": "^a+$"}, "aa", "b"),
        ({"type": ["string", "null"], "x-pattern": "^a+$"}, None, "b"),
        ({"type": "string", "x-extensible-enum": ["queued", "running"]}, "queued", "done"),
        ({"type": "object", "properties": {"a": {"x-extensible-enum": ["b"]}}}, {"a": "b"}, {"a": "c"}),
        ({"allOf": [{"items": {"x-pattern": "^a$"}}]}, ["a"], ["b"]),
    ],
)
def test_an_answer_is_held_to_the_extensions(schema: dict[str, Any], good: object, bad: object) -> None:
    """The emulator's answers hold only values that the closed list or pattern of an extension allows."""
    assert compile_schema(schema)(good)
    assert not compile_schema(schema)(bad)


@pytest.mark.parametrize("extension", [{"x-pattern": "^a+$"}, {"x-extensible-enum": ["a", "aa"]}])
def test_a_request_is_held_to_the_extensions(extension: dict[str, Any]) -> None:
    """A request with a value that an extension rules out is refused."""
    schema = {"type": "object", "properties": {"by_ms": {"type": "string", "x-expected": "a word", **extension}}}
    assert ObjectRules(schema, "field").judge({"by_ms": "aa"}, {}) == {"by_ms": "aa"}
    with pytest.raises(Refused) as refused:
        ObjectRules(schema, "field").judge({"by_ms": "b"}, {})
    assert (refused.value.reason, refused.value.param) == ("invalid_value", "by_ms")
