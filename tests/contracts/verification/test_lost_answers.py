"""Verifications of deployments that do not answer some requests, die, or know other names than the user gave."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from zof_contracts.contract.rules import RULES
from zof_contracts.evidence.findings import Verdict
from zof_contracts.target.base_url import BaseUrl
from zof_contracts.target.budget import WrongArgument
from zof_contracts.verification.run import run

from tests.mutants.catalogue import target
from tests.mutants.layer import Mutant, error, says

if TYPE_CHECKING:
    from collections.abc import Callable

    from zof_contracts.evidence.exchange import Response

    from tests.mutants.layer import Ask, Defect, Inner


def mutate(defect: Callable[[Ask, Inner], Response], **changes: Any) -> Any:  # noqa: ANN401  a target
    """A deployment with a defect."""

    def make() -> Defect:
        return defect

    return replace(target(Mutant(name="defect", rule="", make=make)), **changes)


def test_a_request_that_is_not_answered_is_a_finding_and_the_verification_goes_on() -> None:
    """The finding names the operation, and the rules of other operations are judged."""

    def drop(ask: Ask, inner: Inner) -> Response:
        if ask.operation == "getRunLogs":
            raise ConnectionResetError
        return inner(ask)

    verification = run(mutate(drop), max_examples=0)
    found = [one for one in verification.new_findings if one.rule.name == "conventions.answered"]
    assert {(one.operation, one.got) for one in found} == {
        ("getRunLogs", "the application raised ConnectionResetError")
    }
    assert {one.rule.name for one in verification.new_findings} == {"conventions.answered"}
    assert verification.exit_code(strict=False) == 1
    assert verification.counts[Verdict.KEPT] > 150
    webhook = "left registered: the API deletes no webhooks"
    assert {receipt.state for receipt in verification.receipt} <= {"ended", "canceled", webhook}


@pytest.mark.parametrize("requests", [5, 60, 120])
def test_a_target_that_dies_ends_with_status_2_and_a_report(requests: int) -> None:
    """The evidence until then is reported; no rule is reported as kept without evidence."""
    served = 0

    def die(ask: Ask, inner: Inner) -> Response:
        nonlocal served
        served += 1
        if served > requests:
            raise ConnectionRefusedError
        return inner(ask)

    verification = run(mutate(die), max_examples=0)
    assert verification.error == verification.stopped
    assert "no longer answers; the last request was" in verification.stopped
    assert verification.exit_code(strict=False) == 2
    assert all(
        receipt.state.startswith(("left running", "ended", "canceled", "the answer to its start was lost"))
        for receipt in verification.receipt
    )


@pytest.mark.parametrize("examples", [0, 1])
def test_a_target_that_drops_half_of_its_connections_does_not_pass(examples: int) -> None:
    """Requests that are lost by chance are findings, and end nothing but their own step."""
    count = 0

    def drop(ask: Ask, inner: Inner) -> Response:
        nonlocal count
        count += 1
        if count > 3 and count % 4 in {1, 2}:
            raise ConnectionResetError
        return inner(ask)

    verification = run(mutate(drop), max_examples=examples)
    assert verification.exit_code(strict=False) in {1, 2}


@pytest.mark.parametrize(
    ("option", "changes", "param", "value"),
    [
        ("--project proj_mine", {"project": "proj_mine"}, "project_id", "proj_mine"),
        ("--environment moon", {"environment": "moon"}, "environment", "moon"),
        ("--case tc_two", {"cases": ("tc_one", "tc_two")}, "test_case_ids[1]", "tc_two"),
        ("--suite suite_mine", {"suite": "suite_mine"}, "test_suite_id", "suite_mine"),
    ],
)
@pytest.mark.parametrize("way", ["param", "message", "404"])
def test_a_wrong_argument_is_one_line(option: str, changes: dict[str, Any], param: str, value: str, way: str) -> None:
    """A start that is refused because of what the user gave names the option, and is no violation."""

    def refuse(ask: Ask, inner: Inner) -> Response:
        if ask.operation != "startRun" or value not in ask.body.decode():
            return inner(ask)
        answer = error(inner(ask), 404 if way == "404" else 400, "x", param if way == "param" else None)
        text = f"There is no\n{value}." if way == "message" else "That cannot be."
        return says(answer, {"error": {**answer.error, "message": text}})

    with pytest.raises(WrongArgument) as raised:
        run(mutate(refuse, **changes), max_examples=0)
    message = str(raised.value)
    assert option.split(maxsplit=1)[0] in message
    assert value in message
    assert "\n" not in message
    assert message.startswith(f"{BaseUrl.parse('http://127.0.0.1:9630')} ")


def test_a_key_that_may_not_start_runs_is_one_line() -> None:
    """A 403 to a start blames the key."""
    where = target()
    with pytest.raises(WrongArgument, match=r"does not let the key \(--key\) start runs; it answers 403"):
        run(replace(where, keys={"main": "zof_test_viewer"}), max_examples=0)


def test_a_failing_case_that_passes_is_noted() -> None:
    """The report says that --failing-case names a case that passes."""
    verification = run(replace(target(), failing_case="tc_fine_1"), max_examples=0)
    assert any("tc_fine_1 (--failing-case) passed" in note for note in verification.notes)


def test_json_that_is_called_html_is_a_finding() -> None:
    """The media type is wrong, and the verification goes on."""

    def mislabel(ask: Ask, inner: Inner) -> Response:
        answer = inner(ask)
        pairs = tuple((name, "text/html" if name == "content-type" else value) for name, value in answer.headers)
        return replace(answer, headers=pairs)

    verification = run(mutate(mislabel), rules=[RULES["conventions.json"]], max_examples=0)
    assert {one.rule.name for one in verification.new_findings} == {"conventions.json"}
