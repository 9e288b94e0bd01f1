"""Worlds with scenarios: data, outcomes, history, keys, snapshots, forks, resets and replays, over requests."""

from __future__ import annotations

import json
from base64 import b64decode
from dataclasses import fields
from typing import Any, Final

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from zof_emulator import ClockMode, Settings, WorldConfig
from zof_emulator.cli.recorded_deliveries import RecordedDeliveries
from zof_emulator.cli.replay import replay
from zof_emulator.journal.masking import is_masked, mask_text
from zof_emulator.scenarios.load import list_names, load_object
from zof_emulator.scenarios.schema import SCHEMA
from zof_emulator.settings import OFF
from zof_emulator.spec.document import find_document, load_document

from tests.http.stories import REQUESTS, answer_story
from tests.scenarios.scenarios import PNG, XML, scenarios
from tests.zof import ADMIN, Zof

OWN_KEY: Final = "zof_own_secret_key"
SIGNER: Final = "signing-secret-0123456789"
OWN: Final[dict[str, Any]] = {
    "name": "own",
    "keys": [{"secret": OWN_KEY, "role": "Engineer", "note": "of the pipeline"}],
    "webhooks": [{"url": "http://127.0.0.1:9/x", "events": ["run.failed"], "secret": SIGNER}],
    "outcomes": [
        {
            "case": "tc_pay",
            "nth": 2,
            "status": "failed",
            "duration_ms": 300,
            "message": "the total was wrong",
            "category": "timeout",
            "log": ["looking", {"level": "warning", "message": "still looking"}],
            "artifacts": [XML, PNG],
        }
    ],
}


def zof_with(value: object, **more: Any) -> Zof:  # noqa: ANN401  settings
    """An emulator whose worlds begin with a scenario, and that sends nothing."""
    base = Settings(clock=ClockMode.MANUAL, rate=OFF)
    config = load_object(value).apply(base).world
    chosen = {name: getattr(config, name) for name in config.to_json()}
    return Zof(**{**chosen, **more}, deliveries=RecordedDeliveries(()))


def run_cases(zof: Zof, *cases: str, **fields: Any) -> str:  # noqa: ANN401
    """The status of a run of these cases when it has ended."""
    return str(zof.complete_run(*cases, **fields)["status"])


@settings(max_examples=60)
@given(scenarios, st.sampled_from(["manual", "auto"]), st.lists(st.sampled_from(sorted(REQUESTS)), max_size=12))
def test_any_scenario(value: dict[str, Any], clock: str, story: list[str]) -> None:
    """With any scenario no request is answered with 5xx; its snapshot is restored, and its journal replays."""
    zof = zof_with(value, clock=clock)
    answers = answer_story(zof, story)
    assert [one for one in answers if one.status >= 500] == []
    assert replay(zof.tell("GET", "/journal.ndjson").content).differing == ()
    snapshot = zof.tell("GET", "/snapshot")
    other = Zof(deliveries=RecordedDeliveries(()))
    assert other.tell("PUT", "/snapshot", snapshot.json).status == 200
    assert other.tell("GET", "/snapshot").json["world"] == snapshot.json["world"]
    assert [one for one in answer_story(other, story) if one.status >= 500] == []


@settings(max_examples=15)
@given(scenarios, st.lists(st.sampled_from(sorted(REQUESTS)), max_size=8))
def test_the_same_bytes(value: dict[str, Any], story: list[str]) -> None:
    """The same scenario, seed and clock give the same bytes, also after a reset and in a world made by a request."""
    one, two = zof_with(value), zof_with(value)
    first = [answer.content for answer in answer_story(one, story)]
    assert first == [answer.content for answer in answer_story(two, story)]
    assert one.control("/reset").status == 200
    assert [answer.content for answer in answer_story(one, story)] == first


def test_the_nth_run_of_a_case() -> None:
    """A rule decides on the n-th run of a case: status, duration, message, category, log lines and artifacts."""
    zof = zof_with(OWN)
    assert run_cases(zof, "tc_pay") == "passed"
    run = zof.complete_run("tc_pay")
    assert (run["status"], run["duration_ms"]) == ("failed", 300)
    result = zof.get("/results", run_id=run["id"]).json["data"][0]
    assert result["failure_summary"] == {"message": "the total was wrong", "category": "timeout"}
    lines = zof.walk(f"/runs/{run['id']}/logs")
    assert [(one["level"], one["message"]) for one in lines[2:6]] == [
        ("info", "tc_pay started."),
        ("info", "looking"),
        ("warning", "still looking"),
        ("error", "tc_pay failed after 300 ms. the total was wrong"),
    ]
    times = [one["timestamp"] for one in lines]
    assert times == sorted(times)
    assert run_cases(zof, "tc_pay") == "passed"


def test_artifacts_of_ones_own() -> None:
    """An artifact that a scenario gives is listed with the others and downloaded as it is."""
    zof = zof_with(OWN)
    zof.complete_run("tc_pay")
    run = zof.complete_run("tc_other", "tc_pay")
    found = zof.walk(f"/runs/{run['id']}/artifacts")
    assert [(one["name"], one["type"]) for one in found] == [
        (f"{run['id']}.junit.xml", "export"),
        (f"{run['id']}.har", "export"),
        ("a.png", "screenshot"),
        ("notes.xml", "export"),
        ("tc_pay.png", "screenshot"),
        ("tc_pay.trace.zip", "trace"),
        ("tc_other.trace.zip", "trace"),
    ]
    for one, content in ((found[2], b64decode(PNG["base64"])), (found[3], XML["text"].encode())):
        file = zof.follow(one["url"])
        assert (file.content, file.headers["content-type"]) == (content, one["content_type"])
        assert one["size_bytes"] == len(content)


@pytest.mark.parametrize(
    ("schedule", "expected"),
    [
        ({}, "fffff"),
        ({"nth": [1, 4]}, "fppfp"),
        ({"first": 2}, "ffppp"),
        ({"every": 2}, "pfpfp"),
        ({"percent": 0}, "ppppp"),
        ({"percent": 100}, "fffff"),
    ],
)
def test_schedules(schedule: dict[str, Any], expected: str) -> None:
    """A rule applies to the runs that its schedule names, for each organization by itself."""
    zof = zof_with({"outcomes": [{"case": "tc_a", "status": "failed", **schedule}]})
    assert "".join(run_cases(zof, "tc_a")[0] for _ in expected) == expected


def test_a_share_is_chosen_by_the_seed() -> None:
    """A rule with a percentage applies to about that share of the runs; another seed chooses others."""
    rule = {"outcomes": [{"case": "tc_a", "status": "failed", "percent": 30, "duration_ms": 1}]}
    stories = []
    for seed in (1, 2, 1):
        zof = zof_with(rule, seed=seed)
        stories.append("".join(run_cases(zof, "tc_a")[0] for _ in range(100)))
    assert stories[0] == stories[2] != stories[1]
    assert all(15 <= one.count("f") <= 45 for one in stories)


def test_the_nth_run_of_a_suite() -> None:
    """A rule with a suite counts the runs of the suite, and applies to all cases of that run alone."""
    zof = zof_with({"outcomes": [{"suite": "suite_a", "nth": 2, "status": "failed"}]})
    first = zof.start(suite="suite_a")
    assert zof.post(f"/runs/{first['id']}/cancel").status == 200  # it had begun, so it counts
    assert run_cases(zof, "tc_a_001") == "passed"
    runs = [zof.complete_run(suite="suite_a") for _ in range(2)]
    assert [run["status"] for run in runs] == ["failed", "passed"]
    assert {one["status"] for one in runs[0]["case_outcomes"]} == {"failed"}


def test_where_a_rule_applies() -> None:
    """The first rule that matches case, suite and environment decides; a pattern may contain `*`."""
    zof = zof_with(
        {
            "outcomes": [
                {"case": "tc_*_slow", "environment": "prod*", "status": "error"},
                {"case": "tc_a*", "status": "failed"},
                {"suite": "suite_b", "status": "error"},
                {"case": "tc_a_slow", "status": "passed"},
            ]
        }
    )
    assert run_cases(zof, "tc_a_slow") == "failed"
    assert run_cases(zof, "tc_a_slow", environment="production") == "error"
    assert run_cases(zof, "tc_b_001") == "passed"
    assert zof.complete_run(suite="suite_b")["status"] == "error"


def test_words_decide_without_a_rule() -> None:
    """Words in the IDs of cases decide where no rule does, also beside a rule that says nothing of the outcome."""
    zof = zof_with({"outcomes": [{"case": "tc_x_fail", "duration_ms": [7, 7]}]})
    run = zof.complete_run("tc_x_fail")
    assert (run["status"], run["duration_ms"]) == ("failed", 7)
    assert run_cases(zof, "tc_y_error") == "error"


def test_timing() -> None:
    """The timing of a scenario replaces the durations of all cases without a rule."""
    zof = zof_with({"timing": {"shortest_ms": 3, "longest_ms": 3, "slow_factor": 7}})
    assert zof.complete_run("tc_a", "tc_b_slow")["duration_ms"] == 3 + 21


def test_keys() -> None:
    """A key of a scenario has the permissions, the organization and the expiry that the scenario gives it."""
    zof = zof_with(
        {
            "organizations": [{"id": "org_new", "environments": ["lab"]}],
            "keys": [
                {"secret": "key-of-new", "role": "Organization Admin"},
                {"secret": "key-of-viewer", "permissions": ["projects:read"], "organization": "org_abc"},
                {"secret": "key-for-an-hour", "role": "Engineer", "organization": "org_abc", "expires_in": "1h"},
                {"secret": "key-revoked", "role": "Engineer", "revoked": True},
            ],
        }
    )
    run = zof.start("tc_new", project_id="proj_new", environment="lab", key="key-of-new")
    assert run["organization_id"] == "org_new"
    assert zof.get(f"/runs/{run['id']}").status == 404
    started = {"project_id": "proj_abc", "environment": "staging", "test_case_ids": ["tc_x"]}
    assert zof.post("/runs", started, key="key-of-viewer").status == 403
    assert zof.post("/runs", started, key="key-for-an-hour").status == 201
    zof.advance(3_600_000)
    assert zof.post("/runs", started, key="key-for-an-hour").status == 401
    assert zof.get("/runs", key="key-revoked").status == 401


def test_base_none() -> None:
    """With `base: none` a world holds what the scenario lists, and nothing of the default data."""
    zof = zof_with(
        {"base": "none", "organizations": [{"id": "org_new"}], "keys": [{"secret": "key-of-new", "role": "QA Lead"}]}
    )
    assert zof.get("/runs", key=ADMIN).status == 401
    assert zof.get("/projects", key="key-of-new").json["data"] == []


def test_history() -> None:
    """A generator makes exactly the runs that it names, spread over the period, with exactly the shares."""
    shares = {"failed_percent": 8, "error_percent": 2, "canceled_percent": 4}
    zof = zof_with(
        {"runs": [{"project": "proj_abc", "suite": "suite_pr_smoke", "count": 250, "over": "30d", **shares}]}
    )
    runs = zof.walk("/runs", limit=100)
    statuses = [one["status"] for one in runs]
    counts = {status: statuses.count(status) for status in ("failed", "error", "canceled", "passed")}
    assert counts == {"failed": 20, "error": 5, "canceled": 10, "passed": 215}
    created = [one["created_at"] for one in runs]
    assert created == sorted(created, reverse=True)
    assert "2025-12-02T00:00:00Z" <= created[-1] < "2025-12-03T00:00:00Z"
    assert "2025-12-31T00:00:00Z" < created[0] < "2026-01-01T00:00:00Z"
    assert len(zof.walk("/results", limit=100)) == 500
    assert zof.get(f"/runs/{runs[0]['id']}/artifacts").json["data"]


def test_a_single_run() -> None:
    """A run with an ID and an age exists under that ID, beside generated ones and the runs of the examples."""
    run = {"id": "run_mine", "project": "proj_abc", "cases": ["tc_x_fail"], "age": "90min"}
    more = {"project": "proj_abc", "cases": ["tc_y"], "count": 5, "over": "3h"}
    zof = zof_with({"base": "default", "runs": [run, more]})
    mine = zof.run("run_mine")
    assert (mine["status"], mine["created_at"]) == ("failed", "2025-12-31T22:30:00Z")
    assert zof.run("run_sample_passed")["status"] == "passed"
    assert zof.get("/runs/run_").status == 404
    listed = [one["id"] for one in zof.walk("/runs")]
    assert len(listed) == len(set(listed)) == 8
    assert all(zof.run(name)["id"] == name for name in listed)
    assert zof.get("/results", run_id="run_mine").json["data"][0]["id"] == "res_mine_001"


def test_queued_runs() -> None:
    """Queued runs start when the world begins, one after another where the capacity is 1."""
    zof = zof_with({"capacity": 1, "runs": [{"project": "proj_abc", "cases": ["tc_x"], "state": "queued", "count": 3}]})
    assert [one["status"] for one in zof.walk("/runs")] == ["queued", "queued", "running"]
    zof.advance(60_000)
    ended = zof.walk("/runs")
    assert {one["status"] for one in ended} == {"passed"}
    assert ended[1]["completed_at"] <= ended[0]["completed_at"]


def test_secrets_are_kept_out() -> None:
    """No key and no webhook secret of a scenario is in what describes a world, nor on its page."""
    zof = zof_with(OWN)
    zof.get("/runs", key=OWN_KEY)
    shown = [
        zof.tell("GET", path).content
        for path in ("/scenario", "/journal", "/journal.ndjson", "/journal.har", "/worlds", "/snapshot")
    ]
    page = zof.send("GET", "/", key=None).content
    assert [one for one in (*shown, page) if OWN_KEY.encode() in one] == []
    assert [one for one in (*shown[:-1], page) if SIGNER.encode() in one] == []
    scenario = zof.tell("GET", "/scenario").json["scenario"]
    assert scenario["webhooks"][0]["secret"] == mask_text(SIGNER)
    assert is_masked(scenario["webhooks"][0]["secret"])
    digest = scenario["keys"][0]["digest"]
    assert len(digest) == 64
    for header in (digest, f"Bearer {digest}", f"\n{digest}"):
        assert zof.send("GET", "/v1/runs", key=None, headers=[("authorization", header)]).status == 401


def test_a_snapshot_in_another_process() -> None:
    """A snapshot works in a process that does not know its scenario: rules, counts and keys go on."""
    zof = zof_with(OWN)
    assert run_cases(zof, "tc_pay") == "passed"
    other = Zof(deliveries=RecordedDeliveries(()))
    assert other.get("/runs", key=OWN_KEY).status == 401
    assert other.tell("PUT", "/snapshot", zof.tell("GET", "/snapshot").json).status == 200
    assert other.get("/runs", key=OWN_KEY).status == 200
    assert other.send("GET", "/v1/runs", key=None, headers=[("authorization", f"bearer {OWN_KEY}")]).status == 200
    assert ADMIN in other.world.keys  # the process knows this one
    digest = zof.tell("GET", "/scenario").json["scenario"]["keys"][0]["digest"]
    for header in (digest, f"Bearer {digest}"):
        assert other.send("GET", "/v1/runs", key=None, headers=[("authorization", header)]).status == 401
    assert run_cases(other, "tc_pay", key=OWN_KEY) == "failed"
    assert run_cases(zof, "tc_pay") == "failed"


def test_a_fork() -> None:
    """A fork has the scenario of its parent, and begins again with it after a reset."""
    zof = zof_with(OWN)
    assert zof.tell("POST", "/worlds/default/fork", {"name": "copy"}).status == 201
    copy = zof.select_world("copy")
    for _ in range(2):
        assert [outcome_of_world(copy), outcome_of_world(copy)] == ["passed", "failed"]
        assert copy.get("/runs", key=OWN_KEY).status == 200
        assert copy.send("POST", "/_emulator/reset", key=None).status == 200


def outcome_of_world(zof: Zof) -> str:
    """The status of a run of the case that the scenario has a rule for, in a world that is not the default one."""
    run = zof.start("tc_pay")
    content = json.dumps({"to": "end"}).encode()
    headers = [("content-type", "application/json")]
    zof.send("POST", f"/_emulator/runs/{run['id']}/advance", key=None, headers=headers, body=content)
    return str(zof.run(run["id"])["status"])


def test_replay() -> None:
    """A journal replays with the keys of its scenario, although it does not hold them."""
    zof = zof_with(OWN)
    zof.key = OWN_KEY
    for _ in range(2):
        zof.complete_run("tc_pay")
    zof.get("/runs")
    zof.get("/runs", key="unknown-key")
    content = zof.tell("GET", "/journal.ndjson").content
    assert OWN_KEY.encode() not in content
    found = replay(content)
    assert (found.exchanges, found.differing) == (6, ())


def test_a_world_by_a_request() -> None:
    """A request makes a world with any setting, and with a scenario by name or as an object."""
    zof = Zof()
    made = {"name": "a", "scenario": "slow-queue", "capacity": 2, "rate": {"limit": 7}, "environments": ["qa"]}
    made |= {"max_runs": 9, "references": "strict", "envelope": "legacy", "seed": 5, "clock": "auto"}
    answer = zof.tell("POST", "/worlds", made)
    assert (answer.status, answer.json["scenario"]) == (201, "slow-queue")
    config = zof.app.worlds.find("a").config
    assert (config.capacity, config.rate.limit, config.max_runs, config.seed) == (2, 7, 9, 5)
    assert (config.environments, config.references.value, config.envelope.value) == (("qa",), "strict", "legacy")
    assert zof.tell("POST", "/worlds", {"name": "b", "scenario": OWN}).json["scenario"] == "own"
    assert zof.select_world("b").get("/runs", key=OWN_KEY).status == 200
    assert zof.tell("POST", "/worlds", {"name": "c"}).json["scenario"] == "default"


def test_the_document_has_every_setting() -> None:
    """The body that creates a world has a field for every setting of a world."""
    described = load_document(find_document("control.yaml")).find_node("#/components/schemas/CreateWorld")["properties"]
    assert set(described) == {"name", *(one.name for one in fields(WorldConfig))}


def test_put_scenario() -> None:
    """A world starts again with another scenario, also after later resets; a mistake changes nothing."""
    zof = Zof(capacity=3)
    zof.start()
    before = zof.tell("GET", "/snapshot").json
    wrong = zof.tell("PUT", "/scenario", {"scenario": {"outcomes": [{"status": "fail"}], "capcity": 1}})
    assert wrong.error == (400, "invalid_request", "scenario")
    assert "outcomes[0].status" in wrong.json["error"]["message"]
    assert "the nearest is capacity" in wrong.json["error"]["message"]
    assert zof.tell("GET", "/snapshot").json == before
    answer = zof.tell("PUT", "/scenario", {"scenario": OWN})
    assert (answer.status, answer.json["name"], answer.json["settings"]["capacity"]) == (200, "own", 3)
    for _ in range(2):
        assert [run_cases(zof, "tc_pay"), run_cases(zof, "tc_pay")] == ["passed", "failed"]
        zof.control("/reset")
    assert zof.tell("PUT", "/scenario", {"scenario": "tight-limits"}).json["settings"]["capacity"] == 1
    assert zof.tell("GET", "/scenario").json["scenario"]["name"] == "tight-limits"
    assert zof.tell("PUT", "/scenario", {"scenario": "default"}).json["scenario"] == "default"


def test_a_new_world_has_the_scenario_of_the_default_world() -> None:
    """A world that its first request creates begins as the default world does now."""
    zof = Zof()
    assert zof.select_world("before").get("/runs", key=OWN_KEY).status == 401
    zof.tell("PUT", "/scenario", {"scenario": OWN})
    assert zof.select_world("after").get("/runs", key=OWN_KEY).status == 200
    assert zof.select_world("before").get("/runs", key=OWN_KEY).status == 200


def test_the_schema_is_served() -> None:
    """The schema of scenarios is an answer of the emulator."""
    assert Zof().tell("GET", "/scenario-schema.json").json == SCHEMA


@pytest.mark.parametrize("name", list_names())
def test_built_in(name: str) -> None:
    """A world can begin with each built-in scenario, by its name alone."""
    zof = Zof()
    assert zof.tell("PUT", "/scenario", {"scenario": name}).status == 200
    assert zof.get("/runs").status == 200


def test_what_the_built_in_scenarios_do() -> None:
    """Each built-in scenario does what it is for."""
    assert run_cases(zof_with("all-green"), "tc_x_fail", "tc_y_error") == "passed"
    flaky = zof_with("flaky-suite")
    assert len({flaky.complete_run(suite="suite_flaky")["status"] for _ in range(30)}) > 1
    queue = zof_with("slow-queue")
    assert queue.start()["status"] == "queued"
    queue.advance(60_000)
    assert queue.walk("/runs")[0]["status"] == "queued"
    outage = zof_with("platform-outage")
    assert run_cases(outage) == "error"
    order = {"project_id": "proj_abc", "environment": "staging", "test_case_ids": ["tc_x"]}
    assert [outage.post("/runs", order).status for _ in range(3)] == [500, 201, 500]
    tight = zof_with("tight-limits", rate=load_object("tight-limits").settings["rate"])
    assert [tight.get("/runs").status for _ in range(6)] == [200] * 5 + [429]
    many = zof_with("many-runs")
    assert len(many.world.runs) == 10_000
