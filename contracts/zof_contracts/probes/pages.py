"""Pages: walks, cursors and limits of every list, and the filters of runs and results (sections 5, 7 and 9)."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from zof_contracts.probes.context import NOT_FOUND, ProbeContext, Unsettled, describe

if TYPE_CHECKING:
    from zof_contracts.evidence.exchange import Exchange

JsonObject = dict[str, Any]

_UNKNOWN: tuple[tuple[str, JsonObject], ...] = (
    ("/runs", {"project_id": "proj_missing"}),
    ("/results", {"run_id": "run_missing"}),
)


def _ids(items: list[JsonObject]) -> list[str]:
    return [str(item.get("id")) for item in items]


def every_list(context: ProbeContext) -> None:
    """Every list honours limit and its greatest value."""
    run_id = context.find_ended_run().response.fields["id"]
    results = sorted(context.results(run_id), key=lambda each: each.get("status") == "passed")
    lists = ["/runs", "/results", "/projects", f"/runs/{run_id}/logs", f"/runs/{run_id}/artifacts"]
    lists += [f"/results/{each.get('id')}/artifacts" for each in results[:1]]
    for path in lists:
        answer = context.client.get(path, limit=1)
        if answer.response.ok:
            size = len(answer.response.items)
            context.check("pages.every-list", size <= 1, expected="at most 1 item", got="more", trace=answer)
        if path == "/projects" and (answer.response.ok or answer.response.status == NOT_FOUND):
            _projects(context, answer)


def _projects(context: ProbeContext, answer: Exchange) -> None:
    projects = answer.response.fields.get("data")
    named = isinstance(projects, list) and all(isinstance(one.get("id"), str) for one in answer.response.items)
    got = "a project without an id" if isinstance(projects, list) else describe(answer)
    context.check("projects.shape", named, expected="projects, each with an id", got=got, trace=answer)


def walk(context: ProbeContext, path: str, **query: Any) -> list[Exchange]:  # noqa: ANN401  parameters
    """All pages of a list."""
    pages = [context.require_ok(context.client.get(path, **query))]
    while pages[-1].response.fields.get("has_more") is True:
        cursor = pages[-1].response.fields.get("next_cursor")
        if not isinstance(cursor, str) or not cursor or len(pages) > 20:  # noqa: PLR2004  pages that a probe may cost
            break
        page = context.client.get(path, **query, starting_after=cursor)
        if not page.response.ok:
            break
        pages.append(page)
    return pages


def walks(context: ProbeContext) -> None:
    """A list walked with a small limit is the list read at once."""
    run_id = context.find_ended_run().response.fields["id"]
    at_once = context.list_results(run_id)
    pages = walk(context, "/results", run_id=run_id, limit=1)
    whole = _ids(at_once.response.items)
    walked = [item for page in pages for item in _ids(page.response.items)]
    trace = [at_once, *pages]
    if len(whole) > 1:
        context.check("pages.walk", walked == whole, expected="each item once", got=_lost(walked, whole), trace=trace)
        for place, page in enumerate(pages, 1):
            more = page.response.fields.get("has_more")
            right = more is (place < len(whole))
            context.check("pages.has-more", right, expected="true while more follow", got=more, trace=[at_once, page])
    cursor = pages[0].response.fields.get("next_cursor")
    if isinstance(cursor, str):
        _cursors(context, cursor, run_id)


def _lost(walked: list[str], whole: list[str]) -> str:
    if len(set(walked)) < len(walked):
        return "an item twice"
    return "not every item" if set(whole) - set(walked) else "other items, or in another order"


def _cursors(context: ProbeContext, cursor: str, run_id: str) -> None:
    get = context.client.get
    tampered = cursor[:-2] + ("A" if cursor[-2] != "A" else "B") + cursor[-1] if len(cursor) > 1 else "A"
    for strange, what in (("no-cursor-at-all", "a made-up cursor"), (tampered, "a tampered cursor")):
        answer = get("/results", run_id=run_id, limit=1, starting_after=strange)
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
        more = page.response.fields.get("has_more")
        context.check("pages.has-more", more is True, expected="true while more follow", got=more, trace=page)
    pages = [page]
    for _ in range(2):
        context.start()
        cursor = page.response.fields.get("next_cursor")
        if page.response.fields.get("has_more") is not True or not cursor:
            raise Unsettled("there are too few runs to walk along")
        page = context.require_ok(context.client.get("/runs", limit=2, starting_after=cursor))
        pages.append(page)
    after = context.require_ok(context.client.get("/runs", limit=100))
    seen = [item for each in pages for item in _ids(each.response.items)]
    listed = _ids(after.response.items)
    begin = listed.index(seen[0]) if seen and seen[0] in listed else 0
    there = listed[begin : begin + len(seen)]
    rule = "pages.walk.under-change"
    context.check(rule, seen == there, expected="each item once", got=_lost(seen, there), trace=[*pages, after])


def unknown_filters(context: ProbeContext) -> None:
    """A filter that names nothing selects nothing."""
    context.ensure_reachable()
    for path, query in _UNKNOWN:
        answer = context.client.get(path, **query)
        rule = "pages.filter.unknown-id"
        if context.is_conclusive(rule, answer, 200):
            empty = answer.response.ok and answer.response.fields.get("data") == []
            context.check(rule, empty, expected="an empty list", got=describe(answer), trace=answer)


def run_filters(context: ProbeContext) -> None:
    """Runs by project, status and date."""
    run = context.find_ended_run().response.fields
    get = context.client.get
    # What a client calls its request has nothing to do with the list; the oracle looks at what became of it.
    unfiltered = get("/runs", limit=100, headers=(("X-Request-Id", "req_" + "a" * 20),))
    if context.is_conclusive("pages.maximum", unfiltered, 200):
        right = unfiltered.response.ok
        context.check("pages.maximum", right, expected="2xx for limit=100", got=describe(unfiltered), trace=unfiltered)
    _agrees(context, context.find_ended_run(), unfiltered)
    _begins(context, unfiltered)
    mine = context.require_ok(get("/runs", project_id=run["project_id"], limit=100))
    others = [each for each in mine.response.items if each.get("project_id") != run["project_id"]]
    right = not others and not _lacks(mine, run["id"])
    got = "others too" if others else "not all of them"
    context.check("runs.filter.project", right, expected="the runs of the project", got=got, trace=mine)
    for status in dict.fromkeys((run["status"], "passed")):
        answer = context.require_ok(get("/runs", status=status, limit=100))
        strange = [each for each in answer.response.items if each.get("status") != status]
        missing = status == run["status"] and _lacks(answer, run["id"])
        got = "others too" if strange else "not all of them"
        context.check(
            "runs.filter.status", not strange and not missing, expected="the runs in that status", got=got, trace=answer
        )
    _dates(context, "/runs", run, unfiltered)


def _begins(context: ProbeContext, at_once: Exchange) -> None:
    """The first two pages are the beginning of the list read at once."""
    first = context.require_ok(context.client.get("/runs", limit=2))
    cursor = first.response.fields.get("next_cursor")
    if not isinstance(cursor, str) or not cursor:
        return
    second = context.require_ok(context.client.get("/runs", limit=2, starting_after=cursor))
    walked = _ids([*first.response.items, *second.response.items])
    whole = _ids(at_once.response.items)[: len(walked)]
    trace = [at_once, first, second]
    context.check("pages.walk", walked == whole, expected="each run once", got=_lost(walked, whole), trace=trace)


def _dates(context: ProbeContext, path: str, run: JsonObject, unfiltered: Exchange) -> None:
    created = str(run.get("created_at"))
    inside = context.require_ok(context.client.get(path, created_after=created, limit=100))
    outside = context.require_ok(context.client.get(path, created_before=created, limit=100))
    later = _moved(created, 1)
    after = context.require_ok(context.client.get(path, created_after=later, limit=100))
    before = context.require_ok(context.client.get(path, created_before=later, limit=100))
    for answer, there in ((after, False), (before, True)):
        strange = [each for each in answer.response.items if (str(each.get("created_at")) < later) is not there]
        seen = not _lacks(answer, run["id"]) if there else run["id"] in _ids(answer.response.items)
        right = seen is there and not strange
        context.check("runs.filter.date", right, expected="what was created within", got="otherwise", trace=answer)
    for answer, there, what in ((inside, True, "created_after includes"), (outside, False, "created_before excludes")):
        seen = not _lacks(answer, run["id"]) if there else run["id"] in _ids(answer.response.items)
        expected = f"{what} its very time"
        trace = [unfiltered, answer]
        context.check("runs.filter.date.bounds", seen is there, expected=expected, got="otherwise", trace=trace)


def _lacks(page: Exchange, item_id: str) -> bool:
    """Whether an item is not in a list; on a later page it may be."""
    return item_id not in _ids(page.response.items) and page.response.fields.get("has_more") is not True


def _moved(timestamp: str, seconds: int) -> str:
    try:
        moment = datetime.fromisoformat(timestamp).astimezone(UTC)
    except ValueError:
        raise Unsettled("the run's created_at is no timestamp") from None
    return (moment + timedelta(seconds=seconds)).strftime("%Y-%m-%dT%H:%M:%SZ")


def result_filters(context: ProbeContext) -> None:
    """Results by run, status and date."""
    run = context.find_ended_run().response.fields
    ours = context.list_results(run["id"])
    strange = [each for each in ours.response.items if each.get("run_id") != run["id"]]
    if not ours.response.items:
        raise Unsettled("the run has no results")
    context.check("results.filter.run", not strange, expected="the results of the run", got="others too", trace=ours)
    result = ours.response.items[0]
    status = str(result.get("status"))
    wanted = [each for each in _ids(ours.response.items) if _status(ours, each) == status]
    answer = context.require_ok(context.client.get("/results", run_id=run["id"], status=status, limit=100))
    right = _ids(answer.response.items) == wanted
    expected = "the results of the run with that status"
    context.check("results.filter.status", right, expected=expected, got="otherwise", trace=[ours, answer])
    later = _moved(str(result.get("created_at")), 1)
    dated: tuple[tuple[JsonObject, bool], ...] = (({"created_after": later}, False), ({"created_before": later}, True))
    for query, there in dated:
        answer = context.require_ok(context.client.get("/results", run_id=run["id"], limit=100, **query))
        seen = str(result.get("id")) in _ids(answer.response.items)
        context.check(
            "results.filter.date", seen is there, expected="what was created within", got="otherwise", trace=answer
        )


def _status(page: Exchange, result_id: str) -> object:
    return next((item.get("status") for item in page.response.items if item.get("id") == result_id), None)


def _agrees(context: ProbeContext, run: Exchange, listed: Exchange) -> None:
    """A list shows a run as its retrieval does."""
    fields = run.response.fields
    same = next((each for each in listed.response.items if each.get("id") == fields["id"]), None)
    if same is None:
        context.ledger.record_skip("runs.list-agrees", "the run is not among the first 100")
        return
    differ = sorted(name for name in same if name in fields and same[name] != fields[name])
    extra = ["case_outcomes"] if "case_outcomes" in same else []
    got = ", ".join([*differ, *extra])
    context.check("runs.list-agrees", not got, expected="the same, without case outcomes", got=got, trace=[run, listed])
