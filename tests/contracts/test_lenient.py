"""A deployment that differs wherever the contract permits it violates nothing."""

from __future__ import annotations

from zof_contracts.evidence.findings import Verdict
from zof_contracts.target.target import Target
from zof_contracts.verification.run import run

from tests.lenient import Lenient


def _target() -> Target:
    app = Lenient()
    keys = {
        "main": "lenient_main",
        "readonly": "lenient_reader",
        "no-projects": "lenient_starter",
        "other-org": "lenient_other",
    }
    failing = "tc_fail_1"
    return Target(app=app, keys=keys, project="proj_shop", failing_case=failing, quota=True, advance=app.advance)


def test_no_violation() -> None:
    """Probes find differences in it, and no violation."""
    facts = run(_target(), seed=1, max_examples=0)
    violated = {each.rule.name: each.findings for each in facts.results if each.verdict is Verdict.VIOLATED}
    assert not violated
    assert any(each.verdict is Verdict.DIFFERS for each in facts.results)


def test_no_violation_over_time() -> None:
    """State machine and fuzzing find no violation in it."""
    facts = run(_target(), seed=1, max_examples=1)
    assert not [each.rule.name for each in facts.results if each.verdict is Verdict.VIOLATED]
