"""Determinism (contract, section 12): same seed, same clock mode, same requests give the same bytes."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Final

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.http.exchanges import ALL, START, start
from tests.zof import CI, OTHER, STAGING, Answer, Zof

if TYPE_CHECKING:
    from collections.abc import Callable

REQUESTS: Final[dict[str, Callable[[Zof], Answer]]] = {
    "start": start,
    "start a suite": lambda zof: zof.post("/runs", {**STAGING, "test_suite_id": "suite_flaky"}),
    "start once": lambda zof: zof.post("/runs", START, idempotency_key="once"),
    "start elsewhere": lambda zof: zof.post("/runs", {**START, "test_case_ids": ["tc_o"]}, key=OTHER),
    "cancel the newest": lambda zof: zof.post(f"/runs/{newest(zof)}/cancel"),
    "runs": lambda zof: zof.get("/runs", limit=2),
    "newest": lambda zof: zof.get(f"/runs/{newest(zof)}"),
    "logs": lambda zof: zof.get(f"/runs/{newest(zof)}/logs"),
    "artifacts": lambda zof: zof.get(f"/runs/{newest(zof)}/artifacts"),
    "a file": lambda zof: zof.follow(zof.get("/runs/run_sample_failed/artifacts").json["data"][0]["url"]),
    "results": lambda zof: zof.get("/results", key=CI),
    "export": lambda zof: zof.post("/results/export", {"format": "csv"}),
    "projects": lambda zof: zof.get("/projects"),
    "a moment": lambda zof: zof.control("/clock/advance", {"by_ms": 700}),
    "a while": lambda zof: zof.control("/clock/advance", {"by_ms": 61_000}),
    "health": lambda zof: zof.control("/health"),
    "nothing": lambda zof: zof.get("/nothing"),
    "a stranger": lambda zof: zof.get("/runs", key=None),
}
histories: Final = st.lists(st.sampled_from(sorted(REQUESTS)), min_size=1, max_size=15)


def newest(zof: Zof) -> str:
    """The ID of the newest run."""
    found: str = zof.get("/runs", limit=1).json["data"][0]["id"]
    return found


@cache
def of_seed(seed: int) -> Zof:
    """An emulator with this seed."""
    return Zof(seed=seed)


def lived(zof: Zof, history: list[str]) -> list[Answer]:
    """The answers of an emulator to these requests."""
    return [REQUESTS[name](zof) for name in history]


@settings(max_examples=15)  # each makes two emulators anew
@given(histories, st.integers(0, 2**63 - 1))
def test_the_same_bytes(history: list[str], seed: int) -> None:
    """Two emulators of the same seed answer the same requests with the same bytes, every header and `Date` included."""
    one, two = Zof(seed=seed), Zof(seed=seed)
    assert lived(one, history) == lived(two, history)


@given(histories)
def test_the_same_bytes_after_a_reset(history: list[str]) -> None:
    """After a reset an emulator answers the same API requests with the same bytes again."""
    zof = of_seed(3)
    asked = [name for name in history if name != "health"]
    answers = []
    for _ in range(2):
        assert zof.control("/reset").status == 200
        answers.append([one for one in lived(zof, asked) if b"now_ms" not in one.content])
    assert answers[0] == answers[1]


def test_every_kind_of_answer_is_the_same() -> None:
    """No kind of answer, success or error, file or page, differs between two new emulators of one seed."""
    one, two = Zof(seed=7), Zof(seed=7)
    for exchange in (ALL[kind] for kind in ALL if kind not in {"too often", "our fault"}):
        assert exchange(one) == exchange(two)


def test_a_neighbour_changes_nothing() -> None:
    """What one emulator is asked changes nothing about another in the same process."""
    alone = lived(Zof(seed=5), ["start", "a while", "export"])
    one, two = Zof(seed=5), Zof(seed=5)
    lived(two, ["start a suite", "start", "a moment", "start elsewhere"])
    assert lived(one, ["start", "a while", "export"]) == alone


@given(histories)
def test_another_seed_differs(history: list[str]) -> None:
    """Another seed gives other IDs: of what comes into being, and of every answer."""
    one, two = (lived(of_seed(seed), ["start", *history]) for seed in (0, 1))
    assert one[0].json["id"] != two[0].json["id"]
    assert all(
        mine.headers["x-request-id"] != theirs.headers["x-request-id"] for mine, theirs in zip(one, two, strict=True)
    )


def test_another_seed_takes_another_time() -> None:
    """Another seed tells other durations."""
    cases = [f"tc_{number}" for number in range(20)]
    runs = [Zof(seed=seed).ended(*cases) for seed in (0, 1)]
    one, two = ([case["duration_ms"] for case in run["case_outcomes"]] for run in runs)
    assert one != two
