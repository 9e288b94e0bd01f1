"""The parts of the API: its lists, schemas, ID prefixes and page sizes, all derived from `openapi.yaml`.

An operation or a schema that is added to the document appears here without a change of code. `rules.yaml` states the
rule that owns it; `zof_contracts.contract.owners` refuses to load a document with a part that no rule owns.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any, Final

from zof_contracts.contract.document import Contract, load_contract, translate_extensions

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_PAGE: Final = frozenset({"data", "has_more", "next_cursor"})
"""The properties that make a schema a page of a list."""
_PAGING: Final = frozenset({"limit", "starting_after"})
"""The query parameters that every list has."""
_ID: Final = re.compile(r"\^([a-z]+_)\[")
"""The beginning of the pattern of an ID: its prefix."""


@dataclass(frozen=True, slots=True)
class Resources:
    """The parts of the API that rules are about, by the names that the document gives them."""

    operations: frozenset[str]
    """The IDs of the operations."""
    answers: Mapping[str, str]
    """The schema of the JSON answer to a successful request, by operation."""
    errors: frozenset[str]
    """The schemas of the JSON answers to refused requests."""
    inputs: Mapping[str, str]
    """The schema of the request body, by operation."""
    items: Mapping[str, str]
    """The schema of the items in `data`, by operation."""
    pages: Mapping[str, str]
    """The schema of a page, by the operation that lists."""
    filters: Mapping[str, frozenset[str]]
    """The query parameters of a list besides those of paging, by operation; lists without any are left out."""
    prefixes: Mapping[str, str]
    """The prefix of an ID, by its schema."""
    formats: frozenset[str]
    """The schemas of single values of a documented form that are not IDs: timestamps and durations."""
    page_size: int
    """The number of items in a page when no limit is given."""
    largest_page: int
    """The largest limit."""

    @property
    def schemas(self) -> frozenset[str]:
        """The schemas of which a rule must speak: whole answers and the items in them; others lie within these."""
        return frozenset(self.answers.values()) | frozenset(self.items.values()) | self.errors

    @property
    def values(self) -> frozenset[str]:
        """The schemas of single values of which a rule must speak."""
        return self.formats | self.prefixes.keys()


def read_resources(contract: Contract) -> Resources:
    """Derive the parts of the API from a document."""
    schemas: dict[str, Any] = contract.document["components"]["schemas"]
    answers = dict(_list_schemas(contract, "2"))
    items = {operation: item for operation, name in answers.items() if (item := _find_item(schemas[name]))}
    pages = {each: answers[each] for each in items if schemas[answers[each]]["properties"].keys() >= _PAGE}
    limit = contract.at("#/components/parameters/Limit")["schema"]
    return Resources(
        operations=frozenset(contract.operations),
        answers=answers,
        errors=frozenset(name for status in "45" for _, name in _list_schemas(contract, status)),
        inputs={operation: name for operation, name in _list_inputs(contract) if name},
        items=items,
        pages=pages,
        filters={each: found for each in pages if (found := list_parameters(contract, each) - _PAGING)},
        prefixes={name: start[1] for name, node in schemas.items() if (start := _match_id(node))},
        formats=frozenset(name for name, node in schemas.items() if node.keys() & {"format", "minimum"}),
        page_size=limit["default"],
        largest_page=limit["maximum"],
    )


def list_parameters(contract: Contract, operation: str) -> frozenset[str]:
    """The names of the query parameters of an operation."""
    parameters = map(contract.resolve, contract.operations[operation].node.get("parameters", ()))
    return frozenset(each["name"] for each in parameters if each["in"] == "query")


@cache
def list_fields(schema: str) -> frozenset[str]:
    """The documented properties of an object."""
    contract = load_contract()
    node = contract.at(f"#/components/schemas/{schema}")
    parts = [contract.resolve(part) for part in node.get("allOf", [node])]
    return frozenset(name for part in parts for name in part["properties"])


@cache
def load_resources() -> Resources:
    """The parts of the API, derived once."""
    return read_resources(load_contract())


def _list_schemas(contract: Contract, status: str) -> Iterator[tuple[str, str]]:
    """The operations with the schemas of their JSON answers whose status begins with a digit."""
    for operation in contract.operations.values():
        for documented, response in operation.responses.items():
            if documented.startswith(status) and (name := _name_schema(contract.resolve(response))):
                yield operation.id, name


def _list_inputs(contract: Contract) -> Iterator[tuple[str, str]]:
    for operation in contract.operations.values():
        yield operation.id, _name_schema(contract.resolve(operation.node.get("requestBody", {})))


def _name_schema(node: Mapping[str, Any]) -> str:
    """The name of the schema of a JSON body; empty when it has none."""
    schema = node.get("content", {}).get("application/json", {}).get("schema", {})
    return str(schema.get("$ref", "")).rpartition("/")[2]


def _match_id(schema: Mapping[str, Any]) -> re.Match[str] | None:
    """The prefix, when the pattern of a schema is that of an ID."""
    return _ID.match(translate_extensions(schema).get("pattern", ""))


def _find_item(schema: Mapping[str, Any]) -> str:
    """The name of the schema of the items in `data`; empty when the schema is no collection."""
    items = schema.get("properties", {}).get("data", {}).get("items", {})
    return str(items.get("$ref", "")).rpartition("/")[2]
