"""Reads the journal that zof-emulator writes as lines of JSON: `GET /_emulator/journal.ndjson`."""

from __future__ import annotations

import base64
import binascii
from typing import TYPE_CHECKING, Any, Final

from zof_contracts.evidence.strict_json import parse_json
from zof_contracts.evidence.timestamps import parse_timestamp
from zof_contracts.traffic.exchanges import Parts
from zof_contracts.traffic.recording import (
    Clock,
    RecordedAttempt,
    RecordedDelivery,
    RecordingStarted,
    UnusableRecording,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from zof_contracts.evidence.exchange import Headers
    from zof_contracts.traffic.exchanges import ExchangeReader
    from zof_contracts.traffic.recording import Recorded, Skips
    from zof_contracts.traffic.sources import ByteSource

FORMAT: Final = "zof-emulator-journal"
VERSION: Final = 1
_LONGEST_LINE: Final = 4 << 20
"""Bytes; the emulator cuts bodies at 64 KiB."""
_PIECE: Final = 1 << 16
_DEFAULT_WORLD: Final = "default"
_WITHOUT_ANSWER: Final = frozenset({"reset", "stall", "truncate"})
"""The faults of the emulator after which the client has no whole answer."""
_HARMLESS: Final = frozenset({"latency_ms", "drip_ms"})
"""The faults of the emulator that leave the answer as it is."""


def is_journal(first_line: bytes) -> bool:
    """Whether a file that begins with this line is a journal."""
    return b'"format":"zof-emulator-journal"' in first_line.replace(b" ", b"")


def read_journal(source: ByteSource, reader: ExchangeReader, skips: Skips, name: str) -> Iterator[Recorded]:
    """The exchanges and deliveries of a file with one or more journals, in its order.

    Raises:
        UnusableRecording: its first line is not that of a journal, or a journal has another version.
    """
    lines = _read_lines(source, skips)
    header = _read_object(next(lines, b""))
    if header is None or header.get("format") != FORMAT:
        raise UnusableRecording("it is neither a HAR file nor a journal of zof-emulator")
    yield _start_recording(header, name)
    for line in lines:
        value = _read_object(line)
        if value is None:
            skips.add("not a JSON object")
            continue
        if value.get("format") == FORMAT:
            header = value
            yield _start_recording(header, name)
            continue
        try:
            found = _read_delivery(value["delivery"]) if "delivery" in value else _read_line(value, header, reader)
        except (KeyError, TypeError, ValueError, AttributeError):
            skips.add("without a part that the journal has, or with one of another type")
            continue
        if found is not None:
            yield found


def _start_recording(header: dict[str, Any], name: str) -> RecordingStarted:
    """The start of a journal, which its first line describes.

    Raises:
        UnusableRecording: the journal has another version.
    """
    if header.get("version") != VERSION:
        raise UnusableRecording(f"the journal has version {header.get('version')!r}: this program reads {VERSION}")
    clock = Clock.REAL if header.get("clock") == "real" else Clock.VIRTUAL
    return RecordingStarted(name, clock, is_complete=not header.get("dropped"))


def _read_lines(source: ByteSource, skips: Skips) -> Iterator[bytes]:
    """The lines of a file; one that is too long is counted and left out."""
    rest, is_too_long = b"", False
    while piece := source.read(_PIECE):
        *lines, rest = (rest + piece).split(b"\n")
        for line in lines:
            if is_too_long:
                is_too_long = False
            elif line.strip():
                yield line
        if len(rest) > _LONGEST_LINE:
            if not is_too_long:
                skips.add(f"longer than {_LONGEST_LINE >> 20} MiB")
            rest, is_too_long = b"", True
    if rest.strip() and not is_too_long:
        yield rest


def _read_object(line: bytes) -> dict[str, Any] | None:
    try:
        value = parse_json(line)
    except ValueError:
        return None
    return value if isinstance(value, dict) else None


def _read_line(line: dict[str, Any], header: dict[str, Any], reader: ExchangeReader) -> Recorded | None:
    request, answer = line["request"], line["response"]
    headers = _read_pairs(request["headers"])
    began, effect = line["at_ms"] / 1000, _read_effect(line.get("fault"))
    return reader.read(
        Parts(
            method=request["method"],
            url=_find_base(header, headers) + request["target"],
            headers=headers,
            body=_read_body(request),
            status=answer["status"],
            answer_headers=tuple((name.lower(), value) for name, value in _read_pairs(answer["headers"])),
            answer_body=_read_body(answer),
            began=began,
            ended=began,
            is_request_whole=not request["truncated"],
            is_answer_whole=not answer["truncated"],
            reason=str(line.get("refused") or ""),
            fault="" if effect in _HARMLESS else effect,
            is_lost=effect in _WITHOUT_ANSWER,
        )
    )


def _read_effect(fault: object) -> str:
    """The effect of the emulator's fault on an answer; empty without a fault."""
    return str(fault.get("effect", "")) if isinstance(fault, dict) else ""


def _find_base(header: dict[str, Any], headers: Headers) -> str:
    host = next((value for name, value in headers if name.lower() == "host"), "127.0.0.1:9630")
    world = header.get("world", _DEFAULT_WORLD)
    prefix = "" if world == _DEFAULT_WORLD else f"/w/{world}"
    public = str(header.get("public_url") or "")
    return (public.rstrip("/") or f"http://{host}") + prefix


def _read_pairs(pairs: list[list[str]]) -> Headers:
    return tuple((str(name), str(value)) for name, value in pairs)


def _read_body(message: dict[str, Any]) -> bytes:
    text: str = message["body"]
    if message["encoding"] == "base64":
        try:
            return base64.b64decode(text)
        except binascii.Error as error:
            raise ValueError("a body is not in base 64") from error
    return text.encode("utf-8", "surrogatepass")


def _read_delivery(value: dict[str, Any]) -> RecordedDelivery:
    attempts = []
    for one in value["attempts"]:
        began, ended = parse_timestamp(one["started_at"]), parse_timestamp(one["ended_at"])
        if began is None or ended is None:
            raise ValueError("an attempt has no time")
        attempts.append(RecordedAttempt(began, ended, one["status"], one["error"] or ""))
    return RecordedDelivery(
        value["number"],
        value["webhook_id"],
        value["event_id"],
        value["type"],
        value["kind"],
        value["tampering"] or "",
        tuple(attempts),
    )
