"""The fault rules of a world: which one is due for which request."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from zof_emulator.core.canonical_json import write_canonical
from zof_emulator.core.fault_store import FaultCall, FaultStore
from zof_emulator.core.faults import MOST_RULES, FaultRule, ScheduleKind, digest_key
from zof_emulator.core.refusal import Refused

if TYPE_CHECKING:
    from collections.abc import Sequence

RESET = {"reset": True}
KEY = digest_key("zof_a")
OPERATIONS = ("startRun", "getRun")
MATCHES = st.fixed_dictionaries(
    {},
    optional={
        "operation": st.sampled_from(OPERATIONS),
        "organization": st.just("org_a"),
        "key": st.just("zof_a"),
        "path": st.sampled_from(["/v1/runs", "/v1/runs/run_1"]),
        "header": st.just({"X-A": "1"}),
        "body": st.sampled_from([{"environment": "staging"}, {"test_case_ids": "tc_2"}]),
    },
)
SCHEDULES: st.SearchStrategy[dict[str, int]] = st.just({}) | st.tuples(
    st.sampled_from(["nth", "first", "every", "percent"]), st.integers(1, 4) | st.sampled_from([30, 100])
).map(lambda pair: {pair[0]: pair[1]})
RULES = st.builds(lambda match, schedule: {"match": match, "schedule": schedule, "effect": RESET}, MATCHES, SCHEDULES)
CALLS = st.builds(
    FaultCall,
    st.sampled_from(OPERATIONS),
    st.sampled_from(["/v1/runs", "/v1/runs/run_1", "/v1/runs/run_2"]),
    st.sampled_from(["", "org_a", "org_b"]),
    st.sampled_from(["", KEY, digest_key("zof_b")]),
    st.sampled_from([(), (("host", "a"), ("x-a", "1")), (("x-a", "2"),)]),
    st.sampled_from(
        [
            (),
            (("environment", write_canonical("staging")),),
            (("test_case_ids", write_canonical("tc_1")), ("test_case_ids", write_canonical("tc_2"))),
        ]
    ),
)


def make_store(rules: Sequence[dict[str, Any]], seed: int = 7) -> FaultStore:
    """A store with these rules."""
    store = FaultStore(seed)
    for rule in rules:
        store.add(FaultRule.from_json(rule))
    return store


def matches(rule: FaultRule, call: FaultCall) -> bool:
    """Whether a request meets all conditions of a rule."""
    match = rule.match
    return (
        match.operation in {"", call.operation}
        and match.organization in {"", call.organization}
        and match.key in {"", call.key}
        and match.path in {"", call.path}
        and (match.header is None or match.header in call.headers)
        and (match.body is None or match.body in call.fields)
    )


def is_due(rule: FaultRule, nth: int) -> bool | None:
    """Whether a rule is due for its nth request; None if the draw decides."""
    kind, number = rule.schedule.kind, rule.schedule.number
    if kind is ScheduleKind.PERCENT:
        return True if number == 100 else None
    return {
        ScheduleKind.ALWAYS: True,
        ScheduleKind.NTH: nth == number,
        ScheduleKind.FIRST: nth <= number,
        ScheduleKind.EVERY: number > 0 and nth % number == 0,
    }[kind]


@given(st.lists(RULES, max_size=6), st.lists(CALLS, max_size=12))
def test_the_first_rule_that_is_due_gives_its_effect(rules: list[dict[str, Any]], calls: list[FaultCall]) -> None:
    """Every rule counts the requests that match it, and of those that are due the first gives its effect."""
    store = make_store(rules)
    read = [FaultRule.from_json(rule) for rule in rules]
    counts = [0] * len(rules)
    hits = [0] * len(rules)
    for call in calls:
        matching = [place for place, rule in enumerate(read) if matches(rule, call)]
        for place in matching:
            counts[place] += 1
        firing = store.find(call)
        certain = [place for place in matching if is_due(read[place], counts[place])]
        possible = [place for place in matching if is_due(read[place], counts[place]) is not False]
        if firing is None:
            assert not certain
            continue
        place = int(firing.id.removeprefix("fault_")) - 1
        hits[place] += 1
        assert place in possible
        assert place <= min(certain, default=place)
    assert [(one.calls, one.hits) for one in store.rules()] == list(zip(counts, hits, strict=True))


@given(st.lists(RULES, max_size=6), st.lists(CALLS, max_size=12), st.integers(0, 12))
def test_a_saved_store_goes_on_as_the_original(
    rules: list[dict[str, Any]], calls: list[FaultCall], saved_after: int
) -> None:
    """A store that is saved and restored between two requests gives the same effects as one that is not."""
    store, other = make_store(rules), make_store(rules)
    for nth, call in enumerate(calls):
        if nth == saved_after:
            saved, other = other.to_json(), FaultStore(7)
            other.restore(saved)
        assert store.find(call) == other.find(call)
    assert store.to_json() == other.to_json()


def test_a_share_follows_from_the_seed() -> None:
    """A share of the requests is the same for the same seed, another one for another seed, and near its percentage."""
    rule = {"schedule": {"percent": 25}, "effect": RESET}
    call = FaultCall("startRun", "/v1/runs")
    drawn = []
    for seed in (1, 1, 2):
        store = make_store([rule], seed)
        drawn.append([store.find(call) is not None for _ in range(2000)])
    assert drawn[0] == drawn[1]
    assert drawn[0] != drawn[2]
    assert all(400 < sum(one) < 600 for one in drawn)


def test_a_latency_is_drawn_between_its_bounds() -> None:
    """The latency of an effect is drawn from the seed, between the bounds that the rule gives."""
    call = FaultCall("startRun", "/v1/runs")

    def draw() -> list[int]:
        store = make_store([{"effect": {"latency_ms": [10, 20]}}])
        return [found.latency_ms for found in (store.find(call) for _ in range(500)) if found is not None]

    assert set(draw()) == set(range(10, 21))
    assert draw() == draw()


@given(st.lists(RULES, min_size=1, max_size=6), st.lists(CALLS, max_size=6), st.data())
def test_a_removed_rule_leaves_no_trace(
    rules: list[dict[str, Any]], calls: list[FaultCall], data: st.DataObject
) -> None:
    """A rule that is removed gives no effect, and when all are removed no operation is concerned."""
    store = make_store(rules)
    names = [one.id for one in store.rules()]
    for name in data.draw(st.permutations(names)):
        assert store.remove(name).id == name
        with pytest.raises(Refused, match="fault_not_found"):
            store.get(name)
        for call in calls:
            found = store.find(call)
            assert found is None or found.id != name
    assert len(store) == 0
    assert not store.tables


def test_there_are_at_most_so_many_rules() -> None:
    """A rule beyond the limit is refused, and a list beyond it replaces nothing."""
    rule = FaultRule.from_json({"effect": RESET})
    store = make_store([])
    store.replace([rule] * MOST_RULES)
    with pytest.raises(Refused, match="too_many_faults"):
        store.add(rule)
    with pytest.raises(Refused, match="too_many_faults"):
        store.replace([rule] * (MOST_RULES + 1))
    assert len(store) == MOST_RULES


@pytest.mark.parametrize("name", ["", "fault_", "fault_0", "fault_01", "fault_2", "1", "fault_-1", "fault_" + "9" * 40])
def test_an_unknown_id_is_refused(name: str) -> None:
    """Only the ID of a rule finds it."""
    store = make_store([{"effect": RESET}])
    with pytest.raises(Refused, match="fault_not_found"):
        store.get(name)
