"""Fault rules: the frozen value and its JSON form."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from zof_emulator.core.canonical_json import write_canonical
from zof_emulator.core.faults import (
    LONGEST_MS,
    NO_CONTENT,
    PLACES,
    EffectKind,
    FaultRule,
    build_schema,
)
from zof_emulator.core.fields import InvalidField
from zof_emulator.spec.schema import compile_schema

RESET = {"reset": True}
_NAMES = st.text(min_size=1, max_size=20)
_HEADERS = st.from_regex(r"X-[A-Za-z]{1,9}", fullmatch=True)
_VALUES = st.text(st.characters(min_codepoint=0x20, max_codepoint=0x7E), max_size=20)
_JSON = st.recursive(st.none() | st.booleans() | st.integers() | st.text(), lambda inner: st.lists(inner, max_size=3))
_SWITCH = st.just(True)  # noqa: FBT003  a JSON value
_MS = st.integers(0, LONGEST_MS)
_OWN: dict[EffectKind, dict[str, st.SearchStrategy[Any]]] = {
    EffectKind.ERROR: {"error": _NAMES},
    EffectKind.STATUS: {"status": st.integers(200, 599).filter(lambda status: status not in NO_CONTENT)},
    EffectKind.LATENCY: {"latency_ms": _MS | st.tuples(_MS, _MS).map(sorted).map(list)},
    EffectKind.RESET: {"reset": _SWITCH},
    EffectKind.STALL: {"stall": _SWITCH},
    EffectKind.TRUNCATE: {"truncate": _SWITCH},
    EffectKind.MALFORMED_JSON: {"malformed_json": _SWITCH},
    EffectKind.CONTENT_TYPE: {"content_type": st.sampled_from(["text/html", "text/plain; charset=utf-8"])},
    EffectKind.DRIP: {"drip_ms": st.integers(1, LONGEST_MS)},
}
_MORE: dict[EffectKind, dict[str, st.SearchStrategy[Any]]] = {
    EffectKind.ERROR: {"retry_after": st.integers(0, 99)},
    EffectKind.STATUS: {
        "body": _JSON,
        "headers": st.dictionaries(_HEADERS, _VALUES, max_size=1),
        "undocumented": st.booleans(),
    },
    EffectKind.DRIP: {"drip_bytes": st.integers(1, 99)},
}


def _effects(kind: EffectKind) -> st.SearchStrategy[dict[str, Any]]:
    more = _MORE.get(kind, {}) if kind is EffectKind.LATENCY else {**_MORE.get(kind, {}), "latency_ms": _MS}
    return st.fixed_dictionaries(_OWN[kind], optional=more)


def _draw_rules(kind: EffectKind) -> st.SearchStrategy[dict[str, Any]]:
    match = {
        **dict.fromkeys(("operation", "organization", "key", "path"), _NAMES),
        "header": st.dictionaries(_HEADERS, _VALUES, min_size=1, max_size=1),
        "body": st.dictionaries(_NAMES, _JSON, min_size=1, max_size=1),
    }
    number = st.integers(1, 100)
    schedule = st.sampled_from(["nth", "first", "every", "percent"]).flatmap(
        lambda name: st.fixed_dictionaries({name: number})
    )
    return st.fixed_dictionaries(
        {"effect": _effects(kind)},
        optional={
            "match": st.fixed_dictionaries({}, optional=match),
            "schedule": schedule,
            "place": st.sampled_from([place.value for place in PLACES[kind]]),
        },
    )


RULES = st.sampled_from(list(EffectKind)).flatmap(_draw_rules)
IS_RULE = compile_schema(build_schema())


@given(RULES)
def test_a_rule_survives_its_json_form(rule: dict[str, Any]) -> None:
    """A rule that is written as JSON and read again is the same rule, and both forms obey the schema."""
    first = FaultRule.from_json(rule)
    written = first.to_json()
    assert FaultRule.from_json(json.loads(json.dumps(written))) == first
    assert IS_RULE(rule)
    assert IS_RULE(written)


def test_no_rule_shows_its_key() -> None:
    """A rule keeps the digest of a key, and neither its JSON form nor its text shows the key."""
    rule = FaultRule.from_json({"match": {"key": "zof_test_secret"}, "effect": RESET})
    assert "zof_test_secret" not in json.dumps(rule.to_json()) + repr(rule)


@pytest.mark.parametrize(
    ("rule", "path", "expected"),
    [
        ([], "rule", "an object"),
        ({}, "effect", "an object with one of error, status, "),
        ({"effect": {}}, "effect", "exactly one of error, status, "),
        ({"effect": {"reset": True, "stall": True}}, "effect", "exactly one of"),
        ({"effect": {"reset": 1}}, "effect.reset", "true"),
        ({"effect": {"rest": True}}, "effect.rest", "; the nearest is reset"),
        ({"effect": {"error": 3}}, "effect.error", "the name of a documented error"),
        ({"effect": {"status": 99}}, "effect.status", "an integer from 200 to 599"),
        ({"effect": {"status": True}}, "effect.status", "an integer from 200 to 599"),
        ({"effect": {"error": "x", "body": {}}}, "effect.body", "it only with status"),
        ({"effect": {"status": 500, "body": {}, "text": ""}}, "effect.text", "only one of body and text"),
        ({"effect": {"status": 500, "headers": {"Date": "x"}}}, "effect.headers.Date", "the emulator sets this one"),
        ({"effect": {"status": 500, "headers": {"X": "a\r\nb"}}}, "effect.headers.X", "printable ASCII"),
        ({"effect": {"status": 500, "headers": {"X": "a", "x": "b"}}}, "effect.headers", "each header once"),
        ({"effect": {"status": 500, "text": 3}}, "effect.text", "a text of at most"),
        ({"effect": {"status": 204, "text": ""}}, "effect.text", "no body with the status 204"),
        ({"effect": {"status": 304, "body": None}}, "effect.body", "no body with the status 304"),
        ({"effect": {"status": 205, "body": {}}}, "effect.body", "no body with the status 205"),
        ({"effect": {"status": 500, "undocumented": 1}}, "effect.undocumented", "true or false"),
        ({"effect": {"latency_ms": [5, 1]}}, "effect.latency_ms", "in ascending order"),
        ({"effect": {"latency_ms": [1]}}, "effect.latency_ms", "two of them"),
        ({"effect": {"latency_ms": [1, -1]}}, "effect.latency_ms[1]", "an integer from 0 to"),
        ({"effect": {"content_type": "html"}}, "effect.content_type", "a media type"),
        ({"effect": {"truncate": True}, "place": "before"}, "place", "body with the effect truncate"),
        ({"effect": {"reset": True, "after_bytes": 1}}, "effect.after_bytes", "it only in the place body"),
        ({"effect": RESET, "match": {"operatoin": "x"}}, "match.operatoin", "; the nearest is operation"),
        ({"effect": RESET, "match": {"operation": ""}}, "match.operation", "1 to 1000"),
        ({"effect": RESET, "match": {"header": {"Authorization": "x"}}}, "match.header", "match.key"),
        ({"effect": RESET, "match": {"header": {"X Y": "x"}}}, "match.header", "the name of a header"),
        ({"effect": RESET, "match": {"body": {}}}, "match.body", "one field and its value"),
        ({"effect": RESET, "schedule": {"nth": 0}}, "schedule.nth", "an integer from 1 to"),
        ({"effect": RESET, "schedule": {"percent": 101}}, "schedule.percent", "an integer from 1 to 100"),
        ({"effect": RESET, "schedule": {"nth": 1, "first": 1}}, "schedule", "exactly one of nth, first"),
    ],
)
def test_a_wrong_field_is_named_by_its_path(rule: object, path: str, expected: str) -> None:
    """A rule with a field that is not allowed is refused, with the path of the field and what is allowed."""
    with pytest.raises(InvalidField) as caught:
        FaultRule.from_json(rule)
    assert caught.value.path == path
    assert expected in caught.value.expected
    assert str(caught.value).startswith(f"invalid {path} ")


@given(_JSON | st.lists(st.text(), max_size=3))
def test_equal_values_have_one_text(value: object) -> None:
    """The text of a JSON value is that of the standard library, by whichever way it is made."""
    assert write_canonical(value) == json.dumps(value, sort_keys=True, separators=(",", ":"))
