"""Generated requests name what the target has, and refusals of anything else say nothing."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

from zof_contracts.evidence.exchange import Exchange, Response
from zof_contracts.evidence.findings import Verdict
from zof_contracts.evidence.ledger import Ledger
from zof_contracts.search import fuzz
from zof_contracts.target.client import Client
from zof_contracts.target.requests import build_post
from zof_emulator.settings import OFF

from tests.mutants.catalogue import target
from tests.mutants.layer import Mutant, always, error

if TYPE_CHECKING:
    from tests.mutants.layer import Ask, Inner

_OURS: Final = frozenset(
    {"proj_abc123", "tc_login_001", "tc_checkout_014", "tc_pay_fail_001", "tc_platform_error_001", "suite_pr_smoke"}
)


def _is_known(ask: Ask) -> bool:
    """Whether a start names only what the target is said to have."""
    fields = ask.fields
    named = [fields.get("project_id"), fields.get("test_suite_id"), *(fields.get("test_case_ids") or ())]
    return all(each is None or each in _OURS for each in named)


def _refuse_unknown(ask: Ask, inner: Inner) -> Response:
    """An unknown value is refused with 400, also in a path."""
    answer = inner(ask)
    is_unknown = answer.status == 404 or (ask.operation == "startRun" and answer.ok and not _is_known(ask))
    return error(answer, 400, "invalid_request") if ask.operation and is_unknown else answer


def test_a_refusal_of_unknown_references_violates_nothing() -> None:
    """A deployment that answers 400 to made-up IDs violates no rule about correct requests."""
    client = Client(target(Mutant(name="strict", rule="", make=always(_refuse_unknown)), rate=OFF))
    ledger = Ledger(client.target)
    fuzz.run(client, ledger, seed=1, max_examples=3)
    assert [one.rule.name for one in ledger.findings.values() if one.verdict is Verdict.VIOLATED] == []


def test_starts_name_the_targets_own_references() -> None:
    """Most starts that are accepted name the target's project and its cases or suite, not those of the document."""
    where = replace(target(rate=OFF), project="proj_own", cases=("tc_own_1", "tc_own_2"), suite="suite_own")
    client = Client(where)
    fuzz.run(client, Ledger(client.target), seed=1, max_examples=3)
    starts = [each.request.body for each in client.journal if each.operation == "startRun" and each.response.ok]
    assert sum(b"proj_own" in body and b"_own" in body.split(b"test_")[1] for body in starts) > len(starts) / 2


def test_a_reference_that_we_did_not_give_may_exist() -> None:
    """A start that names well-formed IDs beyond those given breaks no rule when it is accepted; malformed ones do."""
    body = {"project_id": "proj_other", "environment": "staging", "test_case_ids": ["tc_other_1"]}
    assert fuzz.find_broken_rule(_make_accepted_start(body)) is None
    assert fuzz.find_broken_rule(_make_accepted_start({**body, "project_id": "other"})) == "runs.start.id-form"
    assert fuzz.find_broken_rule(_make_accepted_start({**body, "test_case_ids": ["tc_é"]})) == "runs.start.id-form"


def _make_accepted_start(body: object) -> Exchange:
    request = build_post("/runs", body)
    return Exchange(1, request, Response(201, (), b"{}"), "startRun", 0.0, 0.0)
