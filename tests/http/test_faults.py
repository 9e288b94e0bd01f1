"""Faults: the rules of a world, judged, counted and carried out, in process."""

from __future__ import annotations

import gc
import json
import sys
from hashlib import sha256
from typing import TYPE_CHECKING, Any, Final

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from zof_emulator.cli.replay import replay
from zof_emulator.core.faults import FaultRule
from zof_emulator.core.limits import Rate
from zof_emulator.core.refusal import Refused
from zof_emulator.spec.document import find_document, load_document
from zof_emulator.spec.operation import compile_operations

from tests.http.faults import RESET, RecordedPauses, add, prefer, start
from tests.http.stories import REQUESTS, answer_story
from tests.zof import ADMIN, CI, OTHER, Zof

if TYPE_CHECKING:
    from collections.abc import Sequence

CONTRACT: Final = {one.id: one for one in compile_operations(load_document(find_document("openapi.yaml")))}
ERRORS: Final = [(one.id, reason) for one in CONTRACT.values() for reason in one.reasons]


# --- what a rule does


@pytest.mark.parametrize(("operation", "reason"), ERRORS)
def test_every_documented_error(operation: str, reason: str) -> None:
    """A rule answers with any error of its operation: status, code, shape and headers are those of the document."""
    zof = Zof()
    node = CONTRACT[operation]
    add(zof, {"error": reason}, operation)
    path = "/v1" + node.path.replace("{id}", "run_sample_failed")
    answer = zof.send(node.method, path, body=b"{}", headers=[("content-type", "application/json")])
    refusal = node.reasons[reason]
    documented = node.answers[refusal.status]
    assert (answer.status, answer.json["error"]["code"]) == (refusal.status, refusal.code)
    assert documented.holds["application/json"](answer.json)
    assert documented.required <= answer.headers.keys() <= documented.known | {"content-type", "content-length", "date"}


def test_before_changes_nothing() -> None:
    """A request that fails before anything happens starts no run, counts against no limit and needs no key."""
    zof = Zof(rate=Rate(limit=3))
    before = zof.get("/runs")
    add(zof, {"error": "internal_error"}, "startRun", schedule={"first": 2})
    assert [answer and answer.status for answer in (start(zof), start(zof, key="zof_nobody"))] == [500, 500]
    after = zof.get("/runs")
    assert after.content == before.content
    assert after.headers["x-ratelimit-remaining"] == "1"


def test_after_keeps_the_change() -> None:
    """A start that fails after the change has made its run, and its idempotency key replays the real answer."""
    zof = Zof()
    add(zof, {"error": "internal_error"}, "startRun", place="after", schedule={"first": 1})
    once = ("idempotency-key", "once")
    first, second = start(zof, once), start(zof, once)
    assert first is not None
    assert second is not None
    assert (first.status, second.status, second.headers["idempotency-replayed"]) == (500, 201, "true")
    assert zof.get(f"/runs/{second.json['id']}").status == 200


def test_retry_after_is_the_rules() -> None:
    """The seconds of `Retry-After`, of the message and of the window's end are those that the rule gives."""
    zof = Zof()
    add(zof, {"error": "rate_limited", "retry_after": 7})
    answer = zof.get("/runs")
    assert (answer.headers["retry-after"], answer.headers["x-ratelimit-remaining"]) == ("7", "0")
    assert int(answer.headers["x-ratelimit-reset"]) == zof.control("/clock").json["now_ms"] // 1000 + 7
    assert " 7 seconds" in answer.json["error"]["message"]


@pytest.mark.parametrize(
    ("match", "met"),
    [
        ({"organization": "org_abc"}, [True, True, True, False]),
        ({"organization": "org_other"}, [False, False, False, True]),
        ({"key": CI}, [False, True, False, False]),
        ({"header": {"X-Trace": "1"}}, [False, False, True, False]),
        ({"body": {"environment": "staging"}}, [True, True, True, True]),
        ({"body": {"test_case_ids": ["tc_login_001"]}}, [True, True, True, True]),
        ({"body": {"test_case_ids": "tc_login_001"}}, [True, True, True, True]),
        ({"body": {"environment": "production"}}, [False, False, False, False]),
        ({"path": "/v1/runs"}, [True, True, True, True]),
        ({"key": CI, "body": {"environment": "staging"}}, [False, True, False, False]),
    ],
)
def test_what_a_rule_matches(match: dict[str, Any], met: list[bool]) -> None:
    """A rule matches by operation, organization, key, path, header, and a field of the body."""
    zof = Zof()
    name = zof.tell("POST", "/faults", {"match": {"operation": "startRun", **match}, "effect": RESET}).json["id"]
    found = [start(zof), start(zof, key=CI), start(zof, ("x-trace", "1")), start(zof, key=OTHER)]
    assert [answer is None for answer in found] == met
    rule = zof.tell("GET", f"/faults/{name}").json
    assert (rule["calls"], rule["hits"]) == (sum(met), sum(met))


def test_a_key_is_never_shown() -> None:
    """No answer, journal or snapshot shows the key that a rule names."""
    zof = Zof(journal=10)
    secret = "zof_test_viewer"  # noqa: S105  a key of the default data
    zof.tell("POST", "/faults", {"match": {"key": secret}, "effect": RESET})
    told = [
        zof.tell("GET", path).content for path in ("/faults", "/config", "/journal", "/journal.ndjson", "/snapshot")
    ]
    assert not any(secret.encode() in one for one in told)


def test_a_client_sees_no_mark_unless_it_asks() -> None:
    """An answer names its fault only for a request that asks for it."""
    zof = Zof()
    name = add(zof, {"error": "internal_error"})
    plain, marked = zof.get("/runs"), prefer(zof, "show-fault")
    assert not any(name in value for value in plain.headers.values())
    assert marked.headers["x-zof-fault"] == name
    assert marked.headers["preference-applied"] == "show-fault"


def test_latency_is_real_time() -> None:
    """A latency waits for real milliseconds, drawn from the seed, and leaves the world's clock alone."""
    drawn = []
    for _ in range(2):
        zof = Zof(seed=4)
        zof.app.hosted.pauses = recorder = RecordedPauses()  # type: ignore[assignment]
        name = add(zof, {"latency_ms": [100, 900]})
        now = zof.control("/clock").json["now_ms"]
        for _ in range(5):
            assert zof.get("/runs").status == 200
        assert zof.control("/clock").json["now_ms"] == now
        drawn.append(recorder.pauses)
        assert {one for one, _ in recorder.pauses} == {name}
    assert drawn[0] == drawn[1]
    assert len(set(drawn[0])) > 1


def test_latency_delays_another_effect() -> None:
    """A latency beside another effect delays it."""
    zof = Zof()
    zof.app.hosted.pauses = recorder = RecordedPauses()  # type: ignore[assignment]
    name = add(zof, {"error": "internal_error", "latency_ms": 30})
    assert zof.get("/runs").status == 500
    assert recorder.pauses == [(name, 30)]


def test_the_journal_shows_the_fault() -> None:
    """The journal names the fault of an exchange, is filtered by it, and verifies by it."""
    zof = Zof()
    name = add(zof, {"error": "internal_error"}, schedule={"nth": 2})
    for _ in range(3):
        zof.get("/runs")
    shown = zof.tell("GET", "/journal?operation=listRuns").json["data"]
    mark = {"id": name, "place": "before", "effect": "error"}
    assert [(one["fault"], one["refused"]) for one in shown] == [
        (None, None),
        (mark, "internal_error"),
        (None, None),
    ]
    for text, count in ((name, 1), ("any", 1), ("none", 2), ("fault_9", 0)):
        asked = {"operation": "listRuns", "fault": text}
        assert len(zof.tell("GET", f"/journal?operation=listRuns&fault={text}").json["data"]) == count
        assert zof.tell("POST", "/journal/verify", {**asked, "exactly": count}).status == 200
    assert zof.tell("GET", "/journal?fault=fautl_1").error == (400, "invalid_request", "fault")


def test_every_export_takes_a_fault() -> None:
    """The journal, its HAR and its file hold exchanges without an answer, and those with a status of no name."""
    zof = Zof()
    add(zof, RESET, schedule={"first": 1})
    add(zof, {"status": 599, "undocumented": True})
    with pytest.raises(ConnectionResetError):
        zof.get("/runs")
    assert zof.get("/runs").status == 599
    shown = zof.tell("GET", "/journal").json["data"]
    assert [one["response"]["status"] for one in shown if one["fault"]] == [0, 599]
    entries = zof.tell("GET", "/journal.har").json["log"]["entries"]
    assert [(one["response"]["status"], one["response"]["statusText"]) for one in entries[-2:]] == [(0, ""), (599, "")]
    assert replay(zof.tell("GET", "/journal.ndjson").content).differing == ()


# --- which rules there can be


@pytest.mark.parametrize(
    ("rule", "param", "expected"),
    [
        ({"match": {"operation": "startrun"}, "effect": RESET}, "match.operation", "; the nearest is startRun"),
        ({"match": {"operation": "getHealth"}, "effect": RESET}, "match.operation", "an operation ID"),
        ({"match": {"organization": "org_abd"}, "effect": RESET}, "match.organization", "; the nearest is org_abc"),
        ({"match": {"key": "zof_test_cii"}, "effect": RESET}, "match.key", "a key of the world"),
        ({"match": {"path": "/v1/run"}, "effect": RESET}, "match.path", "; the nearest is /v1/runs"),
        (
            {"match": {"operation": "listRuns", "path": "/v1/results"}, "effect": RESET},
            "match.path",
            "; the nearest is /v1/runs",
        ),
        ({"match": {"body": {"enviroment": 1}}, "effect": RESET}, "match.body.enviroment", "nearest is environment"),
        ({"match": {"operation": "getRun", "body": {"x": 1}}, "effect": RESET}, "match.body.x", "no match.body"),
        ({"effect": {"error": "rate_limit_exceeded"}}, "effect.error", "an error with this code: rate_limited"),
        ({"effect": {"error": "rate_limitd"}}, "effect.error", "; the nearest is rate_limited"),
        ({"effect": {"error": "run_ended"}}, "effect.error", "only with match.operation cancelRun"),
        ({"effect": {"error": "internal_error", "retry_after": 1}}, "effect.retry_after", "no Retry-After"),
        ({"effect": {"status": 503}}, "effect.status", "or add undocumented: true"),
        ({"effect": {"status": 404}}, "effect.status", "or add undocumented: true"),
        ({"efect": RESET}, "efect", "; the nearest is effect"),
        ({"effect": {"rest": True}}, "effect.rest", "; the nearest is reset"),
    ],
)
def test_the_document_judges_a_rule(rule: dict[str, Any], param: str, expected: str) -> None:
    """A rule that names what does not exist is refused with the neighbor that was meant, and nothing changes."""
    zof = Zof()
    answer = zof.tell("POST", "/faults", rule)
    assert answer.error == (400, "invalid_request", param)
    assert expected in answer.json["error"]["message"]
    inside = zof.tell("PATCH", "/config", {"capacity": 9, "faults": [{"effect": RESET}, rule]})
    assert inside.error == (400, "invalid_request", f"faults[1].{param}")
    config = zof.tell("GET", "/config").json
    assert (config["faults"], config["capacity"]) == ([], 4)


def test_rules_are_listed_and_deleted() -> None:
    """Rules are listed in the order in which they apply, and a deleted one has no effect."""
    zof = Zof()
    first, second = add(zof, {"error": "internal_error"}), add(zof, {"error": "rate_limited"})
    assert [one["id"] for one in zof.tell("GET", "/faults").json["data"]] == [first, second]
    assert zof.get("/runs").status == 500
    assert zof.tell("DELETE", f"/faults/{first}").json["hits"] == 1
    assert zof.get("/runs").status == 429
    assert zof.tell("DELETE", f"/faults/{first}").error == (404, "not_found", None)
    zof.control("/reset")
    assert zof.get("/runs").status == 200


def count_calls(zof: Zof) -> int:
    """The number of calls that a request makes."""
    calls = 0

    def count(_frame: object, event: str, _argument: object) -> None:
        nonlocal calls
        calls += event in {"call", "c_call"}

    zof.get("/runs")
    gc.disable()  # what it calls back would be counted
    sys.setprofile(count)
    try:
        zof.get("/runs")
    finally:
        sys.setprofile(None)
        gc.enable()
    return calls


@pytest.mark.parametrize(
    "rule",
    [
        {"match": {"operation": "getRun"}},
        {"match": {"operation": "listRuns", "header": {"X-Test": "{}"}}},
        {"match": {"operation": "listRuns", "header": {"X-Test-{}": "1"}}},
        {"match": {"path": "/v1/runs/run_{}"}},
        {"match": {"organization": "org_{}"}},
        {"match": {"key": "key_{}"}},
        {"match": {"body": {"environment": "env_{}"}}},
        {"match": {"operation": "listRuns"}, "schedule": {"nth": 1_000_000}},
        {"match": {"operation": "listRuns"}, "schedule": {"every": 1_000_000}},
        {"match": {"operation": "listRuns"}, "schedule": {"first": 1_000_000}},
    ],
)
def test_many_rules_cost_no_more_than_a_few(rule: dict[str, Any]) -> None:
    """A request makes as many calls with 10,000 fault rules as with 20, and with rules that do not match few more.

    With rules for other operations it makes as many as without rules.
    """
    counts = []
    for count in (0, 20, 10_000):
        zof = Zof()
        text = json.dumps({**rule, "effect": {"malformed_json": True}})
        rules = [json.loads(text.replace("{}", str(number))) for number in range(count)]
        zof.app.hosted.world.faults.replace(FaultRule.from_json(one) for one in rules)
        counts.append(count_calls(zof))
    assert counts[1] == counts[2]
    if rule["match"].get("operation") == "getRun":
        assert counts[2] == counts[0]
    elif "schedule" not in rule:
        assert counts[2] - counts[0] < 20, counts


def test_worlds_have_their_own_rules() -> None:
    """A rule of one world has no effect in another; a fork and a snapshot carry the rules with their counts."""
    zof = Zof()
    one, other = zof.select_world("one"), zof.select_world("other")
    add(one, {"error": "internal_error"}, schedule={"nth": 2})
    assert [other.get("/runs").status for _ in range(3)] == [200, 200, 200]
    assert one.get("/runs").status == 200
    assert zof.tell("POST", "/worlds/one/fork", {"name": "fork"}).status == 201
    restored = zof.select_world("restored")
    assert restored.tell("PUT", "/snapshot", one.tell("GET", "/snapshot").json).status == 200
    for world in (zof.select_world("fork"), restored, one):
        assert [world.get("/runs").status for _ in range(2)] == [500, 200]


def test_a_snapshot_holds_any_rule() -> None:
    """A rule whose bodies hold fractions and large numbers survives a snapshot; a rule that is none is refused."""
    zof = Zof()
    effect = {"status": 500, "body": {"a": 0.5, "b": [1e30, 10**30]}}
    add(zof, effect, "startRun", match={"body": {"environment": 1.5}})
    snapshot = zof.tell("GET", "/snapshot").json
    other = Zof()
    assert other.tell("PUT", "/snapshot", snapshot).status == 200
    assert other.tell("GET", "/faults").json == zof.tell("GET", "/faults").json
    for text in ("{}", "[", '{"effect": {"reset": 1}}', "1e999"):
        snapshot["world"]["faults"]["rules"][0][1] = text
        content = orjson.dumps(snapshot["world"])
        wrong = {**snapshot, "sha256": sha256(content).hexdigest()}
        assert other.tell("PUT", "/snapshot", wrong).error == (400, "invalid_request", None)


def test_a_rule_that_nobody_judged() -> None:
    """A rule with an error that the operation lacks, as an edited snapshot may hold, has no effect."""
    zof = Zof()
    zof.app.hosted.world.faults.add(FaultRule.from_json({"effect": {"error": "run_ended"}}))
    assert zof.get("/runs").status == 200


# --- determinism

FAULTS: Final = st.fixed_dictionaries(
    {
        "effect": st.sampled_from(
            [RESET, {"error": "internal_error"}, {"status": 503, "undocumented": True}, {"malformed_json": True},
             {"truncate": True}, {"content_type": "text/html"}, {"stall": True}]
        )
    },
    optional={
        "match": st.sampled_from(
            [{"operation": "startRun"}, {"operation": "listRuns", "key": ADMIN}, {"body": {"environment": "staging"}}]
        ),
        "schedule": st.sampled_from([{"nth": 1}, {"every": 2}, {"percent": 40}, {"first": 2}]),
    },
)  # fmt: skip
STORIES: Final = st.lists(st.sampled_from(sorted(REQUESTS)), max_size=8)


def tell(zof: Zof, story: Sequence[str]) -> list[object]:
    """The answers that a client gets in a story, broken connections included."""
    heard: list[object] = []
    for step in story:
        try:
            heard.append(answer_story(zof, [step]))
        except (ConnectionError, json.JSONDecodeError, KeyError, Refused) as error:
            heard.append(repr(error))
    return heard


@settings(max_examples=25, deadline=None)
@given(st.lists(FAULTS, max_size=3), STORIES)
def test_faults_are_the_same_every_time(faults: list[dict[str, Any]], story: list[str]) -> None:
    """The same seed, rules and requests give the same answers and faults, and the journal replays byte for byte."""
    heard, journals = [], []
    for _ in range(2):
        zof = Zof(seed=3)
        for rule in faults:
            zof.tell("POST", "/faults", rule)
        heard.append(tell(zof, story))
        journals.append(zof.tell("GET", "/journal.ndjson").content)
    assert heard[0] == heard[1]
    assert journals[0] == journals[1]
    assert replay(journals[0]).differing == ()
