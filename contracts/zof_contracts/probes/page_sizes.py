"""The size of a page without limit, judged where a list holds more items than fit into one (section 5)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from zof_contracts.contract.document import load_contract
from zof_contracts.contract.resources import load_resources
from zof_contracts.evidence.findings import quote_value
from zof_contracts.probes.context import Probe, ProbeContext, Unsettled

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
    """Judge that an export without a filter holds more than one page: every result that was listed before it."""
    listed = context.client.get(path, limit=load_resources().largest_page)
    export = context.client.post("/results/export", {"format": "json"})
    if not (listed.response.ok and export.response.ok and isinstance(export.response.fields.get("data"), list)):
        return
    exported = {each.get("id") for each in export.response.items}
    missing = [each.get("id") for each in listed.response.items if each.get("id") not in exported]
    expected = f"the {len(listed.response.items)} results that are listed"
    got = (
        f"{len(exported)} results, without {len(missing)} of them, such as {quote_value(missing[0])}" if missing else ""
    )
    context.check("exports.equals-list", not missing, expected=expected, got=got, trace=[listed, export])


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
