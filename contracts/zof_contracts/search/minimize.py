"""Minimizing: a recorded trace cut down to what shows the finding, and sent once more to see that it does.

What has nothing to do with the exchanges that show the finding (no ID, cursor or idempotency key in common, not even by
way of others) is left out, without sending anything; then halves and singles are left out and what is left is sent
again, within the client's budget, as long as the last answers still are what they were. Plug in: `minimize(finding,
client, last=3)`; a finding whose answers are never the same twice keeps the trace that it has.
"""

from __future__ import annotations

import re
import time
from contextlib import suppress
from dataclasses import replace
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
_LONGEST_REAL_WAIT: Final = 5.0
"""Seconds between two requests of a trace that is sent again, where nothing moves the target's clock."""
_TRIES: Final = 20
"""How often a trace is sent again to cut it down, at the most."""
_PATIENCE: Final = 30.0
"""Seconds after which it is short enough."""

Trace = tuple["Exchange", ...]


def minimize(finding: Finding, client: Client, *, last: int = 1) -> Finding:
    """The finding with the shortest trace found within the budget that still shows it, by its last exchanges."""
    trace = find_related(finding.trace, last)
    if len(trace) <= last or (client.target.profile != "full" and _writes(trace)):
        return finding
    if not _same(resend(trace, client), trace, last):
        return finding
    cutting = _Cutting(client, trace, last)
    with suppress(Stopped):  # what was left out until then stays out
        cutting.cut()
    return replace(finding, trace=cutting.trace)


def find_related(trace: Sequence[Exchange], last: int = 1) -> Trace:
    """The exchanges that have something to do with the last ones, by way of others too."""
    kept = set(range(len(trace))[-last:])
    names = {name for place in kept for name in _mentioned(trace[place])}
    grown = True
    while grown:
        grown = False
        for place, exchange in enumerate(trace):
            if place not in kept and names & (mentioned := _mentioned(exchange)):
                kept.add(place)
                names |= mentioned
                grown = True
    return tuple(trace[place] for place in sorted(kept))


def with_prerequisites(journal: Sequence[Exchange], trace: Sequence[Exchange]) -> Trace:
    """A trace, and before it what made the things that its requests name: a start, say, and what was done to that run.

    Only what was written by us is among it; what was there before is there still.
    """
    places = {exchange.number for exchange in trace}
    wanted = {name for exchange in trace for name in _NAMES.findall(exchange.request.path)}
    for exchange in journal[: max(places) - 1]:
        made = (
            exchange.request.method == "POST" and exchange.response.ok and exchange.response.fields.get("id") in wanted
        )
        if made:
            places.add(exchange.number)
    return tuple(journal[number - 1] for number in sorted(places))


def _mentioned(exchange: Exchange) -> set[str]:
    request, body = exchange.request, exchange.response.body.decode("utf-8", "replace")
    text = f"{request.target} {request.body.decode('utf-8', 'replace')} {body}"
    key = request.header("idempotency-key")
    cursor = [
        value
        for name, _, value in (part.partition("=") for part in request.query.split("&"))
        if name == "starting_after"
    ]
    return {*_NAMES.findall(text), *_CURSOR.findall(body), *cursor, *([f"key {key}"] if key else [])}


class _Cutting:
    """Delta debugging, while it is worth it."""

    def __init__(self, client: Client, trace: Trace, last: int) -> None:
        self.client = client
        self.trace = trace
        self.last = last
        self._tries = 0
        self._since = time.monotonic()

    def cut(self) -> None:
        """Leave out ever smaller pieces, never the last exchanges nor one that writes."""
        size = len(self.trace) // 2
        while size:
            place = 0
            while place < len(self.trace) - self.last and self._worth():
                end = min(place + size, len(self.trace) - self.last)
                without = self.trace[:place] + self.trace[end:]
                if not _writes(self.trace[place:end]) and self._shows(without):
                    self.trace = without
                else:
                    place = end
            size //= 2

    def _shows(self, trace: Trace) -> bool:
        self._tries += 1
        return _same(resend(trace, self.client), trace, self.last)

    def _worth(self) -> bool:
        return self._tries < _TRIES and time.monotonic() < self._since + _PATIENCE


def _writes(trace: Sequence[Exchange]) -> bool:
    return any(exchange.request.method != "GET" for exchange in trace)


def resend(trace: Sequence[Exchange], client: Client) -> list[Exchange]:
    """Send a trace again, with the IDs and cursors of the new answers, and the pauses that there were."""
    now: dict[str, str] = {}
    again: list[Exchange] = []
    salt = str(len(client.journal))
    settle_runs(client)
    for before, exchange in zip((None, *trace), trace, strict=False):
        if before is not None and (pause := read_server_time(exchange) - read_server_time(before)) > 0:
            longest = _LONGEST_WAIT if client.target.advance else _LONGEST_REAL_WAIT
            client.wait(min(pause, longest), "a trace that is sent again")
        try:
            again.append(client.send(_renamed(exchange.request, now, salt)))
        except Unanswered as unanswered:
            again.append(unanswered.exchange)
        then, new = (each.response.body.decode("utf-8", "replace") for each in (exchange, again[-1]))
        for pattern in (_NAMES, _CURSOR):
            now.update(zip(pattern.findall(then), pattern.findall(new), strict=False))
    return again


def settle_runs(client: Client) -> None:
    """Let what was started before come to its end, where that takes no time."""
    if client.target.advance:
        client.wait(_LONGEST_WAIT, "what was started before")


def _renamed(request: Request, now: dict[str, str], salt: str) -> Request:
    def new(text: str) -> str:
        for name in sorted(now, key=len, reverse=True):
            text = text.replace(name, now[name])
        return text

    headers = tuple(
        (name, f"{value[:200]}-{salt}" if name.lower() == "idempotency-key" and _right(value) else value)
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


def _right(key: str) -> bool:
    """Whether an idempotency key is one; what is none stays as it is, since that may be the point."""
    return 0 < len(key) <= 255 and key.isascii() and key.isprintable()  # noqa: PLR2004  what the document says


def _same(again: Sequence[Exchange], trace: Sequence[Exchange], last: int) -> bool:
    """Whether the last answers are what they were, but for times, and IDs that are the same where they were."""
    return _faces(again)[-last:] == _faces(trace)[-last:]


def _faces(trace: Sequence[Exchange]) -> list[tuple[int, str]]:
    known: dict[str, str] = {}

    def face(exchange: Exchange) -> tuple[int, str]:
        text = _VOLATILE.sub("*", exchange.response.body.decode("utf-8", "replace"))
        named = _NAMES.sub(lambda found: known.setdefault(found[0], f"#{len(known)}"), text)
        return exchange.response.status, named

    return [face(exchange) for exchange in trace]
