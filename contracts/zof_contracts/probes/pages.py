"""Pages: walks, cursors and limits of every list, and the filters of runs and results (sections 5, 7 and 9)."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

from zof_contracts.checks.claims import check_listed_run, check_status_filter, check_walk, describe
from zof_contracts.contract.document import load_contract
from zof_contracts.contract.resources import load_resources
from zof_contracts.evidence.findings import quote_value
from zof_contracts.probes.context import NOT_FOUND, Probe, ProbeContext, Unsettled

if TYPE_CHECKING:
    from zof_contracts.evidence.exchange import Exchange

JsonObject = dict[str, Any]

_UNKNOWN: tuple[tuple[str, JsonObject], ...] = (
    ("/runs", {"project_id": "proj_missing"}),
    ("/results", {"run_id": "run_missing"}),
)
_PAGES: Final = 20
"""The pages that a walk may cost."""


def _list_ids(items: list[JsonObject]) -> list[str]:
    return [str(item.get("id")) for item in items]


def read_every_list(context: ProbeContext) -> None:
    """Every list of the document honours limit."""
    run_id = context.find_ended_run().response.fields["id"]
    results = sorted(context.results(run_id), key=lambda each: each.get("status") == "passed")
    ids = {"runs": run_id, "results": results[0].get("id") if results else None}
    for operation in load_resources().pages:
        template = load_contract().operations[operation].path
        parent = template.split("/")[1]
        if "{id}" in template and ids.get(parent) is None:
            continue
        answer = context.client.get(template.replace("{id}", str(ids.get(parent))), limit=1)
        size = len(answer.response.items)
        if answer.response.ok:
            got = f"{size} items"
            context.check("pages.every-list", size <= 1, expected="at most 1 item", got=got, trace=answer)
        if operation == "listProjects" and (answer.response.ok or answer.response.status == NOT_FOUND):
            _judge_projects(context, answer)


def _judge_projects(context: ProbeContext, answer: Exchange) -> None:
    projects = answer.response.fields.get("data")
    ids = [one.get("id") for one in answer.response.items]
    holds = isinstance(projects, list) and all(isinstance(each, str) for each in ids)
    got = f"{describe(answer.response)} with the ids {quote_value(ids)}"
    context.check("projects.shape", holds, expected="projects, each with an id", got=got, trace=answer)


def _walk(context: ProbeContext, path: str, **query: Any) -> list[Exchange]:  # noqa: ANN401  parameters
    """All pages of a list."""
    pages = [context.require_ok(context.client.get(path, **query))]
    while pages[-1].response.fields.get("has_more") is True:
        cursor = pages[-1].response.fields.get("next_cursor")
        if not isinstance(cursor, str) or not cursor or len(pages) > _PAGES:
            break
        page = context.client.get(path, **query, starting_after=cursor)
        if not page.response.ok:
            break
        pages.append(page)
    return pages


def walk_results(context: ProbeContext) -> None:
    """A list that is walked with a small limit is the list read at once."""
    run_id = context.find_ended_run().response.fields["id"]
    at_once = context.list_results(run_id)
    pages = _walk(context, "/results", run_id=run_id, limit=1)
    whole = _list_ids(at_once.response.items)
    walked = [item for page in pages for item in _list_ids(page.response.items)]
    if len(whole) > 1:
        context.record(check_walk("pages.walk", walked, whole, exact=True), [at_once, *pages])
        for number, page in enumerate(pages, 1):
            _judge_has_more(context, page, [at_once, page], is_more=number < len(whole))
    cursor = pages[0].response.fields.get("next_cursor")
    if isinstance(cursor, str):
        _send_wrong_cursors(context, cursor, run_id)


def _judge_has_more(context: ProbeContext, page: Exchange, trace: list[Exchange], *, is_more: bool) -> None:
    more = page.response.fields.get("has_more")
    expected = f"has_more {quote_value(is_more)}, since {'more' if is_more else 'no'} items follow"
    got = f"has_more {quote_value(more)}"
    context.check("pages.has-more", more is is_more, expected=expected, got=got, trace=trace)


def _send_wrong_cursors(context: ProbeContext, cursor: str, run_id: str) -> None:
    get = context.client.get
    tampered = cursor[:-2] + ("A" if cursor[-2] != "A" else "B") + cursor[-1] if len(cursor) > 1 else "A"
    for wrong, what in (("no-cursor-at-all", "a made-up cursor"), (tampered, "a tampered cursor")):
        answer = get("/results", run_id=run_id, limit=1, starting_after=wrong)
        context.expect_refusal("pages.cursor.malformed", answer, what, param="starting_after", own=True)
    rule = "pages.cursor.foreign"
    other = get("/runs", limit=1, starting_after=cursor)
    context.expect_refusal(rule, other, "a cursor of another list", param="starting_after", own=True)
    filtered = get("/results", limit=1, starting_after=cursor)
    context.expect_refusal(rule, filtered, "a cursor of other filters", param="starting_after", own=True)


def walk_under_change(context: ProbeContext) -> None:
    """A walk while runs are started skips and repeats nothing."""
    page = context.require_ok(context.client.get("/runs", limit=2))
    if page.response.fields.get("has_more") is not True:
        for _ in range(4):
            context.start()
        page = context.require_ok(context.client.get("/runs", limit=2))
        _judge_has_more(context, page, [page], is_more=True)
    pages = [page]
    for _ in range(2):
        context.start()
        cursor = page.response.fields.get("next_cursor")
        if page.response.fields.get("has_more") is not True or not cursor:
            raise Unsettled("there are too few runs for a walk")
        page = context.require_ok(context.client.get("/runs", limit=2, starting_after=cursor))
        pages.append(page)
    after = context.require_ok(context.client.get("/runs", limit=100))
    walked = [item for each in pages for item in _list_ids(each.response.items)]
    listed = _list_ids(after.response.items)
    begin = listed.index(walked[0]) if walked and walked[0] in listed else 0
    wanted = listed[begin : begin + len(walked)]
    context.record(check_walk("pages.walk.under-change", walked, wanted, exact=True), [*pages, after])


def filter_by_unknown_ids(context: ProbeContext) -> None:
    """A filter that names nothing selects nothing."""
    context.ensure_reachable()
    for path, query in _UNKNOWN:
        answer = context.client.get(path, **query)
        rule = "pages.filter.unknown-id"
        if context.is_conclusive(rule, answer, 200):
            is_empty = answer.response.ok and answer.response.fields.get("data") == []
            got = f"{describe(answer.response)} with {len(answer.response.items)} items"
            context.check(rule, is_empty, expected="200 with an empty list", got=got, trace=answer)


def filter_runs(context: ProbeContext) -> None:
    """Runs by project, status and date."""
    ended = context.find_ended_run()
    run = ended.response.fields
    get = context.client.get
    # The request ID has nothing to do with the list; `checks.history` judges whether it is echoed.
    unfiltered = get("/runs", limit=100, headers=(("X-Request-Id", "req_" + "a" * 20),))
    if context.is_conclusive("pages.maximum", unfiltered, 200):
        got = describe(unfiltered.response)
        context.check("pages.maximum", unfiltered.response.ok, expected="2xx for limit=100", got=got, trace=unfiltered)
    _judge_listed_run(context, ended, unfiltered)
    with context.isolate("pages.walk"):
        _walk_two_pages(context, unfiltered)
    with context.isolate("runs.filter.project"):
        _filter_by_project(context, run)
    with context.isolate("runs.filter.status"):
        _filter_by_status(context, run)
    with context.isolate("runs.filter.date", "runs.filter.date.bounds"):
        _filter_runs_by_date(context, run, unfiltered)


def _filter_by_status(context: ProbeContext, run: JsonObject) -> None:
    for status in dict.fromkeys((str(run.get("status")), "passed")):
        answer = context.require_ok(context.client.get("/runs", status=status, limit=100))
        missing = [run["id"]] if status == run.get("status") and _lacks(answer, run["id"]) else []
        context.record(check_status_filter(status, answer.response.items, missing), answer)


def _filter_by_project(context: ProbeContext, run: JsonObject) -> None:
    project = run.get("project_id")
    if not isinstance(project, str):
        raise Unsettled(f"the run {run['id']} states no project_id")
    answer = context.require_ok(context.client.get("/runs", project_id=project, limit=100))
    others = [each for each in answer.response.items if each.get("project_id") != project]
    faults = [f"{each.get('id')} of {quote_value(each.get('project_id'))}" for each in others[:1]]
    faults += [f"no {run['id']}"] if _lacks(answer, run["id"]) else []
    expected, got = f"all runs of {project}, and no others", ", ".join(faults)
    context.check("runs.filter.project", not faults, expected=expected, got=got, trace=answer)


def _walk_two_pages(context: ProbeContext, at_once: Exchange) -> None:
    """The first two pages are the beginning of the list read at once."""
    first = context.require_ok(context.client.get("/runs", limit=2))
    cursor = first.response.fields.get("next_cursor")
    if not isinstance(cursor, str) or not cursor:
        return
    second = context.require_ok(context.client.get("/runs", limit=2, starting_after=cursor))
    walked = _list_ids([*first.response.items, *second.response.items])
    whole = _list_ids(at_once.response.items)[: len(walked)]
    context.record(check_walk("pages.walk", walked, whole, exact=True), [at_once, first, second])


def _filter_runs_by_date(context: ProbeContext, run: JsonObject, unfiltered: Exchange) -> None:
    created = str(run.get("created_at"))
    later = _add_seconds(created, 1)
    get = context.client.get
    inside = context.require_ok(get("/runs", created_after=created, limit=100))
    outside = context.require_ok(get("/runs", created_before=created, limit=100))
    after = context.require_ok(get("/runs", created_after=later, limit=100))
    before = context.require_ok(get("/runs", created_before=later, limit=100))
    for answer, is_before in ((after, False), (before, True)):
        times = [str(each.get("created_at")) for each in answer.response.items]
        strange = [time for time in times if (time < later) is not is_before]
        is_listed = _is_listed(answer, run["id"], wanted=is_before)
        expected = f"runs created {'before' if is_before else 'from'} {later}"
        got = f"{run['id']} {'' if is_listed else 'not '}listed, created_at {quote_value(strange[:2] or times[:2])}"
        holds = is_listed is is_before and not strange
        context.check("runs.filter.date", holds, expected=expected, got=got, trace=answer)
    for answer, wanted, what in ((inside, True, "created_after"), (outside, False, "created_before")):
        is_listed = _is_listed(answer, run["id"], wanted=wanted)
        expected = f"{run['id']} {'' if wanted else 'not '}listed under {what}={created}, its own created_at"
        got = f"{run['id']} {'' if is_listed else 'not '}listed"
        trace = [unfiltered, answer]
        context.check("runs.filter.date.bounds", is_listed is wanted, expected=expected, got=got, trace=trace)


def _is_listed(page: Exchange, item_id: str, *, wanted: bool) -> bool:
    """Whether an item is in a list; one that is wanted may be on a later page."""
    return not _lacks(page, item_id) if wanted else item_id in _list_ids(page.response.items)


def _lacks(page: Exchange, item_id: str) -> bool:
    """Whether an item is not in a list; it may be on a later page."""
    return item_id not in _list_ids(page.response.items) and page.response.fields.get("has_more") is not True


def _add_seconds(timestamp: str, seconds: int) -> str:
    try:
        moment = datetime.fromisoformat(timestamp).astimezone(UTC)
    except ValueError:
        raise Unsettled(f"created_at {quote_value(timestamp)} is no timestamp") from None
    return (moment + timedelta(seconds=seconds)).strftime("%Y-%m-%dT%H:%M:%SZ")


def filter_results(context: ProbeContext) -> None:
    """Results by run, status and date."""
    run_id = context.find_ended_run().response.fields["id"]
    ours = context.list_results(run_id)
    items = ours.response.items
    if not items:
        raise Unsettled("the run has no results")
    strange = [each for each in items if each.get("run_id") != run_id]
    got = ", ".join(f"{each.get('id')} of {quote_value(each.get('run_id'))}" for each in strange[:1])
    context.check("results.filter.run", not strange, expected=f"results of {run_id}", got=got, trace=ours)
    with context.isolate("results.filter.status"):
        _filter_results_by_status(context, run_id, ours)
    with context.isolate("results.filter.date"):
        _filter_results_by_date(context, run_id, items[0])


def _filter_results_by_status(context: ProbeContext, run_id: str, ours: Exchange) -> None:
    items = ours.response.items
    status = str(items[0].get("status"))
    wanted = [str(each.get("id")) for each in items if each.get("status") == status]
    answer = context.require_ok(context.client.get("/results", run_id=run_id, status=status, limit=100))
    found = _list_ids(answer.response.items)
    expected, got = f"the results {quote_value(wanted)} with status {status}", quote_value(found)
    context.check("results.filter.status", found == wanted, expected=expected, got=got, trace=[ours, answer])


def _filter_results_by_date(context: ProbeContext, run_id: str, result: JsonObject) -> None:
    name = str(result.get("id"))
    later = _add_seconds(str(result.get("created_at")), 1)
    dated: tuple[tuple[JsonObject, bool], ...] = (({"created_after": later}, False), ({"created_before": later}, True))
    for query, wanted in dated:
        answer = context.require_ok(context.client.get("/results", run_id=run_id, limit=100, **query))
        is_listed = name in _list_ids(answer.response.items)
        expected = f"{name} {'' if wanted else 'not '}listed under {next(iter(query))}={later}"
        got = f"{name} {'' if is_listed else 'not '}listed"
        context.check("results.filter.date", is_listed is wanted, expected=expected, got=got, trace=answer)


def _judge_listed_run(context: ProbeContext, run: Exchange, listed: Exchange) -> None:
    fields = run.response.fields
    item = next((each for each in listed.response.items if each.get("id") == fields["id"]), None)
    if item is None:
        context.ledger.record_skip("runs.list-agrees", "the run is not among the first 100")
        return
    context.record(check_listed_run(fields, item), [run, listed])


PROBES: Final = (
    Probe("every list", read_every_list, ("pages.every-list", "projects.shape")),
    Probe(
        "walks and cursors",
        walk_results,
        ("pages.walk", "pages.has-more", "pages.cursor.malformed", "pages.cursor.foreign"),
    ),
    Probe("a walk while runs are started", walk_under_change, ("pages.walk.under-change",)),
    Probe("filters that name nothing", filter_by_unknown_ids, ("pages.filter.unknown-id",)),
    Probe(
        "filters of runs",
        filter_runs,
        (
            "runs.filter.project",
            "runs.filter.status",
            "runs.filter.date",
            "runs.filter.date.bounds",
            "runs.list-agrees",
            "pages.maximum",
            "conventions.request-id.server-made",
        ),
    ),
    Probe(
        "filters of results",
        filter_results,
        ("results.filter.run", "results.filter.status", "results.filter.date"),
    ),
)
"""Probes that read lists."""
