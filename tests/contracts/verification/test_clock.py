"""The clock of a target on this machine is found by itself, and moved; unless one says otherwise."""

from __future__ import annotations

from dataclasses import replace

import pytest
from zof_contracts import Target, run
from zof_contracts.contract.rules import RULES
from zof_contracts.evidence.findings import Verdict
from zof_contracts.target.clock import find_clock_control
from zof_emulator import ClockMode, Settings, create_app

from tests.served import Server

KEYS = {"main": "zof_test_admin"}
RULE = RULES["idempotency.expiry"]
"""What nobody can wait for."""


@pytest.mark.parametrize("clock", ["real", "manual"])
def test_in_process(clock: str) -> None:
    """A day passes in no time, and a window is used up."""
    where = Target(app=create_app(Settings(clock=ClockMode(clock))), keys=KEYS)
    facts = run(where, rules=[RULE, RULES["limits.exact"]], max_examples=0)
    assert {each.rule.name: each.verdict for each in facts.results} == {
        RULE.name: Verdict.KEPT,
        "limits.exact": Verdict.KEPT,
    }


def test_unless_told_otherwise() -> None:
    """The clock stays as it is, and so does the quota."""
    where = Target(app=create_app(Settings(clock=ClockMode.REAL)), keys=KEYS, find_clock=False)
    facts = run(where, rules=[RULE], max_examples=0)
    assert [each.verdict for each in facts.results] == [Verdict.NOT_EXERCISED]
    assert facts.target.lacks(RULES["limits.exact"]) == ("quota",)
    assert replace(where, quota=True).may_exhaust_quota


def test_of_a_server() -> None:
    """Over HTTP too."""
    with Server("--quiet") as server:
        facts = run(Target(url=f"http://127.0.0.1:{server.port}/v1", keys=KEYS), rules=[RULE], max_examples=0)
    assert [each.verdict for each in facts.results] == [Verdict.KEPT]


def test_only_on_this_machine() -> None:
    """Nobody else is asked for a clock."""
    assert find_clock_control(Target(url="https://api.zof.test/v1", keys=KEYS)) is None
