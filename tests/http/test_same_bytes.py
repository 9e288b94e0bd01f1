"""Determinism (contract, section 12): same seed, same clock mode, same requests give the same bytes."""

from __future__ import annotations

from functools import cache

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.http.exchanges import ALL
from tests.http.stories import REQUESTS, answer_story, list_api_answers, stories
from tests.zof import Zof


@cache
def make_emulator(seed: int) -> Zof:
    """An emulator with this seed."""
    return Zof(seed=seed)


@settings(max_examples=15)  # each makes two new emulators
@given(stories, st.integers(0, 2**63 - 1))
def test_the_same_bytes(history: list[str], seed: int) -> None:
    """Two emulators of the same seed answer the same requests with the same bytes, every header and `Date` included."""
    one, two = Zof(seed=seed), Zof(seed=seed)
    assert answer_story(one, history) == answer_story(two, history)


@given(stories)
def test_the_same_bytes_after_a_reset(history: list[str]) -> None:
    """After a reset an emulator answers the same API requests with the same bytes again."""
    zof = make_emulator(3)
    answers = []
    for _ in range(2):
        assert zof.control("/reset").status == 200
        answers.append(list_api_answers(zof, history))
    assert answers[0] == answers[1]


def record_answers(steps: list[tuple[str, str]]) -> list[bytes]:
    """All answers of an emulator whose worlds are used in turn, forked and restored, journals included."""
    zof = Zof(seed=11)
    heard = []
    for place, (world, step) in enumerate(steps):
        inside = zof.select_world(world)
        heard.append(answer_story(inside, [step])[0].content)
        heard.append(zof.tell("POST", f"/worlds/{world}/fork", {"name": f"fork-{place}"}).content)
        snapshot = inside.tell("GET", "/snapshot")
        restored = zof.select_world(f"again-{place}")
        heard += [snapshot.content, restored.tell("PUT", "/snapshot", snapshot.json).content]
        for name in (f"fork-{place}", f"again-{place}"):
            heard += [one.content for one in answer_story(zof.select_world(name), ["start once", "export"])]
    names = [one["name"] for one in zof.tell("GET", "/worlds").json["data"]]
    return heard + [zof.select_world(name).tell("GET", "/journal.ndjson").content for name in names]


@settings(max_examples=10)  # each makes many worlds
@given(st.lists(st.tuples(st.sampled_from(["default", "a", "b"]), st.sampled_from(sorted(REQUESTS))), max_size=4))
def test_worlds_forks_and_snapshots_are_the_same(steps: list[tuple[str, str]]) -> None:
    """Worlds, forks, snapshots and journals of two emulators of the same seed are the same bytes."""
    assert record_answers(steps) == record_answers(steps)


def test_every_kind_of_answer_is_the_same() -> None:
    """No kind of answer, success or error, file or page, differs between two new emulators of one seed."""
    one, two = Zof(seed=7), Zof(seed=7)
    for exchange in (ALL[kind] for kind in ALL if kind not in {"too often", "our fault"}):
        assert exchange(one) == exchange(two)


def test_a_neighbour_changes_nothing() -> None:
    """Requests to one emulator do not change another in the same process."""
    alone = answer_story(Zof(seed=5), ["start", "a while", "export"])
    one, two = Zof(seed=5), Zof(seed=5)
    answer_story(two, ["start a suite", "start", "a moment", "start elsewhere"])
    assert answer_story(one, ["start", "a while", "export"]) == alone


@given(stories)
def test_another_seed_differs(history: list[str]) -> None:
    """Another seed gives other IDs of created objects and of answers."""
    one, two = (answer_story(make_emulator(seed), ["start", *history]) for seed in (0, 1))
    assert one[0].json["id"] != two[0].json["id"]
    assert all(
        mine.headers["x-request-id"] != theirs.headers["x-request-id"] for mine, theirs in zip(one, two, strict=True)
    )


def test_another_seed_takes_another_time() -> None:
    """Another seed gives other durations."""
    cases = [f"tc_{number}" for number in range(20)]
    runs = [Zof(seed=seed).complete_run(*cases) for seed in (0, 1)]
    one, two = ([case["duration_ms"] for case in run["case_outcomes"]] for run in runs)
    assert one != two
