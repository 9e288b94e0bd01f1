"""The runner: what is refused at once, what budget do, what is left behind, and a real server."""

from __future__ import annotations

import json
import socket
import threading
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from hypothesis.configuration import set_hypothesis_home_dir, storage_directory
from zof_contracts.contract.rules import RULES
from zof_contracts.evidence.events import (
    ExchangeRecorded,
    PartFinished,
    PartStarted,
    VerificationFinished,
    VerificationStarted,
)
from zof_contracts.evidence.findings import Verdict
from zof_contracts.target.budget import Budget, Stopped
from zof_contracts.target.client import Client
from zof_contracts.target.target import Target
from zof_contracts.target.transport import Unreachable
from zof_contracts.verification import run as runner
from zof_contracts.verification.run import run

from tests.contracts.answers import answer_with
from tests.mutants.catalogue import target
from tests.mutants.layer import Mutant, always, error, says
from tests.served import Server

if TYPE_CHECKING:
    from pathlib import Path

    from zof_contracts.evidence.events import Event
    from zof_contracts.evidence.exchange import Response
    from zof_contracts.evidence.verification import Receipt

    from tests.mutants.layer import Ask, Inner

ERROR = json.dumps({"error": {"code": "unauthorized", "message": "Who is zof_secret?"}}).encode()
JSON = ("content-type", "application/json")


@pytest.mark.parametrize(
    ("status", "body", "headers", "said"),
    [
        (401, ERROR, (JSON,), r"refuses the key .--key. with 401: Who is \[key main\]\?"),
        (403, b"{}", (JSON,), "refuses the key .--key. with 403"),
        (302, b"", (("location", "https://elsewhere.test/v1"),), "redirects to https://elsewhere.test/v1"),
        (200, b"<!doctype html>", (("content-type", "text/html"),), "HTML"),
        (502, b"<html>", (), "HTML"),
        (404, b"{}", (JSON,), "answers 404 to /v1/runs"),
        (200, b"fine", (("content-type", "text/plain"),), "not JSON"),
        (500, b"{}", (JSON,), "answers 500 to every list"),
    ],
)
def test_a_target_that_cannot_be_verified_is_one_clear_line(
    status: int, body: bytes, headers: tuple[tuple[str, str], ...], said: str
) -> None:
    """A target that redirects, answers in HTML or refuses the key is refused at once."""
    with pytest.raises(Unreachable, match=said) as refused:
        run(Target(app=answer_with(status, body, *headers), keys={"main": "zof_secret"}))
    assert "\n" not in str(refused.value)


def test_a_target_that_only_says_429_stops() -> None:
    """429 without a Retry-After leaves nothing to wait for."""
    with pytest.raises(Stopped, match="429"):
        run(Target(app=answer_with(429, b"{}", JSON), keys={"main": "zof_test_key"}))


def test_a_target_that_is_down_is_unreachable() -> None:
    """Nothing listens: one line, at once."""
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        port = held.getsockname()[1]
    with pytest.raises(Unreachable, match="cannot be reached"):
        run(Target(url=f"http://127.0.0.1:{port}", keys={"main": "zof_test_key"}))


def test_a_target_that_speaks_no_tls_is_unreachable() -> None:
    """HTTPS where there is only HTTP: one line, at once."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def answer() -> None:
            connection, _ = server.accept()
            with connection:
                connection.recv(1024)
                connection.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")

        thread = threading.Thread(target=answer)
        thread.start()
        with pytest.raises(Unreachable, match="TLS"):
            run(Target(url=f"https://127.0.0.1:{server.getsockname()[1]}", keys={"main": "zof_test_key"}))
        thread.join()


def test_one_broken_list_does_not_stop_a_verification() -> None:
    """A defect in the first list that is asked for is a finding, and no reason to go home."""

    def broken(ask: Ask, inner: Inner) -> Response:
        answer = inner(ask)
        return error(answer, 500, "internal_server_error") if ask.operation == "listRuns" else answer

    verification = run(target(Mutant(name="broken", rule="", make=always(broken))), max_examples=0)
    assert "conventions.no-server-error" in {one.rule.name for one in verification.findings}
    assert verification.exit_code(strict=False) == 1


@pytest.mark.parametrize(
    ("budget", "reason"),
    [
        (Budget(requests=40), "the budget of 40 requests is used up"),
        (Budget(runs=1), "the 1 runs that may be started are used up"),
    ],
)
def test_a_cap_leaves_the_rest_not_exercised(budget: Budget, reason: str) -> None:
    """A rule that a limit kept from being tried is neither kept nor broken, and its reason names the limit."""
    verification = run(target(), budget=budget, max_examples=0)
    assert verification.stopped == reason
    assert verification.findings == ()
    left = {each.reason for each in verification.results if each.verdict is Verdict.NOT_EXERCISED}
    assert reason in left
    assert all(was_ended(receipt) for receipt in verification.receipt)


def test_a_target_that_asks_for_an_absurd_wait_could_not_be_verified() -> None:
    """A 429 that asks to wait for decades ends the verification with status 2, a report and the reason."""
    sent = 0

    def throttle(ask: Ask, inner: Inner) -> Response:
        nonlocal sent
        sent += 1
        answer = inner(ask)
        headers = (*answer.headers, ("retry-after", "1000000000"))
        return replace(error(answer, 429, "rate_limit_exceeded"), headers=headers) if sent > 20 else answer

    verification = run(target(Mutant(name="slow", rule="", make=always(throttle))), max_examples=0)
    assert "asked to wait 1000000000 s" in verification.error
    assert verification.exit_code(strict=False) == 2
    assert verification.receipt


def test_what_was_started_is_canceled_after_an_interrupt() -> None:
    """Ctrl-C in the middle: a report of what was done until then, and no run goes on."""
    where = target()

    def interrupt(event: Event) -> None:
        if isinstance(event, ExchangeRecorded) and event.exchange.response.status == 201:
            raise KeyboardInterrupt

    verification = run(where, listeners=[interrupt], max_examples=0)
    assert verification.interrupted
    assert verification.exit_code(strict=False) == 130
    assert [receipt.state for receipt in verification.receipt] == ["canceled"]
    seen = Client(where).get(f"/runs/{verification.receipt[0].run}")
    assert seen.response.fields["status"] == "canceled"


def test_nothing_is_left_in_the_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A verification with generated requests leaves no file in the caller's folder."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("HYPOTHESIS_STORAGE_DIRECTORY", raising=False)
    before = storage_directory(intent_to_write=False).home_directory
    set_hypothesis_home_dir(tmp_path / ".hypothesis")
    try:
        assert run(target(), rules=[RULES["runs.start.types"]], max_examples=1).examples > 0
    finally:
        set_hypothesis_home_dir(before)
    assert list(tmp_path.iterdir()) == []


def test_a_second_interrupt_ends_the_clean_up_and_not_the_report() -> None:
    """Ctrl-C while runs are canceled: the verification is returned, and the receipt says what was left running."""

    def interrupt(ask: Ask, inner: Inner) -> Response:
        if ask.operation in {"getRun", "cancelRun"}:
            raise KeyboardInterrupt
        return inner(ask)

    verification = run(target(Mutant(name="interrupt", rule="", make=always(interrupt))), max_examples=0)
    assert verification.interrupted
    assert verification.exit_code(strict=False) == 130
    assert [receipt.state for receipt in verification.receipt] == ["left running: the clean-up was interrupted"]


def test_a_target_that_is_lost_is_no_success() -> None:
    """A target that no longer answers ends with status 2, a report of what was done and a receipt."""
    count = 0

    def vanish(ask: Ask, inner: Inner) -> Response:
        nonlocal count
        count += 1
        if count > 40:
            raise Unreachable("127.0.0.1:9630 cannot be reached: it is gone")
        return inner(ask)

    verification = run(target(Mutant(name="vanish", rule="", make=always(vanish))), max_examples=0)
    assert verification.error.startswith("http://127.0.0.1:9630 no longer answers")
    assert verification.has_evidence
    assert verification.exit_code(strict=False) == 2
    assert verification.receipt


def test_an_internal_error_still_cancels_and_reports(monkeypatch: pytest.MonkeyPatch) -> None:
    """An error of the harness ends with status 2, and the runs are canceled and reported all the same."""

    def fail(client: Client, *_: object, **__: object) -> None:
        client.start()
        raise ZeroDivisionError("zof_test_admin")

    monkeypatch.setattr(runner, "PARTS", (("part", fail),))
    verification = run(target(), max_examples=1)
    assert verification.error.startswith("internal error: ZeroDivisionError: [key main] (")
    assert verification.exit_code(strict=False) == 2
    assert all(was_ended(receipt) for receipt in verification.receipt)


def was_ended(receipt: Receipt) -> bool:
    """Whether a run was left ended or canceled; a webhook stays registered, since the API deletes none."""
    return receipt.state in {"ended", "canceled"} or receipt.state == "left registered: the API deletes no webhooks"


def test_a_finding_that_does_not_recur_is_flaky() -> None:
    """A finding that does not recur when it is tried again is no violation."""
    count = 0

    def once(ask: Ask, inner: Inner) -> Response:
        nonlocal count
        answer = inner(ask)
        if ask.operation != "listResultArtifacts":
            return answer
        count += 1
        return error(answer, 410, "gone") if count == 1 else answer

    verification = run(target(Mutant(name="once", rule="", make=always(once))), max_examples=0)
    assert {one.flaky for one in verification.findings} == {True}
    assert verification.exit_code(strict=False) == 0
    assert not [each for each in verification.results if each.verdict is Verdict.VIOLATED]


def test_a_finding_that_recurs_is_none() -> None:
    """A finding that recurs when it is tried again is one violation."""

    def always_ok(ask: Ask, inner: Inner) -> Response:
        answer = inner(ask)
        refused = ask.operation == "cancelRun" and answer.status == 409
        return replace(answer, status=200, body=b"{}", _json=[]) if refused else answer

    verification = run(target(Mutant(name="ok", rule="", make=always(always_ok))), max_examples=0)
    found = [one for one in verification.new_findings if one.rule.name == "runs.cancel.terminal-conflict"]
    assert len(found) == 1
    assert verification.exit_code(strict=False) == 1


def test_a_finding_about_one_run_is_not_flaky_while_that_run_shows_it() -> None:
    """A run that is shown with a wrong outcome each time breaks a rule, though runs that are started later do not."""
    runs: list[str] = []

    def lie(ask: Ask, inner: Inner) -> Response:
        answer = inner(ask)
        if ask.operation == "startRun" and answer.ok:
            runs.append(answer.fields["id"])
        is_first = ask.operation == "getRun" and ask.id == runs[0]
        if is_first and answer.fields.get("status") in {"passed", "failed"}:
            return says(answer, {**answer.fields, "status": "error"})
        return answer

    verification = run(target(Mutant(name="lie", rule="", make=always(lie))), max_examples=0)
    assert {one.flaky for one in verification.findings if one.rule.name == "runs.outcome"} == {False}


def test_only_the_rules_asked_for_are_settled() -> None:
    """Rules that were not asked for are not settled, and cost no requests."""
    verification = run(target(), rules=[RULES["runs.start.types"]], max_examples=0)
    assert [each.rule.name for each in verification.results] == ["runs.start.types"]
    assert verification.results[0].verdict is Verdict.KEPT
    assert len(verification.journal) < 30


def test_a_listener_hears_of_everything() -> None:
    """Began, each part, each exchange, ended: in this order."""
    heard: list[Event] = []
    verification = run(target(), listeners=[heard.append], max_examples=0)
    assert isinstance(next(each for each in heard if not isinstance(each, ExchangeRecorded)), VerificationStarted)
    assert heard[-1] == VerificationFinished(verification.results)
    begun, ended = ([each.name for each in heard if isinstance(each, kind)] for kind in (PartStarted, PartFinished))
    assert begun == ended
    assert sum(isinstance(each, ExchangeRecorded) for each in heard) == len(verification.journal)


def test_what_is_made_up_goes_on_after_the_probes() -> None:
    """Inputs that are made up come after the probes, are counted, and keep to the budget too."""
    verification = run(target(), budget=Budget(requests=600), max_examples=2)
    assert verification.examples > 0
    assert verification.findings == ()
    assert verification.stopped in {"", "the budget of 600 requests is used up"}


def test_over_http() -> None:
    """A real server, with a clock that only real time moves: nothing is found, nothing is left running."""
    with Server("--rate-limit", "off") as server:
        where = replace(target(), app=None, advance=None, find_clock=False, url=f"http://127.0.0.1:{server.port}")
        where = replace(where, keys={name: key for name, key in where.keys.items() if name != "no-projects"})
        verification = run(where, max_examples=0)
    assert [(one.rule.name, one.expected, one.got, one.flaky) for one in verification.findings] == []
    left = {each.rule.name: each.reason for each in verification.results if each.verdict is not Verdict.KEPT}
    assert {name for name in left if not RULES[name].needs & {"time", "quota", "strict", "key-no-projects"}} <= {
        "runs.capacity",
        "runs.capacity.fifo",
        "runs.cancel.frees-place",
        "webhooks.retry",
        "webhooks.retry.same",
        "results.canceled-unstarted",
        "results.canceled-traceless",
    }
    assert all(was_ended(receipt) for receipt in verification.receipt)
