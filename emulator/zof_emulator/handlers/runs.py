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
from zof_emulator.handlers.paging import read_page_request

if TYPE_CHECKING:
    from zof_emulator.core.runs import Run
    from zof_emulator.core.world import World


def list_runs(world: World, request: Request) -> Reply:
    """One page of the organization's runs, newest first."""
    query = request.query
    page_request = read_page_request(world, request, NO_END)
    period = Period(query.get("created_after"), query.get("created_before"))
    status = Status(query["status"]) if "status" in query else None
    index = world.tenancies[request.organization].runs
    criteria = query.get("project_id"), status, period, page_request.start, query["limit"]
    numbers, more = index.page(*criteria)
    page = [world.runs[number] for number in numbers]
    if move_on_poll(world, page):
        numbers, more = index.page(*criteria)
        page = [world.runs[number] for number in numbers]
    return Reply(200, Page(page, views.build_run, more, page_request.cursor(numbers[-1]) if more else None))


def start_run(world: World, request: Request) -> Reply:
    """Accept a run."""
    body = request.body
    cases = tuple(body.get("test_case_ids", ()))
    order = Order(body["project_id"], body["environment"], cases, body.get("test_suite_id"))
    run = world.start(request.organization, order)
    location = f"{request.base}{views.PREFIX}/runs/{world.names.run(run.number)}"
    return Reply(201, Item(run, views.build_run_detail), (("location", location),))


def get_run(world: World, request: Request) -> Reply:
    """Retrieve a run."""
    return Reply(200, Item(_poll_run(world, request), views.build_run_detail))


def cancel_run(world: World, request: Request) -> Reply:
    """Cancel a run."""
    return Reply(200, Item(world.cancel(world.run(request.organization, request.id)), views.build_run_detail))


def get_run_logs(world: World, request: Request) -> Reply:
    """One page of a run's log lines, oldest first."""
    run = _poll_run(world, request)
    page_request = read_page_request(world, request)
    line_count = logs.count_lines(run, world.outcome_rules)
    end = min(line_count, page_request.start + request.query["limit"])
    lines = [views.LineAt(run, index) for index in range(page_request.start, end)]
    more = end < line_count
    cursor = page_request.cursor(end) if more or not run.has_ended else None
    return Reply(200, Page(lines, views.build_log_line, more, cursor))


def list_run_artifacts(world: World, request: Request) -> Reply:
    """One page of the artifacts of a run and of its cases, newest first."""
    run = _poll_run(world, request)
    return build_artifact_page(world, request, run, artifacts.list_slots(run, world.outcome_rules))


def build_artifact_page(world: World, request: Request, run: Run, slots: list[int]) -> Reply:
    """One page of a run's artifacts in these slots, newest first."""
    page_request = read_page_request(world, request, NO_END)
    on_page, more = take_newest(world.filter_unexpired(run, slots), 0, page_request.start, request.query["limit"])
    page = [views.ArtifactAt(run, slot) for slot in on_page]
    return Reply(200, Page(page, views.build_artifact, more, page_request.cursor(on_page[-1]) if more else None))


def _poll_run(world: World, request: Request) -> Run:
    """The run that a request names, after the poll has moved the clock if the clock mode is `auto`."""
    run = world.run(request.organization, request.id)
    return world.runs[run.number] if move_on_poll(world, (run,)) else run
