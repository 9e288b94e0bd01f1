"""Exchanges of the journal as JSON, and their comparison with expected values."""

from __future__ import annotations

import re
from base64 import b64encode
from hashlib import sha256
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import parse_qsl

import orjson

from zof_emulator.core.instants import FIRST, LAST, format_rfc3339_ms
from zof_emulator.journal.masking import is_secret_name, mask_body, mask_header, mask_query, mask_url
from zof_emulator.journal.ring import MOST_BODY, Cut, Sending

if TYPE_CHECKING:
    from collections.abc import Mapping

    from zof_emulator.core.faults import FaultMark
    from zof_emulator.journal.ring import Entry, Headers

    Shown = dict[str, Any]
    Content = bytes | Cut | Sending

_RUN: Final = re.compile(r"run_([A-Za-z0-9_-]+)")
_OF_RUN: Final = re.compile(r"(?:res|art)_([A-Za-z0-9_-]+)_[0-9]{3,4}")
ANY_FAULT: Final = "any"
NO_FAULT: Final = "none"
"""The words of the filter `fault` besides the IDs of faults."""
_LAST: Final = re.compile(r"/(run_[A-Za-z0-9_-]+)$")


def show_exchange(number: int, entry: Entry) -> Shown:
    """An exchange as JSON, its key masked and its bodies cut where they are long."""
    query = mask_query(entry.query.decode("latin-1"))
    authorization = next((value for name, value in entry.headers if name == b"authorization"), None)
    return {
        "number": number,
        "at": format_rfc3339_ms(entry.at),
        "at_ms": entry.at,
        "operation": entry.operation or None,
        "organization": entry.organization or None,
        "key": None if authorization is None else mask_header(authorization),
        "run_ids": _find_run_ids(entry),
        "refused": entry.reason or None,
        "fault": None if entry.fault is None else show_fault(entry.fault),
        "delayed": None if entry.arrival is None else entry.arrival._asdict(),
        "request": {
            "method": entry.method,
            "path": entry.path,
            "target": entry.raw_path.decode("latin-1") + (f"?{query}" if query else ""),
            "query": _parse_query(query),
            "headers": _mask_headers(entry.headers),
            **_show_body(entry.body),
        },
        "response": show_answer(entry.status, entry.answer_headers, entry.content),
    }


def show_fault(fault: FaultMark) -> Shown:
    """The fault that answered, as JSON."""
    return {"id": fault.id, "place": fault.place.value, "effect": fault.effect.value}


def show_answer(status: int, headers: Headers, content: Content) -> Shown:
    """An answer as JSON."""
    shown = [[name.decode("latin-1"), value.decode("latin-1")] for name, value in headers]
    return {"status": status, "headers": shown, **_show_body(content)}


def find_differences(one: Shown, filters: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The differences between an exchange and the expected values; empty if the exchange matches."""
    found: dict[str, Any] = {
        "operation": one["operation"],
        "organization": one["organization"],
        "method": one["request"]["method"],
        "path": one["request"]["path"],
        "status": one["response"]["status"],
        "refused": one["refused"],
    }
    differing = [(name, filters[name], got) for name, got in found.items() if name in filters and filters[name] != got]
    if "fault" in filters and not _has_fault(one["fault"], filters["fault"]):
        differing.append(("fault", filters["fault"], None if one["fault"] is None else one["fault"]["id"]))
    if "run_id" in filters and filters["run_id"] not in one["run_ids"]:
        differing.append(("run_id", filters["run_id"], one["run_ids"]))
    if "after" in filters and one["at_ms"] < filters["after"]:
        differing.append(("after", _show_instant(filters["after"]), one["at"]))
    if "before" in filters and one["at_ms"] >= filters["before"]:
        differing.append(("before", _show_instant(filters["before"]), one["at"]))
    for name, value in filters.get("headers", {}).items():
        got = [text for known, text in one["request"]["headers"] if known == name.lower()]
        wanted = mask_header(value.encode("latin-1", "replace")) if is_secret_name(name) else mask_url(value)
        if wanted not in got:
            differing.append((f"headers.{name}", wanted, ", ".join(got) if got else None))
    if "body" in filters:
        sent = _parse_object(one["request"]["body"])
        expected = _parse_object(mask_body(orjson.dumps(filters["body"]).decode()))
        differing += [
            (f"body.{name}", value, sent.get(name)) for name, value in expected.items() if sent.get(name) != value
        ]
    return [{"what": what, "expected": expected, "got": got} for what, expected, got in differing]


def _show_instant(instant: int) -> str:
    """An instant of a filter, or the nearest one of the years 1 to 9999, which its offset can have left."""
    return format_rfc3339_ms(max(FIRST, min(instant, LAST)))


def _has_fault(fault: Mapping[str, Any] | None, wanted: str) -> bool:
    """Whether an exchange met the wanted fault: an ID, `any` or `none`."""
    if fault is None:
        return wanted == NO_FAULT
    return wanted in {ANY_FAULT, fault["id"]}


def _find_run_ids(entry: Entry) -> list[str]:
    """The IDs of the runs that an exchange is about, from its path, its query and the answer's `Location`."""
    parts = entry.path.split("/")
    found = {f"run_{match[1]}" for part in parts if (match := _RUN.fullmatch(part) or _OF_RUN.fullmatch(part))}
    found |= {value for name, value in _parse_query(entry.query.decode("latin-1")) if name == "run_id"}
    located = (value.decode("latin-1") for name, value in entry.answer_headers if name == b"location")
    return sorted(found | {match[1] for one in located if (match := _LAST.search(one))})


def _show_body(content: Content) -> Shown:
    """A body as JSON: text as it is, other bytes in base 64; cut at 64 KiB, with the length and digest of all of it."""
    if isinstance(content, bytes):
        cut = Cut(content[:MOST_BODY], len(content), sha256(content).hexdigest())
    else:
        cut = content.to_cut() if isinstance(content, Sending) else content
    facts = {"size": cut.size, "truncated": cut.size > len(cut.kept) or not cut.sha256, "sha256": cut.sha256}
    try:
        return {"body": mask_body(cut.kept.decode()), "encoding": "text", **facts}
    except UnicodeDecodeError:
        return {"body": b64encode(cut.kept).decode(), "encoding": "base64", **facts}


def _mask_headers(headers: Headers) -> list[list[str]]:
    """The headers of a request, with the secrets in them masked."""
    shown = [(name.decode("latin-1"), value) for name, value in headers]
    return [
        [name, mask_header(value) if is_secret_name(name) else mask_url(value.decode("latin-1"))]
        for name, value in shown
    ]


def _parse_query(query: str) -> list[tuple[str, str]]:
    return parse_qsl(query, keep_blank_values=True, errors="replace")


def _parse_object(body: str) -> Mapping[str, Any]:
    try:
        found = orjson.loads(body)  # the parser of requests: what it refuses, a lone surrogate say, was no object to us
    except orjson.JSONDecodeError:
        return {}
    return found if isinstance(found, dict) else {}
