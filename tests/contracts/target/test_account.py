"""The account: several requests that are on their way at once keep to the budget together."""

from __future__ import annotations

import pytest
from zof_contracts.target.account import Account
from zof_contracts.target.budget import Budget, BudgetExceeded
from zof_contracts.target.requests import build_post
from zof_contracts.target.timer import SystemTimer

START = build_post("/runs", {})


def test_runs_of_starts_on_their_way_are_cleaned_up_within_the_budget() -> None:
    """The requests that clean up a run are reserved before its start is answered."""
    account = Account(Budget(requests=7), SystemTimer())
    account.spend(START)
    account.spend(START)
    with pytest.raises(BudgetExceeded, match="the budget of 7 requests is used up"):
        account.spend(START)
    assert account.used == 2


def test_starts_on_their_way_count_as_runs() -> None:
    """The number of runs that may be started holds though no start was answered."""
    account = Account(Budget(runs=2), SystemTimer())
    account.spend(START)
    account.spend(START)
    with pytest.raises(BudgetExceeded, match="the 2 runs that may be started are used up"):
        account.spend(START)
    account.settle(START)
    account.spend(START)
