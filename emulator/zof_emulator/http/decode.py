"""Decoding: turns the bytes of a request into values, or refuses the request."""

from __future__ import annotations

import asyncio
import json
import re
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final, NamedTuple, NoReturn, Protocol
from urllib.parse import quote

import orjson

from zof_emulator.core.refusal import Refused

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from starlette.types import Receive, Scope

    from zof_emulator.spec.operation import Body, Operation

_JSON: Final = b"application/json"
_UNCODED: Final = b"identity"
_CODING: Final = re.compile(rb"[A-Za-z0-9][A-Za-z0-9, ;=._*-]{0,60}")
_ONCE: Final = "given only once"
_PIECE: Final = 1 << 14
_SLASHES_BEFORE_HOST: Final = 2
REPEATED: Final = b"\n"
"""The value of a header that is given more than once, which no rule accepts."""
_HOST: Final = re.compile(rb"[A-Za-z0-9._~-]+(:[0-9]{1,5})?|\[[0-9A-Fa-f:.]+\](:[0-9]{1,5})?")

_ANY_HOST: Final = re.compile(
    rb"(?:[A-Za-z0-9._~!$&'()*+,;=-]|%[0-9A-Fa-f]{2})*(?::[0-9]*)?|\[[0-9A-Za-z:._~!$&'()*+,;=-]+\](?::[0-9]*)?"
)
"""The header `Host` as RFC 9110, 7.2 defines it; it may be empty."""


class ClientGone(Exception):  # noqa: N818  not an error of the emulator
    """The client closed the connection before its request was complete."""


def read_headers(scope: Scope) -> dict[bytes, bytes]:
    """The headers of a request. The value of a header that is given more than once is `REPEATED`."""
    raw = scope["headers"]
    headers = dict(raw)
    if len(headers) != len(raw):
        seen: set[bytes] = set()
        for name, _ in raw:
            if name in seen:
                headers[name] = REPEATED
            seen.add(name)
    return headers


@lru_cache(maxsize=64)
def is_host(value: bytes) -> bool:
    """Whether a value of the header `Host` is a host with an optional port."""
    return _ANY_HOST.fullmatch(value) is not None


def find_base(scope: Scope, headers: Mapping[bytes, bytes]) -> str:
    """The scheme and host that the client used, from the `Host` header or else from the server's address."""
    named = _build_base(scope["scheme"], headers.get(b"host", b""))
    if named is not None:
        return named
    name, port = scope.get("server") or ("localhost", None)
    return f"{scope['scheme']}://{name}" if port is None else f"{scope['scheme']}://{name}:{port}"


def find_link_base(public_url: str, scope: Scope, headers: Mapping[bytes, bytes]) -> str:
    """The beginning of the links in an answer: the public URL, or the scheme and host that the client used.

    The path at which the emulator is mounted follows, unless the public URL has a path itself.
    """
    root = quote(scope.get("root_path", ""))
    if not public_url:
        return find_base(scope, headers) + root
    return public_url if public_url.count("/") > _SLASHES_BEFORE_HOST else public_url + root


@lru_cache(maxsize=64)
def _build_base(scheme: str, host: bytes) -> str | None:
    return f"{scheme}://{host.decode('ascii')}" if _HOST.fullmatch(host) else None


class BodyReader(Protocol):
    """Reads a long body as it arrives, so that it is never held whole."""

    @property
    def parts(self) -> Mapping[str, Any]:
        """The fields that are no plain JSON, by name; `finish` has empty objects in their place."""

    def feed(self, piece: bytes) -> None:
        """Read the next piece."""

    def finish(self) -> tuple[Any, Sequence[str]]:
        """The JSON value, and the names that it repeats. Raises `Refused` if it is no JSON."""


async def read_body(reader: BodyReader, receive: Receive, headers: Mapping[bytes, bytes], most: int) -> bool | None:
    """Have a reader read the body of a request; whether there is one, or None if it has more than `most` bytes.

    Raises:
        ClientGone: the client closed the connection before the body was complete.
    """
    if _is_declared_too_long(headers, most):
        return None
    size = 0
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ClientGone
        piece = message.get("body", b"")
        size += len(piece)
        if size > most:
            return None
        for place in range(0, len(piece), _PIECE):
            reader.feed(piece[place : place + _PIECE])
            await asyncio.sleep(0)  # other requests are served while a long body is read
        if not message.get("more_body", False):
            return size > 0


async def collect_body(receive: Receive, headers: Mapping[bytes, bytes], most: int) -> bytes | None:
    """The body of a request; None if it has more than `most` bytes.

    Raises:
        ClientGone: the client closed the connection before the body was complete.
    """
    if _is_declared_too_long(headers, most):
        return None
    pieces: list[bytes] = []
    size = 0
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ClientGone
        piece = message.get("body", b"")
        size += len(piece)
        if size > most:
            return None
        if not message.get("more_body", False):
            return piece if not pieces else b"".join((*pieces, piece))
        pieces.append(piece)


def _is_declared_too_long(headers: Mapping[bytes, bytes], most: int) -> bool:
    declared = headers.get(b"content-length", b"")
    return declared.isdigit() and int(declared[:20]) > most


def check_headers(operation: Operation, headers: Mapping[bytes, bytes]) -> None:
    """Check the headers of a request against the rules of its operation.

    Raises:
        Refused: a header breaks a rule; the first such header is named.
    """
    for rule in operation.headers:
        value = headers.get(rule.wire)
        if value is not None and not rule.holds(value.decode("latin-1")):
            raise Refused("invalid_header", rule.name, expected=_ONCE if value == REPEATED else rule.expected)


class ParsedBody(NamedTuple):
    """A request's body, parsed once."""

    value: Any
    """The JSON value as it was sent; None if there was no body."""
    fields: Mapping[str, Any]
    """The fields of the object, with timestamps as instants in ms."""

    def fingerprint(self) -> bytes:
        """Bytes that identify the JSON value, independent of spacing and of the order of names."""
        # A copy, because the bytes that orjson returns occupy at least 4 KiB for as long as they are kept.
        return b"" if self.value is None else b"%b" % orjson.dumps(self.value, option=orjson.OPT_SORT_KEYS)


NO_BODY: Final = ParsedBody(None, {})


def parse_body(
    body: Body, raw: bytes | BodyReader | None, headers: Mapping[bytes, bytes], labels: Mapping[str, Sequence[str]]
) -> ParsedBody:
    """Parse a body and check it against the rules of its operation.

    Raises:
        Refused: the body is too large, missing, malformed, not declared as JSON, or breaks a rule.
    """
    if raw is None:
        raise Refused("body_too_large", limit=body.most_bytes)
    if not raw:
        if not body.required:
            return ParsedBody(None, body.rules.judge({}, labels))
        raise Refused("body_missing")
    media_type = headers.get(b"content-type", b"")
    if media_type != _JSON and media_type.partition(b";")[0].strip().lower() != _JSON:
        raise Refused("body_not_json", "Content-Type")
    coding = headers.get(b"content-encoding")
    if coding is not None and coding.strip().lower() != _UNCODED:
        raise Refused("body_coded", "Content-Encoding", coding=_quote_coding(coding))
    if not isinstance(raw, bytes):
        value, repeated = raw.finish()
        return ParsedBody(value, {**body.rules.judge(value, labels, repeated), **raw.parts})
    try:
        value = orjson.loads(raw)
    except orjson.JSONDecodeError:
        raise Refused("body_unreadable" if _is_json(raw) else "body_malformed") from None
    return ParsedBody(value, body.rules.judge(value, labels, _find_repeated_names(raw, value)))


def _is_json(raw: bytes) -> bool:
    """Whether bytes are JSON, although they hold too large a number, half a character, or too many nested levels."""
    try:
        json.loads(raw.decode(), parse_int=str, parse_float=str, parse_constant=_refuse_constant)
    except RecursionError:
        return True
    except ValueError:
        return False
    return True


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no JSON")


def _quote_coding(coding: bytes) -> str:
    """The content coding in an error; a header that is too long or odd for that is not repeated."""
    return coding.decode("ascii") if _CODING.fullmatch(coding) else "that its header names"


def _find_repeated_names(raw: bytes, value: object) -> Sequence[str]:
    """The repeated names of an object, each once, in the order of their repetition.

    Every name has a colon, so an object with as many colons as names repeats no name.
    """
    if not isinstance(value, dict) or raw.count(b":") == len(value):
        return ()
    outermost: list[list[tuple[str, Any]]] = [[]]

    def keep_pairs(pairs: list[tuple[str, Any]]) -> None:
        outermost[0] = pairs

    try:
        json.loads(raw, object_pairs_hook=keep_pairs)
    except (ValueError, RecursionError):
        return ()  # no schema accepts what the standard library cannot read, such as a number of 5,000 digits
    return find_repeated(name for name, _ in outermost[0])


def find_repeated(names: Iterable[str]) -> tuple[str, ...]:
    """The repeated names, each once, in the order of their repetition."""
    seen: set[str] = set()
    repeated: dict[str, None] = {}
    for name in names:
        if name in seen:
            repeated[name] = None
        seen.add(name)
    return tuple(repeated)
