"""Operations on projects."""

from __future__ import annotations

from typing import TYPE_CHECKING

from zof_emulator.core.index import NO_END
from zof_emulator.core.pages import take_newest
from zof_emulator.handlers import views
from zof_emulator.handlers.messages import Page, Reply, Request
from zof_emulator.handlers.paging import page_request

if TYPE_CHECKING:
    from zof_emulator.core.world import World


def list_projects(world: World, call: Request) -> Reply:
    """One page of the organization's projects, newest first."""
    here = page_request(world, call, NO_END)
    projects = world.catalogue.projects(call.organization)
    places, more = take_newest(range(len(projects)), 0, here.start, call.query["limit"])
    found = [projects[place] for place in places]
    return Reply(200, Page(found, views.project_object, more, here.cursor(places[-1]) if more else None))
