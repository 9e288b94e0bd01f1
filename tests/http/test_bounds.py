"""Bounds: the memory for answers does not grow with the number of requests."""

from __future__ import annotations

from zof_emulator.core.world_state import Retention

from tests.zof import Zof

CASES = [f"tc_case_with_a_long_name_{place}" for place in range(400)]
KIB_64 = 1 << 16


def test_encoded_answers_are_bounded_in_bytes() -> None:
    """The number of cached encoded objects is bounded, however many runs are read under however many hosts."""
    zof = Zof()
    runs = [zof.start(*CASES)["id"] for _ in range(30)]
    sizes = []
    for host in range(32):
        for run in runs:
            answer = zof.send("GET", f"/v1/runs/{run}", base=f"http://h{host}.localhost")
            assert answer.status == 200
        sizes.append(zof.app.hosted.encoder.size)
    assert 1 << 20 < max(sizes) <= 1 << 25


def test_kept_exports_are_bounded_in_bytes() -> None:
    """The bound on stored idempotent answers counts whole exports and the bodies of requests."""
    zof = Zof()
    zof.app.hosted.world.answers = type(zof.app.hosted.world.answers)(Retention().answers_ms, KIB_64)
    zof.complete_run(*CASES)
    for number in range(20):
        assert zof.post("/results/export", {"format": "csv"}, idempotency_key=f"csv_{number}").status == 200
        assert len(zof.app.hosted.world.answers) <= 1
    for number in range(200):
        body = {"project_id": "proj_abc", "environment": "staging", "test_case_ids": CASES}
        assert zof.post("/runs", body, idempotency_key=f"run_{number}").status == 201
    assert len(zof.app.hosted.world.answers) <= KIB_64 // len(str(CASES))
