"""Minimizing: a recorded trace cut down to what shows the finding, and sent once more to see that it does.

What has nothing to do with the exchange that breaks the rule (no ID, cursor or idempotency key in common, not even by
way of others) is left out, without sending anything; then halves and singles are left out and what is left is sent
again, within the client's budget, as long as the last answer still is what it was. Plug in: `minimized(finding,
client)`; a finding that does not show again keeps its trace and is flaky.
"""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from contracts.client import Stopped, server_time

if TYPE_CHECKING:
    from collections.abc import Sequence

    from contracts.client import Client
    from contracts.findings import Finding
    from contracts.wire import Exchange, Request

_NAMES: Final = re.compile(r"\b(?:run|res|art|log|suite)_[\w-]+")
_VOLATILE: Final = re.compile(r"\b(?:run|res|art|log|req)_[\w-]+|[0-9-]{10}T[0-9:.]+Z")
_CURSOR: Final = re.compile(r'"next_cursor":\s*"([^"]+)"')
_LONGEST_WAIT: Final = 120.0

Trace = tuple["Exchange", ...]


def minimized(finding: Finding, client: Client) -> Finding:
    """The finding with the shortest trace found within the budget that still shows it."""
    trace = related(finding.trace)
    if len(trace) < 2 or (client.target.profile != "full" and _writes(trace)):  # noqa: PLR2004  nothing to leave out
        return replace(finding, trace=trace)
    try:
        shown = _sent(trace, client)
        if not _same(shown, trace):
            return replace(finding, flaky=not _same(_sent(finding.trace, client), finding.trace))
        shortest = _cut(trace, client)
    except Stopped:
        return replace(finding, trace=trace)
    return replace(finding, trace=shortest)


def related(trace: Sequence[Exchange]) -> Trace:
    """The exchanges that have something to do with the last one, by way of others too."""
    if not trace:
        return ()
    kept, names = {len(trace) - 1}, _mentioned(trace[-1])
    grown = True
    while grown:
        grown = False
        for place, exchange in enumerate(trace):
            if place not in kept and names & (mentioned := _mentioned(exchange)):
                kept.add(place)
                names |= mentioned
                grown = True
    return tuple(trace[place] for place in sorted(kept))


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


def _cut(trace: Trace, client: Client) -> Trace:
    """Delta debugging: leave out ever smaller pieces, never the last exchange nor one that writes."""
    size = len(trace) // 2
    while size:
        place = 0
        while place < len(trace) - 1:
            end = min(place + size, len(trace) - 1)
            without = trace[:place] + trace[end:]
            if not _writes(trace[place:end]) and _same(_sent(without, client), without):
                trace = without
            else:
                place = end
        size //= 2
    return trace


def _writes(trace: Sequence[Exchange]) -> bool:
    return any(exchange.request.method != "GET" for exchange in trace)


def _sent(trace: Trace, client: Client) -> list[Exchange]:
    """Send a trace again, with the IDs and cursors of the new answers, and the pauses that there were."""
    now: dict[str, str] = {}
    sent: list[Exchange] = []
    salt = str(len(client.journal))
    for before, exchange in zip((None, *trace), trace, strict=False):
        if before is not None and (pause := server_time(exchange) - server_time(before)) > 0:
            client.wait(min(pause, _LONGEST_WAIT), "a trace that is sent again")
        sent.append(client.send(_renamed(exchange.request, now, salt)))
        then, new = (each.response.body.decode("utf-8", "replace") for each in (exchange, sent[-1]))
        for pattern in (_NAMES, _CURSOR):
            now.update(zip(pattern.findall(then), pattern.findall(new), strict=False))
    return sent


def _renamed(request: Request, now: dict[str, str], salt: str) -> Request:
    def new(text: str) -> str:
        for name in sorted(now, key=len, reverse=True):
            text = text.replace(name, now[name])
        return text

    headers = tuple(
        (name, f"{value[:200]}-{salt}" if name.lower() == "idempotency-key" else value)
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


def _same(sent: Sequence[Exchange], trace: Sequence[Exchange]) -> bool:
    """Whether the last answer is what it was, but for IDs and times."""
    return _face(sent[-1]) == _face(trace[-1])


def _face(exchange: Exchange) -> tuple[int, str]:
    return exchange.response.status, _VOLATILE.sub("*", exchange.response.body.decode("utf-8", "replace"))
