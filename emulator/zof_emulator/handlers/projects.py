"""The operation that lists projects."""

from __future__ import annotations

from typing import TYPE_CHECKING

from zof_emulator.core.index import NO_END
from zof_emulator.handlers import views
from zof_emulator.handlers.messages import Page, Reply, Request
from zof_emulator.handlers.paging import read_page_request

if TYPE_CHECKING:
    from zof_emulator.core.world import World


def list_projects(world: World, request: Request) -> Reply:
    """One page of the organization's projects, newest first."""
    page_request = read_page_request(world, request, NO_END)
    page, more = world.catalogue.page(request.organization, page_request.start, request.query["limit"])
    return Reply(200, Page(page, views.build_project, more, page_request.cursor(page[-1].number) if more else None))
