"""The gate: who asks, how often, and whether they may."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

from zof_emulator.core.config import ClockMode
from zof_emulator.core.instants import LAST
from zof_emulator.core.refusal import Refused
from zof_emulator.handlers.authorization import canonical_bearer

if TYPE_CHECKING:
    from collections.abc import Mapping

    from zof_emulator.core.tenants import Key
    from zof_emulator.core.world import World
    from zof_emulator.spec.operation import Operation


def key_of(authorization: bytes | None, authorizations: Mapping[bytes, Key], now: int) -> Key:
    """The key that a request brings, by its `Authorization` header; `Refused` when it opens nothing at `now` (ms)."""
    if authorization is None:
        raise Refused("key_missing")
    key = authorizations.get(authorization) or authorizations.get(canonical_bearer(authorization))
    if key is None:
        raise Refused("key_missing" if not authorization.strip() else "key_invalid")
    if key.is_dead(now):
        raise Refused("key_expired")
    return key


def permit(key: Key, operation: Operation) -> None:
    """Let a key pass that holds what the operation needs; `Refused` else."""
    for permission in operation.permissions:
        if permission not in key.permissions:
            raise Refused("permission_missing", permission=permission)


def admit(world: World, key: Key) -> tuple[tuple[tuple[bytes, bytes], ...], int | None]:
    """Count a request of a key: the headers that say how it stands, and how many seconds to wait if it must."""
    verdict = world.limiter.admit(key.organization, key.secret, world.now)
    if verdict.retry_after is not None and world.clock.mode is ClockMode.AUTO:
        end = world.limiter.end_of_wait(key.organization, key.secret)
        if end is not None and end <= LAST:  # it was told to wait and has come again: then it has waited
            world.move_to(end)
            verdict = world.limiter.admit(key.organization, key.secret, world.now)
    limit, reset = _of_window(verdict.limit, verdict.reset)
    return (limit, (b"x-ratelimit-remaining", b"%d" % verdict.remaining), reset), verdict.retry_after


@lru_cache(maxsize=64)
def _of_window(limit: int, reset: int) -> tuple[tuple[bytes, bytes], tuple[bytes, bytes]]:
    """The headers that stay as they are for a whole window."""
    return (b"x-ratelimit-limit", b"%d" % limit), (b"x-ratelimit-reset", b"%d" % reset)
