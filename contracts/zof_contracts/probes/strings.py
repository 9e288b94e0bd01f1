"""Strings of all kinds in the bodies of requests: none may be answered with a 5xx (section 1)."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any, Final

from zof_contracts.checks.claims import describe
from zof_contracts.contract.document import load_contract
from zof_contracts.contract.resources import load_resources
from zof_contracts.probes.context import Probe, ProbeContext

if TYPE_CHECKING:
    from collections.abc import Iterator

JsonObject = dict[str, Any]

_RULE: Final = "conventions.strings"
_MARK: Final = "-contracts-mark-"
"""Stands in a body for the characters that replace it."""
_TEXTS: Final = (
    ("characters beyond ASCII, as UTF-8 and as escapes", "\u00fc\u6f22\U0001f600\\u00fc\\ud83d\\ude00"),
    ("a lone surrogate", "\\ud800"),
    ("NUL", "\\u0000"),
)
"""The kinds of text that a string may hold, each with a description and its JSON form."""
_READING: Final = "exportResults"
"""The operation with a body that changes nothing."""
_ALPHABET: Final = re.compile(r"\^([a-z]+_)\[")
"""The beginning of the pattern of an ID: its prefix."""
_GATEWAY_FAULTS: Final = frozenset({502, 503, 504})


def send_strings(context: ProbeContext) -> None:
    """Each kind of string field of each body, and the name of a field, holds characters of all kinds."""
    context.ensure_reachable()
    for operation in load_resources().inputs:
        if operation == _READING or context.can_start_runs:
            _send_bodies(context, operation)


def _send_bodies(context: ProbeContext, operation: str) -> None:
    path = load_contract().operations[operation].path
    for field, body in list_bodies(context, operation):
        for what, text in _TEXTS:
            sent = json.dumps(body).replace(_MARK, text).encode()
            answer = context.client.post(path, sent)
            if answer.response.is_server_error:  # the string is the cause only if it is answered so each time
                answer = context.client.post(path, sent)
            if answer.response.status in _GATEWAY_FAULTS:
                context.ledger.record_skip(_RULE, f"answered {describe(answer.response)}, as a gateway answers")
                continue
            got = f"{describe(answer.response)} for {field} with {what}"
            context.check(
                _RULE, not answer.response.is_server_error, expected="2xx or 4xx", got=got, trace=answer, place=field
            )


def list_bodies(context: ProbeContext, operation: str) -> Iterator[tuple[str, JsonObject]]:
    """A body for each kind of string field of an operation, with the mark in the field, and one with it in a name."""
    contract = load_contract()
    schema = contract.at(f"#/components/schemas/{load_resources().inputs[operation]}")
    kinds: set[str] = set()
    complete = _make_body(context, schema)
    for field, node in schema["properties"].items():
        whole = contract.resolve(node)
        item = contract.resolve(whole["items"]) if "items" in whole else whole
        if item.get("type") != "string" or (kind := _name_kind(field, node, item)) in kinds:
            continue
        kinds.add(kind)
        value = _mark_string(item)
        body = {**complete, field: [value] if "items" in whole else value}
        if field == "test_suite_id":  # cases and suite exclude each other
            body.pop("test_case_ids", None)
        yield field, body
    yield "a field name", {**complete, f"field{_MARK}": "value"}


def _name_kind(field: str, node: JsonObject, item: JsonObject) -> str:
    """The name of a field's kind: the schema that it refers to; a field without one is a kind of its own."""
    return str(node.get("$ref") or item.get("format") or field)


def _make_body(context: ProbeContext, schema: JsonObject) -> JsonObject:
    """A body with the required fields of a schema; those of a start name what the target has."""
    target = context.target
    known: JsonObject = {"project_id": target.project, "environment": target.environment}
    if known.keys() <= schema["properties"].keys():
        return {**known, "test_case_ids": [target.cases[0]]}
    contract = load_contract()
    nodes = {name: contract.resolve(schema["properties"][name]) for name in schema.get("required", ())}
    return {name: next(iter(node.get("enum", ("value",)))) for name, node in nodes.items()}


def _mark_string(node: JsonObject) -> str:
    """A value of a field with the mark in it, which keeps the beginning that the field requires."""
    prefix = _ALPHABET.match(node.get("pattern", ""))
    if prefix:
        return f"{prefix[1]}{_MARK}"
    beginning = node.get("enum", ("",))[0]
    return f"{beginning}{_MARK}"


PROBES: Final = (Probe("strings of all kinds", send_strings, (_RULE,)),)
"""The probe of the strings in bodies."""
