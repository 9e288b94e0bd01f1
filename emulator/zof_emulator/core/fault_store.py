"""The fault rules of a world, indexed by what they match, and the counts of the requests that matched them.

Rules whose conditions are equal share a bucket. A request finds its buckets by lookups, so rules that do not match are
not visited, however many there are. A bucket counts its requests once for all of its rules, and keeps the rules that
will be due on a heap; a request costs time only for the rules that are due.
"""

from __future__ import annotations

import json
from collections import Counter, deque
from hashlib import blake2b
from heapq import heapify, heappop, heappush
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from zof_emulator.core.faults import MOST_RULES, FaultRule, Match, ScheduleKind
from zof_emulator.core.refusal import Refused

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from zof_emulator.core.faults import Schedule

    _Values = tuple[str, str, str, tuple[str, str] | None, tuple[str, str] | None]
    """Conditions: organization, key, path, header and body field."""

_PREFIX: Final = "fault_"
_HUNDRED: Final = 100


class FaultCall(NamedTuple):
    """A request, as rules match it."""

    operation: str
    path: str
    organization: str = ""
    """The organization of a valid key; empty without one."""
    key: str = ""
    """The digest of a valid key; empty without one."""
    headers: tuple[tuple[str, str], ...] = ()
    """Names in lower case, and values."""
    fields: tuple[tuple[str, str], ...] = ()
    """The names of the body's fields, and their values or list items in the form of `write_canonical`."""


class Firing(NamedTuple):
    """A rule that is due for a request."""

    id: str
    rule: FaultRule
    latency_ms: int
    """The delay of the effect, in real ms."""


class CountedRule(NamedTuple):
    """A rule with its counts."""

    id: str
    rule: FaultRule
    calls: int
    """The number of requests that matched it."""
    hits: int
    """The number of requests that got its effect."""


class _Entry:
    """A rule in its bucket."""

    __slots__ = ("base", "hits", "number", "rule")

    def __init__(self, number: int, rule: FaultRule, base: int, hits: int = 0) -> None:
        self.number = number
        self.rule = rule
        self.base = base
        """The bucket's count of requests when the rule was added."""
        self.hits = hits


class _Bucket:
    """The rules with the same conditions, and the number of requests that met them."""

    __slots__ = ("calls", "due", "entries", "lasting")

    def __init__(self) -> None:
        self.calls = 0
        self.entries: dict[int, _Entry] = {}
        self.lasting: deque[_Entry] = deque()
        """The rules that are due for every request, or for all of the first ones, in the order of their numbers."""
        self.due: list[tuple[int, int]] = []
        """A heap of the other rules: the count of requests at which each is due next, and its number."""

    def add(self, entry: _Entry, seed: int) -> None:
        self.entries[entry.number] = entry
        if _is_lasting(entry.rule.schedule):
            self.lasting.append(entry)
        else:
            self._plan(entry, self.calls + 1, seed)

    def remove(self, number: int) -> None:
        del self.entries[number]
        self.lasting = deque(one for one in self.lasting if one.number != number)
        self.due = [one for one in self.due if one[1] != number]
        heapify(self.due)

    def count(self, seed: int) -> _Entry | None:
        """Count a request; return the first rule that is due for it, or None."""
        self.calls += 1
        while self.lasting and _has_passed(self.lasting[0], self.calls):
            self.lasting.popleft()
        first = self.lasting[0] if self.lasting else None
        while self.due and self.due[0][0] <= self.calls:
            entry = self.entries[heappop(self.due)[1]]
            self._plan(entry, self.calls + 1, seed)
            first = entry if first is None or entry.number < first.number else first
        return first

    def _plan(self, entry: _Entry, earliest: int, seed: int) -> None:
        at = _find_next_due(entry, earliest, seed)
        if at is not None:
            heappush(self.due, (at, entry.number))


class FaultTable:
    """The buckets of the rules for one operation, or for every one, and the values that their conditions name."""

    __slots__ = ("fields", "headers", "keys", "organizations", "paths", "shapes")

    def __init__(self) -> None:
        self.shapes: dict[tuple[bool, ...], dict[_Values, _Bucket]] = {}
        """The buckets by which conditions there are, and by the conditions."""
        self.organizations: Counter[str] = Counter()
        self.keys: Counter[str] = Counter()
        self.paths: Counter[str] = Counter()
        self.headers: dict[str, Counter[str]] = {}
        """The values by the name of the header."""
        self.fields: dict[str, Counter[str]] = {}
        """The values by the name of the field."""

    def open_bucket(self, values: _Values) -> _Bucket:
        """The bucket for these conditions; a new one if there is none."""
        buckets = self.shapes.setdefault(_find_shape(values), {})
        bucket = buckets.get(values)
        if bucket is None:
            bucket = buckets[values] = _Bucket()
            self._count(values, 1)
        return bucket

    def drop_bucket(self, values: _Values) -> None:
        """Remove the bucket for these conditions."""
        shape = _find_shape(values)
        del self.shapes[shape][values]
        if not self.shapes[shape]:
            del self.shapes[shape]
        self._count(values, -1)

    def _count(self, values: _Values, by: int) -> None:
        organization, key, path, header, body = values
        counters = [(self.organizations, organization), (self.keys, key), (self.paths, path)]
        for named, pair in ((self.headers, header), (self.fields, body)):
            if pair is not None:
                counters.append((named.setdefault(pair[0], Counter()), pair[1]))
        for counter, value in counters:
            counter[value] += by
            if not counter[value]:
                del counter[value]
        for named in (self.headers, self.fields):
            for name in [name for name, counter in named.items() if not counter]:
                del named[name]

    def find(self, call: FaultCall, seed: int) -> Iterator[_Entry]:
        """Count a request; the first rule that is due for it in each of its buckets."""
        for shape, buckets in self.shapes.items():
            for values in _list_values(call, shape):
                bucket = buckets.get(values)
                found = None if bucket is None else bucket.count(seed)
                if found is not None:
                    yield found


class FaultStore:
    """The fault rules of a world. The first rule that is due for a request gives its effect; all count the request."""

    __slots__ = ("_added", "_rules", "_seed", "tables")

    def __init__(self, seed: int) -> None:
        self._seed = seed
        self._added = 0
        self._rules: dict[int, _Bucket] = {}
        self.tables: dict[str, FaultTable] = {}
        """The tables by operation, "" for the rules for every one; empty without rules."""

    def __len__(self) -> int:
        """The number of rules."""
        return len(self._rules)

    def add(self, rule: FaultRule) -> CountedRule:
        """Add a rule after the others.

        Raises:
            Refused: there are too many rules.
        """
        if len(self._rules) >= MOST_RULES:
            raise Refused("too_many_faults", most=MOST_RULES)
        self._added += 1
        self._insert(_Entry(self._added, rule, 0), 0)
        return self.get(_PREFIX + str(self._added))

    def _insert(self, entry: _Entry, calls: int) -> None:
        match = entry.rule.match
        table = self.tables.get(match.operation)
        if table is None:
            table = self.tables[match.operation] = FaultTable()
        bucket = table.open_bucket(_list_conditions(match))
        entry.base = bucket.calls - calls
        bucket.add(entry, self._seed)
        self._rules[entry.number] = bucket

    def remove(self, name: str) -> CountedRule:
        """Remove the rule with this ID; return it.

        Raises:
            Refused: no rule has this ID.
        """
        gone = self.get(name)
        number = int(name.removeprefix(_PREFIX))
        bucket = self._rules.pop(number)
        bucket.remove(number)
        if not bucket.entries:
            table = self.tables[gone.rule.match.operation]
            table.drop_bucket(_list_conditions(gone.rule.match))
            if not table.shapes:
                del self.tables[gone.rule.match.operation]
        return gone

    def replace(self, rules: Iterable[FaultRule]) -> None:
        """Remove all rules, and add these. Raises `Refused` when there are too many; nothing changes then."""
        chosen = tuple(rules)
        if len(chosen) > MOST_RULES:
            raise Refused("too_many_faults", most=MOST_RULES)
        self._clear()
        for rule in chosen:
            self.add(rule)

    def _clear(self) -> None:
        self._rules.clear()
        self.tables.clear()

    def get(self, name: str) -> CountedRule:
        """The rule with this ID.

        Raises:
            Refused: no rule has this ID.
        """
        word = name.removeprefix(_PREFIX)
        number = int(word) if name != word and word.isascii() and word.isdecimal() and len(word) < 20 else 0  # noqa: PLR2004
        bucket = self._rules.get(number)
        if bucket is None or name != f"{_PREFIX}{number}":
            raise Refused("fault_not_found")
        entry = bucket.entries[number]
        return CountedRule(name, entry.rule, bucket.calls - entry.base, entry.hits)

    def rules(self) -> Iterator[CountedRule]:
        """All rules, in the order in which they were added."""
        return (self.get(f"{_PREFIX}{number}") for number in self._rules)

    def find_tables(self, operation: str) -> tuple[FaultTable, ...]:
        """The tables of the rules that may match requests for an operation."""
        found = self.tables.get(operation), self.tables.get("")
        return tuple(table for table in found if table is not None)

    def find(self, call: FaultCall) -> Firing | None:
        """Count a request, and return the rule that is due for it, if any. Call it once for each request."""
        due = [entry for table in self.find_tables(call.operation) for entry in table.find(call, self._seed)]
        first = min(due, key=lambda entry: entry.number, default=None)
        if first is None:
            return None
        first.hits += 1
        return Firing(f"{_PREFIX}{first.number}", first.rule, self._draw_latency(first))

    def _draw_latency(self, entry: _Entry) -> int:
        if entry.rule.effect.latency_ms is None:
            return 0
        least, most = entry.rule.effect.latency_ms
        return least + _draw(self._seed, "latency", entry.number, entry.hits) % (most - least + 1)

    def to_json(self) -> dict[str, Any]:
        """All rules with their counts as JSON; each rule is a JSON text, because its bodies may hold any number."""
        rows = [
            [number, json.dumps(one.rule.to_json()), one.calls, one.hits]
            for number, one in zip(self._rules, self.rules(), strict=True)
        ]
        return {"added": self._added, "rules": rows}

    def restore(self, saved: Mapping[str, Any]) -> None:
        """Replace all rules by the saved ones.

        Raises:
            ValueError: a rule is not valid, or the numbers do not ascend.
        """
        self._clear()
        self._added = last = 0
        for number, rule, calls, hits in saved["rules"]:
            if not last < number <= saved["added"] or hits > calls or len(self._rules) >= MOST_RULES:
                raise ValueError("faults")
            self._insert(_Entry(number, FaultRule.from_json(json.loads(rule)), 0, hits), calls)
            last = number
        self._added = saved["added"]


_NO_PAIR: Final = (None,)


def _list_conditions(match: Match) -> _Values:
    """The conditions of a rule besides its operation."""
    return match.organization, match.key, match.path, match.header, match.body


def _find_shape(values: _Values) -> tuple[bool, ...]:
    """Which conditions there are."""
    return tuple(map(bool, values))


def _list_values(call: FaultCall, shape: tuple[bool, ...]) -> Iterable[_Values]:
    """The conditions of this shape that a request meets."""
    has_organization, has_key, has_path, has_header, has_body = shape
    organization = call.organization if has_organization else ""
    key, path = call.key if has_key else "", call.path if has_path else ""
    if not has_header and not has_body:
        return ((organization, key, path, None, None),)
    headers, fields = call.headers if has_header else _NO_PAIR, call.fields if has_body else _NO_PAIR
    return [(organization, key, path, header, field) for header in headers for field in fields]


def _is_lasting(schedule: Schedule) -> bool:
    kind, number = schedule.kind, schedule.number
    is_full = kind is ScheduleKind.PERCENT and number == _HUNDRED
    return is_full or kind in {ScheduleKind.ALWAYS, ScheduleKind.FIRST} or (kind, number) == (ScheduleKind.EVERY, 1)


def _has_passed(entry: _Entry, calls: int) -> bool:
    """Whether a lasting rule is not due any more at this count of requests."""
    schedule = entry.rule.schedule
    return schedule.kind is ScheduleKind.FIRST and calls - entry.base > schedule.number


def _find_next_due(entry: _Entry, earliest: int, seed: int) -> int | None:
    """The count of requests, `earliest` or later, at which a rule is due next; None if it never is again."""
    kind, number = entry.rule.schedule.kind, entry.rule.schedule.number
    nth = earliest - entry.base
    if kind is ScheduleKind.NTH:
        return entry.base + number if nth <= number else None
    if kind is ScheduleKind.EVERY:
        return entry.base + -(-nth // number) * number
    while _draw(seed, "share", entry.number, nth) % _HUNDRED >= number:
        nth += 1
    return entry.base + nth


def _draw(seed: int, purpose: str, number: int, nth: int) -> int:
    """A number that follows from the seed."""
    return int.from_bytes(blake2b(f"{seed}/fault/{purpose}/{number}/{nth}".encode(), digest_size=8).digest(), "big")
