"""Describes the unusual parts of a request, in words that name parts of the document.

The description distinguishes findings that many requests may show: two requests to one operation with different
unusual parts are two findings, each with its own script. It contains no ID and no value.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import parse_qsl

from zof_contracts.contract.document import load_contract
from zof_contracts.contract.resources import list_parameters, load_resources

if TYPE_CHECKING:
    from collections.abc import Iterator

    from zof_contracts.contract.document import Operation
    from zof_contracts.evidence.exchange import Exchange

_PLAIN_ID: Final = re.compile(r"[a-z]+_[A-Za-z0-9_-]{1,64}")

_PAGING: Final = frozenset({"limit", "starting_after"})


def describe_request(exchange: Exchange) -> str:
    """The parts of a request that set it apart from the plainest one to its operation; empty for the plainest."""
    operation = load_contract().operations.get(exchange.operation)
    if operation is None:
        return exchange.request.method
    parts = [*_describe_path(exchange, operation), *_describe_query(exchange), *_describe_body(exchange)]
    if exchange.request.header("idempotency-key") is not None:
        parts.append("Idempotency-Key")
    return ", ".join(dict.fromkeys(parts))


def _describe_path(exchange: Exchange, operation: Operation) -> Iterator[str]:
    template, given = operation.path.split("/")[1:], exchange.request.path.split("/")[2:]
    for part, value in zip(template, given, strict=False):
        if part.startswith("{") and not _PLAIN_ID.fullmatch(value):
            yield f"odd {part.strip('{}')}"


def _describe_query(exchange: Exchange) -> Iterator[str]:
    """The parameters; those of paging only where there are no others, since most requests have them."""
    known = list_parameters(load_contract(), exchange.operation)
    names = sorted({name for name, _ in parse_qsl(exchange.request.query, keep_blank_values=True)})
    for name in [each for each in names if each not in _PAGING] or names:
        yield name if name in known else "unknown parameter"


def _describe_body(exchange: Exchange) -> Iterator[str]:
    schema = load_resources().inputs.get(exchange.operation)
    if schema is None:
        return
    if not exchange.request.body:
        yield "no body"
        return
    try:
        body = json.loads(exchange.request.body)
    except (ValueError, RecursionError):
        yield "malformed body"
        return
    if not isinstance(body, dict):
        yield "body that is no object"
        return
    properties = load_contract().at(f"#/components/schemas/{schema}")["properties"]
    for name in sorted(body):
        if name not in properties:
            yield "unknown field" if name.isascii() else "unknown field beyond ASCII"
        elif flaw := _describe_value(body[name], load_contract().resolve(properties[name])):
            yield f"{name} {flaw}"


def _describe_value(value: Any, schema: dict[str, Any]) -> str:  # noqa: ANN401  a JSON value
    """The description of an unusual value; empty if nothing about it is unusual."""
    if schema.get("type") == "array":
        if not isinstance(value, list):
            return "of another type"
        item = load_contract().resolve(schema["items"])
        flaws = {_describe_value(each, item) for each in value}
        return next(iter(sorted(flaws - {""})), "" if value else "empty")
    if not isinstance(value, str):
        return "of another type"
    if not value.isascii() or "\x00" in value:
        return "beyond ASCII" if not value.isascii() else "with NUL"
    fits = value in schema["enum"] if "enum" in schema else re.search(schema.get("pattern", ""), value)
    return "" if fits else "of another form"
