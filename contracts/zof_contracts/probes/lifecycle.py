"""One run from its start to its end, as a client in CI uses it (sections 6, 7, 8 and 9)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from zof_contracts.checks.claims import (
    check_end,
    check_followed_log,
    check_initial_status,
    check_no_results,
    check_refused_cancel,
    check_replay,
    check_retrieved_run,
    check_start,
    check_stranger_replay,
    check_unchanged,
    describe,
    has_ended,
)
from zof_contracts.evidence.findings import quote_value
from zof_contracts.probes.context import ABSENT, CREATED, NOT_FOUND, Probe, ProbeContext, Unsettled, read_whole_number

if TYPE_CHECKING:
    from zof_contracts.evidence.exchange import Exchange


def complete_run(context: ProbeContext) -> None:
    """A run is started, watched, replayed, followed to its end, and canceled after its end."""
    context.ensure_quota(25)
    key = context.idempotency_key("lifecycle")
    cases = context.list_cases()
    began = _start(context, cases, key)
    run_id = began.response.fields["id"]
    _judge_start(context, began, cases)
    with context.isolate("runs.start.retrievable", "runs.start.location", "runs.url"):
        _retrieve(context, began, run_id)
    is_open, log = False, None
    with context.isolate("logs.readable", *_FOLLOWING):
        log = _read_log(context, run_id, limit=100)
        is_open = not has_ended(context.get_run(run_id).response.fields)
    with context.isolate("results.not-before"):
        _judge_early_results(context, run_id)
    context.client.wait(0.5, "a run in progress")
    with context.isolate(*_REPLAYING):
        _replay(context, began, key, cases)
    ended = _wait_for_end(context, began, run_id)
    context.remember(ended)
    if log is not None:
        with context.isolate(*_FOLLOWING):
            _follow_log(context, run_id, log, is_open=is_open)
    _cancel_ended_run(context, run_id, ended)


_REPLAYING: Final = (
    "idempotency.replay",
    "idempotency.replay.bytes",
    "idempotency.replay.header",
    "idempotency.replay.counted",
    "tenants.replay",
)
"""The rules about a start that is repeated with its key."""
_FOLLOWING: Final = ("logs.follow", "logs.follow.complete", "logs.has-more")
"""The rules about a log that is read on."""


def _wait_for_end(context: ProbeContext, began: Exchange, run_id: str) -> Exchange:
    try:
        ended = context.wait_until(run_id, has_ended)
    except Unsettled:
        if context.target.advance is not None:
            last = context.client.journal[-1]
            if last.response.fields.get("id") == run_id:  # if not, the run could not be retrieved
                context.record(check_end(last.response.fields), [began, last])
        else:  # a run that does not end keeps a place that other runs need
            context.client.post(f"/runs/{run_id}/cancel")
        raise
    context.record(check_end(ended.response.fields), [began, ended])
    return ended


def read_ended_run(context: ProbeContext) -> None:
    """In a profile that starts nothing: the log and the page of a run that has ended."""
    if context.can_start_runs:
        return
    run = context.find_ended_run()
    run_id = str(run.response.fields.get("id"))
    log = _read_log(context, run_id, limit=1)
    _open_page(context, run)
    _follow_log(context, run_id, log, is_open=False)


def _start(context: ProbeContext, cases: tuple[str, ...], key: str) -> Exchange:
    answer = context.client.start(*cases, idempotency_key=key)
    status = answer.response.status
    if status in {401, 403, NOT_FOUND, 429} or 300 <= status < 400 or status >= 500:  # noqa: PLR2004  redirects and faults
        got = describe(answer.response)
        raise Unsettled(f"the start was answered {got}; look at key, --project, --environment and --case")
    if not context.record(check_start(answer.response), answer):
        raise Unsettled("the start was not accepted")
    return answer


def _judge_start(context: ProbeContext, began: Exchange, cases: tuple[str, ...]) -> None:
    run, target = began.response.fields, context.target
    is_created = began.response.status == CREATED
    got = describe(began.response)
    context.check("runs.start.created", is_created, expected="201", got=got, trace=began)
    context.record(check_initial_status(run), began)
    outcomes = run.get("case_outcomes") or []
    named = [each.get("test_case_id") for each in outcomes]
    wanted = {"project_id": target.project, "environment": target.environment, "test_suite_id": None}
    differ: dict[str, tuple[object, object]] = {
        name: (value, run.get(name)) for name, value in wanted.items() if run.get(name) != value
    }
    differ |= {} if named == list(cases) else {"case_outcomes": (list(cases), named)}
    expected = ", ".join(f"{name} {quote_value(value)}" for name, (value, _) in differ.items())
    got = ", ".join(f"{name} {quote_value(value)}" for name, (_, value) in differ.items())
    context.check("runs.start.echo", not differ, expected=expected, got=got, trace=began)


def _retrieve(context: ProbeContext, began: Exchange, run_id: str) -> None:
    retrieved = context.client.get(f"/runs/{run_id}")
    listed = context.client.get("/runs", limit=100)
    if context.record(check_retrieved_run(run_id, retrieved.response), [began, retrieved]):
        page = listed.response
        is_listed = run_id in [each.get("id") for each in page.items] or page.fields.get("has_more") is True
        got = f"{describe(page)} with {len(page.items)} runs, without {run_id}"
        expected, trace = f"the run {run_id} in the list", [began, retrieved, listed]
        context.check("runs.start.retrievable", is_listed, expected=expected, got=got, trace=trace)
    _follow_location(context, began, retrieved)
    _open_page(context, retrieved)


def _follow_location(context: ProbeContext, began: Exchange, retrieved: Exchange) -> None:
    run_id = began.response.fields["id"]
    rule, expected = "runs.start.location", f"Location of the run {run_id}"
    location = began.response.header("location")
    if location is None:
        context.ledger.record_violation(rule, expected=expected, got="no header Location", trace=began)
    elif context.target.find_path(location) is None:
        got = f"Location {quote_value(location)}, which is not below {context.target.base}"
        context.ledger.record_violation(rule, expected=expected, got=got, trace=began)
    else:
        found = context.client.follow(location)
        if found.operation == retrieved.operation and retrieved.response.status in ABSENT:
            context.ledger.record_skip(rule, f"the run was answered {describe(retrieved.response)}")
            return
        is_run = found.response.fields.get("id") == run_id
        got = f"{describe(found.response)} with id {quote_value(found.response.fields.get('id'))}"
        context.check(rule, is_run, expected=expected, got=got, trace=[began, found])


def _open_page(context: ProbeContext, retrieved: Exchange) -> None:
    url = retrieved.response.fields.get("url")
    if isinstance(url, str) and url.startswith(context.target.base + "/"):
        page = context.client.follow(url, key="")
        opens = page.response.status < 400 or page.response.status in {401, 403}  # noqa: PLR2004  a sign-in page is fine
        got = f"status {page.response.status}"
        context.check("runs.url", opens, expected="a page", got=got, trace=[retrieved, page])
    else:
        context.ledger.record_skip("runs.url", "the page is on another host, which is not requested")


def _read_log(context: ProbeContext, run_id: str, *, limit: int) -> Exchange:
    log = context.client.get(f"/runs/{run_id}/logs", limit=limit)
    context.check("logs.readable", log.response.ok, expected="2xx", got=describe(log.response), trace=log)
    return log


def _judge_early_results(context: ProbeContext, run_id: str) -> None:
    """Judge the results of a run that has not ended."""
    results = context.require_ok(context.client.get("/results", run_id=run_id))
    after = context.get_run(run_id)
    if has_ended(after.response.fields):
        raise Unsettled("the run ended too soon")
    context.record(check_no_results(results.response.items), [results, after])


def _replay(context: ProbeContext, began: Exchange, key: str, cases: tuple[str, ...]) -> None:
    listed = context.list_runs_since(began)
    before = context.get_run(began.response.fields["id"])
    replay = context.client.start(*cases, idempotency_key=key)
    claims = list(check_replay(began.response, replay.response, respelled=False))
    context.record(claims, [began, replay])
    reset = read_whole_number(before, "x-ratelimit-reset")
    if claims[0].holds and reset is not None and reset == read_whole_number(replay, "x-ratelimit-reset"):
        first, last = (read_whole_number(each, "x-ratelimit-remaining") or 0 for each in (before, replay))
        expected, got = f"X-RateLimit-Remaining {first - 1}", f"X-RateLimit-Remaining {last}"
        rule, trace = "idempotency.replay.counted", [before, replay]
        context.check(rule, last == first - 1, expected=expected, got=got, trace=trace)
    context.judge_replay_effect(began, listed, [replay])
    if context.has("other-org"):
        theirs = context.client.start(*cases, key="other-org", idempotency_key=key)
        context.record(check_stranger_replay(began.response, theirs.response), [began, theirs])


def _follow_log(context: ProbeContext, run_id: str, log: Exchange, *, is_open: bool) -> None:
    """Read a log on from where it was, and judge it by the log read at once."""
    path = f"/runs/{run_id}/logs"
    pages = [log]
    cursor = log.response.fields.get("next_cursor")
    if log.response.ok and is_open:
        is_given = isinstance(cursor, str) and bool(cursor)
        got = f"next_cursor {quote_value(cursor)}"
        context.check("logs.follow", is_given, expected="a cursor while the run lasts", got=got, trace=log)
    at_once = context.require_ok(context.client.get(path, limit=100))
    if at_once.response.fields.get("has_more") is True:
        context.ledger.record_skip("logs.follow.complete", "the log is too long to read at once")
        return
    for limit in (2, 100, 100):
        if not isinstance(cursor, str) or not cursor:
            break
        page = context.require_ok(context.client.get(path, limit=limit, starting_after=cursor))
        pages.append(page)
        cursor = page.response.fields.get("next_cursor")
    _judge_followed_log(context, pages, at_once)


def _judge_followed_log(context: ProbeContext, pages: list[Exchange], at_once: Exchange) -> None:
    read = [line for page in pages for line in page.response.items]
    whole = at_once.response.items
    trace = [*pages, at_once]
    context.record(check_followed_log(read, whole), trace)
    last = pages[-1].response.fields
    if len(read) >= len(whole):
        is_done = "next_cursor" in last and last["next_cursor"] is None
        expected, got = "next_cursor null at the end", f"next_cursor {quote_value(last.get('next_cursor'))}"
        context.check("logs.follow", is_done, expected=expected, got=got, trace=trace)
    count = len(pages[0].response.items)
    for page in pages[1:]:
        count += len(page.response.items)
        more = page.response.fields.get("has_more")
        left = len(whole) - count
        expected, got = f"has_more {quote_value(left > 0)}, since {left} lines follow", f"has_more {quote_value(more)}"
        context.check("logs.has-more", more is (left > 0), expected=expected, got=got, trace=[page, at_once])


def _cancel_ended_run(context: ProbeContext, run_id: str, ended: Exchange) -> None:
    refused = context.client.post(f"/runs/{run_id}/cancel")
    after = context.get_run(run_id)
    if refused.response.status in {401, 403, 429}:
        raise Unsettled(f"the cancel was answered {describe(refused.response)}")
    before = ended.response.fields
    context.record(check_refused_cancel(before, refused.response), [ended, refused])
    context.record(check_unchanged(before, after.response.fields), [ended, refused, after])


PROBES: Final = (
    Probe(
        "one run from start to end",
        complete_run,
        (
            "runs.start.accepted",
            "runs.start.created",
            "runs.start.queued",
            "runs.start.echo",
            "runs.start.retrievable",
            "runs.start.location",
            "runs.url",
            "runs.progress",
            "runs.cancel.terminal-conflict",
            "runs.cancel.terminal-unchanged",
            *_REPLAYING,
            "logs.readable",
            *_FOLLOWING,
            "results.not-before",
        ),
    ),
    Probe("a run that has ended", read_ended_run, ("runs.url", "logs.readable", "logs.follow", "logs.has-more")),
)
"""The first probe makes the run that most of the others look at."""
