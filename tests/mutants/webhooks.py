"""Defects in webhooks: section 10 of the contract."""

from __future__ import annotations

import base64
import json
from typing import TYPE_CHECKING, Any, Final

from zof_emulator.core.deliveries import AttemptResult
from zof_emulator.core.endpoints import EndpointStore, EventType
from zof_emulator.core.outbox import Outbox
from zof_emulator.webhooks.signing import HEADER, sign

from tests.mutants.access import perform_as_admin, seen_by_others
from tests.mutants.layer import (
    Ask,
    Defect,
    Inner,
    Mutant,
    answers,
    asks,
    bodies,
    changing,
    error,
    objects,
    says,
    setting,
    status,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from zof_contracts.evidence.exchange import Response
    from zof_emulator.core.deliveries import Delivery, EventFacts, WebhookEvent
    from zof_emulator.core.endpoints import Endpoint
    from zof_emulator.core.world import World
    from zof_emulator.webhooks.post import Post

    Compose = Callable[[World, Delivery], Post]

_CI: Final = "Bearer zof_test_ci"
_KNOWN: Final = frozenset(EventType)


def _secret_in_list() -> Defect:
    """The list shows every secret that a client has set."""
    secrets: dict[str, str] = {}

    def defect(ask: Ask, inner: Inner) -> Response:
        answer = inner(ask)
        if ask.operation == "createWebhook" and answer.ok:
            secrets[answer.fields["id"]] = answer.fields["secret"]
        if ask.operation != "listWebhooks" or not answer.ok:
            return answer
        items = [{**item, "secret": secrets.get(item["id"], "")} for item in answer.items]
        return says(answer, {**answer.fields, "data": items})

    return defect


def _drop_secret_on_replay(answer: Response) -> Response:
    if answer.header("idempotency-replayed") is None:
        return answer
    return says(answer, {name: value for name, value in answer.fields.items() if name != "secret"})


def _keep_known_events(ask: Ask) -> Ask:
    events = [event for event in ask.fields.get("events", ()) if event in _KNOWN]
    return ask.saying({**ask.fields, "events": list(dict.fromkeys(events)) or ["run.failed"]}) if ask.fields else ask


def _replace_url(ask: Ask) -> Ask:
    url = str(ask.fields.get("url", ""))
    is_good = url.startswith("http") and "@" not in url
    return ask if is_good or not ask.fields else ask.saying({**ask.fields, "url": "http://127.0.0.1:9/"})


def _drop_short_secret(ask: Ask) -> Ask:
    fields = {name: value for name, value in ask.fields.items() if name != "secret" or len(value) > 15}
    return ask.saying(fields) if ask.fields != fields else ask


def _edit_event(edit: Callable[[dict[str, Any], Delivery], None]) -> Callable[[Compose], Compose]:
    """The event is edited before it is signed."""

    def over(inner: Compose) -> Compose:
        def compose(world: World, delivery: Delivery) -> Post:
            post = inner(world, delivery)
            value = json.loads(post.body)
            edit(value, delivery)
            body = json.dumps(value).encode()
            return _set_signature(post, body, sign(world.outbox.endpoints.get(delivery.endpoint).secret, body))

        return compose

    return over


def _sign_as(change: Callable[[str, bytes, str], str]) -> Callable[[Compose], Compose]:
    """The signature is wrong: `change` gets the secret, the body and the right signature."""

    def over(inner: Compose) -> Compose:
        def compose(world: World, delivery: Delivery) -> Post:
            post = inner(world, delivery)
            secret = world.outbox.endpoints.get(delivery.endpoint).secret
            return _set_signature(post, post.body, change(secret, post.body, sign(secret, post.body)))

        return compose

    return over


def _set_signature(post: Post, body: bytes, signature: str) -> Post:
    own = {HEADER: signature, "Content-Length": str(len(body))}
    return post._replace(headers=tuple((name, own.get(name, value)) for name, value in post.headers), body=body)


def _sign_other_writing(secret: str, body: bytes, _right: str) -> str:
    return sign(secret, json.dumps(json.loads(body)).encode())


def _encode_base64(_secret: str, _body: bytes, right: str) -> str:
    return base64.b64encode(bytes.fromhex(right)).decode()


def _outbox(kind: type[Outbox]) -> Callable[[World], None]:
    """The outbox of the world is replaced."""

    def change(world: World) -> None:
        world.outbox.__class__ = kind

    return change


class _SendsNoTest(Outbox):
    __slots__ = ()

    def send_test(self, endpoint: Endpoint, facts: EventFacts, now: int) -> WebhookEvent:
        return self._make_event(endpoint.events[0], endpoint.organization, facts, now)


def _silent_about(is_silent: Callable[[EventType, EventFacts], bool]) -> Callable[[World], None]:
    """Some events are not sent."""

    class Silent(Outbox):
        __slots__ = ()

        def publish(self, kind: EventType, organization: str, facts: EventFacts, now: int) -> int:
            return 0 if is_silent(kind, facts) else super().publish(kind, organization, facts, now)

    return _outbox(Silent)


class _SubscribesToAll(EndpointStore):
    __slots__ = ()

    def subscribers(self, organization: str, event: EventType) -> tuple[int, ...]:
        owners = {organization, *(self.get(number).organization for number in range(len(self)))}
        each = super().subscribers
        return tuple(number for owner in sorted(owners) for number in each(owner, event))


def _subscribe_to_all(world: World) -> None:
    """An endpoint gets the events of all organizations."""
    world.outbox.endpoints.__class__ = _SubscribesToAll


class _CompletesTwice(Outbox):
    __slots__ = ()

    def publish(self, kind: EventType, organization: str, facts: EventFacts, now: int) -> int:
        if kind is EventType.RUN_COMPLETED:
            super().publish(kind, organization, facts, now)
        return super().publish(kind, organization, facts, now)


class _FailedForErrors(Outbox):
    __slots__ = ()

    def publish(self, kind: EventType, organization: str, facts: EventFacts, now: int) -> int:
        sent = super().publish(kind, organization, facts, now)
        if kind is EventType.RUN_COMPLETED and facts.status == "error":
            super().publish(EventType.RUN_FAILED, organization, facts, now)
        return sent


class _FailedFirst(Outbox):
    __slots__ = ()

    def publish(self, kind: EventType, organization: str, facts: EventFacts, now: int) -> int:
        swapped = {EventType.RUN_COMPLETED: EventType.RUN_FAILED, EventType.RUN_FAILED: EventType.RUN_COMPLETED}
        other = swapped.get(kind, kind) if facts.status == "failed" else kind
        return super().publish(other, organization, facts, now)


class _NeverRetries(Outbox):
    __slots__ = ()

    def finish(self, number: int, _result: AttemptResult, now: int) -> Delivery | None:
        return super().finish(number, AttemptResult(200), now)


def _new_id_on_retry(value: dict[str, Any], delivery: Delivery) -> None:
    if delivery.attempts:
        value["id"] = f"{value['id']}_{len(delivery.attempts)}"


ALL: Final = (
    Mutant(
        name="webhook-created-200",
        rule="webhooks.create",
        make=answers(lambda answer: status(answer, 200), "createWebhook", 201),
    ),
    Mutant(
        name="webhook-url-changed",
        rule="webhooks.shape",
        make=objects(changing("url", lambda url: f"{url}/"), "createWebhook"),
    ),
    Mutant(
        name="webhooks-oldest-first",
        rule="webhooks.list",
        make=bodies(lambda page: page["data"].reverse(), "listWebhooks"),
    ),
    Mutant(name="webhook-secrets-listed", rule="webhooks.secret.once", make=_secret_in_list),
    Mutant(
        name="webhook-secret-not-replayed",
        rule="webhooks.secret.replay",
        make=answers(_drop_secret_on_replay, "createWebhook"),
    ),
    Mutant(name="unknown-events-taken", rule="webhooks.events.refused", make=asks(_keep_known_events, "createWebhook")),
    Mutant(name="any-webhook-url-taken", rule="webhooks.url.refused", make=asks(_replace_url, "createWebhook")),
    Mutant(
        name="short-webhook-secrets-taken",
        rule="webhooks.secret.refused",
        make=asks(_drop_short_secret, "createWebhook"),
    ),
    Mutant(
        name="webhooks-for-everyone",
        rule="webhooks.permission",
        make=perform_as_admin(lambda ask: ask.key == _CI, "listWebhooks createWebhook testWebhook"),
    ),
    Mutant(
        name="unknown-webhook-400",
        rule="webhooks.unknown",
        make=answers(lambda answer: error(answer, 400, "invalid_request"), "testWebhook", 404),
    ),
    Mutant(name="webhooks-of-others-tested", rule="webhooks.tenants", make=seen_by_others("testWebhook")),
    Mutant(
        name="webhook-test-of-another-type",
        rule="webhooks.test",
        make=bodies(setting(type="run.failed"), "testWebhook"),
    ),
    Mutant(name="webhook-test-not-sent", rule="webhooks.test.sent", world=_outbox(_SendsNoTest)),
    Mutant(
        name="event-without-created",
        rule="webhooks.envelope",
        compose=_edit_event(lambda value, _: value.pop("created")),
    ),
    Mutant(
        name="event-data-flat",
        rule="webhooks.envelope",
        compose=_edit_event(lambda value, _: value.update(data=value["data"]["object"])),
    ),
    Mutant(name="events-sent-to-others", rule="webhooks.tenants", world=_subscribe_to_all),
    Mutant(name="completed-under-two-ids", rule="webhooks.ids", world=_outbox(_CompletesTwice)),
    Mutant(name="one-event-id", rule="webhooks.ids", compose=_edit_event(lambda value, _: value.update(id="evt_1"))),
    Mutant(
        name="event-of-another-organization",
        rule="webhooks.object",
        compose=_edit_event(lambda value, _: value["data"]["object"].update(organization_id="org_other")),
    ),
    Mutant(name="event-signed-before-it-is-written", rule="webhooks.signature", compose=_sign_as(_sign_other_writing)),
    Mutant(
        name="event-signed-with-another-secret",
        rule="webhooks.signature",
        compose=_sign_as(lambda secret, body, _: sign(secret[::-1], body)),
    ),
    Mutant(name="event-not-signed", rule="webhooks.signature", compose=_sign_as(lambda *_: "")),
    Mutant(
        name="signature-in-upper-case",
        rule="webhooks.signature.form",
        compose=_sign_as(lambda _secret, _body, right: right.upper()),
    ),
    Mutant(name="signature-in-base64", rule="webhooks.signature.form", compose=_sign_as(_encode_base64)),
    Mutant(
        name="no-run-started",
        rule="webhooks.started",
        world=_silent_about(lambda kind, _: kind is EventType.RUN_STARTED),
    ),
    Mutant(
        name="no-completed-for-errors",
        rule="webhooks.completed",
        world=_silent_about(lambda kind, facts: kind is EventType.RUN_COMPLETED and facts.status == "error"),
    ),
    Mutant(
        name="no-completed-for-canceled",
        rule="webhooks.completed",
        world=_silent_about(lambda kind, facts: kind is EventType.RUN_COMPLETED and facts.status == "canceled"),
    ),
    Mutant(
        name="no-run-failed", rule="webhooks.failed", world=_silent_about(lambda kind, _: kind is EventType.RUN_FAILED)
    ),
    Mutant(name="run-failed-for-errors", rule="webhooks.failed", world=_outbox(_FailedForErrors)),
    Mutant(name="run-failed-before-completed", rule="webhooks.order", world=_outbox(_FailedFirst)),
    Mutant(name="no-retry", rule="webhooks.retry", world=_outbox(_NeverRetries)),
    Mutant(name="new-id-on-retry", rule="webhooks.retry.same", compose=_edit_event(_new_id_on_retry)),
)
"""All defects in webhooks."""
