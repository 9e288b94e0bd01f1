"""The references of generated requests: they name what the target has, not what the examples of the document name.

How a deployment refuses a project, case, suite, run or environment that it does not have is not documented, so that the
refusal of such a request says nothing about whether correct requests are accepted.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import parse_qsl

from zof_contracts.contract.document import load_contract
from zof_contracts.contract.resources import load_resources

if TYPE_CHECKING:
    from collections.abc import Iterator

    from zof_contracts.evidence.exchange import Exchange
    from zof_contracts.target.client import Client
    from zof_contracts.target.target import Target

_EXAMPLES: Final = ("example", "examples")
_IDS: Final = re.compile("|".join(sorted(set(load_resources().prefixes.values()))))
"""The beginnings of IDs."""
_REFERENCES: Final = frozenset({"project_id", "test_case_ids", "test_suite_id", "run_id"})
"""The fields of bodies that name what a target has."""
_ENVIRONMENTS: Final = frozenset({"staging", "production"})
"""The environments that every organization has."""


def use_references(document: dict[str, Any], target: Target) -> None:
    """Let the parameters and bodies of a document name what the target has."""
    cases = [each for each in (*target.cases, target.failing_case, target.error_case) if each]
    values: dict[str, list[str]] = {
        "project_id": [target.project],
        "environment": [target.environment],
        "test_suite_id": [target.suite] if target.suite else [],
    }
    for name, schema in _list_inputs(document):
        if values.get(name):
            _restrict(schema, values[name])
        elif name == "test_case_ids":
            schema["items"] = {"type": "string", "enum": list(dict.fromkeys(cases))}
    _drop_examples(document)


def _list_inputs(document: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """The fields of bodies and the parameters of queries, each with its schema."""
    components = document["components"]
    for name in sorted(set(load_resources().inputs.values())):
        yield from components["schemas"][name]["properties"].items()
    for parameter in components["parameters"].values():
        if parameter["in"] == "query":
            yield parameter["name"], parameter["schema"]
    for item in document["paths"].values():
        for operation in (each for each in item.values() if isinstance(each, dict)):
            for parameter in operation.get("parameters", ()):
                if parameter.get("in") == "query":
                    yield parameter["name"], parameter["schema"]


def _restrict(schema: dict[str, Any], values: list[str]) -> None:
    schema.clear()
    schema.update({"type": "string", "enum": values})


def _drop_examples(document: dict[str, Any]) -> None:
    """Remove the examples of parameters, and of bodies with references: they name what the emulator has."""
    parameters = [*document["components"]["parameters"].values()]
    for item in document["paths"].values():
        for operation in (each for each in item.values() if isinstance(each, dict)):
            parameters += operation.get("parameters", ())
            if not _has_references(document, operation.get("operationId", "")):
                continue
            for content in operation.get("requestBody", {}).get("content", {}).values():
                _forget(content)
    for parameter in parameters:
        _forget(parameter)


def _has_references(document: dict[str, Any], operation: str) -> bool:
    """Whether the body of an operation names runs, projects, cases or suites."""
    name = load_resources().inputs.get(operation)
    return name is not None and not _REFERENCES.isdisjoint(document["components"]["schemas"][name]["properties"])


def _forget(node: dict[str, Any]) -> None:
    for name in _EXAMPLES:
        node.pop(name, None)


def names_unknown(exchange: Exchange, client: Client) -> bool:
    """Whether a request names something that the target need not have: an ID or an environment that we did not give."""
    target = client.target
    known = {target.project, target.environment, target.suite, target.failing_case, target.error_case, *target.cases}
    return any(value not in known and value not in client.started for value in _list_references(exchange))


def _list_references(exchange: Exchange) -> Iterator[str]:
    """The IDs in path, query and body, and the environment; the ID in a path is one whatever its form."""
    operation = load_contract().operations.get(exchange.operation)
    template = operation.path.split("/")[1:] if operation else []
    pairs = zip(template, exchange.request.path.split("/")[2:], strict=False)
    yield from (value for part, value in pairs if part.startswith("{"))
    values: list[Any] = [value for _, value in parse_qsl(exchange.request.query)]
    try:
        body = json.loads(exchange.request.body) if exchange.request.body else {}
    except (ValueError, RecursionError):
        body = {}
    fields = body if isinstance(body, dict) else {}
    for value in fields.values():
        values += value if isinstance(value, list) else [value]
    yield from (value for value in values if isinstance(value, str) and _IDS.match(value))
    environment = fields.get("environment")
    if isinstance(environment, str) and environment not in _ENVIRONMENTS:
        yield environment
