"""A deployment that has new fields, statuses, types and events keeps the contract."""

from __future__ import annotations

import pytest
from zof_contracts import Target, run
from zof_contracts.evidence.findings import Verdict
from zof_emulator import ClockMode, Settings, create_app

KEYS = {"main": "zof_test_admin", "readonly": "zof_test_viewer", "other-org": "zof_test_other"}


@pytest.mark.parametrize("clock", [ClockMode.MANUAL, ClockMode.REAL])
def test_new_fields_and_values_are_no_violation(clock: ClockMode) -> None:
    """No rule is violated by fields and values that the document lacks, and no answer differs from an assumption."""
    app = create_app(Settings(clock=clock, evolve=True))
    verification = run(Target(app=app, keys=KEYS), max_examples=2)
    verdicts = {one.rule.name: one.verdict for one in verification.results}
    found = {rule: verdict for rule, verdict in verdicts.items() if verdict in {Verdict.VIOLATED, Verdict.DIFFERS}}
    assert found == {}
    assert Verdict.KEPT in verdicts.values()
