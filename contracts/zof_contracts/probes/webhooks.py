"""Webhooks (section 10): registration, the test call, the events of runs, and retries.

The API deletes no webhooks, so one verification registers one, and every probe uses it.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, Final

from zof_contracts.checks import webhooks
from zof_contracts.checks.claims import check_status, describe, has_ended
from zof_contracts.checks.objects import is_consistent
from zof_contracts.evidence.findings import Claim, quote_value
from zof_contracts.probes.context import CREATED, FORBIDDEN, INVALID, UNKNOWN_WEBHOOK, Probe, ProbeContext, Unsettled
from zof_contracts.probes.presence import skip_if_absent
from zof_contracts.probes.webhook_session import EVENTS, WebhookSession

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from zof_contracts.checks.webhooks import Event
    from zof_contracts.evidence.exchange import Exchange

_FAILED: Final = "webhooks.failed"
_ACCEPTED: Final = 202
_UNAVAILABLE: Final = 503
_PATIENCE_IN_PROCESS: Final = 5.0
"""Seconds of real time to wait for an event of a target in this process."""
_RESULT_OF_OTHERS: Final[dict[str, Any]] = {"project_id": "proj_contracts_other", "test_case_id": "tc_contracts_other"}
"""The result that the other organization starts if it lists none to take it from; a target may refuse it as unknown."""
_ROUNDS: Final = 3
"""How often the clock is moved for a retry."""
_LATE_RETRY: Final = 20.0
"""Seconds of real time after which the retry of an event is late."""
_RETRY_AFTER: Final = 11.0
"""Seconds of the target's time after which an event that was refused has been sent again."""


def register(context: ProbeContext) -> None:
    """Register the webhook; replay its registration, list it, and refuse wrong ones."""
    session = _open(context)
    made = session.created
    if made.response.status == FORBIDDEN:
        raise Unsettled("the key (--key) may not manage webhooks: its registration was answered 403")
    context.record(check_status("webhooks.create", made.response, CREATED), made)
    if not isinstance(made.response.fields.get("secret"), str):
        raise Unsettled(f"no webhook was registered: {describe(made.response)}")
    registration = session.registration
    shown = {name: made.response.fields.get(name) for name in registration}
    context.record(Claim("webhooks.shape", shown == registration, quote_value(registration), quote_value(shown)), made)
    again = context.client.post("/webhooks", registration, idempotency_key=session.idempotency_key)
    same = again.response.body == made.response.body
    got = f"{describe(again.response)} with another body" if again.response.ok else describe(again.response)
    context.record(Claim("webhooks.secret.replay", same, "the same answer, with the secret", got), [made, again])
    _check_list(context, session)
    _check_refusals(context, session)
    context.expect_not_found("webhooks.unknown", context.client.post(f"/webhooks/{UNKNOWN_WEBHOOK}/test"))


def _check_list(context: ProbeContext, session: WebhookSession) -> None:
    listed = context.require_ok(context.client.get("/webhooks", limit=100))
    first = next((item.get("id") for item in listed.response.items), None)
    claim = Claim("webhooks.list", first == session.id, f"{session.id} first", f"{quote_value(first)} first")
    context.record(claim, [session.created, listed])
    _check_secret(context, session, listed)


def _check_secret(context: ProbeContext, session: WebhookSession, answer: Exchange) -> None:
    hidden = session.secret.encode() not in answer.response.body
    claim = Claim("webhooks.secret.once", hidden, "no secret", "the secret of the webhook", place=answer.operation)
    context.record(claim, [session.created, answer])


def _check_refusals(context: ProbeContext, session: WebhookSession) -> None:
    good: dict[str, Any] = {"url": f"{session.url}/refused", "events": [EVENTS[0]]}
    for events in (["run.exploded"], [], [EVENTS[0], EVENTS[0]]):
        answer = context.client.post("/webhooks", {**good, "events": events})
        _expect_invalid(context, "webhooks.events.refused", answer, f"the events {quote_value(events)}")
    for url in ("ftp://127.0.0.1/", "http://user:word@127.0.0.1/", "nowhere"):
        answer = context.client.post("/webhooks", {**good, "url": url})
        _expect_invalid(context, "webhooks.url.refused", answer, f"the URL {url}")
    answer = context.client.post("/webhooks", {**good, "secret": "short"})
    _expect_invalid(context, "webhooks.secret.refused", answer, "a secret of 5 characters")


def _expect_invalid(context: ProbeContext, rule: str, answer: Exchange, what: str) -> None:
    if answer.response.ok:
        context.client.wrong_webhooks.append(answer)
    if context.is_conclusive(rule, answer, INVALID):
        context.record(check_status(rule, answer.response, INVALID, what), answer)


def try_permission(context: ProbeContext) -> None:
    """A key without webhooks:manage may neither list, register nor test."""
    if not context.has("no-webhooks"):
        return
    context.ensure_reachable()
    key = "no-webhooks"
    requests: tuple[Callable[[], Exchange], ...] = (
        lambda: context.client.get("/webhooks", key=key),
        lambda: context.client.post("/webhooks", {}, key=key),
        lambda: context.client.post(f"/webhooks/{UNKNOWN_WEBHOOK}/test", key=key),
    )
    for request in requests:
        answer = request()
        what = "a key without webhooks:manage"
        if skip_if_absent(context, "webhooks.permission", answer):
            continue
        if answer.response.ok or answer.response.status in {FORBIDDEN, INVALID, 404}:
            claim = check_status("webhooks.permission", answer.response, FORBIDDEN, what)
            context.record(claim, answer)


def visit_as_other_organization(context: ProbeContext) -> None:
    """Another organization neither sees nor tests the webhook."""
    if not context.has("other-org"):
        return
    session = _require(context)
    tested = context.client.post(f"/webhooks/{session.id}/test", key="other-org")
    context.expect_not_found("webhooks.tenants", tested, [session.created])
    listed = context.client.get("/webhooks", key="other-org", limit=100)
    if listed.response.ok:
        seen = any(item.get("id") == session.id for item in listed.response.items)
        claim = Claim("webhooks.tenants", not seen, "no webhook of ours", f"{session.id} in the list")
        context.record(claim, [session.created, listed])


def call_test(context: ProbeContext) -> None:
    """The test call answers with an event, and sends it; one that is refused is sent again."""
    session = _require(context)
    tested = context.client.post(f"/webhooks/{session.id}/test")
    _check_secret(context, session, tested)
    event = webhooks.read_event(tested.response.body, "")
    holds = tested.response.status == _ACCEPTED and event.type == EVENTS[0] and event.run_id == "run_test"
    got = f"{describe(tested.response)} {quote_value(event.type)} about {quote_value(event.run_id)}"
    context.record(Claim("webhooks.test", holds, f"202 with {EVENTS[0]} about run_test", got), tested)
    if not tested.response.ok:
        raise Unsettled(f"the test call was answered {describe(tested.response)}")
    trace = [session.created, tested]
    came = session.wait_for(partial(_has_arrived, event), _measure_patience(context))
    _require_reachable(session)
    shown = quote_value([one.id for one in session.events()])
    context.record(Claim("webhooks.test.sent", came, f"the event {quote_value(event.id)}", f"events {shown}"), trace)
    _check_all(context, session, trace)


def retry(context: ProbeContext) -> None:
    """An event that the receiver refuses comes again, under the same ID. On a real clock see `RetryInRealTime`."""
    if context.target.advance is None:
        return
    session = _require(context)
    trace, refused, count = _refuse_event(context, session)
    # The target may take note of the refusal a little after it was given, so that the first rounds may be too early.
    # All rounds take place: the requests must not depend on the speed of the machine.
    for _ in range(_ROUNDS):
        context.client.wait(_RETRY_AFTER, "the retry of a webhook")
        trace.append(context.client.get("/webhooks", limit=1))
        session.wait_briefly(lambda events: len(events) > count)
    came = session.wait_for(lambda events: len(events) > count, _measure_patience(context))
    _judge_retry(context, refused, session.events()[count] if came else None, trace)


def _refuse_event(context: ProbeContext, session: WebhookSession) -> tuple[list[Exchange], Event, int]:
    """Refuse the event of a test call; return the trace, the event, and the number of events that have come.

    Raises:
        Unsettled: the event did not come.
    """
    with session.answer_with(_UNAVAILABLE):
        tested = context.require_ok(context.client.post(f"/webhooks/{session.id}/test"))
        event = webhooks.read_event(tested.response.body, "")
        if not session.wait_for(partial(_has_arrived, event), _measure_patience(context)):
            raise Unsettled("the event of the test call did not come")
    events = session.events()
    return [session.created, tested], [one for one in events if not one.was_taken][-1], len(events)


def _judge_retry(context: ProbeContext, refused: Event, again: Event | None, trace: list[Exchange]) -> None:
    came = again is not None
    context.record(Claim("webhooks.retry", came, "the event again after 10 s", "no further delivery"), trace)
    if again is not None:
        same = again.body == refused.body
        got = f"the event {quote_value(again.id)}" if again.id != refused.id else "the event with another body"
        context.record(Claim("webhooks.retry.same", same, f"the event {quote_value(refused.id)}", got), trace)


class RetryInRealTime:
    """The retry of a webhook where the clock cannot be moved: refused early, and judged when other parts have ended.

    Events to one endpoint go in order, so nothing else about webhooks may be tried in between.
    """

    def __init__(self) -> None:
        self._refused: Event | None = None
        self._trace: list[Exchange] = []
        self._count = 0
        """The number of events that had come when the event was refused."""
        self._since = 0.0
        """When it was refused, by the timer of the client."""

    def refuse(self, context: ProbeContext) -> None:
        """Refuse the event of a test call."""
        self._trace, self._refused, self._count = _refuse_event(context, _require(context))
        self._since = context.client.timer.now()

    def judge(self, context: ProbeContext) -> None:
        """Judge whether the event came again. It is not waited for."""
        if self._refused is None:
            return  # the refusal says why
        run = self._refused.run_id
        again = next((one for one in _require(context).events()[self._count :] if one.run_id == run), None)
        passed = context.client.timer.now() - self._since
        if again is None and passed < _LATE_RETRY:
            raise Unsettled(
                f"the retry of a webhook is due after 10 s, and the verification ended after {passed:.0f} s"
            )
        _judge_retry(context, self._refused, again, self._trace)

    def list_probes(self) -> tuple[Probe, Probe]:
        """The probe that comes before the other parts, and the one that comes after them."""
        return (
            Probe("webhook refusal", self.refuse, RULES_OF_RETRY),
            Probe("webhook retry in real time", self.judge, RULES_OF_RETRY),
        )


def follow_runs(context: ProbeContext) -> None:
    """Runs that pass, fail, end in error and are canceled send their events, in order."""
    session = _require(context)
    cases = [case for case in (context.target.failing_case, context.target.error_case) if case]
    started = [context.start(case) for case in (context.target.cases[0], *cases)]
    foreign_run = _run_as_other_organization(context)
    canceled = context.start(context.target.cases[0])
    context.client.post(f"/runs/{canceled.response.fields['id']}/cancel")
    ended = [context.wait_until(str(start.response.fields["id"]), has_ended) for start in (*started, canceled)]
    for exchange in ended:
        run = exchange.response.fields
        session.wait_for(partial(_have_arrived, run["id"], _list_events(run)), _measure_patience(context))
    # Events go in order, so all earlier events have come when the test event has.
    last = context.require_ok(context.client.post(f"/webhooks/{session.id}/test"))
    value = webhooks.read_event(last.response.body, "").value
    session.wait_for(lambda events: any(one.value == value for one in events), _measure_patience(context))
    _require_reachable(session)
    events = session.events()
    has_failed = any(exchange.response.fields.get("status") == "failed" for exchange in ended)
    if not has_failed:
        context.ledger.record_skip(_FAILED, "no run failed, so the case of --failing-case does not fail")
    for exchange in ended:
        run, trace = exchange.response.fields, [session.created, exchange]
        has_begun = "run.started" in _list_events(run)
        claims = webhooks.check_events_of_run(events, run["id"], str(run["status"]), has_started=has_begun)
        if not has_failed:  # that the others send no event does not show that a failed run sends one
            claims = [claim for claim in claims if claim.rule != _FAILED or not claim.holds]
        claims += [webhooks.check_order(events, run["id"]), webhooks.check_single_ids(events, run["id"])]
        context.record(claims, trace)
        for event in events:
            if event.run_id == run["id"] and "event" not in event.value:
                context.record(webhooks.check_about(event, run.get("organization_id")), trace)
    if foreign_run is not None:
        context.record(webhooks.check_organization(events, foreign_run), [session.created, *ended])
    _check_all(context, session, [session.created, *ended])


def _run_as_other_organization(context: ProbeContext) -> str | None:
    """The ID of a run that the other organization starts and cancels; None if it can start none."""
    if not context.has("other-org"):
        return None
    known = next(iter(context.client.get("/results", key="other-org", limit=1).response.items), _RESULT_OF_OTHERS)
    project, case = (str(known.get(name)) for name in ("project_id", "test_case_id"))
    started = context.client.start(case, key="other-org", project_id=project)
    run_id = started.response.fields.get("id")
    if not started.response.ok or not isinstance(run_id, str):
        return None
    context.client.post(f"/runs/{run_id}/cancel", key="other-org")
    return run_id


def _list_events(run: dict[str, Any]) -> set[str]:
    """The types of the events that a run must have sent."""
    found = {"run.completed"}
    found |= {"run.started"} if run.get("started_at") is not None else set()
    return found | ({"run.failed"} if run.get("status") == "failed" else set())


def _measure_patience(context: ProbeContext) -> float:
    """Seconds of real time to wait for an event that must come."""
    return _PATIENCE_IN_PROCESS if context.target.is_in_process else context.target.patience


def _have_arrived(run_id: str, types: set[str], events: Sequence[Event]) -> bool:
    return types <= {event.type for event in events if event.run_id == run_id}


def _check_all(context: ProbeContext, session: WebhookSession, trace: list[Exchange]) -> None:
    """Judge every event that has come since the last time."""
    for event in session.take_new():
        context.record(webhooks.check_envelope(event), trace)
        context.record(webhooks.check_signature(event, session.secret), trace)
        context.record(webhooks.check_signature_form(event), trace)
    if all("event" not in event.value for event in session.events()):
        context.record(webhooks.check_ids(session.events()), trace)


def _open(context: ProbeContext) -> WebhookSession:
    """The session; its webhook is registered once in a verification. Raises `Unsettled` where none can be."""
    if not context.target.can_receive or not context.can_start_runs:
        raise Unsettled("the target cannot reach a receiver on this machine, or the profile allows no registration")
    if context.webhooks is None:
        try:
            context.webhooks = WebhookSession(context.client, context.ledger.nonce)
        except OSError as error:
            raise Unsettled(f"the receiver cannot listen on port {context.target.webhook_port}: {error}") from error
    return context.webhooks


def _has_arrived(event: Event, events: Sequence[Event]) -> bool:
    """Whether an event that an answer showed was received; a field that only one of the two has does not count."""
    return any(one.id == event.id and is_consistent(one.value, event.value) for one in events)


def _require(context: ProbeContext) -> WebhookSession:
    """The session, once its webhook is registered. Raises `Unsettled`."""
    session = _open(context)
    if not session.secret:
        raise Unsettled(f"no webhook was registered: {describe(session.created.response)}")
    return session


def _require_reachable(session: WebhookSession) -> None:
    """Raise `Unsettled` if nothing has come because the public URL does not lead to the receiver."""
    obstacle = session.find_obstacle()
    if obstacle:
        raise Unsettled(obstacle)


def _name_rules(words: str) -> tuple[str, ...]:
    return tuple(f"webhooks.{word}" for word in words.split())


RULES_OF_RETRY: Final = _name_rules("retry retry.same")
"""The rules about an event that was refused."""
PROBES: Final = (
    Probe(
        "webhook registration",
        register,
        _name_rules("create shape list secret.once secret.replay events.refused url.refused secret.refused unknown"),
    ),
    Probe("webhook permission", try_permission, _name_rules("permission")),
    Probe("webhooks of another organization", visit_as_other_organization, _name_rules("tenants")),
    Probe(
        "webhook test call", call_test, _name_rules("test test.sent envelope signature signature.form ids secret.once")
    ),
    Probe("webhook events of runs", follow_runs, _name_rules("started completed failed order object envelope ids")),
    Probe("webhook retry", retry, RULES_OF_RETRY),
)
"""Probes of webhooks."""
