"""Verifications of deployments that answer with odd values: each is judged, told and survived."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from zof_contracts.target.budget import Budget
from zof_contracts.verification.run import run

from tests.mutants.catalogue import target
from tests.mutants.layer import Mutant, content, says

if TYPE_CHECKING:
    from collections.abc import Callable

    from zof_contracts.evidence.exchange import Response

    from tests.mutants.layer import Ask, Inner

_FIELDS = frozenset({"id", "status", "case_outcomes", "test_case_id", "created_at", "next_cursor"})
_BUDGET = Budget(requests=350)


def deploy(defect: Callable[[Ask, Inner], Response]) -> Any:  # noqa: ANN401  a target
    """A deployment with a defect."""
    return target(Mutant(name="odd", rule="", make=lambda: defect))


def replace_fields(node: Any, value: object) -> Any:  # noqa: ANN401  JSON values
    """The JSON value with another value in every field that identifies something."""
    if isinstance(node, dict):
        return {name: value if name in _FIELDS else replace_fields(child, value) for name, child in node.items()}
    return [replace_fields(child, value) for child in node] if isinstance(node, list) else node


@pytest.mark.parametrize("value", [[], {}, int("9" * 290), "run_\ud800", "run\r\nX: \xfc/?#%0a"])
def test_an_odd_value_is_survived(value: object) -> None:
    """The verification ends with any value in the place of an ID, a status or a time."""

    def change(ask: Ask, inner: Inner) -> Response:
        answer = inner(ask)
        is_json = answer.ok and "json" in (answer.header("content-type") or "")
        return says(answer, replace_fields(json.loads(answer.body), value)) if is_json else answer

    verification = run(deploy(change), max_examples=1, budget=_BUDGET)
    assert verification.error == ""
    assert verification.exit_code(strict=True) == 1
    assert verification.receipt


@pytest.mark.parametrize(
    "body",
    [
        b"[" * 100_000 + b"]" * 100_000,
        b'{"id": NaN}',
        '{"id": "run_1"}'.encode("utf-16"),
        b'{"id": ' + b"9" * 5_000 + b"}",
        rb'{"id": "\ud800"}',
    ],
    ids=["deep", "nan", "utf-16", "digits", "surrogate"],
)
def test_an_odd_body_is_survived(body: bytes) -> None:
    """A body that is not JSON or exceeds a bound is a finding, and the verification continues."""

    def change(ask: Ask, inner: Inner) -> Response:
        answer = inner(ask)
        is_changed = ask.operation in {"getRun", "listResults", "cancelRun"}
        return content(answer, body, "application/json") if is_changed else answer

    verification = run(deploy(change), max_examples=1, budget=_BUDGET)
    assert verification.error == ""
    assert verification.exit_code(strict=True) == 1
