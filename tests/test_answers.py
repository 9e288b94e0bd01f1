"""Every JSON answer is valid against the closed schemas of the contract, so that it has no undocumented field."""

from __future__ import annotations

import copy
import re
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

import jsonschema_rs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from zof_emulator.core.limits import Rate
from zof_emulator.core.tenants import DEFAULT, Key
from zof_emulator.spec.document import find_document, load_document

from tests.zof import CI, EXPIRED, OTHER, STAGING, VIEWER, Answer, Zof

if TYPE_CHECKING:
    from collections.abc import Iterator

CONTRACT: Final = load_document(find_document("openapi.yaml"))
JSON: Final = "application/json"
KEYWORDS: Final = {"x-pattern": "pattern", "x-extensible-enum": "enum"}
"""The keywords for the extensions of the contract in strict schemas."""


def close_schema(schema: dict[str, Any]) -> dict[str, Any]:
    """A copy of a schema that refuses unnamed properties at any depth; branches of an `allOf` share their names."""
    return _close_below(schema) | ({"unevaluatedProperties": False} if _has_properties(schema) else {})


def _has_properties(schema: dict[str, Any]) -> bool:
    return "properties" in schema or any(_has_properties(one) for one in schema.get("allOf", ()))


def _close_below(schema: dict[str, Any]) -> dict[str, Any]:
    found = {KEYWORDS.get(key, key): value for key, value in schema.items()}
    if "properties" in schema:
        found["properties"] = {name: close_schema(one) for name, one in schema["properties"].items()}
    if "items" in schema:
        found["items"] = close_schema(schema["items"])
    for keyword, close in (("anyOf", close_schema), ("oneOf", close_schema), ("allOf", _close_below)):
        if keyword in schema:
            found[keyword] = [close(one) for one in schema[keyword]]
    return found


def judges() -> Iterator[tuple[tuple[str, re.Pattern[str]], tuple[str, dict[int, Any]]]]:
    """The method and path of each operation, with its ID and the validators of its JSON answers by status."""
    for path, method, node in CONTRACT.operations():
        pattern = re.compile("/v1" + path.replace("{id}", "(?!export)[^/]+"))
        yield (method, pattern), (node["operationId"], dict(_by_status(node["responses"])))


def _by_status(responses: dict[str, Any]) -> Iterator[tuple[int, Any]]:
    for status, response in responses.items():
        schema = CONTRACT.resolve(response).get("content", {}).get(JSON, {}).get("schema")
        if schema is not None:
            yield int(status), jsonschema_rs.Draft202012Validator(close_schema(schema), validate_formats=True)


JUDGES: Final = dict(judges())
ELSEWHERE: Final = dict(_by_status(CONTRACT.root["x-elsewhere"]))


class ValidatingClient(Zof):
    """A client that validates each answer against the closed contract; `met` holds the operations and statuses seen."""

    def __init__(self, **settings: Any) -> None:  # noqa: ANN401  a setting
        super().__init__(**settings)
        self.met: set[tuple[str, int]] = set()
        self.bodies: list[tuple[Any, Any]] = []

    def send(self, method: str, target: str, **more: Any) -> Answer:  # noqa: ANN401  as of the client
        """Send a request and validate the answer."""
        answer = super().send(method, target, **more)
        path = target.partition("?")[0]
        if path.startswith("/_emulator"):
            return answer
        known = [judge for (takes, pattern), judge in JUDGES.items() if takes == method and pattern.fullmatch(path)]
        name, by_status = known[0] if known else ("", ELSEWHERE)
        self.met.add((name, answer.status))
        if answer.headers["content-type"] == JSON:
            judge = by_status[answer.status]
            judge.validate(answer.json)
            self.bodies.append((judge, answer.json))
        return answer


def read_everything(zof: Zof) -> None:
    """Read every list, every run and result, every log line and every artifact."""
    zof.walk("/projects")
    for status in (None, "queued", "running", "passed", "failed", "error", "canceled"):
        zof.walk("/runs", status=status, limit=2)
        if status not in {"queued", "running"}:
            zof.walk("/results", status=status, limit=3)
            zof.post("/results/export", {"format": "json"} | ({"status": status} if status else {}))
    for run in zof.walk("/runs", limit=100):
        zof.run(run["id"])
        zof.walk(f"/runs/{run['id']}/logs", limit=3)
        for artifact in zof.walk(f"/runs/{run['id']}/artifacts", limit=100):
            assert zof.follow(artifact["url"]).status == 200
    for result in zof.walk("/results", limit=100):
        zof.get(f"/results/{result['id']}")
        zof.walk(f"/results/{result['id']}/artifacts", limit=1)


CASES: Final = ("tc_login", "tc_pay_fail", "tc_load_error", "tc_cart_flaky", "tc_import_slow_fail")


def send_everything(zof: Zof) -> None:
    """Bring runs into every state, read everything, and send every request that can be refused."""
    ended = zof.complete_run(*CASES)["id"]
    zof.complete_run(suite="suite_nightly")
    zof.post("/runs", {**STAGING, "test_suite_id": "suite_pr_smoke"}, idempotency_key="once")
    zof.post("/runs", {**STAGING, "test_suite_id": "suite_pr_smoke"}, idempotency_key="once")
    zof.post("/runs", {**STAGING, "test_suite_id": "suite_other"}, idempotency_key="once")
    midway = zof.start(*CASES)["id"]
    zof.control(f"/runs/{midway}/advance", {"to": "next_case"})
    cut = zof.start(*CASES)["id"]
    zof.control(f"/runs/{cut}/advance", {"to": "next_case"})
    zof.post(f"/runs/{cut}/cancel")
    zof.post(f"/runs/{ended}/cancel")
    waiting = [zof.start(*CASES)["id"] for _ in range(6)]
    zof.post(f"/runs/{waiting[-1]}/cancel")
    webhook = {"url": "http://127.0.0.1:1/closed", "events": ["run.completed"]}
    made = zof.post("/webhooks", webhook, idempotency_key="webhook")
    zof.post("/webhooks", {**webhook, "events": ["run.failed"]}, idempotency_key="webhook")
    for key in ("first", "again"):
        zof.post(f"/webhooks/{made.json['id']}/test", idempotency_key=key)
    read_everything(zof)
    send_refused_requests(zof)


def send_refused_requests(zof: Zof) -> None:
    """Send requests with every kind of fault to every operation."""
    for method, pattern in JUDGES:
        path = pattern.pattern.replace("(?!export)[^/]+", "none")
        for key in (None, "nobody", EXPIRED, VIEWER, CI, OTHER, "zof_test_powerless"):
            zof.send(method, path, key=key)
        zof.send(method, f"{path}?verbose=1&limit=0&starting_after=x")
        for body in (b"{", b"[]", b"{}", b'{"format":"xml"}', b'{"project_id":"proj_missing"}', b" " * (1 << 21)):
            for media in (JSON, "text/plain"):
                zof.send(method, path, headers=[("content-type", media)], body=body)
    for wrong in ({"test_case_ids": ["x"]}, {"environment": "moon"}, {"project_id": "proj_missing"}, {"zzz": 1}):
        zof.post("/runs", {**STAGING, "test_case_ids": ["tc_login"], **wrong})
        zof.post("/results/export", {"format": "json", **wrong}, idempotency_key="")
    zof.post("/results/export", {"format": "json"}, idempotency_key="again")
    zof.post("/results/export", {"format": "csv"}, idempotency_key="again")
    for value in ("bytes=0-9", "bytes=1000000-"):
        zof.send("GET", "/v1/artifacts/art_sample_failed_0004/content", headers=[("range", value)])
    zof.send("DELETE", "/v1/runs")
    zof.send("GET", "/v1/none")


@pytest.fixture(scope="module")
def story() -> ValidatingClient:
    """A client that has sent everything, and whose answers were all valid."""
    powerless = Key("zof_test_powerless", "org_abc", frozenset())
    zof = ValidatingClient(data=replace(DEFAULT, keys=(*DEFAULT.keys, powerless)))
    send_everything(zof)
    return zof


def test_every_answer_of_a_story_holds_to_the_closed_contract(story: ValidatingClient) -> None:
    """No answer in a long sequence of requests has a field that the contract does not name."""
    assert {name for name, status in story.met if status < 300} == {name for name, _ in JUDGES.values()}
    limited = ValidatingClient(rate=Rate(1))
    limited.get("/runs")
    for method, pattern in JUDGES:
        limited.send(method, pattern.pattern.replace("(?!export)[^/]+", "none"))
    documented = {(name, status) for name, by_status in JUDGES.values() for status in by_status}
    documented |= {("", status) for status in ELSEWHERE} | {("downloadArtifact", 200)}
    broken = {(name, 500) for name, _ in JUDGES.values()} | {("", 400)}
    assert story.met | limited.met == documented - broken


histories = st.lists(
    st.tuples(st.sampled_from(["start", "start", "cancel", "wait"]), st.integers(0, 5_000)), max_size=8
)


@settings(max_examples=15)
@given(histories)
def test_every_answer_of_any_history_holds_to_the_closed_contract(history: list[tuple[str, int]]) -> None:
    """In every state of its runs, an emulator's answers have the fields of the contract and no others."""
    zof = ValidatingClient(scenario="empty", capacity=2)
    runs: list[str] = []
    for what, number in history:
        if what == "start":
            runs.append(zof.start(*CASES[number % 5 :])["id"])
        elif what == "wait":
            zof.advance(number)
        elif runs:
            zof.post(f"/runs/{runs[number % len(runs)]}/cancel")
    read_everything(zof)


def objects(value: Any) -> Iterator[dict[str, Any]]:  # noqa: ANN401  JSON
    """Every object in a JSON value whose fields the contract names; the content of a HAR is not among them."""
    if isinstance(value, dict):
        yield value
        value = [] if value.keys() == {"log"} else list(value.values())
    for inside in value if isinstance(value, list) else ():
        yield from objects(inside)


@given(st.data())
def test_a_field_that_is_planted_anywhere_is_found(story: ValidatingClient, data: st.DataObject) -> None:
    """The closed contract refuses an additional field at any depth of any answer, so these tests can fail."""
    judge, body = data.draw(st.sampled_from(story.bodies))
    planted = copy.deepcopy(body)
    data.draw(st.sampled_from(list(objects(planted))))["planted"] = None
    assert judge.is_valid(body)
    assert not judge.is_valid(planted)


def test_the_open_contract_takes_a_field_more(story: ValidatingClient) -> None:
    """The contract itself admits additional fields, so that clients tolerate new ones."""
    schema = CONTRACT.resolve(CONTRACT.root["components"]["schemas"]["RunDetail"])
    detail = story.start("tc_login")
    assert jsonschema_rs.is_valid(schema, {**detail, "planted": None})
    assert not jsonschema_rs.is_valid(close_schema(schema), {**detail, "planted": None})


SECOND: Final = 1_000
LAST: Final = "9999-12-31T23:59:59Z"


@pytest.mark.parametrize("later", [0, SECOND, 3_600 * SECOND])
def test_a_real_clock_at_the_end_of_time_still_answers(later: int) -> None:
    """An emulator whose clock was moved to the last possible second still answers while the system's clock goes on."""
    instants = [1_767_225_600_000]
    zof = ValidatingClient(clock="real", system=lambda: instants[0])
    assert zof.control("/clock/advance", {"to": LAST}).status == 200
    instants[0] += later
    assert zof.get("/runs").status == 200
    assert zof.start("tc_login")["status"] == "queued"
