"""Reads HAR files piece by piece, so that their size does not matter: one entry at a time is in memory.

HAR 1.2 as browsers, Playwright, mitmproxy, `zof-emulator` and `zof-contracts` write it. What an entry lacks is left
unknown; an entry that cannot be read is counted.
"""

from __future__ import annotations

import base64
import binascii
import heapq
import re
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

import ijson  # type: ignore[import-untyped] # it has no stubs

from zof_contracts.target.content_coding import BodyReader, BodyTooLong
from zof_contracts.traffic.exchanges import Parts
from zof_contracts.traffic.recording import Clock, RecordingStarted, UnusableRecording

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from zof_contracts.evidence.exchange import Headers
    from zof_contracts.traffic.exchanges import ExchangeReader
    from zof_contracts.traffic.recording import Recorded, RecordedExchange, Skips
    from zof_contracts.traffic.sources import ByteSource

_EMULATOR: Final = b"zof-emulator"
_CREATOR: Final = re.compile(rb'"creator"\s*:\s*\{[^{}]*?"name"\s*:\s*"([^"]*)"')
_LOOK_AHEAD: Final = 64
"""Entries that are read ahead, since some programs write them in the order in which they ended."""
_MAX_BODY: Final = 16 << 20
"""Bytes of a body that are judged."""
_SWITCHING: Final = 101
_STARTS: Final = frozenset({"start_map", "start_array"})
_ENDS: Final = frozenset({"end_map", "end_array"})
_DEPTH_OF_ENTRIES: Final = 3
_DEEPEST: Final = 100
"""The depth of an entry that is read, counted from the root of the file."""
_TOO_DEEP: Final = object()


def read_har(source: ByteSource, reader: ExchangeReader, skips: Skips, name: str, start: bytes) -> Iterator[Recorded]:
    """The exchanges of a HAR file, by their start; `start` are its first bytes, which name the program that wrote it.

    Raises:
        UnusableRecording: it is no HAR file, or not even its first entry can be read.
    """
    creator = _CREATOR.search(start)
    is_emulator = creator is not None and creator[1] == _EMULATOR
    yield RecordingStarted(name, Clock.VIRTUAL if is_emulator else Clock.REAL)
    yield from _sort(_read_exchanges(_read_entries(source, skips), reader, skips))


def _read_entries(source: ByteSource, skips: Skips) -> Iterator[Any]:
    count = 0
    try:
        for entry in _build_entries(ijson.basic_parse(source, use_float=True)):
            count += 1
            if entry is _TOO_DEEP:
                skips.add("nested too deeply")
            else:
                yield entry
    except (ijson.JSONError, UnicodeDecodeError) as error:
        if count == 0:
            raise UnusableRecording("it is neither a HAR file nor a journal of zof-emulator") from error
        skips.add("the file is broken or ends in the middle of an entry")
    if count == 0:
        raise UnusableRecording("it has no log.entries, so it is no HAR file, or one without entries")


def _build_entries(events: Iterable[tuple[str, Any]]) -> Iterator[Any]:
    """The members of the array `log.entries`, or `_TOO_DEEP` for one that is nested too deeply.

    `ijson.items` stores the path of every level, so a small file of brackets would take all memory.
    """
    depth, names = 0, ["", "", ""]
    builder: Any = None
    is_too_deep = False
    for event, value in events:
        is_end = event in _ENDS
        if event in _STARTS:
            depth += 1
            if depth < _DEPTH_OF_ENTRIES:
                names[depth] = ""
            elif depth == _DEPTH_OF_ENTRIES and event == "start_array" and names[1:] == ["log", "entries"]:
                builder = ijson.ObjectBuilder()
                continue
        elif event == "map_key" and depth < _DEPTH_OF_ENTRIES:
            names[depth] = value
        if builder is not None and is_end and depth == _DEPTH_OF_ENTRIES:
            builder = None
        elif builder is not None:
            is_too_deep = is_too_deep or depth > _DEEPEST
            if not is_too_deep:
                builder.event(event, value)
            if depth == _DEPTH_OF_ENTRIES + is_end:
                yield _TOO_DEEP if is_too_deep else builder.value
                builder, is_too_deep = ijson.ObjectBuilder(), False
        depth -= is_end


def _read_exchanges(entries: Iterator[Any], reader: ExchangeReader, skips: Skips) -> Iterator[RecordedExchange]:
    for entry in entries:
        try:
            parts = _read_entry(entry, skips)
        except (KeyError, TypeError, ValueError, AttributeError):
            skips.add("without a part that HAR requires, or with one of another type")
            continue
        exchange = reader.read(parts) if parts is not None else None
        if exchange is not None:
            yield exchange


def _sort(exchanges: Iterator[RecordedExchange]) -> Iterator[RecordedExchange]:
    """The exchanges by their start, as far as a look ahead reaches; those without a time stay where they are."""
    waiting: list[tuple[float, int, RecordedExchange]] = []
    latest = 0.0
    for each in exchanges:
        latest = each.began if each.began is not None else latest
        heapq.heappush(waiting, (latest, each.exchange.number, each))
        if len(waiting) > _LOOK_AHEAD:
            yield heapq.heappop(waiting)[2]
    while waiting:
        yield heapq.heappop(waiting)[2]


def _read_entry(entry: dict[str, Any], skips: Skips) -> Parts | None:
    request, response = entry["request"], entry["response"]
    status = int(response.get("status") or 0)
    if _is_websocket(entry, request, status):
        skips.add("sent over a WebSocket")
        return None
    began = _read_time(entry.get("startedDateTime"))
    took = entry.get("time")
    is_timed = began is not None and isinstance(took, int | float) and took >= 0
    answer_headers = tuple((name.lower(), value) for name, value in _read_headers(response))
    body, flaw, is_whole = _read_body(response.get("content") or {}, answer_headers, "encoding")
    sent, _, is_sent_whole = _read_body(request.get("postData") or {}, (), "_encoding")
    declared = request.get("bodySize")
    has_lost_body = not sent and isinstance(declared, int) and declared > 0
    return Parts(
        method=str(request["method"]).upper(),
        url=str(request["url"]).partition("#")[0],
        headers=_read_headers(request),
        body=sent,
        status=status,
        answer_headers=answer_headers,
        answer_body=body,
        flaw=flaw or ("" if status else "the recording holds no answer"),
        began=began,
        ended=began + float(took) / 1000 if is_timed and began is not None and took is not None else None,
        is_request_whole=is_sent_whole and not has_lost_body,
        is_answer_whole=is_whole and not _lacks_body(response, body),
        is_lost=status == 0,
    )


def _is_websocket(entry: dict[str, Any], request: dict[str, Any], status: int) -> bool:
    kind = entry.get("_resourceType")
    return kind == "websocket" or str(request["url"]).startswith(("ws:", "wss:")) or status == _SWITCHING


def _lacks_body(response: dict[str, Any], body: bytes) -> bool:
    """Whether the answer had a body that the program did not store."""
    size = (response.get("content") or {}).get("size")
    return not body and isinstance(size, int) and size > 0


def _read_headers(message: dict[str, Any]) -> Headers:
    pairs = message.get("headers") or []
    return tuple((str(one["name"]), str(one["value"])) for one in pairs if not str(one["name"]).startswith(":"))


def _read_time(text: object) -> float | None:
    if not isinstance(text, str):
        return None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    return moment.timestamp() if moment.tzinfo else None


def _read_body(content: dict[str, Any], headers: Headers, encoding: str) -> tuple[bytes, str, bool]:
    """A body, what is wrong with it, and whether it is whole."""
    text = content.get("text")
    if not isinstance(text, str):
        return b"", "", True
    is_whole = "cut at" not in str(content.get("comment", ""))
    if content.get(encoding) != "base64":
        return text.encode("utf-8", "surrogatepass"), "", is_whole
    try:
        body = base64.b64decode("".join(text.split()), validate=True)
    except (binascii.Error, ValueError):
        return b"", "", False
    return _decode(body, headers) if is_whole else (body, "", False)


def _decode(body: bytes, headers: Headers) -> tuple[bytes, str, bool]:
    """A body without its content coding; most programs have removed it, and then it stays as it is."""
    codings = ",".join(value for name, value in headers if name == "content-encoding")
    if not codings.strip():
        return body, "", True
    try:
        reader = BodyReader(codings, _MAX_BODY)
        reader.feed(body)
        reader.finish()
    except BodyTooLong:
        return b"", "", False
    except ValueError:
        return body, "", True
    return reader.body, "", True
