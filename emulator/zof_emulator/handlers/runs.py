"""Operations on runs, their logs and their artifacts."""

from __future__ import annotations

from typing import TYPE_CHECKING

from zof_emulator.core import artifacts, logs
from zof_emulator.core.auto_clock import move_on_poll
from zof_emulator.core.catalogue import Order
from zof_emulator.core.index import NO_END, Period
from zof_emulator.core.lifecycle import Status
from zof_emulator.core.pages import take_newest
from zof_emulator.handlers import views
from zof_emulator.handlers.messages import Item, Page, Reply, Request
from zof_emulator.handlers.paging import page_request

if TYPE_CHECKING:
    from zof_emulator.core.runs import Run
    from zof_emulator.core.world import World


def list_runs(world: World, call: Request) -> Reply:
    """One page of the organization's runs, newest first."""
    query = call.query
    here = page_request(world, call, NO_END)
    period = Period(query.get("created_after"), query.get("created_before"))
    status = Status(query["status"]) if "status" in query else None
    index = world.tenancies[call.organization].runs
    asked = query.get("project_id"), status, period, here.start, query["limit"]
    numbers, more = index.page(*asked)
    found = [world.runs[number] for number in numbers]
    if move_on_poll(world, found):
        numbers, more = index.page(*asked)
        found = [world.runs[number] for number in numbers]
    return Reply(200, Page(found, views.run_object, more, here.cursor(numbers[-1]) if more else None))


def start_run(world: World, call: Request) -> Reply:
    """Accept a run."""
    asked = call.body
    cases = tuple(asked.get("test_case_ids", ()))
    run = world.start(
        call.organization, Order(asked["project_id"], asked["environment"], cases, asked.get("test_suite_id"))
    )
    location = f"{call.base}{views.PREFIX}/runs/{world.names.run(run.number)}"
    return Reply(201, Item(run, views.run_detail), (("location", location),))


def get_run(world: World, call: Request) -> Reply:
    """Retrieve a run."""
    return Reply(200, Item(_poll_run(world, call), views.run_detail))


def cancel_run(world: World, call: Request) -> Reply:
    """Cancel a run."""
    return Reply(200, Item(world.cancel(world.run(call.organization, call.id)), views.run_detail))


def get_run_logs(world: World, call: Request) -> Reply:
    """One page of a run's log lines, oldest first."""
    run = _poll_run(world, call)
    here = page_request(world, call)
    written = logs.count(run)
    end = min(written, here.start + call.query["limit"])
    lines = [views.LineAt(run, place) for place in range(here.start, end)]
    more = end < written
    return Reply(200, Page(lines, views.log_object, more, here.cursor(end) if more or not run.has_ended else None))


def list_run_artifacts(world: World, call: Request) -> Reply:
    """One page of a run's artifacts, its cases' and its own, newest first."""
    run = _poll_run(world, call)
    return artifact_page(world, call, run, artifacts.slots(run))


def artifact_page(world: World, call: Request, run: Run, slots: list[int]) -> Reply:
    """One page of those of a run's artifacts that are in these slots, newest first."""
    here = page_request(world, call, NO_END)
    page, more = take_newest(world.filter_unexpired(run, slots), 0, here.start, call.query["limit"])
    found = [views.ArtifactAt(run, slot) for slot in page]
    return Reply(200, Page(found, views.artifact_object, more, here.cursor(page[-1]) if more else None))


def _poll_run(world: World, call: Request) -> Run:
    """The run that a call asks for, as it stands once that has moved the clock, if it does."""
    run = world.run(call.organization, call.id)
    return world.runs[run.number] if move_on_poll(world, (run,)) else run
