"""The minimizer: a recorded trace is cut down to what shows the finding, and sent again to confirm it.

Exchanges that have nothing in common with those that show the finding (no ID, cursor or idempotency key, not even by
way of others) are left out without sending anything. Then halves and single exchanges are left out and the rest is sent
again, within the budget of the client, as long as the last answers stay the same. `minimize(finding, client, last=3)`
returns the finding with the shorter trace; one whose answers differ each time keeps its trace.
"""

from __future__ import annotations

import re
import time
from contextlib import suppress
from dataclasses import replace
from itertools import pairwise
from typing import TYPE_CHECKING, Final

from zof_contracts.evidence.header_values import read_server_time
from zof_contracts.target.budget import Stopped
from zof_contracts.target.client import Unanswered

if TYPE_CHECKING:
    from collections.abc import Sequence

    from zof_contracts.evidence.exchange import Exchange, Request
    from zof_contracts.evidence.findings import Finding
    from zof_contracts.target.client import Client

_NAMES: Final = re.compile(r"\b(?:run|res|art|log|suite)_[\w-]+")
_VOLATILE: Final = re.compile(r'\breq_[\w-]+|[0-9-]{10}T[0-9:.]+Z|(?<=_ms":)\s*\d+|"(?:sha256|next_cursor)":\s*"[^"]+"')
_CURSOR: Final = re.compile(r'"next_cursor":\s*"([^"]+)"')
_LONGEST_WAIT: Final = 120.0
LONGEST_REAL_WAIT: Final = 5.0
"""The longest pause between two repeated requests in seconds, where the clock of the target cannot be moved."""
_TRIES: Final = 20
"""How often a trace is sent again to cut it down."""
_PATIENCE: Final = 30.0
"""Seconds after which no more is left out."""

Trace = tuple["Exchange", ...]


def minimize(finding: Finding, client: Client, *, last: int = 1) -> Finding:
    """The finding with the shortest trace, within the budget, whose last exchanges still show it."""
    trace = find_related(finding.trace, last)
    if len(trace) <= last or (client.target.profile != "full" and _has_writes(trace)):
        return finding
    if not _are_same(resend(trace, client), trace, last):
        return finding
    cutting = _Reduction(client, trace, last)
    with suppress(Stopped):  # the exchanges left out so far stay out
        cutting.cut()
    return replace(finding, trace=cutting.trace)


def find_related(trace: Sequence[Exchange], last: int = 1) -> Trace:
    """The exchanges that share a name with the last ones, directly or by way of others."""
    chosen = set(range(len(trace))[-last:])
    names = {name for index in chosen for name in _list_names(trace[index])}
    grown = True
    while grown:
        grown = False
        for index, exchange in enumerate(trace):
            if index not in chosen and names & (found := _list_names(exchange)):
                chosen.add(index)
                names |= found
                grown = True
    return tuple(trace[index] for index in sorted(chosen))


def add_prerequisites(journal: Sequence[Exchange], trace: Sequence[Exchange]) -> Trace:
    """A trace, preceded by the requests of ours that created what it names, such as the start of a run."""
    numbers = {exchange.number for exchange in trace}
    wanted = {name for exchange in trace for name in _NAMES.findall(exchange.request.path)}
    for exchange in journal[: max(numbers) - 1]:
        name = (
            exchange.response.fields.get("id") if exchange.request.method == "POST" and exchange.response.ok else None
        )
        if isinstance(name, str) and name in wanted:
            numbers.add(exchange.number)
    return tuple(journal[number - 1] for number in sorted(numbers))


def _list_names(exchange: Exchange) -> set[str]:
    request, body = exchange.request, exchange.response.body.decode("utf-8", "replace")
    text = f"{request.target} {request.body.decode('utf-8', 'replace')} {body}"
    key = request.header("idempotency-key")
    cursor = [
        value
        for name, _, value in (part.partition("=") for part in request.query.split("&"))
        if name == "starting_after"
    ]
    return {*_NAMES.findall(text), *_CURSOR.findall(body), *cursor, *([f"key {key}"] if key else [])}


class _Reduction:
    """Delta debugging, within tries and time."""

    def __init__(self, client: Client, trace: Trace, last: int) -> None:
        self.client = client
        self.trace = trace
        self.last = last
        self._tries = 0
        self._since = time.monotonic()

    def cut(self) -> None:
        """Leave out ever smaller pieces, but neither the last exchanges nor one that writes."""
        size = len(self.trace) // 2
        while size:
            index = 0
            while index < len(self.trace) - self.last and self._may_continue():
                end = min(index + size, len(self.trace) - self.last)
                without = self.trace[:index] + self.trace[end:]
                if not _has_writes(self.trace[index:end]) and self._still_shows(without):
                    self.trace = without
                else:
                    index = end
            size //= 2

    def _still_shows(self, trace: Trace) -> bool:
        self._tries += 1
        return _are_same(resend(trace, self.client), trace, self.last)

    def _may_continue(self) -> bool:
        return self._tries < _TRIES and time.monotonic() < self._since + _PATIENCE


def _has_writes(trace: Sequence[Exchange]) -> bool:
    return any(exchange.request.method != "GET" for exchange in trace)


def resend(trace: Sequence[Exchange], client: Client, *, longest_wait: float = LONGEST_REAL_WAIT) -> list[Exchange]:
    """Send a trace again, with the IDs and cursors of the new answers and the pauses of the old ones.

    `longest_wait` is the longest pause in seconds, where the clock of the target cannot be moved.
    """
    now: dict[str, str] = {}
    again: list[Exchange] = []
    salt = str(len(client.journal))
    settle_runs(client)
    for before, exchange in zip((None, *trace), trace, strict=False):
        if before is not None and (pause := _measure_pause(before, exchange)) > 0:
            longest = _LONGEST_WAIT if client.target.advance else longest_wait
            client.wait(min(pause, longest), "a trace that is sent again")
        try:
            again.append(client.send(_rename(exchange.request, now, salt)))
        except Unanswered as unanswered:
            again.append(unanswered.exchange)
        then, new = (each.response.body.decode("utf-8", "replace") for each in (exchange, again[-1]))
        for pattern in (_NAMES, _CURSOR):
            now.update(zip(pattern.findall(then), pattern.findall(new), strict=False))
    return again


def find_longest_pause(trace: Sequence[Exchange]) -> float:
    """The seconds between the two consecutive exchanges of a trace that are furthest apart."""
    return max((_measure_pause(*pair) for pair in pairwise(trace)), default=0.0)


def _measure_pause(before: Exchange, after: Exchange) -> float:
    return read_server_time(after) - read_server_time(before)


def settle_runs(client: Client) -> None:
    """Let the runs that were started before end, where the clock can be moved."""
    if client.target.advance:
        client.wait(_LONGEST_WAIT, "runs that were started before")


def _rename(request: Request, now: dict[str, str], salt: str) -> Request:
    def new(text: str) -> str:
        for name in sorted(now, key=len, reverse=True):
            text = text.replace(name, now[name])
        return text

    headers = tuple(
        (name, f"{value[:200]}-{salt}" if name.lower() == "idempotency-key" and _is_valid_key(value) else value)
        for name, value in request.headers
    )
    path, query = new(request.path), new(request.query)
    return replace(
        request,
        path=path,
        query=query,
        body=new(request.body.decode("utf-8", "surrogateescape")).encode("utf-8", "surrogateescape"),
        headers=headers,
    )


def _is_valid_key(key: str) -> bool:
    """Whether an idempotency key is well-formed; a malformed one, which the finding may be about, is sent unchanged."""
    return 0 < len(key) <= 255 and key.isascii() and key.isprintable()  # noqa: PLR2004  what the document says


def _are_same(again: Sequence[Exchange], trace: Sequence[Exchange], last: int) -> bool:
    """Whether the last answers are the same, apart from times and from the IDs of newly created objects."""
    return _normalize(again)[-last:] == _normalize(trace)[-last:]


def _normalize(trace: Sequence[Exchange]) -> list[tuple[int, str]]:
    known: dict[str, str] = {}

    def normalize_one(exchange: Exchange) -> tuple[int, str]:
        text = _VOLATILE.sub("*", exchange.response.body.decode("utf-8", "replace"))
        named = _NAMES.sub(lambda found: known.setdefault(found[0], f"#{len(known)}"), text)
        return exchange.response.status, named

    return [normalize_one(exchange) for exchange in trace]
