"""Makes a recorded exchange from the parts that a file holds, and decides whether it belongs to the API."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from zof_contracts.contract.document import PREFIX, load_contract
from zof_contracts.evidence.exchange import Exchange, Headers, Request, Response
from zof_contracts.target.base_url import BaseUrl
from zof_contracts.traffic.keys import MASK, is_secret_name, mask_body, mask_query, read_secret
from zof_contracts.traffic.recording import RecordedExchange

if TYPE_CHECKING:
    from zof_contracts.traffic.keys import KeyNames
    from zof_contracts.traffic.recording import Skips

_KEPT_HEADERS: Final = frozenset({"content-type", "idempotency-key", "x-request-id"})
"""The request headers that the API reads, besides Authorization."""
_PUBLIC_HOST: Final = "api.zof.ai"
_CONTROL: Final = "/_emulator"
"""The path below which zof-emulator is controlled."""
CONTROL_REQUEST: Final = "sent to control the emulator, below /_emulator"
OTHER_HOST: Final = "sent to a host that is not the API (name it with --base-url if it is)"
OUTSIDE: Final = "sent to a path that is not below /v1"


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """An exchange as a file holds it."""

    method: str
    url: str
    headers: Headers
    body: bytes
    status: int
    answer_headers: Headers
    """Names are in lower case."""
    answer_body: bytes
    flaw: str = ""
    began: float | None = None
    ended: float | None = None
    is_request_whole: bool = True
    is_answer_whole: bool = True
    reason: str = ""
    fault: str = ""
    is_lost: bool = False


class ExchangeReader:
    """Turns the parts of exchanges into recorded exchanges, numbered from 1."""

    def __init__(self, keys: KeyNames, skips: Skips, base_url: str = "", *, is_any_host: bool = False) -> None:
        """`base_url` is the address of the API; if it is empty, the API is recognized by its paths and answers.

        With `is_any_host` every host is the API's.
        """
        self._is_any_host = is_any_host
        self._keys = keys
        self._skips = skips
        self._wanted = str(BaseUrl.parse(base_url)) if base_url else ""
        self._bases: set[str] = {self._wanted} - {""}
        self._count = 0

    def read(self, parts: Parts) -> RecordedExchange | None:
        """Make an exchange; None, and a counted reason, if it is not one of the API."""
        place = _split_url(parts.url)
        if place is None:
            self._skips.add("without a URL of HTTP")
            return None
        base, path, query = place
        if not path.startswith(PREFIX + "/") and f"{_CONTROL}/" in f"{path}/":
            self._skips.add(CONTROL_REQUEST)
            return None
        if not self._is_api(base, path, parts):
            return None
        if not path.startswith(PREFIX + "/"):
            self._skips.add(OUTSIDE)
            return None
        if parts.method == "OPTIONS":
            self._skips.add("sent by a browser itself (OPTIONS)")
            return None
        self._count += 1
        return self._make(parts, base, path, query)

    def _is_api(self, base: str, path: str, parts: Parts) -> bool:
        if self._is_any_host or base in self._bases or (not self._wanted and _looks_like_api(base, path, parts)):
            self._bases.add(base)
            return True
        self._skips.add(OTHER_HOST)
        return False

    def _make(self, parts: Parts, base: str, path: str, query: str) -> RecordedExchange:
        given = {name.lower(): value for name, value in parts.headers}
        key = self._keys.name(given.get("authorization", ""))
        secrets = [f"header {name}" for name in given if name != "authorization" and is_secret_name(name)]
        masked_query, names = mask_query(query)
        secrets += [f"query parameter {name}" for name in names]
        body, names = mask_body(parts.body)
        secrets += [f"body field {name}" for name in names]
        secret = read_secret(given.get("authorization", ""))
        secrets += self._find_keys(path, query, parts.body, secret)
        operation = load_contract().find_operation(parts.method, path)
        took = max(0.0, parts.ended - parts.began) if parts.began is not None and parts.ended is not None else 0.0
        request = Request(
            parts.method,
            _mask(path, secret),
            _mask(masked_query, secret),
            tuple((name, _mask(value, secret)) for name, value in parts.headers if name.lower() in _KEPT_HEADERS),
            _mask_bytes(body, secret),
            key=key,
        )
        response = Response(
            parts.status,
            tuple((name, _mask(value, secret)) for name, value in parts.answer_headers),
            _mask_bytes(parts.answer_body, secret),
            parts.flaw,
        )
        at = parts.ended if parts.ended is not None else parts.began or 0.0
        return RecordedExchange(
            Exchange(self._count, request, response, operation.id if operation else "", at, took),
            base,
            parts.began,
            parts.ended,
            given.get("user-agent", ""),
            given.get("authorization", "").strip().partition(" ")[0] if key else "",
            tuple(dict.fromkeys(secrets)),
            parts.is_request_whole,
            parts.is_answer_whole,
            parts.reason,
            parts.fault,
            parts.is_lost,
        )

    def _find_keys(self, path: str, query: str, body: bytes, own: str) -> list[str]:
        """The places besides Authorization where an API key stands."""
        found = []
        for secret in {*self._keys.secrets.values(), *([own] if own else [])}:
            found += ["path"] if secret in path else []
            found += ["query"] if secret in query else []
            found += ["body"] if secret.encode() in body else []
        return found


def _mask(text: str, secret: str) -> str:
    return text.replace(secret, MASK) if secret else text


def _mask_bytes(content: bytes, secret: str) -> bytes:
    return content.replace(secret.encode(errors="replace"), MASK.encode()) if secret else content


def _split_url(url: str) -> tuple[str, str, str] | None:
    """Base URL, path from `/v1` on (or the whole path) and query; None if it is no URL of HTTP."""
    try:
        parts = urlsplit(url)
        prefix, found = _split_path(parts.path)
        base = BaseUrl.parse(f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{prefix}")
    except ValueError:
        return None
    return str(base), found, parts.query


def _split_path(path: str) -> tuple[str, str]:
    """The part of a path before `/v1`, and the path from `/v1` on."""
    head, mark, tail = path.partition(PREFIX + "/")
    return (head, mark + tail) if mark else ("", path)


def _looks_like_api(base: str, path: str, parts: Parts) -> bool:
    """Whether an exchange certainly belongs to the API: by its host, or by its path and its address or its answer."""
    address = BaseUrl.parse(base)
    if address.host == _PUBLIC_HOST:
        return True
    if not path.startswith(PREFIX + "/") or path.split("/")[2] not in _list_collections():
        return False
    request_id = next((value for name, value in parts.answer_headers if name == "x-request-id"), "")
    return address.is_loopback or request_id.startswith("req_")


@cache
def _list_collections() -> frozenset[str]:
    """The first parts of the documented paths: runs, results and so on."""
    return frozenset(operation.path.split("/")[1] for operation in load_contract().operations.values())
