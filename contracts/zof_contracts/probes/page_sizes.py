"""The size of a page without limit, judged where a list holds more items than fit into one (section 5)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from zof_contracts.contract.document import load_contract
from zof_contracts.contract.resources import load_resources
from zof_contracts.evidence.findings import quote_value
from zof_contracts.probes.context import Probe, ProbeContext, Unsettled
from zof_contracts.probes.results import judge_formulas, read_csv

if TYPE_CHECKING:
    from collections.abc import Iterator

    from zof_contracts.evidence.exchange import Exchange

_RULE: Final = "pages.default.full"
_RUNS: Final = "listRuns"
_RESULTS: Final = "listResults"


def read_full_pages(context: ProbeContext) -> None:
    """Lists with more items than a page holds are read without limit; enough runs are started where that is allowed."""
    size = load_resources().page_size
    judged = False
    for operation, path in _list_paths(context):
        listed = context.client.get(path, limit=size + 1)
        missing = size + 1 - len(listed.response.items)
        if operation == _RUNS and listed.response.ok and missing > 0 and context.can_start_runs:
            _make_runs(context, missing)
            listed = context.client.get(path, limit=size + 1)
        if listed.response.ok and len(listed.response.items) > size:
            _judge(context, path, listed, operation)
            judged = True
            if operation == _RESULTS:
                _judge_export(context, path)
    if not judged:
        raise Unsettled(f"no list holds more than {size} items")


def _judge(context: ProbeContext, path: str, listed: Exchange, operation: str) -> None:
    size = load_resources().page_size
    page = context.client.get(path)
    if page.response.ok:
        count = len(page.response.items)
        expected, got = f"{size} items, since there are more", f"{count} items"
        context.check(_RULE, count == size, expected=expected, got=got, trace=[listed, page], place=operation)


def _judge_export(context: ProbeContext, path: str) -> None:
    """Judge exports without a filter: JSON holds every result of the two pages that were listed before it."""
    largest = load_resources().largest_page
    pages = [context.client.get(path, limit=largest)]
    cursor = pages[0].response.fields.get("next_cursor")
    if pages[0].response.fields.get("has_more") is True and isinstance(cursor, str):
        pages.append(context.client.get(path, limit=largest, starting_after=cursor))
    as_csv = context.client.post("/results/export", {"format": "csv"})
    if as_csv.response.ok:
        judge_formulas(context, read_csv(as_csv), as_csv)
    export = context.client.post("/results/export", {"format": "json"})
    if not (pages[-1].response.ok and export.response.ok and isinstance(export.response.fields.get("data"), list)):
        return
    listed = [item.get("id") for page in pages for item in page.response.items]
    exported = {each.get("id") for each in export.response.items}
    missing = [each for each in listed if each not in exported]
    expected = f"the {len(listed)} results that are listed"
    got = (
        f"{len(exported)} results, without {len(missing)} of them, such as {quote_value(missing[0])}" if missing else ""
    )
    context.check("exports.equals-list", not missing, expected=expected, got=got, trace=[*pages, export])


def _make_runs(context: ProbeContext, count: int) -> None:
    """Start runs and cancel them at once, so that they take no place from others."""
    for _ in range(count):
        run_id = context.start(context.target.cases[0]).response.fields["id"]
        context.client.post(f"/runs/{run_id}/cancel")


def _list_paths(context: ProbeContext) -> Iterator[tuple[str, str]]:
    """Every list of the document, with its path; those of a run are about a run that has ended."""
    run_id = context.find_ended_run().response.fields["id"]
    for operation in load_resources().pages:
        path = load_contract().operations[operation].path
        if path.startswith("/runs/{id}"):
            yield operation, path.replace("{id}", run_id)
        elif "{id}" not in path:
            yield operation, path


PROBES: Final = (Probe("pages without a limit", read_full_pages, (_RULE,)),)
"""The probe needs many runs, so it follows those that start some."""
