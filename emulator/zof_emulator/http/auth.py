"""Authentication, rate limit and permissions of a request."""

from __future__ import annotations

from functools import lru_cache
from hashlib import sha256
from typing import TYPE_CHECKING

from zof_emulator.core.auto_clock import move_to_end_of_window
from zof_emulator.core.config import ClockMode
from zof_emulator.core.instants import LAST
from zof_emulator.core.refusal import Refused
from zof_emulator.handlers.authorization import normalize_bearer
from zof_emulator.http.decode import REPEATED

if TYPE_CHECKING:
    from collections.abc import Mapping

    from zof_emulator.core.tenants import Key
    from zof_emulator.core.world import World
    from zof_emulator.spec.operation import Operation


def authenticate(authorization: bytes | None, authorizations: Mapping[bytes, Key], now: int) -> Key:
    """The API key in the `Authorization` header of a request.

    Raises:
        Refused: the key is missing, unknown or given twice, or it has expired or is revoked at `now` (ms).
    """
    if authorization is None:
        raise Refused("key_missing")
    if authorization == REPEATED:
        raise Refused("key_repeated")
    key = authorizations.get(authorization) or _find_key(normalize_bearer(authorization), authorizations)
    if key is None:
        raise Refused("key_missing" if not authorization.strip() else "key_invalid")
    if key.is_invalid(now):
        raise Refused("key_expired")
    return key


def _find_key(authorization: bytes, authorizations: Mapping[bytes, Key]) -> Key | None:
    """The key in a canonical header; None if it is unknown or the header is none."""
    if not authorization:
        return None
    return authorizations.get(authorization) or authorizations.get(mark_digest(sha256(authorization).hexdigest()))


def mark_digest(digest: str) -> bytes:
    """The entry of a key whose secret is not known: its digest after a line feed, which no header can hold."""
    return b"\n" + digest.encode()


def check_permissions(key: Key, operation: Operation) -> None:
    """Check that a key has the permissions that the operation requires.

    Raises:
        Refused: a permission is missing.
    """
    for permission in operation.permissions:
        if permission not in key.permissions:
            raise Refused("permission_missing", permission=permission)


def admit(world: World, key: Key) -> tuple[tuple[tuple[bytes, bytes], ...], int | None]:
    """Count a request of a key against the rate limit.

    Returns:
        The headers of the rate limit, and the seconds to wait; None if the request is admitted.

    Raises:
        MustWait: on an auto clock, something else must be served first. The request was not counted.
    """
    verdict = world.limiter.admit(key.organization, key.name, world.now)
    if verdict.retry_after is not None and world.clock.mode is ClockMode.AUTO:
        end = world.limiter.end_of_wait(key.organization, key.name)
        if end is not None and end <= LAST:  # it got a 429 before, so its repetition counts as having waited
            move_to_end_of_window(world, end)
            verdict = world.limiter.admit(key.organization, key.name, world.now)
    limit, reset = _build_window_headers(verdict.limit, verdict.reset)
    return (limit, (b"x-ratelimit-remaining", b"%d" % verdict.remaining), reset), verdict.retry_after


@lru_cache(maxsize=64)
def _build_window_headers(limit: int, reset: int) -> tuple[tuple[bytes, bytes], tuple[bytes, bytes]]:
    """The headers that are the same for a whole window."""
    return (b"x-ratelimit-limit", b"%d" % limit), (b"x-ratelimit-reset", b"%d" % reset)
