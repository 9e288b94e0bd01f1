"""Webhooks in the harness: the receiver, the verification of signatures, and what one verification registers."""

from __future__ import annotations

import hashlib
import hmac
import http.client
import json
from contextlib import suppress
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any, Final

import pytest
from hypothesis import given
from hypothesis import strategies as st
from zof_contracts.checks.webhooks import check_envelope, check_ids, check_order, check_signature, read_event
from zof_contracts.contract.rules import RULES
from zof_contracts.evidence.findings import Verdict
from zof_contracts.evidence.ledger import Ledger
from zof_contracts.probes import ProbeContext, Unsettled
from zof_contracts.probes.webhooks import RetryInRealTime
from zof_contracts.report import FILES, render
from zof_contracts.target.client import Client
from zof_contracts.target.receiver import LONGEST_BODY, Receiver
from zof_contracts.target.target import Target
from zof_contracts.verification.cleanup import clean_up
from zof_contracts.verification.run import run
from zof_emulator.webhooks.signing import sign

from tests.contracts.timers import FakeTimer
from tests.mutants.catalogue import HEALTHY, MUTANTS, target
from tests.receivers import PATIENCE, Received, answer, receiving
from tests.served import Server
from tests.webhooks.test_receivers import free_port

if TYPE_CHECKING:
    from collections.abc import Callable

    from zof_contracts.evidence.verification import Verification

    from tests.mutants.layer import Mutant

SECTION: Final = tuple(rule for rule in RULES.values() if rule.section == 10)
SECRET: Final = "whsec_0123456789"  # noqa: S105  of the tests alone


def verdicts(verification: Verification) -> dict[str, Verdict]:
    """The verdict of each rule of section 10."""
    return {one.rule.name: one.verdict for one in verification.results if one.rule.section == 10}


def count_registered(verification: Verification) -> int:
    """How many webhooks the target registered, replays not counted."""
    made = [one for one in verification.journal if one.operation == "createWebhook" and one.response.status == 201]
    return sum(one.response.header("idempotency-replayed") is None for one in made)


def test_every_rule_is_exercised_in_process() -> None:
    """In process each rule of section 10 is kept; one webhook is registered, and the receipt says so."""
    found = run(target(), rules=SECTION, max_examples=0)
    assert set(verdicts(found).values()) == {Verdict.KEPT}
    assert count_registered(found) == 1
    assert [one.state for one in found.receipt if one.run.startswith("wh_")] == [
        "left registered: the API deletes no webhooks"
    ]


def test_a_refusal_that_is_noted_late_changes_no_request() -> None:
    """The requests for a retry are the same where the target notes the refusal of an event only after some of them."""
    rules = (RULES["webhooks.retry"],)
    punctual, tardy = target(), target()
    move = tardy.advance
    assert move is not None
    moves: list[int] = []

    def move_late(milliseconds: int) -> None:
        """Move the clock, but for the first wait for a retry."""
        moves.append(milliseconds)
        move(1 if moves.count(11_000) == 1 else milliseconds)

    verifications = [run(each, rules=rules, max_examples=0) for each in (punctual, replace(tardy, advance=move_late))]
    assert moves.count(11_000) > 1
    assert [verdicts(each)["webhooks.retry"] for each in verifications] == [Verdict.KEPT, Verdict.KEPT]
    first, second = ([(one.request.method, one.request.path) for one in each.journal] for each in verifications)
    assert first == second


@pytest.mark.parametrize("name", ["webhook-secrets-listed", "event-signed-with-another-secret", "webhook-created-200"])
def test_no_report_shows_a_webhook_secret(name: str) -> None:
    """The secrets of webhooks are in no report, also if an answer shows them where it should not."""
    found = run(target(MUTANTS[name]), rules=SECTION, max_examples=0)
    made = next(one for one in found.journal if one.operation == "createWebhook" and one.response.ok)
    secret = made.response.fields["secret"]
    assert found.findings
    for form in FILES:
        assert secret not in render(found, form)


@pytest.mark.parametrize("name", ["unknown-events-taken", "any-webhook-url-taken", "short-webhook-secrets-taken"])
def test_the_receipt_lists_what_should_have_been_refused(name: str) -> None:
    """A webhook that the target registers although it should refuse it is in the receipt, as it cannot be deleted."""
    found = run(target(MUTANTS[name]), rules=SECTION, max_examples=0)
    receipts = [one for one in found.receipt if one.run.startswith("wh_")]
    assert len({one.run for one in receipts}) == len(receipts) == count_registered(found) > 1
    assert [one.state.partition(":")[0] for one in receipts[:2]] == [
        "left registered",
        "left registered, although its registration is wrong and should be refused",
    ]


@pytest.mark.parametrize("clock", ["real", "manual"])
def test_every_rule_is_exercised_over_http(clock: str) -> None:
    """Over HTTP each rule of section 10 is kept, on a real clock too."""
    keys = {"main": "zof_test_admin", "readonly": "zof_test_viewer", "no-webhooks": "zof_test_ci"}
    with Server("--clock", clock, "--quiet", "--rate-limit", "off") as server:
        there = Target(
            url=f"http://127.0.0.1:{server.port}",
            keys={**keys, "other-org": "zof_test_other"},
            failing_case="tc_pay_fail_001",
            error_case="tc_platform_error_001",
        )
        found = run(there, rules=SECTION, max_examples=0)
        assert {name: one for name, one in verdicts(found).items() if one is not Verdict.KEPT} == {}
        assert count_registered(found) == 1


def test_a_target_that_cannot_call_us_is_not_exercised() -> None:
    """Where no receiver can be reached, the rules that need one are not exercised, and the reason names the option."""
    far = replace(target(), profile="read-only")
    found = run(far, rules=SECTION, max_examples=0)
    assert set(verdicts(found).values()) == {Verdict.NOT_EXERCISED}
    away = Target(url="https://zof.example.com", keys={"main": "zof_test_admin"})
    assert not away.can_receive
    assert replace(away, webhook_public_url="https://tunnel.example.com").can_receive
    assert "receiver" in away.lacks(RULES["webhooks.signature"])


def test_the_public_url_is_what_is_registered() -> None:
    """With a public URL the webhook that is registered leads there, and not to the receiver's own address."""
    rules = (RULES["webhooks.test.sent"],)
    found = run(replace(target(), webhook_public_url="http://127.0.0.1:9/tunnel"), rules=rules, max_examples=0)
    made = next(one for one in found.journal if one.operation == "createWebhook" and one.response.status == 201)
    assert json.loads(made.request.body)["url"].startswith("http://127.0.0.1:9/tunnel/zof-contracts/")
    assert verdicts(found)["webhooks.test.sent"] is Verdict.NOT_EXERCISED
    (reason,) = {one.reason for one in found.results if one.rule.name == "webhooks.test.sent"}
    assert "--webhook-public-url http://127.0.0.1:9/tunnel does not lead to the receiver" in reason


def test_a_target_that_sends_nothing_through_a_tunnel_is_found() -> None:
    """Where the public URL leads to the receiver and no event comes, the target breaks the rule."""
    port = free_port()
    with receiving(partial(forward, port)) as tunnel:
        there = replace(
            target(MUTANTS["webhook-test-not-sent"]),
            webhook_public_url=f"http://127.0.0.1:{tunnel.port}",
            webhook_port=port,
        )
        found = run(there, rules=(RULES["webhooks.test.sent"],), max_examples=0)
        assert verdicts(found)["webhooks.test.sent"] in {Verdict.DIFFERS, Verdict.VIOLATED}


def forward(port: int, request: Received) -> bytes:
    """Send a request on to a loopback port, as a tunnel does; the answer."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE)
    connection.request("POST", request.target, request.body, request.headers)
    status = connection.getresponse().status
    connection.close()
    return answer(status)


def test_every_rule_is_exercised_through_a_tunnel() -> None:
    """Where only a public URL leads to the receiver, each rule of section 10 is exercised and kept."""
    port = free_port()
    with receiving(partial(forward, port)) as tunnel:
        there = replace(target(), webhook_public_url=f"http://127.0.0.1:{tunnel.port}", webhook_port=port)
        found = run(there, rules=SECTION, max_examples=0)
        assert set(verdicts(found).values()) == {Verdict.KEPT}
        assert tunnel.requests


@given(st.binary(max_size=80), st.text(min_size=1, max_size=30).filter(lambda word: word.isprintable()))
def test_the_verification_agrees_with_the_signing(body: bytes, secret: str) -> None:
    """Signing and verifying are written apart, and agree over any bytes; a changed byte is told."""
    signature = sign(secret, body)
    assert check_signature(read_event(body, signature), secret).holds
    assert not check_signature(read_event(body + b" ", signature), secret).holds
    assert not check_signature(read_event(body, signature), secret + "x").holds
    assert signature == hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()


def test_odd_spacing_and_letters_are_verified_as_they_came() -> None:
    """The signature is that of the bytes, also where another JSON writer would write them differently."""
    body = '{ "id" :\t"evt_1",\n"é": "\\u00e9" }'.encode()
    assert check_signature(read_event(body, sign(SECRET, body)), SECRET).holds
    rewritten = json.dumps(json.loads(body)).encode()
    assert not check_signature(read_event(body, sign(SECRET, rewritten)), SECRET).holds


_OBJECT: Final = {"id": "run_1", "organization_id": "org_a", "run_id": "run_1"}
_PRESENT: Final = {"id": "evt_1", "type": "run.started", "created": "2026-01-01T00:00:00Z", "data": {"object": _OBJECT}}
_LEGACY: Final = {
    "event": "run.started",
    "timestamp": "2026-01-01T00:00:00Z",
    "data": {"run_id": "run_1", "status": "running", "duration_ms": None},
}


@pytest.mark.parametrize(
    ("body", "holds"),
    [
        (json.dumps(_PRESENT).encode(), True),
        (json.dumps(_LEGACY).encode(), True),
        (json.dumps({**_PRESENT, "data": {}}).encode(), False),
        (b"[]", False),
        (b"nothing", False),
    ],
)
def test_envelopes(body: bytes, holds: bool) -> None:  # noqa: FBT001  a case
    """Both envelopes are known, and anything else is told."""
    assert check_envelope(read_event(body, "")).holds is holds


def event(name: str, kind: str, *, was_taken: bool = True) -> Any:  # noqa: ANN401  an event
    """An event of run_1."""
    value = {"id": name, "type": kind, "data": {"object": {"run_id": "run_1"}}}
    return read_event(json.dumps(value).encode(), "", was_taken=was_taken)


def test_order_is_that_of_first_deliveries() -> None:
    """A duplicate that comes later does not break the order, and neither does one that was refused."""
    started, completed = event("evt_1", "run.started"), event("evt_2", "run.completed")
    assert check_order([started, completed, started], "run_1").holds
    assert check_order([event("evt_2", "run.completed", was_taken=False), started, completed], "run_1").holds
    assert not check_order([completed, started], "run_1").holds
    assert check_ids([started, completed, started]).holds
    assert not check_ids([started, event("evt_1", "run.completed")]).holds


def test_the_receiver_keeps_bytes_and_answers_as_told() -> None:
    """The receiver keeps path, headers and body as they came, and answers with the status that it is told."""
    receiver = Receiver()
    try:
        receiver.answer = lambda body: 503 if b"bad" in body else 204
        connection = http.client.HTTPConnection(receiver.url.removeprefix("http://"), timeout=5)
        for body, status in ((b"\x00bad \xff", 503), (iter([b"{", b" ", b"}"]), 204)):
            connection.request("POST", "/hook", body, {"X-Zof-Signature": "ab"})  # the second one in chunks
            answer = connection.getresponse()
            answer.read()
            assert answer.status == status
        connection.close()
        assert [(one.path, one.body, one.answer) for one in receiver.requests] == [
            ("/hook", b"\x00bad \xff", 503),
            ("/hook", b"{ }", 204),
        ]
        assert receiver.requests[0].header("x-zof-signature") == "ab"
        assert receiver.wait_for(lambda received: len(received) == 2, 0)
        assert not receiver.wait_for(lambda received: len(received) == 3, 0.01)
        large = http.client.HTTPConnection(receiver.url.removeprefix("http://"), timeout=5)
        large.request("POST", "/", b"x" * (LONGEST_BODY + 1))
        assert large.getresponse().status == 204
        large.close()
        assert len(receiver.requests[2].body) == LONGEST_BODY
    finally:
        receiver.close()


class _Waiting(FakeTimer):
    """A timer by which the emulator's clock moves as well, so that waiting takes no time."""

    def __init__(self, move: Callable[[int], None]) -> None:
        super().__init__()
        self._move = move

    def sleep(self, seconds: float) -> None:
        """Move both clocks."""
        super().sleep(seconds)
        self._move(round(seconds * 1000))


@pytest.mark.parametrize(
    ("mutant", "seconds", "expected"),
    [
        (HEALTHY, 24, (Verdict.KEPT, Verdict.KEPT)),
        (HEALTHY, 5, (Verdict.NOT_EXERCISED, Verdict.NOT_EXERCISED)),
        (MUTANTS["no-retry"], 30, (Verdict.DIFFERS, Verdict.NOT_EXERCISED)),
        (MUTANTS["no-retry"], 15, (Verdict.NOT_EXERCISED, Verdict.NOT_EXERCISED)),
        (MUTANTS["new-id-on-retry"], 24, (Verdict.KEPT, Verdict.VIOLATED)),
    ],
    ids=lambda value: str(getattr(value, "name", value)),
)
def test_a_retry_is_judged_in_real_time_without_waiting_for_it(
    mutant: Mutant, seconds: int, expected: tuple[Verdict, Verdict]
) -> None:
    """On a real clock an event is refused before the other parts, and what came meanwhile is judged after them."""
    moved = target(mutant)
    assert moved.advance is not None
    where = replace(moved, advance=None, find_clock=False)
    client = Client(where, timer=_Waiting(moved.advance))
    ledger = Ledger(where, rules=SECTION)
    context = ProbeContext(client, ledger, ledger.nonce)
    refusal, judgement = RetryInRealTime().list_probes()
    refusal.settle(context)
    for _ in range(3):  # the target may take note of the refusal after the first
        client.wait(seconds / 3, "other parts")
        client.get("/webhooks", limit=1)
    assert client.receiver is not None
    client.receiver.wait_for(lambda received: len(received) > 1, 2)
    before = client.timer.now()
    with suppress(Unsettled):
        judgement.settle(context)
    assert client.timer.now() == before
    clean_up(client)
    found = {one.rule.name: one.verdict for one in ledger.results()}
    assert (found["webhooks.retry"], found["webhooks.retry.same"]) == expected


def test_without_generated_requests_no_time_passes_for_a_retry() -> None:
    """The reason why the retry was not exercised says what lets its time pass."""
    where = replace(target(), advance=None, find_clock=False)
    (result,) = run(where, rules=(RULES["webhooks.retry"],), max_examples=0).results
    assert result.reason == "no generated requests let the 10 s before the retry pass"
