"""Compares requests with the conditions of fault rules, cheaply first and then exactly."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import orjson

from zof_emulator.core.canonical_json import write_canonical
from zof_emulator.core.fault_store import FaultCall
from zof_emulator.core.faults import DIGEST, digest_key
from zof_emulator.core.fields import InvalidField
from zof_emulator.core.refusal import Refused
from zof_emulator.handlers.authorization import normalize_bearer
from zof_emulator.http.auth import authenticate

if TYPE_CHECKING:
    from collections.abc import Collection, Container, Mapping, Sequence

    from zof_emulator.core.fault_store import FaultTable
    from zof_emulator.core.tenants import Key
    from zof_emulator.http.api import Arrival
    from zof_emulator.http.hosted_world import HostedWorld

_REPEATED: Final = b"\n"
"""The value of a header that is given twice, as `decode.read_headers` has it."""


def may_match(table: FaultTable, arrival: Arrival, hosted: HostedWorld) -> bool:
    """Whether a rule of a table may match a request.

    It judges each condition by itself and reads no more than it must, so that rules that do not match cost a request
    little. The key may have expired.
    """
    for has_organization, has_key, has_path, has_header, has_body in table.shapes:
        if has_path and arrival.scope["path"] not in table.paths:
            continue
        if has_header and not _has_value(table.headers, arrival.headers):
            continue
        if has_organization or has_key:
            authorization = arrival.headers.get(b"authorization", b"")
            key = hosted.authorizations.get(authorization) or hosted.authorizations.get(normalize_bearer(authorization))
            if key is None or (has_organization and key.organization not in table.organizations):
                continue
            if has_key and _digest(key) not in table.keys:
                continue
        if has_body and not any(value in table.fields[name] for name, value in _read_fields(arrival.raw, table.fields)):
            continue
        return True
    return False


def _has_value(wanted: Mapping[str, Container[str]], headers: Mapping[bytes, bytes]) -> bool:
    """Whether a request has a header with one of the wanted values; a repeated header may have one."""
    for name in wanted if len(wanted) <= len(headers) else [one.decode("latin-1") for one in headers]:
        values, value = wanted.get(name), headers.get(name.encode("latin-1"))
        if values is not None and value is not None and (value == _REPEATED or value.decode("latin-1") in values):
            return True
    return False


def read_call(arrival: Arrival, hosted: HostedWorld, tables: Sequence[FaultTable]) -> FaultCall:
    """A request as rules match it: what the rules for its operation look at."""
    operation, path = arrival.operation.id, arrival.scope["path"]
    names = {name for table in tables for name in table.headers}
    pairs = ((name.decode("latin-1"), value.decode("latin-1")) for name, value in arrival.scope["headers"] if names)
    headers = tuple(dict.fromkeys(pair for pair in pairs if pair[0] in names))
    fields = _read_fields(arrival.raw, {name for table in tables for name in table.fields})
    key = find_key(arrival, hosted) if any(table.organizations or table.keys for table in tables) else None
    if key is None:
        return FaultCall(operation, path, headers=headers, fields=fields)
    return FaultCall(operation, path, key.organization, _digest(key), headers, fields)


def find_key(arrival: Arrival, hosted: HostedWorld) -> Key | None:
    """The valid key of a request, or None."""
    try:
        return authenticate(arrival.headers.get(b"authorization"), hosted.authorizations, hosted.world.now)
    except Refused:
        return None


def _read_fields(raw: object, names: Collection[str]) -> tuple[tuple[str, str], ...]:
    """The fields of a JSON body with these names, and their values; the items of a list count as values too."""
    if not names or not isinstance(raw, bytes):
        return ()
    try:
        body = orjson.loads(raw)
    except orjson.JSONDecodeError:
        return ()
    if not isinstance(body, dict):
        return ()
    found: dict[tuple[str, str], None] = {}
    for name in [name for name in body if name in names]:
        value = body[name]
        for one in [value, *(value if isinstance(value, list) else ())]:
            text = _try_write_canonical(one)
            if text is not None:
                found[name, text] = None
    return tuple(found)


def _try_write_canonical(value: Any) -> str | None:  # noqa: ANN401  JSON
    try:
        return write_canonical(value)
    except InvalidField:
        return None


def _digest(key: Key) -> str:
    """The form in which a rule keeps a key of the world."""
    return DIGEST + key.known_digest if key.known_digest else digest_key(key.secret)
