"""Moving the clock of an emulator: answers may be lost, and the clock moves once all the same."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from enum import Enum
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st
from zof_contracts.evidence.exchange import Response
from zof_contracts.target.budget import Budget, BudgetExceeded
from zof_contracts.target.client import Client
from zof_contracts.target.clock import find_clock_control
from zof_contracts.target.target import Target
from zof_contracts.target.transport import NoAnswer, Unreachable

from tests.contracts.timers import FakeTimer

if TYPE_CHECKING:
    from zof_contracts.evidence.exchange import Headers

_START = 1_767_225_600_000


class Fate(Enum):
    """The fate of a request."""

    ANSWERED = "answered"
    LOST = "lost"
    """The request does not arrive."""
    ANSWER_LOST = "answer lost"
    FAULT = "502"


@dataclass
class FakeClock:
    """The clock of an emulator, behind a connection that loses what `fates` says; later requests are answered."""

    timer: FakeTimer
    mode: str = "manual"
    fates: list[Fate] = field(default_factory=list)
    moved_ms: int = 0
    requests: int = 0
    is_parallel = True

    def carry(  # noqa: PLR0913  see Transport
        self, method: str, target: str, headers: Headers, body: bytes, *, seconds: float = 30.0, fresh: bool = False
    ) -> Response:
        """Answer as the emulator does."""
        del target, headers, seconds, fresh
        self.requests += 1
        fate = self.fates.pop(0) if self.fates else Fate.ANSWERED
        if fate is Fate.LOST:
            raise Unreachable("no connection")
        if method == "POST":
            self.moved_ms += json.loads(body)["by_ms"]
        if fate is Fate.ANSWER_LOST:
            raise NoAnswer("it reset the connection")
        elapsed = round(self.timer.now() * 1000) if self.mode == "real" else 0
        clock = {"mode": self.mode, "now_ms": _START + self.moved_ms + elapsed}
        return Response(502 if fate is Fate.FAULT else 200, (), json.dumps(clock).encode())

    def close(self) -> None:
        """Do nothing."""


def connect(mode: str = "manual", budget: Budget | None = None) -> tuple[Client, FakeClock]:
    """A client of an emulator, and the emulator's clock."""
    timer = FakeTimer()
    where = Target(url="http://127.0.0.1:9630", keys={"main": "zof_test_key"})
    client = Client(where, timer=timer, budget=budget or Budget())
    clock = FakeClock(timer, mode)
    client.transport = clock
    return client, clock


@given(
    mode=st.sampled_from(["manual", "auto", "real"]),
    fates=st.lists(st.sampled_from(Fate), max_size=3),
    moves=st.lists(st.integers(1, 100_000), min_size=1, max_size=3),
    pause=st.integers(0, 5),
)
def test_a_lost_answer_moves_the_clock_once(mode: str, fates: list[Fate], moves: list[int], pause: int) -> None:
    """Up to three requests that are lost, before or after they take effect, move the clock neither less nor twice."""
    client, clock = connect(mode)
    advance = find_clock_control(client)
    assert advance
    clock.timer.sleep(pause)
    clock.fates = list(fates)
    for milliseconds in moves:
        advance(milliseconds)
    assert abs(clock.moved_ms - sum(moves)) <= 5 * len(moves)


def test_a_clock_that_cannot_be_moved_ends_the_verification() -> None:
    """A clock that answers no more is reported as such, after a few tries."""
    client, clock = connect()
    advance = find_clock_control(client)
    assert advance
    clock.fates = [Fate.LOST] * 100
    with pytest.raises(Unreachable, match="did not move its clock: no connection"):
        advance(1000)
    assert clock.requests < 10


def test_requests_about_the_clock_count() -> None:
    """Finding the clock and moving it uses up the budget of requests, and is not recorded as traffic of the API."""
    client, clock = connect(budget=Budget(requests=3))
    advance = find_clock_control(client)
    assert advance
    advance(1)
    advance(1)
    assert client.account.used == clock.requests == 3
    assert client.journal == []
    with pytest.raises(BudgetExceeded):
        advance(1)
    assert clock.requests == 3
