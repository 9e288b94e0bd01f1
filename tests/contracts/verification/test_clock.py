"""The clock of a target on this machine is found by itself, and moved; unless one says otherwise."""

from __future__ import annotations

import json
import re
import urllib.request
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from zof_contracts import Target, run
from zof_contracts.contract.rules import RULES
from zof_contracts.evidence.findings import Verdict
from zof_contracts.target.budget import Budget
from zof_contracts.target.client import Client
from zof_contracts.target.clock import find_clock_control
from zof_contracts.target.http_transport import HttpTransport
from zof_emulator import ClockMode, Settings, create_app

from tests.served import PATIENCE, Server

if TYPE_CHECKING:
    from zof_contracts.evidence.exchange import Response

KEYS = {"main": "zof_test_admin"}
RULE = RULES["idempotency.expiry"]
"""A wait that is too long for real time."""


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


def read_control(server: Server, path: str) -> Any:  # noqa: ANN401  a JSON value
    """The answers of the emulator's control operations."""
    with urllib.request.urlopen(f"http://127.0.0.1:{server.port}{path}", timeout=PATIENCE) as answer:
        return json.load(answer)


def list_worlds(server: Server) -> list[tuple[str, int, dict[str, Any]]]:
    """Each world, with the number of its runs and its clock."""
    worlds = read_control(server, "/_emulator/worlds")["data"]
    return [(each["name"], each["runs"], each["clock"]) for each in worlds]


@pytest.mark.parametrize("world", ["", "/w/mine"])
def test_the_world_stays_as_it_was(world: str) -> None:
    """A verification of an emulator moves the clock and starts runs in a copy of the world, and deletes the copy."""
    with Server("--quiet", "--clock", "manual") as server:
        where = Target(url=f"http://127.0.0.1:{server.port}{world}/v1", keys=KEYS)
        client = Client(where)
        assert client.get("/runs").response.ok  # which creates the world
        client.close()
        before = list_worlds(server)
        facts = run(where, rules=[RULE, RULES["runs.start.accepted"]], max_examples=0)
        assert list_worlds(server) == before
    assert {each.verdict for each in facts.results} == {Verdict.KEPT}
    assert facts.target.base == where.base
    assert facts.notes == ()
    assert facts.receipt
    assert all(each.state.endswith("deleted with the copy of the target's world") for each in facts.receipt)


def test_a_world_without_a_copy() -> None:
    """Where the emulator makes no copy, the report says by how much the clock was moved."""
    with Server("--quiet", "--clock", "manual", "--max-worlds", "1") as server:
        facts = run(Target(url=f"http://127.0.0.1:{server.port}/v1", keys=KEYS), rules=[RULE], max_examples=0)
    assert {each.verdict for each in facts.results} == {Verdict.KEPT}
    (note,) = facts.notes
    assert re.fullmatch(r"the target's clock was moved forward by \d+ s in all", note)


def test_only_on_this_machine() -> None:
    """Nobody else is asked for a clock."""
    assert find_clock_control(Client(Target(url="https://api.zof.test/v1", keys=KEYS))) is None


@pytest.mark.parametrize("requests", [30, 31, 32, 33, 34, 35])
def test_the_budget_holds_for_every_request(requests: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """An emulator receives no more requests than the budget has, those that copy its world and move its clock included.

    The copy of the world is deleted within the budget.
    """
    sent: list[str] = []
    carry = HttpTransport.carry

    def count(transport: HttpTransport, method: str, target: str, *arguments: Any, **options: Any) -> Response:  # noqa: ANN401
        sent.append(f"{method} {target}")
        return carry(transport, method, target, *arguments, **options)

    monkeypatch.setattr(HttpTransport, "carry", count)
    with Server("--quiet", "--clock", "manual") as server:
        where = Target(url=f"http://127.0.0.1:{server.port}/v1", keys=KEYS)
        facts = run(where, budget=Budget(requests=requests), seed=1, max_examples=1)
        worlds = list_worlds(server)
    assert [name for name, _, _ in worlds] == ["default"]
    assert len(facts.journal) < len(sent) <= requests
    assert "used up" in facts.stopped
    assert facts.notes == ()
