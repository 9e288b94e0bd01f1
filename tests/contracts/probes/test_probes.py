"""The probes: the healthy emulator keeps every rule, and a target that answers everything alike keeps none."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from zof_contracts.checks.conformance import ConformanceCheck
from zof_contracts.checks.history import HistoryCheck
from zof_contracts.contract.rules import RULES
from zof_contracts.evidence.findings import Verdict
from zof_contracts.evidence.ledger import Ledger
from zof_contracts.probes import PROBES, ProbeContext, Unsettled
from zof_contracts.probes.runs import exceed_capacity
from zof_contracts.target.client import Client
from zof_contracts.target.target import Target
from zof_contracts.verification.run import run

from tests.contracts.answers import QUOTA, answer_with
from tests.mutants.catalogue import MUTANTS, target
from tests.mutants.layer import Mutant, always

if TYPE_CHECKING:
    from collections.abc import Iterator

    from zof_contracts.evidence.exchange import Exchange, Response

    from tests.mutants.layer import Ask, Inner

BUDGET = 385
PORT = re.compile(rb"(127\.0\.0\.1):[0-9]+(/zof-contracts)")
_THREE_KEYS = {"main": "zof_key_1", "readonly": "zof_key_2", "other-org": "zof_key_3"}
ERROR = json.dumps({"error": {"code": "no", "message": "No."}}).encode()


def probe_all(where: Target) -> tuple[Ledger, Client]:
    """Run every probe without a preflight."""
    ledger, client = Ledger(where), Client(where)
    client.observers = [ConformanceCheck(ledger), HistoryCheck(ledger)]
    context = ProbeContext(client, ledger, "test")
    for probe in PROBES:
        try:
            probe.settle(context)
        except Unsettled as error:
            for rule in probe.rules:
                ledger.record_skip(rule, str(error))
    return ledger, client


@pytest.mark.parametrize("seed", range(20))
def test_the_healthy_emulator_keeps_every_rule(seed: int) -> None:
    """Nothing is found and every rule is kept, within the budget of requests."""
    facts = run(replace(target(seed=seed), is_strict=True), seed=seed, max_examples=0)
    assert facts.findings == ()
    assert {each.rule.name: each.reason for each in facts.results if each.verdict is not Verdict.KEPT} == {}
    assert len(facts.results) == len(RULES)
    assert len(facts.journal) <= BUDGET


@pytest.mark.parametrize("seed", range(5))
def test_a_run_is_canceled_when_a_case_has_ended(seed: int) -> None:
    """With any durations, a run is canceled after a case of it and before another; with two cases alone too."""
    mutant = target(MUTANTS["cancel-takes-all"], seed=seed)
    assert "runs.cancel.outcomes" in {each.rule.name for each in run(mutant, max_examples=0).new_findings}
    facts = run(replace(target(seed=seed), failing_case="", error_case=""), max_examples=0)
    verdicts = {each.rule.name: each.verdict for each in facts.results}
    for rule in ("runs.cancel.outcomes", "results.canceled-unstarted", "results.canceled-traceless"):
        assert verdicts[rule] is Verdict.KEPT, rule


def test_the_same_seed_sends_the_same_bytes() -> None:
    """In process a verification repeats itself, byte for byte, but for the port of its receiver of webhooks."""
    first, second = (run(target(seed=7), seed=7, max_examples=0).journal for _ in range(2))
    assert [each.request for each in map(mask_port, first)] == [each.request for each in map(mask_port, second)]
    assert [each.response for each in map(mask_port, first)] == [each.response for each in map(mask_port, second)]


def mask_port(exchange: Exchange) -> Exchange:
    """The exchange with the receiver's port, which the system picks, replaced by a fixed one."""
    request, response = exchange.request, exchange.response
    return replace(
        exchange,
        request=replace(request, body=PORT.sub(rb"\1:1\2", request.body)),
        response=replace(response, body=PORT.sub(rb"\1:1\2", response.body), _json=[]),
    )


@pytest.mark.parametrize(
    ("status", "body", "headers"),
    [
        (401, ERROR, (("content-type", "application/json"),)),
        (403, ERROR, (("content-type", "application/json"),)),
        (404, ERROR, (("content-type", "application/json"), *QUOTA)),
        (400, ERROR, (("content-type", "application/json"), *QUOTA)),
        (409, ERROR, (("content-type", "application/json"), *QUOTA)),
        (500, ERROR, (("content-type", "application/json"),)),
        (503, b"<html>", (("content-type", "text/html"),)),
        (200, b"<html>", (("content-type", "text/html"),)),
        (302, b"", (("location", "https://elsewhere.test/"),)),
    ],
)
def test_a_target_that_answers_everything_alike_keeps_nothing(
    status: int, body: bytes, headers: tuple[tuple[str, str], ...]
) -> None:
    """A target that does nothing keeps no rule about what a target does, and breaks few."""
    where = Target(
        app=answer_with(status, body, *headers),
        keys=_THREE_KEYS,
    )
    ledger, client = probe_all(where)
    kept = {each.rule.name for each in ledger.results() if each.verdict is Verdict.KEPT}
    active = {rule for probe in PROBES for rule in probe.rules}
    assert kept & active == set()
    assert client.account.used <= BUDGET
    violated = {finding.rule.name for finding in ledger.findings.values() if finding.verdict is Verdict.VIOLATED}
    shapes = {name for name in violated if name.startswith(("conventions.", "limits.", "errors."))}
    assert violated - shapes <= {"runs.start.accepted"}


def test_read_only_changes_nothing() -> None:
    """In the profile read-only no run is started, and all that can be read is judged."""
    healthy = target()
    facts = run(replace(healthy, profile="read-only"), max_examples=0)
    sent = {(each.request.method, each.request.path) for each in facts.journal if not each.request.is_safe}
    assert sent == {("POST", "/v1/results/export")}
    assert facts.receipt == ()
    assert facts.findings == ()
    kept = {each.rule.name for each in facts.results if each.verdict is Verdict.KEPT}
    assert {"results.per-case", "artifacts.hash", "logs.readable", "pages.walk", "exports.equals-list"} <= kept
    assert {f"conventions.{name}" for name in ("malformed-body", "null-field", "unknown-field", "not-json")} <= kept
    left = [each for each in facts.results if each.verdict is Verdict.NOT_EXERCISED]
    assert all(each.reason for each in left)
    assert "seen kept" not in " ".join(each.reason for each in left if "full" in each.rule.needs)


def _other(ask: Ask, inner: Inner) -> Response:
    """A deployment that differs wherever the contract only assumes something."""
    answer = inner(ask)
    headers = [(name, value) for name, value in answer.headers if name not in {"idempotency-replayed", "location"}]
    headers = [(name, "abc" + value[4:] if name == "x-request-id" else value) for name, value in headers]
    body, status = answer.body, answer.status
    if answer.json is not None and ask.operation and answer.header("content-disposition") is None:
        body = json.dumps(_change_value(answer.json)).encode()
        headers = [(name, value) for name, value in headers if name != "content-length"]
    if ask.operation == "cancelRun" and answer.ok:
        status = 202
    return replace(answer, status=status, headers=tuple(headers), body=body, _json=[])


def _change_value(value: Any) -> Any:  # noqa: ANN401  JSON values
    if isinstance(value, list):
        return [_change_value(each) for each in value]
    if not isinstance(value, dict):
        return value
    changed = {name: _change_value(inner) for name, inner in value.items()} | {"extra": {"more": 1}}
    if "message" in value and value.get("code") not in {None, "invalid_request", "rate_limit_exceeded"}:
        changed["code"] = "something_else"
    if "level" in value:
        changed["level"] = "debug"
    changed.pop("organization_id", None)
    return changed


def test_a_deployment_that_differs_where_it_may_violates_nothing() -> None:
    """Other codes, additional fields and values, 202 on cancel and missing assumed headers are differences only."""
    facts = run(target(Mutant(name="other", rule="", make=always(_other))), max_examples=0)
    assert [(one.rule.name, one.expected, one.got) for one in facts.findings if one.verdict is Verdict.VIOLATED] == []
    assert {"errors.not-found.code", "runs.cancel.answer", "runs.start.location"} <= {
        one.rule.name for one in facts.findings
    }


def test_a_target_with_more_capacity_is_not_judged() -> None:
    """A target that runs all runs at once gives no evidence about the queue."""
    where = target(capacity=50)
    ledger, client = Ledger(where), Client(where)
    with pytest.raises(Unsettled, match="not over capacity"):
        exceed_capacity(ProbeContext(client, ledger, "test"))
    assert ledger.evidence["runs.capacity"] == 0


def test_probes_name_known_rules() -> None:
    """Every rule that a probe names is in the catalogue."""

    def named() -> Iterator[str]:
        for probe in PROBES:
            yield from probe.rules

    assert set(named()) <= set(RULES)
