"""The control operations on the journal of a world."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import orjson

from zof_emulator.control.deliveries import show_delivery
from zof_emulator.control.journal_filters import check_filters
from zof_emulator.core.instants import format_rfc3339_ms
from zof_emulator.core.refusal import Refused
from zof_emulator.handlers.messages import Document, File, Reply, Request
from zof_emulator.http.policy import JOURNALED_CONTROL_OPERATIONS
from zof_emulator.http.world_registry import DEFAULT
from zof_emulator.journal import har
from zof_emulator.journal.view import find_differences, show_exchange

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator, Mapping

    from zof_emulator.control.journal_filters import KnownNames
    from zof_emulator.handlers.messages import Slices
    from zof_emulator.http.hosted_world import HostedWorld
    from zof_emulator.journal.ring import Journal
    from zof_emulator.journal.view import Shown

FORMAT: Final = "zof-emulator-journal"
VERSION: Final = 1
"""The version of the journal's file format."""
_SLICE: Final = 1 << 19
"""How many characters of bodies are shown in one slice: a few hundredths of a second of work."""
_WORK_OF_EXCHANGE: Final = 1 << 13
"""The work of showing an exchange without bodies, as a number of characters."""
_DELIVERIES_IN_SLICE: Final = 100
_COUNTS: Final = ("exactly", "at_least", "at_most")


def list_exchanges(hosted: HostedWorld, request: Request, names: KnownNames) -> Slices:
    """One page of the exchanges that match, the oldest first."""
    query = dict(request.query)
    check_filters(names, query)
    if "header" in query:
        query["headers"] = _read_header(query.pop("header"))
    limit, above = query.pop("limit"), query.pop("starting_after", 0)
    matching: list[Shown] = []
    for exchange in _show_all(hosted, above):
        if exchange is None:
            yield
            continue
        if not find_differences(exchange, query):
            matching.append(exchange)
            if len(matching) > limit:
                break
    more = len(matching) > limit
    page = {
        "data": matching[:limit],
        "has_more": more,
        "next_cursor": matching[limit - 1]["number"] if more else None,
        "dropped": _require_journal(hosted).dropped_count,
    }
    return Reply(200, Document(page))


def clear_journal(hosted: HostedWorld, _request: Request) -> Reply:
    """Delete all exchanges."""
    journal = _require_journal(hosted)
    gone = journal.count - journal.dropped_count
    hosted.end_journal()
    journal.clear()
    return Reply(200, Document({"cleared": gone}))


def _read_header(text: str) -> dict[str, str]:
    """A header in `Name: value`; `Refused` when it is none."""
    name, colon, value = text.partition(":")
    if not name.strip() or not colon:
        raise Refused("invalid_value", "header", expected="a name and a value, as in Idempotency-Key: once")
    return {name.strip(): value.strip()}


def verify_journal(hosted: HostedWorld, request: Request, names: KnownNames) -> Slices:
    """Say whether there were as many exchanges of a kind as asked for; if not, which one comes nearest, and why.

    If the operation is one of the API, the requests of the test to `/_emulator` are not among the exchanges.
    """
    journal, filters = _require_journal(hosted), dict(request.body)
    check_filters(names, filters)
    given = {name: filters.pop(name) for name in _COUNTS if name in filters} or {"at_least": 1}
    low = max(given.get("exactly", 0), given.get("at_least", 0))
    high = min((given[name] for name in ("exactly", "at_most") if name in given), default=None)
    is_about_api = filters.get("operation", "") in names.fields.keys() - JOURNALED_CONTROL_OPERATIONS
    count, total, nearest, fewest = 0, 0, None, list[dict[str, Any]]()
    for exchange in _show_all(hosted):
        if exchange is None:
            yield
            continue
        if is_about_api and exchange["operation"] in JOURNALED_CONTROL_OPERATIONS:
            continue
        total += 1
        differing = find_differences(exchange, filters)
        count += not differing
        if differing and (nearest is None or len(differing) <= len(fewest)):
            nearest, fewest = exchange, differing
    verified = count >= low and (high is None or count <= high)
    explanation = None if count >= low or nearest is None else {"exchange": nearest, "differences": fewest}
    wanted = " and ".join(f"{name.replace('_', ' ')} {value}" for name, value in given.items())
    message = f"{count} of {total} exchanges match, as asked: {wanted}."
    if not verified:
        message = f"{count} of {total} exchanges match; asked for {wanted}. " + _explain(explanation)
    answer: dict[str, Any] = {
        "verified": verified,
        "count": count,
        "message": message.strip(),
        "dropped": journal.dropped_count,
    }
    answer["nearest"] = explanation
    if verified:
        return Reply(200, Document(answer))
    return Reply(409, Document({**answer, "error": {"code": "conflict", "message": answer["message"]}}))


def export_journal(hosted: HostedWorld, public_url: str) -> Slices:
    """The journal as NDJSON: one line for the world, one for each exchange, one for each webhook delivery.

    `public_url` is the scheme and host of the links in the world's answers; if empty, those that each request used.
    """
    content = yield from _list_lines(hosted, public_url)
    return Reply(200, File("application/x-ndjson", f"{hosted.name or DEFAULT}.ndjson", lambda: content))


def list_lines(hosted: HostedWorld, public_url: str) -> list[bytes]:
    """The lines of the journal as NDJSON, made at once."""
    lines = _list_lines(hosted, public_url)
    while True:
        try:
            next(lines)
        except StopIteration as finished:
            content: list[bytes] = finished.value
            return content


def _list_lines(hosted: HostedWorld, public_url: str) -> Generator[None, None, list[bytes]]:
    content = [orjson.dumps(_build_header(hosted) | {"public_url": public_url}) + b"\n"]
    for one in _show_all(hosted):
        if one is None:
            yield
        else:
            content.append(orjson.dumps(one) + b"\n")
    for place, delivery in enumerate(hosted.world.outbox.deliveries(), 1):
        content.append(orjson.dumps({"delivery": show_delivery(hosted.world, delivery)}) + b"\n")
        if not place % _DELIVERIES_IN_SLICE:
            yield
    return content


def export_har(hosted: HostedWorld, request: Request) -> Slices:
    """The journal as an HTTP archive (HAR)."""
    entries: list[Shown] = []
    for one in _show_all(hosted):
        if one is None:
            yield
        else:
            entries.append(har.build_entry(one, request.base))
    name, content = f"{hosted.name or DEFAULT}.har", orjson.dumps(har.build_archive(entries))
    return Reply(
        200, File("application/json", name, lambda: (content,), len(content), sample=har.build_archive(entries[:1]))
    )


def _require_journal(hosted: HostedWorld) -> Journal:
    if hosted.journal is None:
        raise Refused("no_journal")
    return hosted.journal


def _show_all(hosted: HostedWorld, above: int = 0) -> Iterator[Shown | None]:
    """The exchanges with a number greater than `above`, and None after each slice of work."""
    work = 0
    for number, entry in _require_journal(hosted).list_entries(hosted.world, above):
        shown = show_exchange(number, entry)
        yield shown
        work += _WORK_OF_EXCHANGE + len(shown["request"]["body"]) + len(shown["response"]["body"])
        if work >= _SLICE:
            work = 0
            yield None


def _explain(nearest: Mapping[str, Any] | None) -> str:
    """The differences of the nearest exchange, in one sentence."""
    if nearest is None:
        return ""
    exchange = nearest["exchange"]
    reasons = "; ".join(
        f"{one['what']} is {orjson.dumps(one['got']).decode()}, not {orjson.dumps(one['expected']).decode()}"
        for one in nearest["differences"]
    )
    request = exchange["request"]
    return f"The nearest is number {exchange['number']}, {request['method']} {request['target']}: {reasons}."


def _build_header(hosted: HostedWorld) -> dict[str, Any]:
    """The configuration and the start of the world, which a replay needs."""
    journal = _require_journal(hosted)
    return {
        "format": FORMAT,
        "version": VERSION,
        "world": hosted.name or DEFAULT,
        **hosted.began_with.to_json(),
        "began": format_rfc3339_ms(hosted.began),
        "began_ms": hosted.began,
        "from_snapshot": hosted.from_snapshot,
        "dropped": journal.cleared + journal.dropped_count,
    }
