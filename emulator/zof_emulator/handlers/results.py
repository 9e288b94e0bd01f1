"""Operations on results: list, retrieve, export."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from zof_emulator.core import artifacts
from zof_emulator.core.auto_clock import move_on_poll
from zof_emulator.core.index import NO_END, Period
from zof_emulator.core.lifecycle import Status
from zof_emulator.handlers import views
from zof_emulator.handlers.messages import Export, File, Item, Page, Reply, Request
from zof_emulator.handlers.paging import read_page_request
from zof_emulator.handlers.runs import build_artifact_page
from zof_emulator.render import csv

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from zof_emulator.core.runs import Run
    from zof_emulator.core.world import World

    Find = Callable[[int, int], tuple[list[int], bool]]
    """Takes a rank and a limit; returns at most `limit` lower ranks, the highest first, and whether more follow."""


def list_results(world: World, request: Request) -> Reply:
    """One page of the organization's results, the newest first."""
    page_request = read_page_request(world, request, NO_END)
    run = world.find_run(request.organization, request.query.get("run_id", ""))
    if run is not None:
        move_on_poll(world, (run,))
    ranks, more = _choose_search(world, request.organization, request.query)(page_request.start, request.query["limit"])
    page = [views.ResultAt(*world.result_at_rank(request.organization, rank)) for rank in ranks]
    return Reply(200, Page(page, views.build_result, more, page_request.cursor(ranks[-1]) if more else None))


def get_result(world: World, request: Request) -> Reply:
    """Retrieve a result."""
    return Reply(200, Item(views.ResultAt(*world.result_run(request.organization, request.id)), views.build_result))


def list_result_artifacts(world: World, request: Request) -> Reply:
    """One page of a result's artifacts, newest first."""
    run, index = world.result_run(request.organization, request.id)
    return build_artifact_page(world, request, run, artifacts.list_case_slots(run, index, world.outcome_rules))


def export_results(world: World, request: Request) -> Reply:
    """Export all results that match. The selection is fixed now, and does not change while they are sent."""
    filters = request.body
    status = Status(filters["status"]) if "status" in filters else None
    runs = _find_ended_runs(world, request.organization, filters)

    def subjects() -> Iterator[views.ResultAt]:
        for run in runs:
            for index, came_to in enumerate(run.case_statuses()):
                if status is None or came_to is status:
                    yield views.ResultAt(run, index)

    if filters["format"] == "json":
        return Reply(200, Export("results.json", subjects, views.build_result))

    def lines() -> Iterator[bytes]:
        yield csv.render_header()
        for at in subjects():
            yield csv.render_row(world.result(at.run, at.case_index))

    return Reply(200, File("text/csv", "results.csv", lines))


def _find_ended_runs(world: World, organization: str, filters: Mapping[str, Any]) -> Sequence[Run]:
    """The runs whose results an export covers, in the order of the list; a run never changes once it has ended."""
    period = Period(filters.get("created_after"), filters.get("created_before"))
    numbers = world.tenancies[organization].results.runs_in(period)
    if "run_id" in filters:
        run = world.find_run(organization, filters["run_id"])
        numbers = [run.number] if run is not None and run.number in numbers else []
    return [world.runs[number] for number in reversed(numbers)]


def _choose_search(world: World, organization: str, filters: Mapping[str, Any]) -> Find:
    """The function that finds the results that match."""
    period = Period(filters.get("created_after"), filters.get("created_before"))
    status = Status(filters["status"]) if "status" in filters else None
    name = filters.get("run_id")
    run = None if name is None else world.find_run(organization, name)
    if name is not None and (run is None or not run.has_ended):
        return lambda _below, _limit: ([], False)
    index = world.tenancies[organization].results
    return lambda below, limit: index.page(run, status, period, below, limit)
