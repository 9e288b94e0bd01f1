"""Snapshots that were changed, with the checksum made right: one that is taken behaves like a world."""

from __future__ import annotations

import json
import re
from copy import deepcopy
from functools import cache
from typing import Any, Final

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from zof_emulator.cli.recorded_deliveries import RecordedDeliveries
from zof_emulator.core.limits import Rate
from zof_emulator.scenarios.load import load_object

from tests.http.mutations import Mutation, mutations
from tests.http.stories import REQUESTS, answer_story
from tests.http.test_snapshots import put, sign_snapshot, take_snapshot
from tests.zof import Zof

CLOCKS: Final = ("manual", "auto")
BEFORE: Final = (
    *("start", "start a suite", "start a flaky case", "start once", "export once", "cancel the newest", "a while"),
    *("start long", "start long", "start long", "newest", "newest", "start elsewhere", "cancel the newest"),
)
CONTROL: Final = ("/worlds", "/snapshot", "/deliveries", "/delivery-rules", "/clock", "/journal")
SCENARIO: Final = {
    "name": "rich",
    "base": "default",
    "keys": [{"secret": "zof_own_key", "role": "Engineer", "expires_in": "1h"}],
    "faults": [{"match": {"operation": "cancelRun"}, "schedule": {"nth": 1000}, "effect": {"error": "internal_error"}}],
    "outcomes": [
        {"suite": "suite_*", "nth": [1, 2], "status": "failed", "message": "no", "log": ["a line"], "duration_ms": 300},
        {
            "case": "tc_login_001",
            "every": 2,
            "artifacts": [{"name": "a.xml", "type": "export", "content_type": "application/xml", "text": "<a/>"}],
        },
    ],
    "runs": [{"project": "proj_abc", "suite": "suite_pr_smoke", "count": 2, "over": "1h"}],
}
RECEIVER: Final = {"url": "http://127.0.0.1:9/x", "events": ["run.started", "run.completed"], "secret": "s" * 16}


@cache
def rich(clock: str) -> Any:  # noqa: ANN401  a JSON value
    """The state of a world in which every part of a snapshot holds something."""
    scenario = load_object(SCENARIO).scenario
    many = Rate(limit=1_000)
    zof = Zof(clock=clock, capacity=2, max_runs=4, rate=many, scenario=scenario, deliveries=RecordedDeliveries(()))
    answer_story(zof, BEFORE)
    assert zof.post("/webhooks", RECEIVER).status == 201
    assert zof.tell("POST", "/delivery-rules", {"action": "delay"}).status == 201
    answer_story(zof, ["start", "a moment", *("start long",) * 3, "runs"])
    state = json.loads(take_snapshot(zof))["world"]
    empty = [name for name, part in state.items() if part in ([], {}) and (name, clock) != ("seen", "manual")]
    assert not empty
    assert put(Zof(deliveries=RecordedDeliveries(())), take_snapshot(zof)).status == 200
    return state


@cache
def all_mutations(clock: str) -> list[Mutation]:
    """All single mutations of that state."""
    return mutations(rich(clock))


def mutate_snapshot(clock: str, which: list[int]) -> bytes:
    """A snapshot with these mutations."""
    state = deepcopy(rich(clock))
    for number in which:
        state = all_mutations(clock)[number % len(all_mutations(clock))].apply(state)
    return sign_snapshot(state)


@settings(max_examples=250)
@given(
    clock=st.sampled_from(CLOCKS),
    which=st.lists(st.integers(0, 99_999), min_size=1, max_size=2),
    story=st.lists(st.sampled_from(sorted(REQUESTS)), min_size=5, max_size=25),
)
def test_what_is_taken_behaves_like_a_world(clock: str, which: list[int], story: list[str]) -> None:
    """After a restore of a changed snapshot no request is answered with 5xx, and the next snapshot fits back in."""
    zof = Zof(clock=clock, deliveries=RecordedDeliveries(()))
    answer = put(zof, mutate_snapshot(clock, which))
    assert answer.status in {200, 400}
    if answer.status == 200:
        answers = answer_story(zof, story) + [zof.tell("GET", path) for path in CONTROL] + [zof.get("/webhooks")]
        assert [one for one in answers if one.status >= 500] == []
        assert put(Zof(deliveries=RecordedDeliveries(())), take_snapshot(zof)).status == 200


def draw_swap(*path: str | int) -> Mutation:
    """The exchange of an element of a list with the next one."""
    return Mutation(path, "swap")


def draw_replacement(*path: str | int, by: object) -> Mutation:
    """Another value at a place."""
    return Mutation(path, "replace", by)


LIES: Final[dict[str, Mutation]] = {
    "a number that is a fraction": draw_replacement("answered", by=7.0),
    "a count beyond all": draw_replacement("answered", by=1 << 63),
    "a rule that decided on a run, and does not exist": draw_replacement("runs", -1, 14, by=[2]),
    "a run of a suite that is counted, without a suite": draw_replacement("runs", -1, 13, by=7),
    "a case that is due by a rule that does not exist": draw_replacement("agenda", "due", -1, 5, by=2),
    "a key of an unknown organization": draw_replacement("keys", 0, 1, by="org_none"),
    "a scenario that contradicts itself": draw_replacement("config", "scenario", "outcomes", 0, "first", by=1),
    "a run of a foreign organization": draw_replacement("runs", 0, 1, by="org_other"),
    "a run of an unknown project": draw_replacement("runs", 0, 2, by="proj_none"),
    "an unknown environment": draw_replacement("runs", 0, 3, by="moon"),
    "an ID with another prefix": draw_replacement("runs", 0, 5, 0, by="proj_abc"),
    "a run that ended before it started": draw_replacement("runs", 0, 8, by=1 << 40),
    "a status that the outcomes do not come to": draw_replacement("runs", 0, 7, by="error"),
    "a queued run with a start": draw_replacement("runs", -1, 8, by=5),
    "runs in another order": draw_swap("runs", 0),
    "a rank that another run has": draw_replacement("runs", 0, 12, by=0),
    "a run of the future": draw_replacement("now", by=5),
    "fewer running runs": draw_replacement("tenancies", "org_abc", 0, by=0),
    "nobody in the queue": draw_replacement("tenancies", "org_abc", 1, by=[]),
    "results that start elsewhere": draw_replacement("tenancies", "org_abc", 2, by=3),
    "an empty agenda": draw_replacement("agenda", "due", by=[]),
    "an end of a case after a century": draw_replacement("agenda", "due", 0, 0, by=1 << 42),
    "a place that is never filled": draw_replacement("config", "capacity", by=900),
    "a case whose runs are not counted": draw_replacement("run_counts", 0, 1, by="tc_checkout_014"),
    "a window without end": draw_replacement("limits", by={"0" * 24: [1 << 50, 1, False]}),
    "a header with a line break": draw_replacement("answers", 0, 5, 1, 0, 1, by="a\r\nb: c"),
    "a header that frames the answer": draw_replacement("answers", 0, 5, 1, 0, 0, by="transfer-encoding"),
    "another length": draw_replacement("answers", 0, 5, 1, 1, 1, by="5"),
    "a status of an error": draw_replacement("answers", 0, 5, 0, by=500),
    "another size": draw_replacement("answers", 0, 6, by=0),
    "an answer that is kept for ever": draw_replacement("answers", 0, 7, by=1 << 59),
    "an owner that does not exist": draw_replacement("catalogue", "owners", "tc_login_001", by="org_none"),
    "a given case that is none": draw_replacement("catalogue", "given", 6, by="tc_other"),
    "a suite that nothing names": draw_replacement("catalogue", "suites", "suite_new", by=["tc_login_001"]),
    "a suite without cases": draw_replacement("catalogue", "suites", "suite_flaky", by=[]),
    "a project that is not listed": draw_replacement("catalogue", "projects", "org_abc", by=[]),
    "a sample that is another run's word": draw_replacement("samples", 0, by="a" * 56),
    "an endpoint of another kind": draw_replacement("outbox", "endpoints", 0, 3, by=["run.none"]),
    "an endpoint without a URL": draw_replacement("outbox", "endpoints", 0, 2, by="x"),
    "a short secret": draw_replacement("outbox", "endpoints", 0, 4, by="short"),
    "a delivery to no endpoint": draw_replacement("outbox", "deliveries", 0, 1, by=9),
    "a delivery that never comes": draw_replacement("outbox", "deliveries", 0, 4, by=1 << 50),
}


BLAMED_ELSEWHERE: Final = {
    "a delivery that never comes",
    "a place that is never filled",
    "a rank that another run has",
    "a run of the future",
    "an owner that does not exist",
}
"""The lies for which another part is blamed, with which the changed one does not agree."""
WHY: Final = re.compile(
    r"The snapshot cannot be read: ("
    r"the value of world[A-Za-z0-9_.\[\]-]* is invalid|"
    r"world[A-Za-z0-9_.\[\]-]+ does not agree with the other parts of the world|"
    r"world[A-Za-z0-9_.\[\]-]+ is missing(?: before world.runs)?|world[A-Za-z0-9_.\[\]-]* has an unknown field|"
    r"world[A-Za-z0-9_.\[\]-]+ has a number with a fraction, or is nested too deeply)\."
)
"""The refusals of a world, each of which names the field."""


@settings(max_examples=150)
@given(clock=st.sampled_from(CLOCKS), which=st.lists(st.integers(0, 99_999), min_size=1, max_size=2))
def test_a_refusal_names_the_field(clock: str, which: list[int]) -> None:
    """A changed snapshot that is refused is refused in plain words, which name the field."""
    answer = put(Zof(clock=clock, deliveries=RecordedDeliveries(())), mutate_snapshot(clock, which))
    message = "" if answer.status == 200 else answer.json["error"]["message"]
    assert not message or WHY.fullmatch(message), message


@pytest.mark.parametrize("lie", sorted(LIES))
def test_each_kind_of_lie(lie: str) -> None:
    """A snapshot whose parts contradict one another is refused in words that name the part, and changes nothing."""
    zof = Zof(clock="auto")
    before = take_snapshot(zof)
    answer = put(zof, sign_snapshot(LIES[lie].apply(deepcopy(rich("auto")))))
    assert answer.error[:2] == (400, "invalid_request"), answer.content
    path, message = LIES[lie].path, answer.json["error"]["message"]
    assert WHY.fullmatch(message), message
    if lie not in BLAMED_ELSEWHERE:
        assert f"world.{path[0]}" in message, message
    assert take_snapshot(zof) == before
