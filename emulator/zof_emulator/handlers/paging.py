"""Paging: the cursor of a request, and the cursor of the next page."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from zof_emulator.core.pages import CURSOR, seal, unseal

if TYPE_CHECKING:
    from zof_emulator.core.world import World
    from zof_emulator.handlers.messages import Request


class PageRequest(NamedTuple):
    """A page of a list with its filters. A cursor of another list or of other filters is refused."""

    seed: int
    scope: str
    start: int
    """The position at which the page starts."""

    def cursor(self, position: int) -> str:
        """The cursor of the page that starts at a position."""
        return seal(self.seed, self.scope, position)


def find_start(world: World, request: Request) -> int | None:
    """The position in the cursor of a request; None without a cursor.

    Raises:
        Refused: the cursor is malformed, or belongs to another list or other filters.
    """
    cursor = request.query.get(CURSOR)
    return None if cursor is None else unseal(world.seed, _name_list(request), cursor)


def read_page_request(world: World, request: Request, start: int = 0) -> PageRequest:
    """The page that a request asks for: it starts at the cursor's position, or at `start` without a cursor."""
    return PageRequest(world.seed, _name_list(request), start if request.start is None else request.start)


def _name_list(request: Request) -> str:
    """The name of a list with its filters."""
    query = request.query
    filters = [f"{key}={query[key]}" for key in sorted(query) if key not in {"limit", CURSOR}]
    return "/".join((request.organization, request.operation, request.id, *filters))
