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


def find_differences(one: Shown, asked: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The differences between an exchange and the expected values; empty if the exchange matches."""
    found: dict[str, Any] = {
        "operation": one["operation"],
        "organization": one["organization"],
        "method": one["request"]["method"],
        "path": one["request"]["path"],
        "status": one["response"]["status"],
        "refused": one["refused"],
    }
    amiss = [(name, asked[name], got) for name, got in found.items() if name in asked and asked[name] != got]
    if "fault" in asked and not _has_fault(one["fault"], asked["fault"]):
        amiss.append(("fault", asked["fault"], None if one["fault"] is None else one["fault"]["id"]))
    if "run_id" in asked and asked["run_id"] not in one["run_ids"]:
        amiss.append(("run_id", asked["run_id"], one["run_ids"]))
    if "after" in asked and one["at_ms"] < asked["after"]:
        amiss.append(("after", _show_instant(asked["after"]), one["at"]))
    if "before" in asked and one["at_ms"] >= asked["before"]:
        amiss.append(("before", _show_instant(asked["before"]), one["at"]))
    for name, value in asked.get("headers", {}).items():
        got = [text for known, text in one["request"]["headers"] if known == name.lower()]
        wanted = mask_header(value.encode("latin-1", "replace")) if is_secret_name(name) else mask_url(value)
        if wanted not in got:
            amiss.append((f"headers.{name}", wanted, ", ".join(got) if got else None))
    if "body" in asked:
        sent = _parse_object(one["request"]["body"])
        expected = _parse_object(mask_body(orjson.dumps(asked["body"]).decode()))
        amiss += [
            (f"body.{name}", value, sent.get(name)) for name, value in expected.items() if sent.get(name) != value
        ]
    return [{"what": what, "expected": expected, "got": got} for what, expected, got in amiss]


def _show_instant(instant: int) -> str:
    """An instant of a filter, or the nearest one of the years 1 to 9999, which its offset can have left."""
    return format_rfc3339_ms(max(FIRST, min(instant, LAST)))


def _has_fault(fault: Mapping[str, Any] | None, asked: str) -> bool:
    """Whether an exchange met the fault that is asked for: an ID, `any` or `none`."""
    if fault is None:
        return asked == NO_FAULT
    return asked in {ANY_FAULT, fault["id"]}


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
    told = {"size": cut.size, "truncated": cut.size > len(cut.kept) or not cut.sha256, "sha256": cut.sha256}
    try:
        return {"body": mask_body(cut.kept.decode()), "encoding": "text", **told}
    except UnicodeDecodeError:
        return {"body": b64encode(cut.kept).decode(), "encoding": "base64", **told}


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
