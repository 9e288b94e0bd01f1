"""Runs beside one another, and runs that are canceled (section 7)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from zof_contracts.probes.context import CONFLICT, ProbeContext, Unsettled, describe, has_ended

if TYPE_CHECKING:
    from zof_contracts.evidence.exchange import Exchange

JsonObject = dict[str, Any]

_MANY: Final = 6
_LEFT: Final = 2
"""How many of them are left alone, to be looked at when they have ended."""
_BEFORE_THE_END: Final = 20
"""Milliseconds before a run's end at which it is canceled; on the wire the end may come first."""
_ENDED_ITSELF: Final = frozenset({"passed", "failed", "error"})


def cancel_at_once(context: ProbeContext) -> None:
    """A run of a suite is started and canceled at once; canceled it stays."""
    context.ensure_quota(8)
    suite = context.target.suite
    began = context.client.start(test_suite_id=suite)
    if context.is_conclusive("runs.start.suite", began, 201):
        context.check("runs.start.suite", began.response.ok, expected="2xx", got=describe(began), trace=began)
    run_id = context.require_ok(began).response.fields.get("id")
    if not isinstance(run_id, str):
        raise Unsettled("the start names no run")
    if "test_suite_id" in began.response.fields:
        named = began.response.fields["test_suite_id"] == suite
        context.check("runs.start.echo", named, expected="the suite asked for", got="another", trace=began)
    word = context.idempotency_key("cancel")
    path = f"/runs/{run_id}/cancel"
    canceled = context.client.post(path, idempotency_key=word)
    after = _accepted(context, began, canceled)
    again = context.client.post(path)
    trace = [began, canceled, again]
    conflict = again.response.status == CONFLICT
    context.check("runs.cancel.again-conflict", conflict, expected="409", got=describe(again), trace=trace)
    replay = context.client.post(path, idempotency_key=word)
    same = (replay.response.status, replay.response.body) == (canceled.response.status, canceled.response.body)
    rule = "conventions.order.replay-before-state"
    context.check(rule, same, expected="the replay", got=describe(replay), trace=[began, canceled, replay])
    context.get_run(str(after.response.fields["id"]))


def _accepted(context: ProbeContext, began: Exchange, canceled: Exchange) -> Exchange:
    """The run after a cancel that must be accepted."""
    run_id = str(began.response.fields.get("id"))
    trace = [began, canceled]
    if canceled.response.status == CONFLICT:
        run = context.get_run(run_id)
        if run.response.fields.get("status") in _ENDED_ITSELF:
            raise Unsettled("the run ended before it could be canceled")
    if not canceled.response.ok:
        if context.is_conclusive("runs.cancel.accepted", canceled, 200):
            context.ledger.record_violation("runs.cancel.accepted", expected="2xx", got=describe(canceled), trace=trace)
        raise Unsettled(f"the cancel was answered {describe(canceled)}")
    after = context.wait_until(run_id, has_ended)
    status = after.response.fields["status"]
    if status in _ENDED_ITSELF and canceled.response.status == 202:  # noqa: PLR2004  what HTTP calls accepted
        raise Unsettled("the run ended while its cancel was under way")
    right = status == "canceled"
    context.check("runs.cancel.accepted", right, expected="canceled", got=status, trace=[*trace, after])
    fields = canceled.response.fields
    at_once = canceled.response.status == 200 and (fields.get("id"), fields.get("status")) == (run_id, "canceled")  # noqa: PLR2004
    context.check(
        "runs.cancel.answer", at_once, expected="200 with the canceled run", got=describe(canceled), trace=trace
    )
    return after


def cancel_midway(context: ProbeContext) -> None:
    """A run against production is canceled on its way: what has finished stays, the rest is canceled."""
    context.ensure_quota(12)
    began = context.client.start(*context.list_cases(), environment="production")
    if context.is_conclusive("runs.start.production", began, 201):
        context.check("runs.start.production", began.response.ok, expected="2xx", got=describe(began), trace=began)
    run_id = str(context.require_ok(began).response.fields.get("id"))
    context.client.wait(0.4, "a run goes on")
    before = context.get_run(run_id)
    canceled = context.client.post(f"/runs/{run_id}/cancel")
    after = _accepted(context, began, canceled)
    trace = [began, before, canceled, after]
    was, now = (
        {each.get("test_case_id"): each for each in run.response.fields.get("case_outcomes") or ()}
        for run in (before, after)
    )
    kept = all(now.get(case) is not None and _followed(was[case], now[case]) for case in was)
    if was:
        expected = "finished cases as they were, the others canceled"
        context.check("runs.cancel.outcomes", kept, expected=expected, got="otherwise", trace=trace)
    waiting = [case for case, each in was.items() if each.get("status") == "queued"]
    _results(context, after, waiting, trace)


def _followed(was: JsonObject, now: JsonObject) -> bool:
    if was.get("status") in {"queued", "running"}:
        return now.get("status") in {"canceled", *_ENDED_ITSELF}
    return now.get("status") == was.get("status")


def _results(context: ProbeContext, after: Exchange, waiting: list[object], trace: list[Exchange]) -> None:
    fields = after.response.fields
    listed = context.require_ok(context.client.get("/results", run_id=fields["id"], limit=100))
    left = context.require_ok(context.client.get(f"/runs/{fields['id']}/artifacts", limit=100))
    canceled = [each for each in listed.response.items if each.get("status") == "canceled"]
    for result in canceled:
        if result.get("test_case_id") not in waiting:
            continue
        right = result.get("started_at") is None and result.get("completed_at") == fields.get("completed_at")
        expected = "no started_at, and the cancel's time as completed_at"
        context.check("results.canceled-unstarted", right, expected=expected, got="otherwise", trace=[*trace, listed])
    ids = {each.get("id") for each in canceled}
    traces = [each for each in left.response.items if each.get("result_id") in ids]
    if canceled:
        rule = "results.canceled-traceless"
        context.check(rule, not traces, expected="no artifact of a canceled case", got="one", trace=[*trace, left])


def capacity(context: ProbeContext) -> None:
    """Several equal starts make as many runs; over capacity they wait, and go on in their order."""
    context.ensure_quota(16)
    known = context.target.error_case
    began = [context.client.start(*([known] if known and place == _LEFT - 1 else ())) for place in range(_MANY)]
    refused = [each for each in began if not each.response.ok]
    for each in refused[:1]:
        if each.response.status not in {401, 403, 429} and began[0].response.ok:
            context.ledger.record_violation(
                "runs.capacity", expected="accepted and queued", got=describe(each), trace=began
            )
        raise Unsettled(f"a start was answered {describe(each)}")
    ids = [str(each.response.fields.get("id")) for each in began]
    if not all(isinstance(each.response.fields.get("id"), str) for each in began):
        raise Unsettled("a start names no run")
    apart = len(set(ids)) == len(ids)
    rule = "idempotency.without-key"
    context.check(rule, apart, expected="a run for each start", got="the same run twice", trace=began[:2])
    context.ledger.record_kept("runs.start.production", began[0])
    context.unattended_runs = tuple(ids[:_LEFT])
    before = _statuses(context, began)
    if "queued" not in before.values() or "running" not in before.values():
        raise Unsettled(f"{_MANY} runs at once were not over capacity, or ended too soon")
    context.ledger.record_kept("runs.capacity", began[-1])
    _order(context, ids, before)
    running = next(each for each in reversed(ids) if before[each] == "running")
    canceled = context.client.post(f"/runs/{running}/cancel")
    after = _statuses(context, began)
    _order(context, ids, after)
    freed = [each for each in ids if before[each] == "queued" and after[each] != "queued"]
    if canceled.response.ok:
        trace = [*began, canceled, context.client.journal[-1]]
        context.check("runs.cancel.frees-place", freed, expected="the next run goes on", got="none does", trace=trace)
    if after[ids[-1]] == "queued":
        _accepted(context, began[-1], context.client.post(f"/runs/{ids[-1]}/cancel"))


def _statuses(context: ProbeContext, began: list[Exchange]) -> dict[str, str]:
    """How the runs stand, in one request where it can be."""
    ids = [str(each.response.fields["id"]) for each in began]
    listed = context.require_ok(context.client.get("/runs", limit=100))
    found = {str(run.get("id")): str(run.get("status")) for run in listed.response.items}
    if set(ids) <= found.keys():
        return {each: found[each] for each in ids}
    if listed.response.fields.get("has_more") is False:
        expected = "every run that was started"
        trace = [*began, listed]
        context.ledger.record_violation(
            "runs.start.retrievable", expected=expected, got="a list without one", trace=trace
        )
    raise Unsettled("the runs are not among the first 100")


def _order(context: ProbeContext, ids: list[str], statuses: dict[str, str]) -> None:
    waiting = [statuses[each] == "queued" for each in ids]
    trace = context.client.journal[-1]
    context.check(
        "runs.capacity.fifo", waiting == sorted(waiting), expected="the oldest first", got="another", trace=trace
    )


def race(context: ProbeContext) -> None:
    """A cancel is sent when the run is about to end: one of the two wins."""
    took = next(
        (each.get("duration_ms") for each in context.find_ended_run().response.fields.get("case_outcomes") or ()), None
    )
    context.ensure_quota(8)
    began = context.start(context.target.cases[0])
    run_id = str(began.response.fields["id"])
    context.client.wait(
        max(1, (took if isinstance(took, int) else 500) - _BEFORE_THE_END) / 1000, "a run is about to end"
    )
    canceled = context.client.post(f"/runs/{run_id}/cancel", {"why": "a body that belongs nowhere"})
    if canceled.response.status in {200, 202, 400, CONFLICT, 413, 415}:
        ignored = canceled.response.status in {200, 202, CONFLICT}
        rule = "conventions.body-ignored"
        context.check(rule, ignored, expected="the body ignored", got=describe(canceled), trace=[began, canceled])
    after = context.wait_until(run_id, has_ended)
    results = context.require_ok(context.client.get("/results", run_id=run_id, limit=100))
    status = after.response.fields["status"]
    if canceled.response.status not in {200, 202, CONFLICT}:
        raise Unsettled(f"the cancel was answered {describe(canceled)}")
    says = canceled.response.fields.get("status")
    one = says in {None, status} if canceled.response.ok else status in _ENDED_ITSELF
    if canceled.response.status == 200:  # noqa: PLR2004  the documented status
        one = one and status == "canceled"
    trace = [began, canceled, after, results] if one else [began, canceled, after]
    one = one and {each.get("status") for each in results.response.items} <= {status, "passed", "failed", "error"}
    context.check(
        "runs.cancel.race", one, expected="one story", got=f"{describe(canceled)}, then {status}", trace=trace
    )


def endings(context: ProbeContext) -> None:
    """Runs that were left alone have ended as their cases did, and stay as they are; the oracle sees to it."""
    for run_id in context.unattended_runs:
        context.wait_until(run_id, has_ended)
    for run_id in context.unattended_runs[:1]:
        context.get_run(run_id)
