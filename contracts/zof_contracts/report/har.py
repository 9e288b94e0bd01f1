"""HAR 1.2: every exchange of a verification, for browser developer tools and other viewers, without any secret."""

from __future__ import annotations

import base64
import time
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl

from zof_contracts.report.document import make_redactor, read_version, redact_value
from zof_contracts.report.escape import dump_json

if TYPE_CHECKING:
    from zof_contracts.evidence.exchange import Exchange, Headers, Request, Response
    from zof_contracts.evidence.verification import Verification
    from zof_contracts.target.redaction import Redactor


def render(verification: Verification) -> str:
    """Render the journal as HAR."""
    redactor = make_redactor(verification)
    entries = [_build_entry(exchange, verification.target.base, redactor) for exchange in verification.journal]
    creator = {"name": "zof-contracts", "version": read_version()}
    log = {"version": "1.2", "creator": creator, "pages": [], "entries": redact_value(entries, redactor.text)}
    return dump_json({"log": log}, indent=1)


def _build_entry(exchange: Exchange, base: str, redactor: Redactor) -> dict[str, Any]:
    took = round(exchange.took * 1000, 3)
    began = exchange.at - exchange.took
    whole, milli = divmod(round(began * 1000), 1000)
    return {
        "startedDateTime": time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(whole)) + f".{milli:03}Z",
        "time": took,
        "request": _build_request(exchange.request, base, redactor),
        "response": _build_response(exchange.response, redactor),
        "cache": {},
        "timings": {"send": 0, "wait": took, "receive": 0},
        "comment": f"{exchange.number} {exchange.operation}".strip(),
    }


def _build_request(request: Request, base: str, redactor: Redactor) -> dict[str, Any]:
    headers = list(request.headers)
    if request.key:
        headers.insert(0, ("Authorization", request.authorization.replace("{key}", f"[key {request.key}]")))
    return {
        "method": request.method,
        "url": base + request.target,
        "httpVersion": "HTTP/1.1",
        "cookies": [],
        "headers": _build_pairs(tuple(headers)),
        "queryString": _build_pairs(tuple(parse_qsl(request.query, keep_blank_values=True))),
        "headersSize": -1,
        "bodySize": len(request.body),
        **({"postData": _build_post_data(request, redactor)} if request.body else {}),
    }


def _build_post_data(request: Request, redactor: Redactor) -> dict[str, Any]:
    text = redactor.bytes(request.body).decode(errors="replace")
    return {"mimeType": request.header("content-type") or "", "params": [], "text": text}


def _build_response(response: Response, redactor: Redactor) -> dict[str, Any]:
    return {
        "status": response.status,
        "statusText": "",
        "httpVersion": "HTTP/1.1",
        "cookies": [],
        "headers": _build_pairs(response.headers),
        "content": _build_content(response, redactor),
        "redirectURL": response.header("location") or "",
        "headersSize": -1,
        "bodySize": len(response.body),
    }


def _build_content(response: Response, redactor: Redactor) -> dict[str, Any]:
    body = redactor.bytes(response.body)
    found: dict[str, Any] = {"size": len(body), "mimeType": response.header("content-type") or ""}
    try:
        return {**found, "text": body.decode()}
    except UnicodeDecodeError:
        return {**found, "text": base64.b64encode(body).decode(), "encoding": "base64"}


def _build_pairs(pairs: Headers) -> list[dict[str, str]]:
    return [{"name": name, "value": value} for name, value in pairs]
