"""Small clients, good, careless and broken, each judged by what it sends to the emulator."""

from __future__ import annotations

from tests.client_programs import broken, careless, good
from tests.client_programs.judging import explain, judge, list_broken, list_kept
from tests.client_programs.rig import LOST, Rig, serve
from tests.zof import ADMIN


def test_the_good_client_keeps_every_rule() -> None:
    """A client that follows the advice breaks no rule, however often the deployment fails."""
    rig = Rig(rate=12)
    rig.fail("POST /v1/runs", [503, LOST])
    rig.fail("GET /v1/runs/run_.*", [500, 500, 502, 503])
    rig.fail("GET /v1/results", [500, 500, 502, 503])
    good.run_program(rig.base, ADMIN, rig.sleep, rig.transport())
    verification = judge(rig.har())
    assert list_broken(verification) == set(), explain(verification)
    assert len(list_kept(verification)) >= 20


def test_the_careless_client_breaks_what_is_known() -> None:
    """A client with urllib3's Retry breaks a known list of rules and no other."""
    rig = Rig(rate=100)
    earlier = good.GoodClient(rig.base, ADMIN, rig.sleep, rig.transport())
    for _ in range(22):
        earlier.post("/runs", {**good.ORDER, "test_case_ids": ["tc_a"]})
    rig.entries.clear()
    rig.sleep(100)
    rig.fail("POST /v1/runs", [500, 500, 500])
    rig.fail("GET /v1/runs/run_.*", [503, 503, 503])
    with serve(rig) as base:
        careless.run_program(base, ADMIN, rig.sleep)
    verification = judge(rig.har())
    assert list_broken(verification) == careless.BREAKS, explain(verification)


def test_the_broken_client_breaks_what_is_known() -> None:
    """A client that is wrong in many ways breaks a known list of rules and no other."""
    rig = Rig(rate=17)
    broken.run_program(rig.base, ADMIN, rig.sleep, rig.transport())
    verification = judge(rig.har())
    assert list_broken(verification) == broken.BREAKS, explain(verification)
