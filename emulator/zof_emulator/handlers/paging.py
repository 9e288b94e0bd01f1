"""Paging: the cursor that a call brings, and the one that it takes away."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from zof_emulator.core.pages import seal, unseal

if TYPE_CHECKING:
    from zof_emulator.core.world import World
    from zof_emulator.handlers.messages import Request


class PageRequest(NamedTuple):
    """A walk through one list with its filters: a cursor of another walk is refused."""

    seed: int
    scope: str
    start: int
    """Where this page starts."""

    def cursor(self, position: int) -> str:
        """The cursor of a page that starts at a position."""
        return seal(self.seed, self.scope, position)


def page_request(world: World, call: Request, start: int = 0) -> PageRequest:
    """The walk that a call is on, from `start` unless it brings a cursor; `Refused` when that is another walk's."""
    query = call.query
    filters = [f"{key}={query[key]}" for key in sorted(query) if key not in {"limit", "starting_after"}]
    scope = "/".join((call.organization, call.operation, call.id, *filters))
    cursor = query.get("starting_after")
    return PageRequest(world.seed, scope, start if cursor is None else unseal(world.seed, scope, cursor))
