"""Wrong keys, cases and URLs: a mistake of the user is one line and breaks no rule."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from zof_contracts.contract.rules import RULES
from zof_contracts.evidence.exchange import Exchange, Response
from zof_contracts.evidence.findings import Verdict
from zof_contracts.report.document import build_report
from zof_contracts.report.text import render
from zof_contracts.target.budget import WrongArgument
from zof_contracts.target.requests import build_post
from zof_contracts.target.target import CASES, ENVIRONMENT, PROJECT, SUITE
from zof_contracts.verification.arguments import ArgumentCheck
from zof_contracts.verification.run import run

from tests.mutants.catalogue import target
from tests.mutants.layer import Mutant, error

if TYPE_CHECKING:
    from collections.abc import Callable

    from zof_contracts.target.target import Target

    from tests.mutants.layer import Ask, Inner

ADMIN, CI, VIEWER, OTHER = "zof_test_admin", "zof_test_ci", "zof_test_viewer", "zof_test_other"
TENANTS = tuple(rule for rule in RULES.values() if "key-other-org" in rule.needs)
KEYS = tuple(rule for rule in RULES.values() if any("key" in need for need in rule.needs))


def mutate(defect: Callable[[Ask, Inner], Response], **changes: Any) -> Target:  # noqa: ANN401  fields of Target
    """A deployment with a defect."""
    return replace(target(Mutant(name="defect", rule="", make=lambda: defect)), **changes)


def give_keys(**keys: str) -> Target:
    """The emulator with a main key and these keys; an underscore in a name stands for a dash."""
    return replace(target(), keys={"main": ADMIN, **{name.replace("_", "-"): key for name, key in keys.items()}})


@pytest.mark.parametrize(
    ("name", "key", "reason"),
    [
        ("readonly", "zof_test_typo", "refuses the key of --key-readonly with 401"),
        ("other_org", "zof_test_typo", "refuses the key of --key-other-org with 401"),
        ("other_org", CI, "--key and --key-other-org both belong to the organization org_abc"),
        ("readonly", OTHER, "the key of --key-readonly lists none of the projects"),
        ("ci", OTHER, "the key of --key-ci lists none of the projects"),
    ],
)
def test_a_key_of_another_kind_is_one_line(name: str, key: str, reason: str) -> None:
    """A key that the target refuses, or that belongs to the wrong organization, ends the verification with its name."""
    with pytest.raises(WrongArgument, match=reason) as raised:
        run(give_keys(**{name: key}), rules=KEYS, max_examples=0)
    assert "\n" not in str(raised.value)


def test_a_key_that_lists_runs_of_another_organization_is_one_line() -> None:
    """The organization that a list of runs shows is enough, also where nothing may be started."""

    def move(ask: Ask, inner: Inner) -> Response:
        answer = inner(ask)
        organization = b"org_other" if ask.key == f"Bearer {VIEWER}" else b"org_abc"
        body = b'{"data": [{"organization_id": "%s"}], "has_more": false, "next_cursor": null}' % organization
        is_list = ask.operation == "listRuns" and answer.ok
        return replace(answer, body=body, _json=[]) if is_list else answer

    where = mutate(move, keys={"main": ADMIN, "readonly": VIEWER}, profile="read-only")
    with pytest.raises(WrongArgument, match="--key-readonly belongs to the organization org_other, and that of --key"):
        run(where, rules=KEYS, max_examples=0)


def test_keys_that_no_rule_needs_are_not_tried() -> None:
    """A verification of other rules sends no request with the additional keys."""
    facts = run(target(), rules=[RULES["runs.sequence"]], max_examples=0)
    assert {each.request.key for each in facts.journal[:3]} == {"main"}


@pytest.mark.parametrize(
    ("name", "key", "rule"),
    [
        ("expired", CI, "auth.key-expired"),
        ("readonly", CI, "auth.start-permission"),
        ("no_webhooks", ADMIN, "webhooks.permission"),
    ],
)
def test_a_finding_that_a_wrong_key_would_give_names_the_option(name: str, key: str, rule: str) -> None:
    """Where a wrong key and a defect show the same, each report names the option that may be wrong."""
    facts = run(give_keys(**{name: key}), rules=[RULES[rule]], max_examples=0)
    report = build_report(facts)
    option = f"--key-{name.replace('_', '-')} is wrong"
    assert [finding["unless"].startswith(option) for finding in report["findings"]] == [True]
    assert f"unless    {option}" in render(report)


def test_other_findings_name_no_option() -> None:
    """A rule that needs no additional key is broken by the deployment alone."""

    def refuse(ask: Ask, inner: Inner) -> Response:
        return error(inner(ask), 500, "internal_server_error") if ask.operation == "listResults" else inner(ask)

    report = build_report(run(mutate(refuse), rules=[RULES["conventions.no-server-error"]], max_examples=0))
    assert {finding["unless"] for finding in report["findings"]} == {""}


@pytest.mark.parametrize(
    ("option", "case"), [("failing_case", "tc_missing"), ("error_case", "tc_missing"), ("failing_case", "nonsense")]
)
def test_a_case_that_does_not_exist_is_one_line(option: str, case: str) -> None:
    """A case of --failing-case or --error-case that the target refuses is no violation."""
    changes: dict[str, Any] = {option: case}
    where = replace(target(), **changes)
    with pytest.raises(WrongArgument, match=f"--{option.replace('_', '-')} {case}"):
        run(where, max_examples=0)


def test_a_failing_case_that_passes_shows_nothing_about_failures() -> None:
    """Where no run failed, the rule about the event of failures is not exercised."""
    rules = [RULES["webhooks.failed"], RULES["webhooks.completed"]]
    facts = run(replace(target(), failing_case="tc_fine_1", error_case=""), rules=rules, max_examples=0)
    failed, completed = facts.results
    if failed.rule.name != "webhooks.failed":
        failed, completed = completed, failed
    assert (failed.verdict, completed.verdict) == (Verdict.NOT_EXERCISED, Verdict.KEPT)
    assert failed.reason == "no run failed, so the case of --failing-case does not fail"


def test_a_main_key_that_may_not_manage_webhooks_is_no_finding() -> None:
    """A registration that is answered 403 leaves the rules about webhooks not exercised."""
    facts = run(give_keys(main=CI), rules=[RULES["webhooks.create"]], max_examples=0)
    assert [each.verdict for each in facts.results] == [Verdict.NOT_EXERCISED]
    assert "may not manage webhooks" in facts.results[0].reason


def test_a_public_url_that_the_target_refuses_is_one_line() -> None:
    """A registration that is refused for the user's URL names the option."""

    def refuse(ask: Ask, inner: Inner) -> Response:
        is_theirs = ask.operation == "createWebhook" and b"tunnel.example" in ask.body
        return error(inner(ask), 400, "invalid_request", "url") if is_theirs else inner(ask)

    where = mutate(refuse, webhook_public_url="https://tunnel.example")
    with pytest.raises(WrongArgument, match=r"refuses --webhook-public-url https://tunnel.example; it answers 400"):
        run(where, rules=[RULES["webhooks.create"]], max_examples=0)


@pytest.mark.parametrize(
    "body",
    [
        {"project_id": PROJECT, "environment": ENVIRONMENT, "test_case_ids": CASES[0]},
        {"project_id": PROJECT, "environment": ENVIRONMENT, "test_case_ids": [CASES[0]], "test_suite_id": SUITE},
        {"project_id": PROJECT, "environment": ENVIRONMENT, "test_case_ids": [CASES[0], CASES[0]]},
        {"project_id": PROJECT, "test_suite_id": SUITE},
        [CASES[0]],
    ],
)
def test_a_start_that_must_be_refused_blames_no_argument(body: object) -> None:
    """A generated start that no target may accept says nothing about the values of the user in it."""
    request = build_post("/runs", body)
    refusal = {"error": {"code": "invalid_request", "message": f"{CASES[0]} {SUITE}", "param": "test_case_ids"}}
    answer = Response(400, (), json.dumps(refusal).encode())
    ArgumentCheck(target())(Exchange(1, request, answer, "startRun", 0.0, 0.0))
    good = build_post("/runs", {"project_id": PROJECT, "environment": ENVIRONMENT, "test_case_ids": list(CASES)})
    with pytest.raises(WrongArgument):
        ArgumentCheck(target())(Exchange(1, good, answer, "startRun", 0.0, 0.0))
