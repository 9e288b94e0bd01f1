"""The JSON Schema of a scenario with its settings, and the mistakes that a value makes against it, in words."""

from __future__ import annotations

import json
from copy import deepcopy
from dataclasses import fields
from functools import lru_cache
from itertools import islice
from typing import TYPE_CHECKING, Any, Final

import jsonschema_rs

from zof_emulator.core.config import WorldConfig, find_field_schema
from zof_emulator.core.fields import describe_nearest, suggest
from zof_emulator.core.limits import RateScope
from zof_emulator.core.scenario import Problem
from zof_emulator.core.scenario_schema import OF_DATA, PROPERTIES

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    Schema = dict[str, Any]
    Place = tuple[str | int, ...]

MOST_PROBLEMS: Final = 100
"""The largest number of mistakes that are found in one scenario."""
_LONGEST_ECHO: Final = 60
_LARGEST: Final = 2**53
_SETTINGS: Final[Mapping[str, str]] = {
    "seed": "The seed for generated IDs, durations and everything that is drawn at random.",
    "clock": "How the clock moves: `real`, `manual`, or `auto`, which also moves when a client polls.",
    "rate": "The rate limit: `off`, or a mapping with what differs from 100 requests per 60000 ms for each key.",
    "capacity": "The number of runs that an organization may have running at once.",
    "max_runs": "The number of ended runs that the world keeps for each organization.",
    "references": "`open` creates the projects, cases and suites that a request names, `strict` refuses unknown ones.",
    "environments": "Labels of environments that every organization has besides its own.",
    "evolve": "Whether answers and events hold fields and values that the API may get without a new version.",
    "envelope": "The envelope of webhook events: `present`, or the older `legacy`.",
}
"""The description of each setting of a world."""


def _integer(minimum: int, maximum: int, description: str) -> Schema:
    expected = f"a whole number from {minimum} to {maximum}"
    return {
        "type": "integer",
        "minimum": minimum,
        "maximum": maximum,
        "description": description,
        "x-expected": expected,
    }


_RATE: Final[Schema] = {
    "anyOf": [
        {"const": "off"},
        {
            "type": "object",
            "additionalProperties": False,
            "properties": {
                "limit": _integer(1, _LARGEST, "The requests that a window admits, without the burst; by default 100."),
                "window_ms": _integer(1, _LARGEST, "The length of a window, in ms; by default 60000."),
                "scope": {
                    "enum": [one.value for one in RateScope],
                    "description": "Whose requests are counted together: those of each `key` (default), or of each "
                    "`organization`.",
                },
                "burst": _integer(0, 1_000_000, "The requests that a window admits beyond the limit; by default 0."),
            },
            "x-expected": "a mapping with limit, window_ms, scope and burst",
        },
    ],
    "x-expected": "off, or a mapping with limit, window_ms, scope and burst",
}


def _setting(name: str) -> Schema:
    schema = deepcopy(_RATE if name == "rate" else find_field_schema(name))
    if schema.get("type") == "integer":
        schema["x-expected"] = f"a whole number from {schema['minimum']} to {schema['maximum']}"
    elif schema.get("type") == "boolean":
        schema["x-expected"] = "true or false"
    elif schema.get("type") == "array":
        schema["x-expected"] = "a list"
        schema["items"]["x-expected"] = "1 to 63 letters, digits, _, . or -, with a letter or digit first"
    return {**schema, "description": _SETTINGS[name]}


SETTINGS: Final = tuple(one.name for one in fields(WorldConfig) if one.name != "scenario")
"""The settings of a world that a scenario may state."""
_HEAD: Final = ("name", "description", "base")
SCHEMA: Final[Schema] = {
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    "title": "Scenario of zof-emulator",
    "description": "What a world begins with: settings, data, existing runs, and the outcomes of cases.",
    "type": "object",
    "additionalProperties": False,
    "x-expected": "a mapping",
    "properties": {
        **{name: PROPERTIES[name] for name in _HEAD},
        **{name: _setting(name) for name in SETTINGS},
        **{name: schema for name, schema in PROPERTIES.items() if name not in _HEAD},
    },
}
"""The schema of a scenario file. Each part may be left out."""


@lru_cache(maxsize=1)
def _make_validator() -> jsonschema_rs.Draft202012Validator:
    """The validator. It leaves the fields of fault rules to `FaultRule.from_json`, which says more about a mistake."""
    relaxed = deepcopy(SCHEMA)
    relaxed["properties"]["faults"]["items"] = {"type": "object", "x-expected": "a mapping"}
    return jsonschema_rs.Draft202012Validator(relaxed)


@lru_cache(maxsize=1)
def _make_saved_validator() -> jsonschema_rs.Draft202012Validator:
    return jsonschema_rs.Draft202012Validator(OF_DATA)


def is_saved_scenario(value: Any) -> bool:  # noqa: ANN401  JSON
    """Whether a value has the shape of a scenario in a snapshot or in the header of a journal."""
    try:
        return isinstance(value, str) or _make_saved_validator().is_valid(value)
    except ValueError:  # it is nested too deeply
        return False


def find_problems(value: Any) -> list[Problem]:  # noqa: ANN401  JSON
    """The mistakes that a JSON value makes against the schema of a scenario, at most 100; empty if there are none."""
    try:
        if _make_validator().is_valid(value):
            return []
        return list(islice(_list_problems(_make_validator(), SCHEMA, value, ()), MOST_PROBLEMS))
    except ValueError:
        return [Problem((), "the values are nested too deeply")]


def _list_problems(validator: Any, schema: Schema, value: Any, before: Place) -> Iterator[Problem]:  # noqa: ANN401
    for error in validator.iter_errors(value):
        place = (*before, *error.instance_path)
        node = _follow(schema, error.schema_path[:-1])
        found = _follow(value, error.instance_path)
        kind = error.kind
        if kind.name == "additionalProperties":
            for name in kind.unexpected:
                known = [one for one in node["properties"] if one not in found]
                yield Problem((*place, name), f"unknown field {name[:_LONGEST_ECHO]!r}{suggest(name, known)}")
        elif kind.name == "required":
            yield Problem(place, f"the field {kind.property} is missing")
        elif kind.name == "enum":
            choices = [str(one) for one in node["enum"]]
            yield Problem(place, f"{_show(found, place)} is not one of {', '.join(choices)}{_suggest(found, choices)}")
        elif kind.name == "anyOf":
            yield from _list_alternative_problems(node, found, place)
        elif kind.name == "uniqueItems":
            yield Problem(place, "an entry is given twice")
        else:
            yield Problem(place, f"{_show(found, place)} is not allowed; use {node.get('x-expected', error.message)}")


def _list_alternative_problems(node: Schema, found: Any, place: Place) -> Iterator[Problem]:  # noqa: ANN401
    """The mistakes against the alternative that has the type of the value; if none has it, what is allowed."""
    kind = {dict: "object", list: "array", str: "string", int: "integer"}.get(type(found), "")
    for one in node["anyOf"]:
        if one.get("type") == kind and len([each for each in node["anyOf"] if each.get("type") == kind]) == 1:
            inner = list(_list_problems(jsonschema_rs.Draft202012Validator(one), one, found, place))
            if isinstance(found, dict) or all(problem.path != place for problem in inner):
                yield from inner
                return
    yield Problem(place, f"{_show(found, place)} is not allowed; use {node['x-expected']}")


def _follow(node: Any, steps: Sequence[str | int]) -> Any:  # noqa: ANN401  JSON
    for step in steps:
        node = node[step]
    return node


def _suggest(found: Any, choices: Sequence[str]) -> str:  # noqa: ANN401
    return describe_nearest(found, choices) if isinstance(found, str) else ""


def _show(value: Any, place: Place) -> str:  # noqa: ANN401
    """A value as JSON, cut to a readable length; what may hold a secret is not shown."""
    if _may_be_secret(value, place):
        return "the value, which may be a secret,"
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= _LONGEST_ECHO else text[:_LONGEST_ECHO] + "..."


def _may_be_secret(value: Any, place: Place) -> bool:  # noqa: ANN401
    """Whether a value may be, or may hold, an API key or the secret of a webhook."""
    part, field = (*place, "", "")[0], (*place, "", "", "")[2]
    if part not in {"keys", "webhooks"}:
        return not place and isinstance(value, dict | list) and bool(value)
    return field in {"", "secret"} or isinstance(value, dict | list)
