"""The filters of the journal, judged: what no operation has is refused, with the nearest name that there is."""

from __future__ import annotations

import re
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any, NamedTuple

from zof_emulator.core.refusal import Refused
from zof_emulator.http.policy import JOURNALED_CONTROL_OPERATIONS

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from zof_emulator.spec.operation import Operation

_LONGEST_NAME = 100
_FAULT = re.compile(r"fault_[1-9][0-9]{0,18}|prefer|any|none")


class KnownNames(NamedTuple):
    """The names that a filter may use."""

    fields: Mapping[str, frozenset[str]]
    """The fields of the body of each operation that the journal records, by the operation's ID."""
    reasons: frozenset[str]
    """Why a request can be refused."""


def collect_names(api: Iterable[Operation], control: Iterable[Operation], elsewhere: Iterable[str]) -> KnownNames:
    """The names in the two documents; `elsewhere` are the reasons of requests that reach no operation."""
    found = [*api, *(one for one in control if one.id in JOURNALED_CONTROL_OPERATIONS)]
    fields = {one.id: frozenset() if one.body is None else one.body.rules.names for one in found}
    return KnownNames(fields, frozenset(elsewhere).union(*(one.reasons for one in found)))


def check_filters(names: KnownNames, filters: Mapping[str, Any]) -> None:
    """Raise `Refused` for the first filter that names an operation, a reason or a field that does not exist."""
    if "operation" in filters:
        _check("operation", filters["operation"], names.fields, "an operation ID such as cancelRun")
    if "refused" in filters:
        _check("refused", filters["refused"], names.reasons, "a reason such as rate_limited")
    if "fault" in filters and not _FAULT.fullmatch(filters["fault"]):
        raise Refused("invalid_value", "fault", expected="the ID of a fault such as fault_1, or prefer, any or none")
    own = names.fields.get(filters.get("operation", ""))
    known = frozenset().union(*names.fields.values()) if own is None else own
    for name in filters.get("body", ()):
        _check(f"body.{name[:_LONGEST_NAME]}", name, known, "a field of the body of this operation")


def _check(param: str, name: str, known: Iterable[str], expected: str) -> None:
    if name in known:
        return
    near = get_close_matches(name[:_LONGEST_NAME], known, 1)
    raise Refused("invalid_value", param, expected=f"{expected}; the nearest is {near[0]}" if near else expected)
