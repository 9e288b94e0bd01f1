"""One run from its start to its end: what a client in CI does, and what it may rely on (sections 6, 7, 8 and 9)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from zof_contracts.probes.context import (
    CONFLICT,
    CREATED,
    NOT_FOUND,
    ProbeContext,
    Unsettled,
    describe,
    has_ended,
    read_whole_number,
)

if TYPE_CHECKING:
    from zof_contracts.evidence.exchange import Exchange


def story(context: ProbeContext) -> None:
    """A run is started, watched, replayed, followed to its end, and then left in peace."""
    context.ensure_quota(25)
    word = context.idempotency_key("story")
    cases = context.list_cases()
    began = _accepted(context, cases, word)
    run_id = began.response.fields["id"]
    _said(context, began, cases)
    _retrievable(context, began, run_id)
    log = _first_lines(context, run_id, limit=100)
    going = _no_results_yet(context, run_id)
    context.client.wait(0.5, "a run goes on")
    _replay(context, began, word, cases)
    ended = _to_its_end(context, began, run_id)
    context.remember(ended)
    _followed(context, run_id, log, going=going)
    _cancel_ended(context, run_id, ended)


def _to_its_end(context: ProbeContext, began: Exchange, run_id: str) -> Exchange:
    try:
        ended = context.wait_until(run_id, has_ended)
    except Unsettled:
        if context.target.advance is not None:
            trace = [began, context.client.journal[-1]]
            context.ledger.record_violation("runs.progress", expected="an end within a minute", got="none", trace=trace)
        raise
    context.ledger.record_kept("runs.progress", ended)
    return ended


def reading(context: ProbeContext) -> None:
    """In a profile that starts nothing: the log and the page of a run that has ended."""
    if context.can_start_runs:
        return
    run = context.find_ended_run()
    run_id = str(run.response.fields.get("id"))
    log = _first_lines(context, run_id, limit=1)
    _page(context, run)
    _followed(context, run_id, log, going=False)


def _accepted(context: ProbeContext, cases: tuple[str, ...], word: str) -> Exchange:
    answer = context.client.start(*cases, idempotency_key=word)
    status = answer.response.status
    named = isinstance(answer.response.fields.get("id"), str)
    if status in {401, 403, NOT_FOUND, 429} or 300 <= status < 400 or status >= 500:  # noqa: PLR2004  what HTTP calls them
        raise Unsettled(f"the start was answered {describe(answer)}; look at key, --project, --environment and --case")
    right = answer.response.ok and named
    expected = "2xx that names the run"
    if not context.check("runs.start.accepted", right, expected=expected, got=describe(answer), trace=answer):
        raise Unsettled("the start was not accepted")
    return answer


def _said(context: ProbeContext, began: Exchange, cases: tuple[str, ...]) -> None:
    check, run, target = context.check, began.response.fields, context.target
    check("runs.start.created", began.response.status == CREATED, expected="201", got=describe(began), trace=began)
    outcomes = run.get("case_outcomes") or []
    queued = run.get("status") == "queued" and all(each.get("status") == "queued" for each in outcomes)
    check("runs.start.queued", queued, expected="queued, with all cases", got=run.get("status"), trace=began)
    wanted = {"project_id": target.project, "environment": target.environment, "test_suite_id": None}
    differ = sorted(name for name, value in wanted.items() if run.get(name) != value)
    differ += [] if [each.get("test_case_id") for each in outcomes] == list(cases) else ["case_outcomes"]
    got = f"another {', '.join(differ)}"
    check("runs.start.echo", not differ, expected="what was asked for, in its order", got=got, trace=began)


def _retrievable(context: ProbeContext, began: Exchange, run_id: str) -> None:
    again = context.client.get(f"/runs/{run_id}")
    listed = context.client.get("/runs", limit=100)
    seen = again.response.fields.get("id") == run_id
    there = run_id in [each.get("id") for each in listed.response.items]
    there = there or listed.response.fields.get("has_more") is True
    got = describe(again) if not seen else "a list without it"
    expected = "the run, retrieved and listed"
    trace = [began, again, listed] if seen else [began, again]
    context.check("runs.start.retrievable", seen and there, expected=expected, got=got, trace=trace)
    location = began.response.header("location")
    if location is None:
        context.ledger.record_violation("runs.start.location", expected="Location", got="no such header", trace=began)
    elif context.target.find_path(location) is None:
        got = "a place that is not below the base URL"
        context.ledger.record_violation("runs.start.location", expected="the run, there", got=got, trace=began)
    else:
        led = context.client.follow(location)
        right = led.response.fields.get("id") == run_id
        context.check("runs.start.location", right, expected="the run, there", got=describe(led), trace=[began, led])
    _page(context, again)


def _page(context: ProbeContext, again: Exchange) -> None:
    url = again.response.fields.get("url")
    if isinstance(url, str) and url.startswith(context.target.base + "/"):
        page = context.client.follow(url, key="")
        fine = page.response.status < 400 or page.response.status in {401, 403}  # noqa: PLR2004  what HTTP calls failure
        context.check("runs.url", fine, expected="a page", got=page.response.status, trace=[again, page])
    else:
        context.ledger.record_skip("runs.url", "the page is on another host, which is not asked")


def _first_lines(context: ProbeContext, run_id: str, *, limit: int) -> Exchange:
    log = context.client.get(f"/runs/{run_id}/logs", limit=limit)
    context.check("logs.readable", log.response.ok, expected="2xx", got=describe(log), trace=log)
    return log


def _no_results_yet(context: ProbeContext, run_id: str) -> bool:
    """Whether the run goes on, so that it has no results, and its log does not end."""
    results = context.require_ok(context.client.get("/results", run_id=run_id))
    still = context.get_run(run_id)
    if has_ended(still.response.fields):
        context.ledger.record_skip("results.not-before", "the run ended too soon")
        return False
    rule = "results.not-before"
    context.check(rule, not results.response.items, expected="no results yet", got="some", trace=[results, still])
    return True


def _replay(context: ProbeContext, began: Exchange, word: str, cases: tuple[str, ...]) -> None:
    before = context.get_run(began.response.fields["id"])
    again = context.client.start(*cases, idempotency_key=word)
    same = again.response.fields.get("id") == began.response.fields["id"]
    trace = [began, again]
    if again.response.status == CONFLICT and not same:
        context.ledger.record_violation(
            "idempotency.replay", expected="the original run", got=describe(again), trace=trace
        )
        return
    context.check("idempotency.replay", same, expected="the original run", got="another answer", trace=trace)
    if not same:
        return
    bytes_same = (again.response.status, again.response.body) == (began.response.status, began.response.body)
    rule = "idempotency.replay.bytes"
    context.check(rule, bytes_same, expected="the original status and body", got="others", trace=trace)
    told_first, told_again = (each.response.header("idempotency-replayed") for each in trace)
    right = told_first is None and told_again == "true"
    got = f"{told_first}, then {told_again}"
    expected = "Idempotency-Replayed: true, on the replay alone"
    context.check("idempotency.replay.header", right, expected=expected, got=got, trace=trace)
    if read_whole_number(before, "x-ratelimit-reset") == read_whole_number(again, "x-ratelimit-reset") is not None:
        first, last = (read_whole_number(each, "x-ratelimit-remaining") or 0 for each in (before, again))
        counted = last == first - 1
        rule = "idempotency.replay.counted"
        context.check(rule, counted, expected="Remaining less by 1", got="otherwise", trace=[before, again])


def _followed(context: ProbeContext, run_id: str, log: Exchange, *, going: bool) -> None:
    """The log, read on from where it was, is the log read at once."""
    path = f"/runs/{run_id}/logs"
    pages = [log]
    cursor = log.response.fields.get("next_cursor")
    if log.response.ok and going:
        right = isinstance(cursor, str) and bool(cursor)
        context.check("logs.follow", right, expected="a cursor while the run goes on", got="no cursor", trace=log)
    whole_log = context.require_ok(context.client.get(path, limit=100))
    if whole_log.response.fields.get("has_more") is True:
        context.ledger.record_skip("logs.follow.complete", "the log is too long to read at once")
        return
    limits = (2, 100, 100)
    for limit in limits:
        if not isinstance(cursor, str) or not cursor:
            break
        page = context.require_ok(context.client.get(path, limit=limit, starting_after=cursor))
        pages.append(page)
        cursor = page.response.fields.get("next_cursor")
    _complete(context, pages, whole_log)


def _complete(context: ProbeContext, pages: list[Exchange], at_once: Exchange) -> None:
    read = [line.get("id") for page in pages for line in page.response.items]
    whole_log = [line.get("id") for line in at_once.response.items]
    trace = [*pages, at_once]
    rule = "logs.follow.complete"
    context.check(rule, read == whole_log, expected="the log as read at once", got="another", trace=trace)
    last = pages[-1].response.fields
    done = "next_cursor" in last and last["next_cursor"] is None
    if len(read) >= len(whole_log):
        context.check("logs.follow", done, expected="null at the end of an ended run", got="a cursor", trace=trace)
    count = 0
    for page in pages[1:]:
        count += len(page.response.items)
        more = page.response.fields.get("has_more")
        left = count + len(pages[0].response.items) < len(whole_log)
        context.check(
            "logs.has-more", more is left, expected="true while more lines exist", got=more, trace=[page, at_once]
        )


def _cancel_ended(context: ProbeContext, run_id: str, ended: Exchange) -> None:
    refused = context.client.post(f"/runs/{run_id}/cancel")
    after = context.get_run(run_id)
    trace = [ended, refused]
    if refused.response.status in {401, 403, 429}:
        raise Unsettled(f"the cancel was answered {describe(refused)}")
    conflict = refused.response.status == CONFLICT
    context.check("runs.cancel.terminal-conflict", conflict, expected="409", got=describe(refused), trace=trace)
    same = after.response.fields.get("status") == ended.response.fields["status"]
    rule = "runs.cancel.terminal-unchanged"
    got = f"{after.response.fields.get('status')}"
    context.check(rule, same, expected="the status as before", got=got, trace=[*trace, after])
