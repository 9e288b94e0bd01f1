"""Builds requests for paths below `/v1`."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Final
from urllib.parse import quote, urlencode

from zof_contracts.contract.document import PREFIX
from zof_contracts.evidence.exchange import Request

if TYPE_CHECKING:
    from zof_contracts.evidence.exchange import Headers

_VISIBLE: Final = "".join(map(chr, range(0x21, 0x7F)))
"""Characters that a request line may hold; `quote` leaves them as they are."""


def build_request(method: str, path: str, *, key: str = "main", headers: Headers = (), **query: object) -> Request:
    """A request without a body. Parameters that are None are left out."""
    given = {name: value for name, value in query.items() if value is not None}
    return Request(method, PREFIX + _quote_path(path), urlencode(given, errors="backslashreplace"), headers, key=key)


def build_post(path: str, body: object = None, *, key: str = "main", idempotency_key: str | None = None) -> Request:
    """A POST of a JSON body, if any. Bytes are sent as they are."""
    headers: Headers = () if body is None else (("Content-Type", "application/json"),)
    if idempotency_key is not None:
        headers = (*headers, ("Idempotency-Key", idempotency_key))
    content = b"" if body is None else body if isinstance(body, bytes) else json.dumps(body).encode()
    return Request("POST", PREFIX + _quote_path(path), "", headers, content, key)


def add_header(request: Request, name: str, value: str) -> Request:
    """The request with one more header."""
    return replace(request, headers=(*request.headers, (name, value)))


def _quote_path(path: str) -> str:
    """The path with each character that cannot stand in a request line, such as a space, percent-encoded."""
    return quote(path, safe=_VISIBLE, errors="backslashreplace")
