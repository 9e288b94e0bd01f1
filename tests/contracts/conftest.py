"""A verification that never happened, with every kind of verdict, for the tests of the reports."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

import pytest
from zof_contracts.contract.rules import RULES
from zof_contracts.evidence.exchange import Exchange, Request, Response
from zof_contracts.evidence.findings import Finding, RuleResult, Verdict
from zof_contracts.evidence.verification import Receipt, Verification
from zof_contracts.target.target import Target

if TYPE_CHECKING:
    from collections.abc import Callable

KEYS: Final = {"main": "zof_secret_main_1", "readonly": "zof_secret_readonly_2"}


def exchange(number: int, request: Request, status: int, body: object, operation: str) -> Exchange:
    """An exchange with a JSON answer."""
    headers = (("content-type", "application/json"), ("x-request-id", f"req_{number:020}"))
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    return Exchange(number, request, Response(status, headers, content), operation, 1_767_225_600.0 + number, 0.0123)


def trace(text: str = "it") -> tuple[Exchange, ...]:
    """A run that is canceled twice; the text stands wherever a target may put one."""
    body = json.dumps({"project_id": "proj_abc123", "test_case_ids": [text]}).encode()
    start = Request("POST", "/v1/runs", "", (("Content-Type", "application/json"),), body)
    cancel = Request("POST", "/v1/runs/run_0123456789/cancel")
    return (
        exchange(1, start, 201, {"id": "run_0123456789", "status": "queued", "said": text}, "startRun"),
        exchange(2, cancel, 200, {"id": "run_0123456789", "status": "canceled"}, "cancelRun"),
        exchange(3, cancel, 200, text.encode(), "cancelRun"),
    )


def fabricate(text: str = "it", **changes: Any) -> Verification:  # noqa: ANN401  fields of Facts
    """A verification in which one rule is violated, one differs, one is flaky, one not exercised, the others kept."""
    violated = Finding(
        RULES["runs.cancel.terminal-conflict"], f"409 for {text}", f"200 with {text}", trace(text), times=3
    )
    assumed = next(rule for rule in RULES.values() if not rule.basis.is_binding)
    differs = Finding(assumed, f"{text} as assumed", f"{text} otherwise", trace(text)[:1], seed=7)
    shaky = Finding(RULES["conventions.json"], "JSON", text, trace(text)[-1:], flaky=True)
    found = {finding.rule.name: finding for finding in (violated, differs, shaky)}
    missing = RuleResult(RULES["conventions.timestamps"], Verdict.NOT_EXERCISED, 0, f"nothing shows {text}", ())

    def settle(name: str) -> RuleResult:
        if name == missing.rule.name:
            return missing
        if name not in found:
            return RuleResult(RULES[name], Verdict.KEPT, 9, "", ())
        flaky = found[name].flaky
        verdict = Verdict.NOT_EXERCISED if flaky else found[name].verdict
        return RuleResult(RULES[name], verdict, 1, "flaky: not there when tried again" if flaky else "", (found[name],))

    values: dict[str, Any] = {
        "target": Target(url="http://127.0.0.1:9630/v1", keys=KEYS),
        "results": tuple(settle(name) for name in RULES),
        "journal": trace(text),
        "receipt": (Receipt("run_0123456789", "main", "canceled"),),
        "seed": 42,
        "began": 1_767_225_600.0,
        "seconds": 2.0,
        "examples": 100,
    }
    return Verification(**{**values, **changes})


@pytest.fixture
def make() -> Callable[..., Verification]:
    """Makes a verification that never happened."""
    return fabricate
