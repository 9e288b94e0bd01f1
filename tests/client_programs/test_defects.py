"""A planted defect of a client is found under its own rule, and under no other."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from zof_contracts.contract.client_rules import CLIENT_RULES

from tests.client_programs.defects import DEFECTS, Caller
from tests.client_programs.judging import explain, judge, list_broken
from tests.client_programs.rig import Rig

if TYPE_CHECKING:
    from collections.abc import Callable


@pytest.mark.parametrize("defect", DEFECTS, ids=lambda each: each.__name__.strip("_"))
def test_a_defect_is_found_under_its_rule(defect: Callable[[Caller], None]) -> None:
    """A client with one defect breaks one rule."""
    call = Caller(Rig())
    defect(call)
    verification = judge(call.rig.har())
    assert list_broken(verification) == {DEFECTS[defect]}, explain(verification)


def test_every_rule_has_a_defect() -> None:
    """Each rule for clients is broken by some planted defect; those of webhooks are in another module."""
    assert set(DEFECTS.values()) == {name for name in CLIENT_RULES if not name.startswith("client.webhooks.")}
