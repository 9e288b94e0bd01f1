"""Compares two answers to the same request, without what two deployments may name or time differently.

`Matching` pairs the IDs of one deployment with those of the other as they appear, so that a later answer that names
another object differs. Times are compared by their form, cursors, sizes, hashes and durations by their type.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from zof_contracts.contract.document import load_contract
from zof_contracts.evidence.findings import quote_value

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Sequence

    from zof_contracts.evidence.exchange import Exchange, Response

_ABSENT: Final = "nothing"
"""How a value is shown that one of the answers does not have."""
_BY_TYPE: Final = frozenset({"next_cursor", "sha256", "size_bytes"})
"""The fields of which only the type is compared, beside durations."""
_LISTS_OF_OTHERS: Final = frozenset({"listProjects", "listWebhooks"})
"""The operations whose items were there before, so that only the names of their fields are compared."""
_COUNTERS: Final = ("x-ratelimit-", "retry-after", "x-request-id", "content-length", "date")
"""The beginnings of the names of headers of which only the presence is compared."""
_TIME: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9:.]+(?:Z|[+-][0-9:]+)")
_DURATION: Final = re.compile(r" [0-9.]+ ?(?:ms|s|seconds?|milliseconds?)\b")
_WORD: Final = re.compile(r"[\w-]+")
_OUTCOMES: Final = frozenset({"passed", "failed", "error"})
_RUN_ENDED: Final = "ended"


@dataclass(frozen=True, slots=True)
class Difference:
    """A place at which two answers differ."""

    place: str
    """The status of the reference's answer, and `status`, `headers/NAME` or `body/PATH`; `*` is any item."""
    url: str
    """The value in the deployment's answer."""
    against: str
    """The value in the reference's answer."""


@dataclass(slots=True)
class Matching:
    """Which names of one deployment mean the same as names of the other."""

    references: Collection[str]
    """The names that both have: projects, cases, suites and environments."""
    has_equal_outcomes: bool = True
    """Whether the outcomes of cases are compared."""
    names: dict[str, str] = field(default_factory=dict)
    """The names of the reference by those of the deployment."""
    bases: tuple[str, str] = ("", "")
    """The addresses of both."""

    def compare(self, url: Exchange, against: Exchange) -> tuple[Difference, ...]:
        """All differences between two answers to the same request; the status alone if that differs."""
        ours, theirs = url.response, against.response
        if ours.status != theirs.status:
            return (Difference(f"{theirs.status}/status", str(ours.status), str(theirs.status)),)
        found: list[Difference] = []
        if ours.json is not None and theirs.json is not None:
            if against.operation in _LISTS_OF_OTHERS:
                found += _compare_shapes(ours, theirs)
            else:
                found += self._compare_values("body", ours.json, theirs.json)
        elif (ours.json is None) is not (theirs.json is None):
            found.append(Difference("body", *("no JSON" if each.json is None else "JSON" for each in (ours, theirs))))
        found += self._compare_headers(url, against)  # which name what the bodies have paired
        return tuple(Difference(f"{theirs.status}/{each.place}", each.url, each.against) for each in found)

    def _compare_headers(self, url: Exchange, against: Exchange) -> Iterator[Difference]:
        for name in list_headers(against.operation, against.response.status):
            ours, theirs = url.response.header(name), against.response.header(name)
            if ours is not None and theirs is not None:
                if name.startswith(_COUNTERS):
                    continue
                if name == "content-type":
                    ours, theirs = (each.partition(";")[0].strip().lower() for each in (ours, theirs))
                ours = self._translate(ours)
            if ours != theirs:
                yield Difference(f"headers/{name}", ours or _ABSENT, theirs or _ABSENT)

    def _compare_values(self, place: str, ours: Any, theirs: Any) -> Iterator[Difference]:  # noqa: ANN401  JSON values
        if isinstance(ours, dict) and isinstance(theirs, dict):
            for name in dict.fromkeys((*theirs, *ours)):
                yield from self._compare_members(f"{place}/{name}", name, ours, theirs)
        elif isinstance(ours, list) and isinstance(theirs, list):
            if len(ours) != len(theirs):
                yield Difference(f"{place}/length", str(len(ours)), str(len(theirs)))
            for mine, other in zip(ours, theirs, strict=False):
                yield from self._compare_values(f"{place}/*", mine, other)
        elif not self._are_equal(ours, theirs):
            yield Difference(place, quote_value(ours), quote_value(theirs))

    def _compare_members(
        self, place: str, name: str, ours: dict[str, Any], theirs: dict[str, Any]
    ) -> Iterator[Difference]:
        if name not in ours or name not in theirs:
            shown = (quote_value(each[name]) if name in each else _ABSENT for each in (ours, theirs))
            yield Difference(place, *shown)
            return
        mine, other = ours[name], theirs[name]
        if name in _BY_TYPE or name.endswith("_ms"):
            if type(mine) is not type(other):
                yield Difference(place, quote_value(mine), quote_value(other))
        elif isinstance(mine, str) and isinstance(other, str) and (name == "id" or name.endswith("_id")):
            if not self._are_paired(mine, other):
                yield Difference(place, quote_value(mine), quote_value(other))
        elif self.has_equal_outcomes or name not in {"summary", "failure_summary"}:
            yield from self._compare_values(place, mine, other)

    def _are_paired(self, ours: str, theirs: str) -> bool:
        """Whether two IDs mean the same, which they do from their first appearance on."""
        if ours in self.references or theirs in self.references:
            return ours == theirs
        if ours in self.names or theirs in self.names.values():
            return self.names.get(ours) == theirs
        self.names[ours] = theirs
        return True

    def _are_equal(self, ours: object, theirs: object) -> bool:
        if isinstance(ours, str) and isinstance(theirs, str):
            if not self.has_equal_outcomes:
                ours, theirs = (_RUN_ENDED if each in _OUTCOMES else each for each in (ours, theirs))
            return _mask_times(self._translate(ours)) == _mask_times(theirs)
        return type(ours) is type(theirs) and ours == theirs

    def _translate(self, text: str) -> str:
        """A text of the deployment with the names and the address of the reference."""
        if self.bases[0]:
            text = text.replace(self.bases[0], self.bases[1])
        return _WORD.sub(lambda found: self.names.get(found[0], found[0]), text)


def _compare_shapes(ours: Response, theirs: Response) -> Iterator[Difference]:
    """Compare the names of the fields of two lists, and of their first items if both have one."""
    pairs = [("body", ours.fields, theirs.fields)]
    if ours.items and theirs.items:
        pairs.append(("body/data/*", ours.items[0], theirs.items[0]))
    for place, mine, other in pairs:
        for name in dict.fromkeys((*other, *mine)):
            if (name in mine) is not (name in other):
                shown = (quote_value(each[name]) if name in each else _ABSENT for each in (mine, other))
                yield Difference(f"{place}/{name}", *shown)


def _mask_times(text: str) -> str:
    """The text with a zero for each digit of a time, and without its durations."""
    text = _TIME.sub(lambda found: re.sub("[0-9]", "0", found[0]), text)
    return _DURATION.sub(" ", text)


def list_headers(operation: str, status: int) -> Sequence[str]:
    """The headers that the document names for an answer, in lower case, and `content-type`."""
    contract = load_contract()
    if operation not in contract.operations:
        return ("content-type", "x-request-id")
    response = contract.resolve(contract.operations[operation].responses.get(str(status), {}))
    return ("content-type", *(name.lower() for name in response.get("headers", ()) if name.lower() != "content-type"))
