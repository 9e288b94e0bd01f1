"""Runs beside one another, and runs that are canceled (section 7)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from zof_contracts.checks.claims import (
    check_cancel,
    check_canceled_outcomes,
    check_new_run,
    check_race,
    check_refused_cancel,
    describe,
    has_ended,
    list_outcomes,
)
from zof_contracts.evidence.findings import quote_value
from zof_contracts.probes.context import CONFLICT, OK, Probe, ProbeContext, Unsettled

if TYPE_CHECKING:
    from zof_contracts.evidence.exchange import Exchange

JsonObject = dict[str, Any]

_MANY: Final = 6
"""Runs that are started at once."""
_UNATTENDED: Final = 2
"""The number of them that are left alone and retrieved after their end."""
_BEFORE_THE_END: Final = 20
"""Milliseconds before the end of a run at which it is canceled; on the wire the end may come first."""
_LEAST_CASES: Final = 2
_MIDWAY: Final = 0.4
"""Seconds after the start of a run at which it is canceled where no durations are known."""
_ACCEPTED: Final = 202
_OUTCOMES: Final = frozenset({"passed", "failed", "error"})


def cancel_at_once(context: ProbeContext) -> None:
    """A run of a suite is started and canceled at once, and stays canceled."""
    context.ensure_quota(8)
    suite = context.target.suite
    began = context.client.start(test_suite_id=suite)
    if context.is_conclusive("runs.start.suite", began, 201):
        got = describe(began.response)
        context.check("runs.start.suite", began.response.ok, expected="2xx", got=got, trace=began)
    is_of_suite = began.response.ok
    if not is_of_suite:  # what follows needs a run, not a suite
        began = context.start()
    fields = began.response.fields
    run_id = fields.get("id")
    if not isinstance(run_id, str):
        raise Unsettled("the start names no run")
    if is_of_suite and "test_suite_id" in fields:
        expected, got = f"test_suite_id {suite}", f"test_suite_id {quote_value(fields['test_suite_id'])}"
        context.check("runs.start.echo", fields["test_suite_id"] == suite, expected=expected, got=got, trace=began)
    key = context.idempotency_key("cancel")
    path = f"/runs/{run_id}/cancel"
    canceled = context.client.post(path, idempotency_key=key)
    after = _judge_cancel(context, began, began, canceled)
    second = context.client.post(path)
    context.record(check_refused_cancel(after.response.fields, second.response), [began, canceled, second])
    replay = context.client.post(path, idempotency_key=key)
    is_replay = (replay.response.status, replay.response.body) == (canceled.response.status, canceled.response.body)
    rule = "conventions.order.replay-before-state"
    expected, got = f"the first answer, {describe(canceled.response)}", describe(replay.response)
    context.check(rule, is_replay, expected=expected, got=got, trace=[began, canceled, replay])
    context.get_run(run_id)


def _judge_cancel(context: ProbeContext, began: Exchange, before: Exchange, canceled: Exchange) -> Exchange:
    """Judge a cancel that must be accepted; returns the run when it has settled."""
    run_id = str(began.response.fields.get("id"))
    answer, rule = canceled.response, "runs.cancel.accepted"
    if not answer.ok:
        if not context.is_conclusive(rule, canceled, OK):
            raise Unsettled(f"the cancel was answered {describe(answer)}")
        after = context.get_run(run_id)
        if after.response.fields.get("status") in _OUTCOMES:
            raise Unsettled("the run ended before it could be canceled")
        context.record(check_cancel(before.response.fields, answer, after.response.fields), [began, canceled])
        raise Unsettled(f"the cancel was answered {describe(answer)}")
    after = context.wait_until(run_id, has_ended)
    status = after.response.fields["status"]
    if status in _OUTCOMES and answer.status == _ACCEPTED:
        raise Unsettled("the run ended while its cancel was under way")
    claims = check_cancel(before.response.fields, answer, after.response.fields)
    context.record(claims, [began, canceled, after])
    is_canceled = answer.status == OK and (answer.fields.get("id"), answer.fields.get("status")) == (run_id, "canceled")
    got = f"{describe(answer)} with id {quote_value(answer.fields.get('id'))}, status {answer.fields.get('status')}"
    expected, trace = f"200 with the run {run_id} canceled", [began, canceled]
    context.check("runs.cancel.answer", is_canceled, expected=expected, got=got, trace=trace)
    return after


def cancel_midway(context: ProbeContext) -> None:
    """A run against production is canceled midway: finished cases keep their outcome, the others are canceled."""
    durations = _read_durations(context)
    cases = sorted(context.list_cases(), key=lambda case: durations.get(case, 0))
    if len(durations) >= len(cases):
        cases = [cases[0], cases[-1], *cases[1:-1]]
    context.ensure_quota(12)
    began = context.client.start(*cases, environment="production")
    if context.is_conclusive("runs.start.production", began, 201):
        got = describe(began.response)
        context.check("runs.start.production", began.response.ok, expected="2xx", got=got, trace=began)
    if not began.response.ok:  # what follows needs a run, in whatever environment
        began = context.start(*cases)
    run_id = str(began.response.fields.get("id"))
    before = _wait_for_case(context, run_id, [durations[case] for case in cases if case in durations])
    canceled = context.client.post(f"/runs/{run_id}/cancel")
    after = _judge_cancel(context, began, before, canceled)
    trace = [began, before, canceled, after]
    context.record(check_canceled_outcomes(before.response.fields, after.response.fields), trace)
    outcomes = list_outcomes(before.response.fields)
    waiting = [each.get("test_case_id") for each in outcomes if each.get("status") == "queued"]
    begun = _list_begun(canceled.response.fields) + _list_begun(after.response.fields)
    _judge_results(context, after, [case for case in waiting if case not in begun], trace)


def _list_begun(run: JsonObject) -> list[object]:
    """The cases of a canceled run that had started: they have a duration, or another status than the cancel gives."""
    return [
        each.get("test_case_id")
        for each in list_outcomes(run)
        if each.get("duration_ms") is not None or each.get("status") != "canceled"
    ]


def _read_durations(context: ProbeContext) -> dict[str, int]:
    """How long each case took in a run that has ended, in ms; empty where none ends in time."""
    try:
        outcomes = list_outcomes(context.find_ended_run().response.fields)
    except Unsettled:
        return {}
    took = {str(each.get("test_case_id")): each.get("duration_ms") for each in outcomes}
    return {case: duration for case, duration in took.items() if isinstance(duration, int)}


def _wait_for_case(context: ProbeContext, run_id: str, durations: list[int]) -> Exchange:
    """Wait until the first case has ended and the second has not, as far as earlier durations tell."""
    if len(durations) < _LEAST_CASES:
        context.client.wait(_MIDWAY, "a run in progress")
        return context.get_run(run_id)
    first, second, *_ = durations
    context.client.wait((first + second / 2) / 1000, "a run whose first case has ended")
    before = context.get_run(run_id)
    return before if _has_ended_case(before.response.fields) else context.wait_until(run_id, _has_ended_case)


def _has_ended_case(run: JsonObject) -> bool:
    return has_ended(run) or any(each.get("status") in _OUTCOMES for each in list_outcomes(run))


def _judge_results(context: ProbeContext, after: Exchange, waiting: list[object], trace: list[Exchange]) -> None:
    fields = after.response.fields
    listed = context.require_ok(context.client.get("/results", run_id=fields["id"], limit=100))
    canceled = [each for each in listed.response.items if each.get("status") == "canceled"]
    end = fields.get("completed_at")
    for result in canceled:
        if result.get("test_case_id") not in waiting:
            continue
        holds = result.get("started_at") is None and result.get("completed_at") == end
        expected = f"started_at null and completed_at {quote_value(end)}"
        times = ", ".join(f"{name} {quote_value(result.get(name))}" for name in ("started_at", "completed_at"))
        context.check("results.canceled-unstarted", holds, expected=expected, got=times, trace=[*trace, listed])
    left = context.require_ok(context.client.get(f"/runs/{fields['id']}/artifacts", limit=100))
    ids = {each.get("id") for each in canceled}
    traces = [each for each in left.response.items if each.get("result_id") in ids]
    if canceled:
        rule, expected = "results.canceled-traceless", "no artifact of a canceled case"
        got = ", ".join(f"{each.get('id')} of {each.get('result_id')}" for each in traces[:3])
        context.check(rule, not traces, expected=expected, got=got, trace=[*trace, left])


def exceed_capacity(context: ProbeContext) -> None:
    """Several equal starts make as many runs; over capacity they wait, and start in their order."""
    context.ensure_quota(18)
    grave = _list_grave_cases(context)
    began = [context.client.start(*(grave if index == _UNATTENDED - 1 else ())) for index in range(_MANY)]
    ids = _read_started(context, began)
    for index, run_id in enumerate(ids):
        context.record(check_new_run(run_id, ids[:index]), began[: index + 1])
    context.ledger.record_kept("runs.start.production")
    context.unattended_runs = tuple(ids[:_UNATTENDED])
    before = _read_statuses(context, began)
    if "queued" not in before.values() or "running" not in before.values():
        raise Unsettled(f"{_MANY} runs at once were not over capacity, or ended too soon")
    context.ledger.record_kept("runs.capacity")
    _judge_order(context, ids, before)
    running = next(each for each in reversed(ids) if before[each] == "running")
    canceled = context.client.post(f"/runs/{running}/cancel")
    after = _read_statuses(context, began)
    _judge_order(context, ids, after)
    waiting = [each for each in ids if before[each] == "queued"]
    if canceled.response.ok:
        started = [each for each in waiting if after[each] != "queued"]
        trace = [*began, canceled, context.client.journal[-1]]
        expected, got = f"{waiting[0]} started in place of {running}", f"{waiting[0]} still queued"
        context.check("runs.cancel.frees-place", started, expected=expected, got=got, trace=trace)
    if after[ids[-1]] == "queued":
        canceled = context.client.post(f"/runs/{ids[-1]}/cancel")
        ended = _judge_cancel(context, began[-1], began[-1], canceled)
        if ended.response.fields.get("started_at") is None:
            unstarted = [each.get("test_case_id") for each in list_outcomes(ended.response.fields)]
            _judge_results(context, ended, unstarted, [began[-1], canceled, ended])


def _list_grave_cases(context: ProbeContext) -> tuple[str, ...]:
    """The failing case and the case in error, whose run ends in error; none where no case in error is known."""
    target = context.target
    return tuple(case for case in (target.failing_case, target.error_case) if case) if target.error_case else ()


def _read_started(context: ProbeContext, began: list[Exchange]) -> list[str]:
    for each in began:
        answer = each.response
        if answer.ok:
            continue
        is_refused = answer.status not in {401, 403, 429} and not answer.is_from_gateway
        if is_refused and began[0].response.ok:
            got = describe(answer)
            context.ledger.record_violation("runs.capacity", expected="accepted and queued", got=got, trace=began)
        raise Unsettled(f"a start was answered {describe(answer)}")
    if not all(isinstance(each.response.fields.get("id"), str) for each in began):
        raise Unsettled("a start names no run")
    return [str(each.response.fields["id"]) for each in began]


def _read_statuses(context: ProbeContext, began: list[Exchange]) -> dict[str, str]:
    """The statuses of the runs, in one request."""
    ids = [str(each.response.fields["id"]) for each in began]
    listed = context.require_ok(context.client.get("/runs", limit=100))
    found = {str(run.get("id")): str(run.get("status")) for run in listed.response.items}
    lost = [each for each in ids if each not in found]
    if not lost:
        return {each: found[each] for each in ids}
    if listed.response.fields.get("has_more") is False:
        expected, got = "every run that was started", f"{len(found)} runs, without {', '.join(lost[:3])}"
        trace = [*began, listed]
        context.ledger.record_violation("runs.start.retrievable", expected=expected, got=got, trace=trace)
    raise Unsettled("the runs are not among the first 100")


def _judge_order(context: ProbeContext, ids: list[str], statuses: dict[str, str]) -> None:
    shown = [statuses[each] for each in ids]
    waiting = [status == "queued" for status in shown]
    trace = context.client.journal[-1]
    expected, got = "the oldest run to start first", f"from the oldest: {', '.join(shown)}"
    context.check("runs.capacity.fifo", waiting == sorted(waiting), expected=expected, got=got, trace=trace)


def race_with_end(context: ProbeContext) -> None:
    """A cancel is sent when the run is about to end: one of the two takes effect."""
    outcomes = list_outcomes(context.find_ended_run().response.fields)
    took = next((each.get("duration_ms") for each in outcomes), None)
    context.ensure_quota(8)
    began = context.start(context.target.cases[0])
    run_id = str(began.response.fields["id"])
    wait = max(1, (took if isinstance(took, int) else 500) - _BEFORE_THE_END) / 1000
    context.client.wait(wait, "a run that is about to end")
    canceled = context.client.post(f"/runs/{run_id}/cancel", {"why": "a body that is not expected"})
    status = canceled.response.status
    if status in {OK, _ACCEPTED, 400, CONFLICT, 413, 415}:
        is_ignored = status in {OK, _ACCEPTED, CONFLICT}
        rule, got = "conventions.body-ignored", describe(canceled.response)
        context.check(rule, is_ignored, expected="200 or 409", got=got, trace=[began, canceled])
    after = context.wait_until(run_id, has_ended)
    results = context.client.get("/results", run_id=run_id, limit=100)
    if status not in {OK, _ACCEPTED, CONFLICT}:
        raise Unsettled(f"the cancel was answered {describe(canceled.response)}")
    claim = check_race(canceled.response, after.response.fields, ())
    trace = [began, canceled, after]
    if claim.holds and results.response.ok:
        claim = check_race(canceled.response, after.response.fields, results.response.items)
        trace = [*trace, results]
    context.record(claim, trace)


PROBES: Final = (
    Probe(
        "a cancel at once",
        cancel_at_once,
        (
            "runs.start.suite",
            "runs.cancel.accepted",
            "runs.cancel.answer",
            "runs.cancel.again-conflict",
            "conventions.order.replay-before-state",
        ),
    ),
    Probe(
        "a cancel midway",
        cancel_midway,
        (
            "runs.start.production",
            "runs.cancel.outcomes",
            "results.canceled-unstarted",
            "results.canceled-traceless",
        ),
    ),
    Probe("a cancel and an end that race", race_with_end, ("runs.cancel.race", "conventions.body-ignored")),
    Probe(
        "more runs than there is capacity for",
        exceed_capacity,
        ("runs.capacity", "runs.capacity.fifo", "runs.cancel.frees-place", "idempotency.without-key"),
    ),
)
"""Several of these start runs, which continue while later probes read."""
