"""The parts of the contract that traffic can reach, derived from `openapi.yaml`."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from typing import TYPE_CHECKING, Any, Final

from zof_contracts.contract.document import load_contract
from zof_contracts.contract.resources import load_resources

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_BOUNDS: Final = (("minItems", "maxItems", "items"), ("minLength", "maxLength", "characters"))
_HOLE: Final = re.compile(r"\\\{\w+\\\}")
_PARAM: Final = re.escape("{param}")
_WILD: Final = re.compile(r"\(\?P<param>|[.][*]|\)")
_SHORTEST_STRING: Final = 1
"""A lower bound of this many characters says only that a string is not empty."""


class Group(StrEnum):
    """A kind of part."""

    OPERATIONS = "operations"
    STATUSES = "statuses"
    REASONS = "error reasons"
    TRANSITIONS = "transitions"
    TERMINAL = "terminal statuses"
    EVENTS = "webhook events"
    FILTERS = "filters"
    LIMITS = "smallest and largest values"


@dataclass(frozen=True, slots=True)
class Limit:
    """The smallest or the largest value or size of a field or a parameter."""

    operation: str
    name: str
    measure: str
    """The unit of the limit: `value`, `items` or `characters`."""
    bound: int

    def __str__(self) -> str:
        unit = "" if self.measure == "value" else f" {self.measure}"
        return f"{self.operation} {self.name} {self.bound}{unit}"


@dataclass(frozen=True, slots=True)
class Reason:
    """One message of a reason for a refusal; the reason's name is that of its example in the document."""

    name: str
    status: int
    pattern: re.Pattern[str]
    """The message, with anything in place of what varies; the group `param`, if there is one, is the param."""
    param: str
    """The param in the example; empty without one."""

    def matches(self, status: int, message: str, param: object) -> bool:
        """Whether an error may have this reason."""
        found = self.pattern.fullmatch(message) if status == self.status else None
        return found is not None and found.groupdict().get("param", param) == param


@cache
def list_parts() -> Mapping[Group, tuple[str, ...]]:
    """The names of all parts by group, in the order of the document."""
    contract, resources = load_contract(), load_resources()
    operations = contract.operations.values()
    return {
        Group.OPERATIONS: tuple(contract.operations),
        Group.STATUSES: tuple(f"{each.id} {status}" for each in operations for status in each.responses),
        Group.REASONS: tuple(dict.fromkeys(reason.name for reason in list_reasons())),
        Group.TRANSITIONS: tuple(
            f"{before} to {after}" for before, later in contract.transitions.items() for after in later
        ),
        Group.TERMINAL: tuple(status for status in contract.transitions if status in contract.terminal),
        Group.EVENTS: tuple(contract.document["webhooks"]),
        Group.FILTERS: tuple(
            f"{name} {each}" for name, filters in resources.filters.items() for each in sorted(filters)
        ),
        Group.LIMITS: tuple(str(limit) for limit in list_limits()),
    }


@cache
def list_limits() -> tuple[Limit, ...]:
    """The smallest and the largest value of every limited part of a request."""
    return tuple(_find_limits())


def _find_limits() -> Iterator[Limit]:
    contract, resources = load_contract(), load_resources()
    for operation in resources.pages:
        yield Limit(operation, "limit", "value", 1)
        yield Limit(operation, "limit", "value", resources.largest_page)
    for operation, schema in resources.inputs.items():
        for name, node in contract.at(f"#/components/schemas/{schema}")["properties"].items():
            yield from _find_bounds(operation, name, contract.resolve(node))


def _find_bounds(operation: str, name: str, node: Mapping[str, Any]) -> Iterator[Limit]:
    for low, high, measure in _BOUNDS:
        if low in node and not (measure == "characters" and node[low] == _SHORTEST_STRING):
            yield Limit(operation, name, measure, node[low])
        if high in node:
            yield Limit(operation, name, measure, node[high])


@cache
def list_reasons() -> tuple[Reason, ...]:
    """The reasons of refusals; those whose message says most come first."""
    contract = load_contract()
    answers = [pair for operation in contract.operations.values() for pair in operation.responses.items()]
    found: dict[tuple[str, str, str], Reason] = {}
    for status, response in [*answers, *contract.document["x-elsewhere"].items()]:
        content = contract.resolve(response).get("content", {}).get("application/json", {})
        for name, node in content.get("examples", {}).items():
            example = contract.resolve(node)
            value = example.get("value", {})
            if isinstance(value, dict) and "error" in value:
                message, param = example.get("x-message", value["error"]["message"]), value["error"].get("param", "")
                found[name, message, param] = Reason(name, int(status), _compile(message), param)
    return tuple(sorted(found.values(), key=lambda each: -len(_WILD.sub("", each.pattern.pattern))))


def _compile(message: str) -> re.Pattern[str]:
    return re.compile(_HOLE.sub(".*", re.escape(message).replace(_PARAM, "(?P<param>.*)")), re.DOTALL)


def find_reason(status: int, error: Mapping[str, Any]) -> str:
    """The name of the reason of an error; empty if the document has none with such a message."""
    message, param = error.get("message"), error.get("param")
    if not isinstance(message, str):
        return ""
    matches = [reason for reason in list_reasons() if reason.matches(status, message, param)]
    return next((each.name for each in [*(one for one in matches if one.param == param), *matches]), "")
