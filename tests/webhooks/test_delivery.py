"""Delivery end to end: runs send events, and real receivers get them over loopback."""

from __future__ import annotations

import hmac
import json
from hashlib import sha256
from typing import TYPE_CHECKING, Any, Final, cast

import pytest
from zof_emulator.app import EPOCH
from zof_emulator.cli.replay import replay
from zof_emulator.core.deliveries import RETRY_AFTER_MS
from zof_emulator.core.instants import format_rfc3339_ms
from zof_emulator.core.limits import Rate

from tests.receivers import NO_CONTENT, Received, answer, receiving, silent
from tests.zof import CI, OTHER, STAGING, Zof

if TYPE_CHECKING:
    from collections.abc import Iterator

JSON: Final = ("content-type", "application/json")


class Hooks(Zof):
    """An emulator whose webhooks the test registers, and whose deliveries it waits for."""

    def submit(self, target: str, body: object = None, **more: Any) -> Any:  # noqa: ANN401  JSON
        """Send a POST, which must succeed; what it answers."""
        content = b"" if body is None else json.dumps(body).encode()
        found = self.send("POST", target, body=content, headers=[JSON] if content else [], **more)
        assert found.status < 300, found.content
        return found.json

    def register(self, url: str, *events: str, **more: Any) -> Any:  # noqa: ANN401  JSON
        """Register a webhook."""
        return self.submit("/v1/webhooks", {"url": url, "events": events or ["run.completed"]}, **more)

    def run(self, *cases: str) -> str:
        """Start a run, and let it end; its ID."""
        found: str = self.submit("/v1/runs", {**STAGING, "test_case_ids": cases})["id"]
        self.submit("/_emulator/clock/advance", {"until": "run_ended"})
        return found

    def deliver(self) -> None:
        """Wait until everything is delivered or given up."""
        self.submit("/_emulator/clock/advance", {"until": "delivered"})

    def deliveries(self, query: str = "") -> list[Any]:
        """All deliveries."""
        return list(self.send("GET", f"/_emulator/deliveries{query}").json["data"])


@pytest.fixture
def zof() -> Iterator[Hooks]:
    """A fresh emulator."""
    found = Hooks()
    yield found
    found.app.close()


def types(requests: list[Received]) -> list[str]:
    """The types of the events that came."""
    return [json.loads(one.body)["type"] for one in requests]


@pytest.mark.parametrize(
    ("cases", "expected"),
    [
        (["tc_login_001"], ["run.started", "run.completed"]),
        (["tc_refund_fail_002"], ["run.started", "run.completed", "run.failed"]),
        (["tc_search_error_003"], ["run.started", "run.completed"]),
    ],
)
def test_a_run_sends_its_events_in_order(zof: Hooks, cases: list[str], expected: list[str]) -> None:
    """A run sends `run.started`, then `run.completed` whatever its end, and then `run.failed` if it failed."""
    with receiving() as receiver:
        zof.register(receiver.url, "run.failed", "run.completed", "run.started")
        run = zof.run(*cases)
        zof.deliver()
        assert types(receiver.requests) == expected
        for one in receiver.requests:
            assert json.loads(one.body)["data"] == {"object": {"id": run, "organization_id": "org_abc", "run_id": run}}
        assert len({json.loads(one.body)["id"] for one in receiver.requests}) == len(expected)


def test_a_canceled_run_sends_completed() -> None:
    """A cancel ends a run, so `run.completed` is sent; a run that never started sends nothing before it."""
    zof = Hooks(capacity=1)
    with receiving() as receiver:
        zof.register(receiver.url, "run.started", "run.completed", "run.failed")
        first, second = (zof.submit("/v1/runs", {**STAGING, "test_case_ids": ["tc_a"]})["id"] for _ in range(2))
        zof.submit(f"/v1/runs/{second}/cancel")
        zof.submit(f"/v1/runs/{first}/cancel")
        zof.deliver()
        found = [
            (json.loads(one.body)["type"], json.loads(one.body)["data"]["object"]["id"]) for one in receiver.requests
        ]
        assert found == [("run.started", first), ("run.completed", second), ("run.completed", first)]
    zof.app.close()


def test_a_delivery_is_signed_over_its_bytes(zof: Hooks) -> None:
    """The signature is HMAC-SHA256 over the raw body under the secret of the create answer, in lower-case hex."""
    with receiving() as receiver:
        secret = zof.register(receiver.url)["secret"]
        own = zof.submit(
            "/v1/webhooks", {"url": receiver.url, "events": ["run.completed"], "secret": "geheim-äöü-0123456789"}
        )["secret"]
        zof.run("tc_a")
        zof.deliver()
        assert own == "geheim-äöü-0123456789"
        expected = {hmac.new(one.encode(), receiver.requests[0].body, sha256).hexdigest() for one in (secret, own)}
        assert {one.headers["x-zof-signature"] for one in receiver.requests} == expected
        assert all(one.headers["content-type"] == "application/json" for one in receiver.requests)


def test_a_secret_is_shown_by_the_create_answer_and_its_replay_alone(zof: Hooks) -> None:
    """A replay has the same bytes as the answer with the secret; the list shows no secret."""
    body = json.dumps({"url": "http://127.0.0.1:1/", "events": ["run.failed"]}).encode()
    first, again = (
        zof.send("POST", "/v1/webhooks", body=body, headers=[JSON, ("idempotency-key", "k")]) for _ in range(2)
    )
    assert first.status == 201
    assert first.content == again.content
    assert again.headers["idempotency-replayed"] == "true"
    listed = zof.send("GET", "/v1/webhooks")
    assert first.json["secret"] not in listed.content.decode()
    assert [one["id"] for one in listed.json["data"]] == [first.json["id"], "wh_sample"]


def test_webhooks_belong_to_an_organization(zof: Hooks) -> None:
    """Another organization neither sees nor tests a webhook, its runs send it nothing, and a key needs permission."""
    with receiving() as receiver:
        mine = zof.register(receiver.url)["id"]
        assert zof.send("GET", "/v1/webhooks", key=OTHER).json["data"] == []
        assert zof.send("POST", f"/v1/webhooks/{mine}/test", key=OTHER).status == 404
        assert zof.send("GET", "/v1/webhooks", key=CI).error[:2] == (403, "forbidden")
        zof.submit("/v1/runs", {"project_id": "proj_x", "environment": "staging", "test_case_ids": ["tc_x"]}, key=OTHER)
        zof.submit("/_emulator/clock/advance", {"until": "run_ended"})
        zof.deliver()
        assert not receiver.requests


def test_the_test_call_sends_what_it_answers(zof: Hooks) -> None:
    """The test call answers 202 with the event that it sends: the first type subscribed to, about `run_test`."""
    with receiving() as receiver:
        made = zof.register(receiver.url, "integration.error", "run.started")
        event = zof.submit(f"/v1/webhooks/{made['id']}/test")
        zof.deliver()
        assert event["type"] == "integration.error"
        assert event["data"]["object"]["id"] == "run_test"
        assert json.loads(receiver.requests[0].body) == event


def test_a_refused_delivery_is_retried_on_the_clock(zof: Hooks) -> None:
    """A failed event is retried after 10 s, 1 min, 5 min and 30 min of the world's time, and then fails."""
    with receiving(lambda _: answer(503)) as receiver:
        zof.register(receiver.url)
        zof.run("tc_a")
        zof.deliver()
        assert len(receiver.requests) == 5
        assert len({one.body for one in receiver.requests}) == 1
        (delivery,) = zof.deliveries()
        assert delivery["status"] == "failed"
        times = [one["started_at"] for one in delivery["attempts"]]
        began = zof.world.now - sum(RETRY_AFTER_MS)
        assert len(set(times)) == 5
        assert zof.world.outbox.delivery(delivery["id"]).attempts[0].started_at == began


def test_a_receiver_that_was_away_loses_nothing(zof: Hooks) -> None:
    """Events of a minute in which the receiver is down are delivered in order when it is back."""
    with receiving() as first:
        zof.register(first.url)
        port = first.port
    runs = [zof.run("tc_a") for _ in range(5)]
    zof.submit("/_emulator/clock/advance", {"by_ms": 60_000})
    with receiving(port=port) as back:
        zof.deliver()
        assert [json.loads(one.body)["data"]["object"]["id"] for one in back.requests] == runs
    assert {one["status"] for one in zof.deliveries()} == {"delivered"}


def test_a_silent_receiver_delays_nobody_else(zof: Hooks) -> None:
    """While one receiver hangs, another one gets all its events."""
    with silent() as hanging, receiving() as receiver:
        zof.register(hanging.url)
        zof.register(receiver.url)
        for _ in range(3):
            zof.submit("/v1/runs", {**STAGING, "test_case_ids": ["tc_a"]})
        zof.world.move_to(zof.world.now + 5_000)
        zof.send("GET", "/v1/runs")
        assert types(receiver.wait_for(3)) == ["run.completed"] * 3
        assert len(hanging.requests) == 1


def test_an_address_elsewhere_is_refused_on_the_delivery(zof: Hooks) -> None:
    """A webhook on another machine is registered; its deliveries are refused and recorded without an error."""
    zof.register("http://192.0.2.1/hook")
    zof.run("tc_a")
    zof.deliver()
    (delivery,) = zof.deliveries()
    assert delivery["status"] == "refused"
    assert "--webhook-allow 192.0.2.1" in delivery["attempts"][0]["error"]


def test_the_older_envelope_is_a_setting() -> None:
    """With the setting, events come in the older envelope, which carries status and duration and no ID."""
    zof = Hooks(envelope="legacy")
    with receiving() as receiver:
        zof.register(receiver.url, "run.failed")
        run = zof.run("tc_refund_fail_002")
        zof.deliver()
        found = json.loads(receiver.requests[0].body)
        assert set(found) == {"event", "timestamp", "data"}
        assert (found["event"], found["data"]["run_id"], found["data"]["status"]) == ("run.failed", run, "failed")
        assert found["data"]["duration_ms"] > 0
    zof.app.close()


def test_until_webhook_due_makes_one_retry(zof: Hooks) -> None:
    """`until: webhook_due` moves the clock to the next attempt, and answers when it has been made."""
    with receiving(lambda _: answer(500)) as receiver:
        zof.register(receiver.url)
        zof.run("tc_a")
        before = zof.world.now
        moved = zof.submit("/_emulator/clock/advance", {"until": "webhook_due"})
        assert moved["now_ms"] == before + RETRY_AFTER_MS[0]
        assert len(receiver.requests) == 2


@pytest.mark.parametrize("poll", ["/v1/runs/{run}", "/v1/runs", "/v1/runs/{run}/logs", "/v1/results?run_id={run}"])
def test_a_poll_on_an_auto_clock_makes_the_attempts_on_the_way(poll: str) -> None:
    """A poll that jumps over the instants of retries makes each retry at its instant, before it is answered."""
    zof = Hooks(clock="auto")
    with receiving(lambda _: answer(503)) as receiver:
        zof.register(receiver.url, "run.started")
        began = zof.world.now
        run = zof.submit("/v1/runs", {**STAGING, "test_case_ids": [f"tc_{one}_slow" for one in range(250)]})["id"]
        polled = [zof.send("GET", poll.format(run=run)) for _ in range(3)][-1]
        assert zof.world.now - began > 30 * 60_000
        assert polled.headers["x-ratelimit-limit"]
        (delivery,) = zof.deliveries()
        waits = (0, *RETRY_AFTER_MS[:3])
        expected = [format_rfc3339_ms(began + sum(waits[: count + 1])) for count in range(4)]
        assert [one["started_at"] for one in delivery["attempts"]][:4] == expected
        assert [one["ended_at"] for one in delivery["attempts"]][:4] == expected
        replayed = replay(zof.send("GET", "/_emulator/journal.ndjson").content)
        assert (replayed.differing, replayed.deliveries) == ((), 1)
    zof.app.close()


def test_a_retry_after_429_on_an_auto_clock_makes_the_attempts_on_the_way() -> None:
    """A request that waits for the end of its rate-limit window makes each retry at its instant, and counts once."""
    zof = Hooks(clock="auto", rate=Rate(limit=2))
    with receiving(lambda _: answer(503)) as receiver:
        zof.register(receiver.url)
        began = zof.world.now
        zof.submit("/_emulator/events", {"type": "run.completed"})
        answers = [zof.send("GET", "/v1/projects") for _ in range(3)]
        assert [one.status for one in answers] == [200, 429, 200]
        assert answers[-1].headers["x-ratelimit-remaining"] == "1"
        assert zof.world.now == began + 60_000
        (delivery,) = zof.deliveries()
        expected = [format_rfc3339_ms(began + wait) for wait in (0, RETRY_AFTER_MS[0])]
        assert [one["started_at"] for one in delivery["attempts"]] == expected
    zof.app.close()


def test_deliveries_are_falsified_on_demand(zof: Hooks) -> None:
    """A verifying receiver refuses each falsified copy, and recognizes an old event by its ID."""
    seen, taken, secret = set[str](), list[str](), list[str]()

    def verify(request: Received) -> bytes:
        expected = hmac.new(secret[0].encode(), request.body, sha256).hexdigest()
        if not hmac.compare_digest(expected, request.headers["x-zof-signature"]):
            return answer(400)
        event = json.loads(request.body)["id"]
        taken.extend({event} - seen)
        seen.add(event)
        return NO_CONTENT

    with receiving(verify) as receiver:
        secret.append(zof.register(receiver.url)["secret"])
        zof.run("tc_a")
        zof.run("tc_b")
        zof.deliver()
        last = zof.deliveries()[-1]
        for tampering in ("signature", "body", "whitespace", "old_event"):
            target = f"/_emulator/deliveries/{last['id']}/actions"
            copy = zof.submit(target, {"action": "tamper", "tampering": tampering})
            zof.deliver()
            shown = zof.send("GET", f"/_emulator/deliveries/{copy['id']}").json
            assert shown["attempts"][0]["status"] == (204 if tampering == "old_event" else 400)
        zof.submit(f"/_emulator/deliveries/{last['id']}/actions", {"action": "redeliver"})
        zof.deliver()
        assert len(receiver.requests) == 7
        assert len(taken) == 2


def test_rules_disturb_what_comes(zof: Hooks) -> None:
    """A rule is created, listed, applied the set number of times, and deleted."""
    with receiving() as receiver:
        made = zof.register(receiver.url)
        zof.submit("/_emulator/delivery-rules", {"action": "duplicate", "times": 1, "webhook_id": made["id"]})
        zof.submit("/_emulator/delivery-rules", {"action": "tamper", "type": "run.completed"})
        assert len(zof.send("GET", "/_emulator/delivery-rules").json["data"]) == 2
        zof.run("tc_a")
        zof.deliver()
        zof.run("tc_a")
        zof.deliver()
        assert [one["kind"] for one in zof.deliveries()] == ["event", "duplicate", "tampered", "event"]
        assert len(zof.send("DELETE", "/_emulator/delivery-rules").json["data"]) == 1
        assert zof.send("GET", "/_emulator/delivery-rules").json["data"] == []


def test_other_events_are_sent_on_demand(zof: Hooks) -> None:
    """`POST /_emulator/events` sends an event of any type, with the data of its example unless other data is given."""
    with receiving() as receiver:
        zof.register(receiver.url, "remediation.plan_pending", "release.gate_blocked")
        assert zof.submit("/_emulator/events", {"type": "remediation.plan_pending"}) == {"deliveries": 1}
        zof.submit("/_emulator/events", {"type": "release.gate_blocked", "object_id": "gate_é", "run_id": "run_1"})
        assert zof.submit("/_emulator/events", {"type": "agent.offline", "organization_id": "org_other"}) == {
            "deliveries": 0
        }
        zof.deliver()
        objects = [json.loads(one.body)["data"]["object"] for one in receiver.requests]
        assert [(one["id"], one["run_id"]) for one in objects] == [("plan_001", None), ("gate_é", "run_1")]
        assert "é".encode() in receiver.requests[1].body


def test_a_fork_has_its_own_deliveries(zof: Hooks) -> None:
    """A fork has the deliveries of its parent, and later deliveries are its own."""
    with receiving() as receiver:
        zof.register(receiver.url)
        zof.run("tc_a")
        zof.deliver()
        zof.submit("/_emulator/worlds/default/fork", {"name": "copy"})
        fork = cast("Hooks", zof.select_world("copy"))
        assert fork.deliveries() == zof.deliveries()
        fork.run("tc_b")
        fork.deliver()
        assert (len(fork.deliveries()), len(zof.deliveries())) == (2, 1)


def test_the_same_requests_send_the_same_bytes() -> None:
    """The same seed gives the same events, in the same order, with the same signatures."""
    told = []
    for _ in range(2):
        zof = Hooks(seed=7)
        answers = iter([204, 500, 204, 500, 500, 204])
        with receiving(lambda _, answers=answers: answer(next(answers, 204))) as receiver:  # type: ignore[misc]
            zof.register("http://127.0.0.1:9/")
            zof.register(receiver.url.replace(str(receiver.port), str(receiver.port)), "run.started", "run.completed")
            for case in ("tc_a", "tc_b"):
                zof.run(case)
            zof.deliver()
            told.append([(one.body, one.headers["x-zof-signature"]) for one in receiver.requests])
        zof.app.close()
    assert told[0] == told[1]
    assert len(told[0]) > 4


def test_nothing_is_sent_after_the_end(zof: Hooks, caplog: pytest.LogCaptureFixture) -> None:
    """Undelivered events are reported at shutdown."""
    with receiving(lambda _: answer(500)) as receiver:
        zof.register(receiver.url)
        zof.run("tc_a")
        receiver.wait_for(1)
        zof.app.close()
    assert "1 webhook delivery was neither delivered nor given up" in caplog.text


@pytest.mark.parametrize("clock", ["manual", "real"])
def test_a_replay_compares_deliveries_and_calls_nobody(clock: str) -> None:
    """A replay compares deliveries byte for byte without sending them, and reports a changed one."""
    instant = [EPOCH]
    zof = Hooks(clock=clock, system=lambda: instant[0])
    answers = iter([500, 204, 500])
    with receiving(lambda _: answer(next(answers, 204))) as receiver:
        zof.register(receiver.url)
        zof.submit("/_emulator/delivery-rules", {"action": "duplicate", "times": 1})
        for case in ("tc_a", "tc_b"):
            zof.run(case)
            zof.deliver()
            instant[0] += 1_000
        journal = zof.send("GET", "/_emulator/journal.ndjson").content
        came = len(receiver.requests)
        found = replay(journal)
        assert (found.differing, found.deliveries) == ((), 3)
        assert len(receiver.requests) == came
    changed = journal.replace(b'\\"type\\":\\"run.completed\\"', b'\\"type\\":\\"run.failed\\"', 1)
    assert changed != journal
    assert [one.what for one in replay(changed).differing] == ["body"]
    zof.app.close()


@pytest.mark.parametrize(
    ("clock", "passes_ms", "deliveries"), [("manual", 0, 1), ("auto", 0, 1), ("real", 0, 1), ("real", 60_000, 2)]
)
def test_a_replay_makes_the_deliveries_after_the_last_request(clock: str, passes_ms: int, deliveries: int) -> None:
    """A replay makes the deliveries that were made between the last request and the reading of the journal."""
    instant = [EPOCH]
    zof = Hooks(clock=clock, system=lambda: instant[0])
    with receiving(lambda _: answer(204)) as receiver:
        zof.register(receiver.url, "run.started", "run.completed")
        zof.submit("/v1/runs", {**STAGING, "test_case_ids": ["tc_a"]})
        instant[0] += passes_ms
        found = replay(zof.send("GET", "/_emulator/journal.ndjson").content)
        assert (found.differing, found.deliveries) == ((), deliveries)
    zof.app.close()


def test_a_replay_reports_a_delivery_that_is_not_made() -> None:
    """A delivery that the journal holds and the world never makes is a difference, however far time goes."""
    zof = Hooks(clock="manual")
    with receiving(lambda _: answer(204)) as receiver:
        zof.register(receiver.url, "run.started")
        zof.run("tc_a")
        zof.deliver()
        *lines, last = zof.send("GET", "/_emulator/journal.ndjson").content.splitlines()
        more = json.loads(last)
        more["delivery"] |= {"number": 2, "id": "del_another"}
        found = replay(b"\n".join((*lines, last, json.dumps(more).encode())))
        assert [(one.number, one.what, one.expected, one.got) for one in found.differing] == [
            (2, "delivery", "del_another", "none")
        ]
    zof.app.close()


def test_a_snapshot_holds_deliveries_and_goes_on(zof: Hooks) -> None:
    """A restored world has its webhooks, deliveries and rules, and sends the pending deliveries."""
    with receiving() as first:
        made = zof.register(first.url)
    zof.submit("/_emulator/delivery-rules", {"action": "delay", "delay_ms": 5, "type": "run.failed"})
    zof.run("tc_a")
    zof.submit("/_emulator/clock/advance", {"by_ms": 1})
    before = (zof.deliveries(), zof.send("GET", "/_emulator/delivery-rules").json)
    assert before[0][0]["status"] == "pending"
    snapshot = zof.send("GET", "/_emulator/snapshot").content
    other = Hooks()
    assert other.send("PUT", "/_emulator/snapshot", body=snapshot, headers=[JSON]).status == 200
    assert (other.deliveries(), other.send("GET", "/_emulator/delivery-rules").json) == before
    with receiving(port=first.port) as back:
        other.deliver()
        assert len(back.requests) == 1
        expected = hmac.new(made["secret"].encode(), back.requests[0].body, sha256).hexdigest()
        assert back.requests[0].headers["x-zof-signature"] == expected
    other.app.close()


@pytest.mark.parametrize("supplied", [None, "whsec_of_a_client_é"])
def test_a_restored_world_signs_with_the_same_secret(zof: Hooks, supplied: str | None) -> None:
    """A restored world signs as the original one; its snapshot holds a secret only if a client supplied it."""
    with receiving() as receiver:
        more = {} if supplied is None else {"secret": supplied}
        secret = zof.submit("/v1/webhooks", {"url": receiver.url, "events": ["run.failed"], **more})["secret"]
        snapshot = zof.send("GET", "/_emulator/snapshot").content
        assert (secret.encode() in snapshot) is (supplied is not None)
        assert b"whsec_" not in snapshot.replace(secret.encode(), b"")
        zof.submit("/_emulator/reset")
        assert zof.send("PUT", "/_emulator/snapshot", body=snapshot, headers=[JSON]).status == 200
        zof.submit("/_emulator/events", {"type": "run.failed"})
        zof.deliver()
        (request,) = receiver.requests
        assert request.headers["x-zof-signature"] == hmac.new(secret.encode(), request.body, sha256).hexdigest()
