"""Operations on results: list, retrieve, export."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from zof_emulator.core import artifacts
from zof_emulator.core.auto_clock import move_on_poll
from zof_emulator.core.index import NO_END, Period
from zof_emulator.core.lifecycle import Status
from zof_emulator.handlers import views
from zof_emulator.handlers.messages import Export, File, Item, Page, Reply, Request
from zof_emulator.handlers.paging import page_request
from zof_emulator.handlers.runs import artifact_page
from zof_emulator.render import csv

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from zof_emulator.core.world import World

    Find = Callable[[int, int], tuple[list[int], bool]]
    """Takes a rank and a limit; returns at most `limit` lower ranks, the highest first, and whether more follow."""

_BATCH: Final = 500


def list_results(world: World, call: Request) -> Reply:
    """One page of the organization's results, the newest first."""
    here = page_request(world, call, NO_END)
    run = world.find_run(call.organization, call.query.get("run_id", ""))
    if run is not None:
        move_on_poll(world, (run,))
    ranks, more = _find(world, call.organization, call.query)(here.start, call.query["limit"])
    page = [views.ResultAt(*world.result_at_rank(call.organization, rank)) for rank in ranks]
    return Reply(200, Page(page, views.result_object, more, here.cursor(ranks[-1]) if more else None))


def get_result(world: World, call: Request) -> Reply:
    """Retrieve a result."""
    return Reply(200, Item(views.ResultAt(*world.result_run(call.organization, call.id)), views.result_object))


def list_result_artifacts(world: World, call: Request) -> Reply:
    """One page of a result's artifacts, newest first."""
    run, index = world.result_run(call.organization, call.id)
    return artifact_page(world, call, run, artifacts.slots_of_case(run, index))


def export_results(world: World, call: Request) -> Reply:
    """Export all matching results."""
    find = _find(world, call.organization, call.body)
    end = world.tenancies[call.organization].results.end

    def subjects() -> Iterator[views.ResultAt]:
        below, more = end, True
        while more:
            ranks, more = find(below, _BATCH)
            for below in ranks:
                yield views.ResultAt(*world.result_at_rank(call.organization, below))

    if call.body["format"] == "json":
        return Reply(200, Export("results.json", subjects, views.result_object))

    def lines() -> Iterator[bytes]:
        yield csv.header()
        for at in subjects():
            yield csv.row(world.result(at.run, at.case_index))

    return Reply(200, File("text/csv", "results.csv", lines))


def _find(world: World, organization: str, filters: Mapping[str, Any]) -> Find:
    """The function that finds the results that match the filters."""
    period = Period(filters.get("created_after"), filters.get("created_before"))
    status = Status(filters["status"]) if "status" in filters else None
    name = filters.get("run_id")
    run = None if name is None else world.find_run(organization, name)
    if name is not None and (run is None or not run.has_ended):
        return lambda _below, _limit: ([], False)
    index = world.tenancies[organization].results
    return lambda below, limit: index.page(run, status, period, below, limit)
