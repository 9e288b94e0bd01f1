"""Verifications of servers with bad habits: each ends in time, in one line or with findings."""

from __future__ import annotations

import pytest
from zof_contracts.target.budget import Budget, Stopped
from zof_contracts.target.target import Target
from zof_contracts.target.transport import Unreachable
from zof_contracts.verification.run import run

from tests.hostile import HABITS, HostileServer

KEYS = {"main": "zof_test_key"}


@pytest.mark.parametrize(
    ("habit", "message"),
    [
        ("drip", r"^the 0\.3 seconds are used up; GET /v1/runs was not answered$"),
        ("drip-headers", r"^the 0\.3 seconds are used up; GET /v1/runs was not answered$"),
        ("stall", r"^the 0\.3 seconds are used up; GET /v1/runs was not answered$"),
        ("reset", "answers nothing; the first request was GET /v1/runs: it reset the connection"),
        ("close", "answers nothing; the first request was GET /v1/runs: it closed the connection"),
        ("babble", "answers nothing; the first request was GET /v1/runs: its answer is not HTTP/1.1$"),
        ("redirect", "redirects to http://elsewhere.test/v1/runs"),
        ("cut-gzip", "cannot be read: the body ends in the middle of its content coding gzip"),
    ],
)
def test_what_cannot_be_verified_is_one_line(habit: str, message: str) -> None:
    """The line says what the target does instead of answering."""
    budget = Budget(seconds=0.3) if "used up" in message else Budget()
    with HostileServer(HABITS[habit]) as server, pytest.raises((Stopped, Unreachable), match=message) as raised:
        run(Target(url=server.url, keys=KEYS), budget=budget)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize("habit", ["hint-early", "chunk", "compress-gzip", "compress-br"])
def test_what_http_allows_is_verified(habit: str) -> None:
    """A deployment behind such a server is judged by what it answers."""
    with HostileServer(HABITS[habit]) as server:
        verification = run(Target(url=server.url, keys=KEYS, profile="read-only"), max_examples=0)
    assert verification.stopped == ""
    assert verification.has_evidence
    assert len(verification.journal) > 10
