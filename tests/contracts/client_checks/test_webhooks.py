"""Receivers of webhooks are judged by the deliveries in a journal of a running emulator."""

from __future__ import annotations

import hashlib
import hmac
import json
import urllib.request
from typing import TYPE_CHECKING, Any, Final

import pytest
from zof_contracts.client_checks.judgement import judge_clients
from zof_contracts.contract.client_rules import CLIENT_RULES
from zof_contracts.evidence.exchange import Exchange, Request, Response
from zof_contracts.traffic.keys import KeyNames
from zof_contracts.traffic.recording import (
    RecordedAttempt,
    RecordedDelivery,
    RecordedExchange,
    RecordingStarted,
    Skips,
)
from zof_contracts.traffic.sources import read_emulator

from tests.client_programs.judging import explain, list_broken, list_kept
from tests.receivers import Receiver, answer
from tests.served import Server
from tests.zof import ADMIN

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from tests.receivers import Received

SECRET: Final = "whsec_0123456789abcdef"  # noqa: S105  of the test alone
RULES: Final = {name for name in CLIENT_RULES if name.startswith("client.webhooks.")}


def respond_well(request: Received) -> bytes:
    """Refuse a wrong signature."""
    expected = hmac.new(SECRET.encode(), request.body, hashlib.sha256).hexdigest()
    return answer(204 if request.headers.get("x-zof-signature") == expected else 401)


def respond_to_all(_: Received) -> bytes:
    """Accept everything."""
    return answer(200)


def respond_with_fault(_: Received) -> bytes:
    """Refuse everything."""
    return answer(500)


def call(server: Server, method: str, path: str, body: object) -> Any:  # noqa: ANN401  JSON
    """Send a request to the server."""
    request = urllib.request.Request(
        f"http://127.0.0.1:{server.port}{path}",
        json.dumps(body).encode(),
        {"Content-Type": "application/json", "Authorization": f"Bearer {ADMIN}", "Idempotency-Key": path},
        method=method,
    )
    with urllib.request.urlopen(request, timeout=10) as found:  # noqa: S310
        return json.load(found)


@pytest.mark.parametrize(
    ("respond", "broken"),
    [
        (respond_well, set()),
        (respond_to_all, {"client.webhooks.tampered"}),
        (respond_with_fault, RULES),
    ],
)
def test_a_receiver_is_judged_by_its_answers(respond: Callable[[Received], bytes], broken: set[str]) -> None:
    """Accepting a forgery, and refusing an event or its duplicate, break the rules about that."""
    receiver = Receiver(respond)
    keys, skips = KeyNames(), Skips()
    try:
        with Server("--clock", "manual", "--quiet") as server:
            hook = {"url": receiver.url, "events": ["run.started", "run.completed"], "secret": SECRET}
            call(server, "POST", "/v1/webhooks", hook)
            call(server, "POST", "/_emulator/delivery-rules", {"action": "duplicate", "type": "run.started"})
            call(server, "POST", "/_emulator/delivery-rules", {"action": "tamper", "type": "run.completed"})
            order = {"project_id": "proj_x", "environment": "staging", "test_case_ids": ["tc_a"]}
            call(server, "POST", "/v1/runs", order)
            call(server, "POST", "/_emulator/clock/advance", {"until": "run_ended"})
            for _ in range(6):
                call(server, "POST", "/_emulator/clock/advance", {"by_ms": 2_000_000})
            verification = judge_clients(read_emulator(f"http://127.0.0.1:{server.port}", keys, skips), keys, skips)
    finally:
        receiver.close()
    assert list_broken(verification) == broken, explain(verification)
    assert list_kept(verification) >= RULES - broken - {"client.webhooks.tampered"}


def deliver(kind: str, began: float, tampering: str = "", seconds: float = 0.1) -> RecordedDelivery:
    """A delivery that was accepted."""
    attempt = RecordedAttempt(began, began + seconds, 204, "")
    return RecordedDelivery(1, "wh_1", "evt_1", "run.completed", kind, tampering, (attempt,))


def export(began: float, key: str = "") -> RecordedExchange:
    """An export that the client asked for."""
    headers = (("idempotency-key", key),) if key else ()
    request = Request("POST", "/v1/results/export", headers=headers, body=b'{"format": "json"}')
    exchange = Exchange(1, request, Response(200, (), b"{}"), "exportResults", began, 0)
    return RecordedExchange(exchange, "https://api.zof.ai", began, began)


def judge(recorded: Sequence[RecordedExchange | RecordedDelivery]) -> set[str]:
    """The rules of webhooks that a recording breaks."""
    return list_broken(judge_clients([RecordingStarted("x"), *recorded], KeyNames(), Skips())) & RULES


@pytest.mark.parametrize(("kind", "tampering"), [("duplicate", ""), ("redelivery", ""), ("tampered", "old_event")])
def test_a_duplicate_must_change_nothing(kind: str, tampering: str) -> None:
    """A POST after a duplicate that repeats the one after the event is a finding, unless it has the same key."""
    deliveries = [deliver("event", 100), deliver(kind, 110, tampering)]
    assert judge([export(101), export(111), *deliveries]) == {"client.webhooks.duplicates"}
    assert judge([export(101, "k"), export(111, "k"), *deliveries]) == set()
    assert judge([export(101), *deliveries]) == set()


def test_an_answer_must_come_in_time() -> None:
    """An event that is answered after more than ten seconds is a finding."""
    assert judge([export(1), deliver("event", 100, seconds=10.5)]) == {"client.webhooks.answered"}
    assert judge([export(1), deliver("event", 100, seconds=9.5)]) == set()
