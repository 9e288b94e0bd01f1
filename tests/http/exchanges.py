"""One exchange of every kind: each success, each error, and requests outside the API."""

from __future__ import annotations

import gzip
import json
from dataclasses import replace
from functools import cache
from typing import TYPE_CHECKING, Any, Final

from zof_emulator.core.limits import Rate
from zof_emulator.core.refusal import Refused
from zof_emulator.core.tenants import DEFAULT, PERMITS, Key, Role

from tests.zof import CI, EXPIRED, STAGING, VIEWER, Answer, Zof

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    Exchange = Callable[[Zof], Answer]
    Judged = tuple[int, str, str | None, Exchange]

SPENT: Final = "zof_test_spent"
LOST: Final = "zof_test_lost"
START: Final = {**STAGING, "test_case_ids": ["tc_login_001"]}
"""A body that starts a run."""
MIB: Final = 1 << 20
LIMIT: Final = 60
"""How many requests of a key a window admits here."""
FAR: Final = "203.0.113.7"
"""A client on another machine."""

_KEYS: Final = (
    *DEFAULT.keys,
    Key(SPENT, "org_abc", PERMITS[Role.ADMIN], "for the test that uses it up"),
    # An organization that there is not: the one way to a fault of the server's own.
    Key(LOST, "org_nowhere", PERMITS[Role.ADMIN], "nothing"),
)
JSON: Final = (("content-type", "application/json"),)


@cache
def _emulator() -> Zof:
    # Not a loopback host, so that clients elsewhere are told apart from those on this machine.
    return Zof(data=replace(DEFAULT, keys=_KEYS), rate=Rate(limit=LIMIT), host="0.0.0.0")  # noqa: S104  nothing listens


def prepare_emulator() -> Zof:
    """A reset emulator in which every exchange below is possible; it is shared, so use one at a time."""
    assert _emulator().control("/reset").status == 200
    return _emulator()


def start(zof: Zof, *, query: str = "", body: bytes | None = None, **headers: str) -> Answer:
    """Start a run with the given faults; `_` in a header's name stands for `-`."""
    given = {"content_type": "application/json", **headers}
    content = json.dumps(START).encode() if body is None else body
    named = [(name.replace("_", "-"), value) for name, value in given.items() if value]
    return zof.send("POST", f"/v1/runs{query}", headers=named, body=content)


def use_up_window(zof: Zof) -> Answer:
    """The first answer that a key gets after it has used up its window."""
    while (answer := zof.get("/projects", key=SPENT)).status == 200:
        pass
    return answer


def send_unreadable(zof: Zof, refused: Refused) -> Answer:
    """The answer to what is refused before it is a request, as the server sends it."""
    content, headers = zof.app.answer_unreadable(refused)
    return Answer(400, headers, content)


def _replay(zof: Zof) -> Answer:
    zof.post("/runs", START, idempotency_key="once")
    return zof.post("/runs", START, idempotency_key="once")


def _reuse_key(zof: Zof) -> Answer:
    zof.post("/runs", START, idempotency_key="once")
    return zof.post("/runs", {**START, "environment": "production"}, idempotency_key="once")


def _control(method: str, path: str, body: object = None, **more: Any) -> Exchange:  # noqa: ANN401
    content = b"" if body is None else json.dumps(body).encode()
    return lambda zof: zof.send(method, f"/_emulator{path}", key=None, headers=JSON, body=content, **more)


SUCCESSES: Final[Mapping[str, Exchange]] = {
    "runs": lambda zof: zof.get("/runs"),
    "run": lambda zof: zof.get("/runs/run_sample_failed"),
    "start": start,
    "replay": _replay,
    "cancel": lambda zof: zof.post(f"/runs/{zof.start()['id']}/cancel"),
    "logs": lambda zof: zof.get("/runs/run_sample_failed/logs"),
    "run artifacts": lambda zof: zof.get("/runs/run_sample_failed/artifacts"),
    "results": lambda zof: zof.get("/results"),
    "result": lambda zof: zof.get("/results/res_sample_failed_002"),
    "result artifacts": lambda zof: zof.get("/results/res_sample_failed_002/artifacts"),
    "json export": lambda zof: zof.post("/results/export", {"format": "json"}),
    "projects": lambda zof: zof.get("/projects"),
}
"""Every operation that answers in JSON, when it succeeds."""

FILES: Final[Mapping[str, Exchange]] = {
    "csv export": lambda zof: zof.post("/results/export", {"format": "csv"}),
    "screenshot": lambda zof: zof.follow(artifact(zof, "image/png")),
    "trace": lambda zof: zof.follow(artifact(zof, "application/zip")),
    "junit": lambda zof: zof.follow(artifact(zof, "application/xml")),
    "har": lambda zof: zof.follow(artifact(zof, "application/json")),
}
"""The answers that are not JSON objects of the API; a HAR file is JSON too."""

JUDGED: Final[dict[str, Judged]] = {
    "wrong header": (400, "invalid_request", "Idempotency-Key", lambda zof: start(zof, idempotency_key="\t")),
    "unknown query": (400, "invalid_request", "verbose", lambda zof: zof.get("/runs", verbose=1)),
    "wrong query": (400, "invalid_request", "limit", lambda zof: zof.get("/runs", limit=0)),
    "no body": (400, "invalid_request", None, lambda zof: start(zof, body=b"")),
    "malformed body": (400, "invalid_request", None, lambda zof: start(zof, body=b"{")),
    "missing field": (400, "invalid_request", "project_id", lambda zof: start(zof, body=b"{}")),
    "too large": (413, "payload_too_large", None, lambda zof: start(zof, body=b" " * (MIB + 1))),
    "not JSON": (415, "unsupported_media_type", "Content-Type", lambda zof: start(zof, content_type="text/plain")),
    "coded body": (
        415,
        "unsupported_media_type",
        "Content-Encoding",
        lambda zof: zof.send(
            "POST",
            "/v1/runs",
            headers=[("content-type", "application/json"), ("content-encoding", "gzip")],
            body=gzip.compress(b"{}", mtime=0),
        ),
    ),
    "no permission": (403, "forbidden", None, lambda zof: zof.post("/runs", START, key=VIEWER)),
    "no run": (404, "not_found", None, lambda zof: zof.get("/runs/run_none")),
    "no result": (404, "not_found", None, lambda zof: zof.get("/results/res_none")),
    "no artifact": (404, "not_found", None, lambda zof: zof.get("/artifacts/art_none/content")),
    "no project": (
        404,
        "not_found",
        "project_id",
        lambda zof: zof.post("/runs", {**START, "project_id": "proj_missing"}),
    ),
    "range beyond the end": (
        416,
        "range_not_satisfiable",
        "Range",
        lambda zof: zof.send(
            "GET", "/v1/artifacts/art_sample_failed_0004/content", headers=[("range", "bytes=1000000-")]
        ),
    ),
    "ended": (409, "conflict", None, lambda zof: zof.post("/runs/run_sample_failed/cancel")),
    "key reused": (409, "conflict", "Idempotency-Key", _reuse_key),
    "too often": (429, "rate_limit_exceeded", None, use_up_window),
    "our fault": (500, "internal_server_error", None, lambda zof: zof.get("/runs", key=LOST)),
}
"""Every kind of error that a request meets after the rate limit: its status, its code, whom it blames."""

STRANGERS: Final[dict[str, Judged]] = {
    "no path": (404, "not_found", None, lambda zof: zof.get("/nothing")),
    "no method": (405, "method_not_allowed", None, lambda zof: zof.send("DELETE", "/v1/runs")),
    "no key": (401, "unauthorized", None, lambda zof: zof.get("/runs", key=None)),
    "unknown key": (401, "unauthorized", None, lambda zof: zof.get("/runs", key="zof_test_nobody")),
    "expired key": (401, "unauthorized", None, lambda zof: zof.get("/runs", key=EXPIRED)),
}
"""Every kind of error that keeps a request from the rate limit."""

OUTSIDE: Final[Mapping[str, Exchange]] = {
    "home": lambda zof: zof.send("GET", "/", key=None),
    "home, posted": lambda zof: zof.send("POST", "/", key=None),
    "page of a run": lambda zof: zof.send("GET", "/runs/run_sample_failed", key=None),
    "page of no run": lambda zof: zof.send("GET", "/runs/run_none", key=None),
    "page of nothing": lambda zof: zof.send("GET", "/runs/", key=None),
    "page from afar": lambda zof: zof.send("GET", "/", key=None, client=FAR),
    "favicon": lambda zof: zof.send("GET", "/favicon.ico", key=None),
    "health": _control("GET", "/health"),
    "clock": _control("GET", "/clock"),
    "contract": _control("GET", "/openapi.json"),
    "clock moved": _control("POST", "/clock/advance", {"by_ms": 0}),
    "clock wrong": _control("POST", "/clock/advance", {"by_ms": -1}),
    "run advanced": _control("POST", "/runs/run_sample_failed/advance", {}),
    "no run advanced": _control("POST", "/runs/run_none/advance", {}),
    "no control": _control("GET", "/nothing"),
    "no such method": _control("DELETE", "/clock"),
    "control from afar": _control("GET", "/clock", client=FAR),
    "not HTTP": lambda zof: send_unreadable(zof, Refused("not_http")),
    "a head that is too long": lambda zof: send_unreadable(zof, Refused("head_too_long", limit=131_072)),
    "a target that is too long": lambda zof: send_unreadable(zof, Refused("target_too_long", limit=65_535)),
    "an unknown method": lambda zof: send_unreadable(zof, Refused("unknown_method")),
    "an unknown transfer coding": lambda zof: send_unreadable(zof, Refused("unknown_transfer_coding")),
}
"""The exchanges outside the API, and those of bytes that are no request."""

ALL: Final[Mapping[str, Exchange]] = {
    **SUCCESSES,
    **FILES,
    **{name: judged[-1] for name, judged in (JUDGED | STRANGERS).items()},
    **OUTSIDE,
}


def artifact(zof: Zof, content_type: str) -> str:
    """The path of an artifact of this media type, of a run with a failed case."""
    listed = zof.get("/runs/run_sample_failed/artifacts", key=CI).json["data"]
    url: str = next(one["url"] for one in listed if one["content_type"] == content_type)
    return url
