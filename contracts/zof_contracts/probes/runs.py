"""Runs beside one another, and runs that are canceled (section 7)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from zof_contracts.probes.context import CONFLICT, ProbeContext, Unsettled, terminal, told

if TYPE_CHECKING:
    from zof_contracts.evidence.exchange import Exchange

JsonObject = dict[str, Any]

_MANY: Final = 6
_LEFT: Final = 2
"""How many of them are left alone, to be looked at when they have ended."""
_BEFORE_THE_END: Final = 20
"""Milliseconds before a run's end at which it is canceled; on the wire the end may come first."""
_ENDED_ITSELF: Final = frozenset({"passed", "failed", "error"})


def cancel_at_once(bench: ProbeContext) -> None:
    """A run of a suite is started and canceled at once; canceled it stays."""
    bench.room(8)
    suite = bench.target.suite
    began = bench.client.start(test_suite_id=suite)
    if bench.judged("runs.start.suite", began, 201):
        bench.check("runs.start.suite", began.response.ok, expected="2xx", got=told(began), trace=began)
    run_id = bench.must(began).response.fields.get("id")
    if not isinstance(run_id, str):
        raise Unsettled("the start names no run")
    if "test_suite_id" in began.response.fields:
        named = began.response.fields["test_suite_id"] == suite
        bench.check("runs.start.echo", named, expected="the suite asked for", got="another", trace=began)
    word = bench.word("cancel")
    path = f"/runs/{run_id}/cancel"
    canceled = bench.client.post(path, idempotency_key=word)
    after = _accepted(bench, began, canceled)
    again = bench.client.post(path)
    trace = [began, canceled, again]
    conflict = again.response.status == CONFLICT
    bench.check("runs.cancel.again-conflict", conflict, expected="409", got=told(again), trace=trace)
    replay = bench.client.post(path, idempotency_key=word)
    same = (replay.response.status, replay.response.body) == (canceled.response.status, canceled.response.body)
    rule = "conventions.order.replay-before-state"
    bench.check(rule, same, expected="the replay", got=told(replay), trace=[began, canceled, replay])
    bench.run(str(after.response.fields["id"]))


def _accepted(bench: ProbeContext, began: Exchange, canceled: Exchange) -> Exchange:
    """The run after a cancel that must be accepted."""
    run_id = str(began.response.fields.get("id"))
    trace = [began, canceled]
    if canceled.response.status == CONFLICT:
        run = bench.run(run_id)
        if run.response.fields.get("status") in _ENDED_ITSELF:
            raise Unsettled("the run ended before it could be canceled")
    if not canceled.response.ok:
        if bench.judged("runs.cancel.accepted", canceled, 200):
            bench.session.broken("runs.cancel.accepted", expected="2xx", got=told(canceled), trace=trace)
        raise Unsettled(f"the cancel was answered {told(canceled)}")
    after = bench.until(run_id, terminal)
    status = after.response.fields["status"]
    if status in _ENDED_ITSELF and canceled.response.status == 202:  # noqa: PLR2004  what HTTP calls accepted
        raise Unsettled("the run ended while its cancel was under way")
    right = status == "canceled"
    bench.check("runs.cancel.accepted", right, expected="canceled", got=status, trace=[*trace, after])
    fields = canceled.response.fields
    at_once = canceled.response.status == 200 and (fields.get("id"), fields.get("status")) == (run_id, "canceled")  # noqa: PLR2004
    bench.check("runs.cancel.answer", at_once, expected="200 with the canceled run", got=told(canceled), trace=trace)
    return after


def cancel_midway(bench: ProbeContext) -> None:
    """A run against production is canceled on its way: what has finished stays, the rest is canceled."""
    bench.room(12)
    began = bench.client.start(*bench.cases(), environment="production")
    if bench.judged("runs.start.production", began, 201):
        bench.check("runs.start.production", began.response.ok, expected="2xx", got=told(began), trace=began)
    run_id = str(bench.must(began).response.fields.get("id"))
    bench.client.wait(0.4, "a run goes on")
    before = bench.run(run_id)
    canceled = bench.client.post(f"/runs/{run_id}/cancel")
    after = _accepted(bench, began, canceled)
    trace = [began, before, canceled, after]
    was, now = (
        {each.get("test_case_id"): each for each in run.response.fields.get("case_outcomes") or ()}
        for run in (before, after)
    )
    kept = all(now.get(case) is not None and _followed(was[case], now[case]) for case in was)
    if was:
        expected = "finished cases as they were, the others canceled"
        bench.check("runs.cancel.outcomes", kept, expected=expected, got="otherwise", trace=trace)
    waiting = [case for case, each in was.items() if each.get("status") == "queued"]
    _results(bench, after, waiting, trace)


def _followed(was: JsonObject, now: JsonObject) -> bool:
    if was.get("status") in {"queued", "running"}:
        return now.get("status") in {"canceled", *_ENDED_ITSELF}
    return now.get("status") == was.get("status")


def _results(bench: ProbeContext, after: Exchange, waiting: list[object], trace: list[Exchange]) -> None:
    fields = after.response.fields
    listed = bench.must(bench.client.get("/results", run_id=fields["id"], limit=100))
    left = bench.must(bench.client.get(f"/runs/{fields['id']}/artifacts", limit=100))
    canceled = [each for each in listed.response.items if each.get("status") == "canceled"]
    for result in canceled:
        if result.get("test_case_id") not in waiting:
            continue
        right = result.get("started_at") is None and result.get("completed_at") == fields.get("completed_at")
        expected = "no started_at, and the cancel's time as completed_at"
        bench.check("results.canceled-unstarted", right, expected=expected, got="otherwise", trace=[*trace, listed])
    ids = {each.get("id") for each in canceled}
    traces = [each for each in left.response.items if each.get("result_id") in ids]
    if canceled:
        rule = "results.canceled-traceless"
        bench.check(rule, not traces, expected="no artifact of a canceled case", got="one", trace=[*trace, left])


def capacity(bench: ProbeContext) -> None:
    """Several equal starts make as many runs; over capacity they wait, and go on in their order."""
    bench.room(16)
    known = bench.target.error_case
    began = [bench.client.start(*([known] if known and place == _LEFT - 1 else ())) for place in range(_MANY)]
    refused = [each for each in began if not each.response.ok]
    for each in refused[:1]:
        if each.response.status not in {401, 403, 429} and began[0].response.ok:
            bench.session.broken("runs.capacity", expected="accepted and queued", got=told(each), trace=began)
        raise Unsettled(f"a start was answered {told(each)}")
    ids = [str(each.response.fields.get("id")) for each in began]
    if not all(isinstance(each.response.fields.get("id"), str) for each in began):
        raise Unsettled("a start names no run")
    apart = len(set(ids)) == len(ids)
    rule = "idempotency.without-key"
    bench.check(rule, apart, expected="a run for each start", got="the same run twice", trace=began[:2])
    bench.session.kept("runs.start.production", began[0])
    bench.runs = tuple(ids[:_LEFT])
    before = _statuses(bench, began)
    if "queued" not in before.values() or "running" not in before.values():
        raise Unsettled(f"{_MANY} runs at once were not over capacity, or ended too soon")
    bench.session.kept("runs.capacity", began[-1])
    _order(bench, ids, before)
    running = next(each for each in reversed(ids) if before[each] == "running")
    canceled = bench.client.post(f"/runs/{running}/cancel")
    after = _statuses(bench, began)
    _order(bench, ids, after)
    freed = [each for each in ids if before[each] == "queued" and after[each] != "queued"]
    if canceled.response.ok:
        trace = [*began, canceled, bench.client.journal[-1]]
        bench.check("runs.cancel.frees-place", freed, expected="the next run goes on", got="none does", trace=trace)
    if after[ids[-1]] == "queued":
        _accepted(bench, began[-1], bench.client.post(f"/runs/{ids[-1]}/cancel"))


def _statuses(bench: ProbeContext, began: list[Exchange]) -> dict[str, str]:
    """How the runs stand, in one request where it can be."""
    ids = [str(each.response.fields["id"]) for each in began]
    listed = bench.must(bench.client.get("/runs", limit=100))
    found = {str(run.get("id")): str(run.get("status")) for run in listed.response.items}
    if set(ids) <= found.keys():
        return {each: found[each] for each in ids}
    if listed.response.fields.get("has_more") is False:
        expected = "every run that was started"
        trace = [*began, listed]
        bench.session.broken("runs.start.retrievable", expected=expected, got="a list without one", trace=trace)
    raise Unsettled("the runs are not among the first 100")


def _order(bench: ProbeContext, ids: list[str], statuses: dict[str, str]) -> None:
    waiting = [statuses[each] == "queued" for each in ids]
    trace = bench.client.journal[-1]
    bench.check(
        "runs.capacity.fifo", waiting == sorted(waiting), expected="the oldest first", got="another", trace=trace
    )


def race(bench: ProbeContext) -> None:
    """A cancel is sent when the run is about to end: one of the two wins."""
    took = next((each.get("duration_ms") for each in bench.ended().response.fields.get("case_outcomes") or ()), None)
    bench.room(8)
    began = bench.start(bench.target.cases[0])
    run_id = str(began.response.fields["id"])
    bench.client.wait(
        max(1, (took if isinstance(took, int) else 500) - _BEFORE_THE_END) / 1000, "a run is about to end"
    )
    canceled = bench.client.post(f"/runs/{run_id}/cancel", {"why": "a body that belongs nowhere"})
    if canceled.response.status in {200, 202, 400, CONFLICT, 413, 415}:
        ignored = canceled.response.status in {200, 202, CONFLICT}
        rule = "conventions.body-ignored"
        bench.check(rule, ignored, expected="the body ignored", got=told(canceled), trace=[began, canceled])
    after = bench.until(run_id, terminal)
    results = bench.must(bench.client.get("/results", run_id=run_id, limit=100))
    status = after.response.fields["status"]
    if canceled.response.status not in {200, 202, CONFLICT}:
        raise Unsettled(f"the cancel was answered {told(canceled)}")
    says = canceled.response.fields.get("status")
    one = says in {None, status} if canceled.response.ok else status in _ENDED_ITSELF
    if canceled.response.status == 200:  # noqa: PLR2004  the documented status
        one = one and status == "canceled"
    trace = [began, canceled, after, results] if one else [began, canceled, after]
    one = one and {each.get("status") for each in results.response.items} <= {status, "passed", "failed", "error"}
    bench.check("runs.cancel.race", one, expected="one story", got=f"{told(canceled)}, then {status}", trace=trace)


def endings(bench: ProbeContext) -> None:
    """Runs that were left alone have ended as their cases did, and stay as they are; the oracle sees to it."""
    for run_id in bench.runs:
        bench.until(run_id, terminal)
    for run_id in bench.runs[:1]:
        bench.run(run_id)
