"""The export of a journal as HAR 1.2, which browsers and other tools open."""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Sequence

    from zof_emulator.journal.view import Shown

_UNKNOWN: Final = -1
_HTTP: Final = "HTTP/1.1"


def build_archive(entries: Sequence[Shown]) -> Shown:
    """A HAR 1.2 document with these entries."""
    creator = {"name": "zof-emulator", "version": "1"}
    return {"log": {"version": "1.2", "creator": creator, "entries": entries}}


def build_entry(one: Shown, base: str) -> Shown:
    """An exchange as an entry of a HAR document; `base` is the URL in front of its target."""
    request, answer = one["request"], one["response"]
    return {
        "startedDateTime": one["at"],
        "time": 0,
        "request": {
            "method": request["method"],
            "url": base + request["target"],
            "httpVersion": _HTTP,
            "cookies": [],
            "headers": _build_pairs(request["headers"]),
            "queryString": _build_pairs(request["query"]),
            "headersSize": _UNKNOWN,
            "bodySize": request["size"],
            **({"postData": _build_post_data(request)} if request["size"] else {}),
        },
        "response": {
            "status": answer["status"],
            "statusText": _PHRASES.get(answer["status"], ""),
            "httpVersion": _HTTP,
            "cookies": [],
            "headers": _build_pairs(answer["headers"]),
            "content": _build_content(answer),
            "redirectURL": "",
            "headersSize": _UNKNOWN,
            "bodySize": answer["size"],
        },
        "cache": {},
        "timings": {"send": 0, "wait": 0, "receive": 0},
        "comment": f"{one['operation'] or 'no operation'}, number {one['number']}",
    }


_PHRASES: Final = {one.value: one.phrase for one in HTTPStatus}
"""A fault may have answered with a status that has no phrase, or not at all (status 0, as HAR viewers have it)."""


def _build_post_data(request: Shown) -> Shown:
    """A request's body; HAR 1.2 knows an encoding of answers alone, so the one of a request is a field of our own."""
    found = {"mimeType": _find_media_type(request), "params": [], "text": request["body"]}
    return found | ({"_encoding": "base64"} if request["encoding"] == "base64" else {}) | _build_comment(request)


def _build_content(answer: Shown) -> Shown:
    found = {"size": answer["size"], "mimeType": _find_media_type(answer), "text": answer["body"]}
    return found | ({"encoding": "base64"} if answer["encoding"] == "base64" else {}) | _build_comment(answer)


def _build_comment(message: Shown) -> Shown:
    """The comment on a body that is not there in full, or not as text."""
    is_binary = message["encoding"] == "base64"
    notes = ("base64",) * is_binary + ("cut at 64 KiB",) * message["truncated"]
    return {"comment": ", ".join(notes)} if notes else {}


def _find_media_type(message: Shown) -> str:
    found: str = next((value for name, value in message["headers"] if name == "content-type"), "")
    return found


def _build_pairs(pairs: Any) -> list[Shown]:  # noqa: ANN401  lists and tuples of two
    return [{"name": name, "value": value} for name, value in pairs]
