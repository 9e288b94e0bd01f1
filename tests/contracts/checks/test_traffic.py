"""Judges of what all requests share: answers to requests that overlapped have no order."""

from __future__ import annotations

from dataclasses import replace
from email.utils import formatdate
from typing import TYPE_CHECKING

from zof_contracts.checks.traffic import TrafficCheck
from zof_contracts.evidence.ledger import Ledger
from zof_contracts.evidence.memory import Memory
from zof_contracts.target.target import Target

from tests.contracts.answers import NOW, QUOTA, RUN, Teller, rules

if TYPE_CHECKING:
    from collections.abc import Mapping


def judge(*answers: tuple[int, int, float, float], dates: Mapping[float, float] = {}) -> list[str]:
    """The rules that answers break, each given by Remaining, Reset, when it arrived and the seconds that it took.

    `dates` gives the Date of the answers that have one, by when they arrived.
    """
    ledger, tell = Ledger(Target(url="http://127.0.0.1:9630")), Teller()
    check = TrafficCheck(ledger, Memory(100))
    for remaining, reset, at, took in answers:
        headers = [QUOTA[0], ("x-ratelimit-remaining", str(remaining)), ("x-ratelimit-reset", str(NOW + reset))]
        headers += [("date", formatdate(NOW + dates[at], usegmt=True))] if at in dates else []
        check(replace(tell("/v1/runs/run_1", RUN, headers=tuple(headers)), at=NOW + at, took=took))
    return rules(ledger)


def test_an_answer_of_the_window_before_may_come_late() -> None:
    """Its request was sent before the first answer of the new window arrived."""
    assert judge((3, 60, 50, 0.1), (99, 120, 61, 0.1), (2, 60, 61.5, 2), (98, 120, 62, 0.1)) == []


def test_a_window_does_not_come_back() -> None:
    """A request that was sent in the new window belongs to it."""
    assert judge((3, 60, 50, 0.1), (99, 120, 61, 0.1), (2, 60, 62, 0.1)) == ["limits.window"]


def test_answers_of_one_window_may_overtake_each_other() -> None:
    """Remaining may be higher than before only if the requests overlapped."""
    assert judge((50, 60, 1, 0.1), (48, 60, 2, 0.1), (49, 60, 2.5, 1)) == []
    assert judge((50, 60, 1, 0.1), (48, 60, 2, 0.1), (49, 60, 2.5, 0.1)) == ["limits.remaining.falls"]


def test_a_date_may_be_an_earlier_one() -> None:
    """A busy server that repeats a Date of some seconds before has not ended its window early."""
    assert judge((50, 60, 1, 0.1), (99, 120, 61, 0.1), dates={1: 1, 61: 57}) == []


def test_a_date_that_a_proxy_has_rewritten_breaks_nothing() -> None:
    """Where Date is years from our clock and Reset is not, the window is judged by our clock."""
    years = -220_000_000
    assert judge((50, 60, 1, 0.1), (49, 60, 2, 0.1), dates={1: years, 2: years}) == []
    assert judge((50, 90, 1, 0.1), (49, 90, 2, 0.1), dates={1: years, 2: years}) == ["limits.window"]


def test_a_window_may_not_end_early_by_the_clock_of_the_target() -> None:
    """A window that ends early violates, also where the target's clock is an hour behind ours."""
    hour = 3600
    dates = {1.0: 1.0 - hour, 50.0: 50.0 - hour}
    assert judge((50, 60 - hour, 1, 0.1), (99, 110 - hour, 50, 0.1), dates=dates) == ["limits.window"]
