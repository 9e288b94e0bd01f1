"""Paging: the cursor of a request, and the cursor of the page that follows."""

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


def find_start(world: World, call: Request) -> int | None:
    """The position that a call's cursor names, None without a cursor; `Refused` when it is another list's."""
    cursor = call.query.get("starting_after")
    return None if cursor is None else unseal(world.seed, _scope(call), cursor)


def page_request(world: World, call: Request, start: int = 0) -> PageRequest:
    """The page that a call asks for: from the position of its cursor, or from `start` without a cursor."""
    return PageRequest(world.seed, _scope(call), start if call.start is None else call.start)


def _scope(call: Request) -> str:
    """The name of a list with its filters."""
    query = call.query
    filters = [f"{key}={query[key]}" for key in sorted(query) if key not in {"limit", "starting_after"}]
    return "/".join((call.organization, call.operation, call.id, *filters))
