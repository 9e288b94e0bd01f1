"""Every example of the contract is the answer of a fresh emulator to the request that the contract shows."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlencode

import pytest
from zof_emulator.app import EPOCH
from zof_emulator.core.deliveries import AttemptResult, EventFacts
from zof_emulator.core.endpoints import MOST_ENDPOINTS
from zof_emulator.core.faults import MOST_RULES as MOST_FAULTS
from zof_emulator.core.faults import FaultRule
from zof_emulator.core.instants import LAST
from zof_emulator.core.limits import Rate
from zof_emulator.core.outbox import MOST_RULES
from zof_emulator.core.tenants import DEFAULT, Key
from zof_emulator.http import control_access
from zof_emulator.spec.document import Document, find_document, load_document

from tests.zof import ADMIN, EXPIRED, VIEWER, Answer, Zof

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

CONTRACT: Final = load_document(find_document("openapi.yaml"))
CONTROL: Final = load_document(find_document("control.yaml"))
JSON: Final = ("content-type", "application/json")
POWERLESS: Final = "zof_test_powerless"


@dataclass(frozen=True)
class Asked:
    """A request for an operation of a document, with the values of the document's own examples."""

    document: Document
    prefix: str
    method: str
    path: str
    name: str = "fresh"

    @property
    def node(self) -> dict[str, Any]:
        """The operation's node in the document."""
        found: dict[str, Any] = self.document.root["paths"][self.path][self.method.lower()]
        return found

    @property
    def target(self) -> str:
        """Its path, with the example of its ID."""
        return self.make_path(self._example(self._parameters("path").get("id", {})) or "")

    def make_path(self, name: str) -> str:
        """Its path, with this ID."""
        return self.prefix + self.path.replace("{id}", name)

    @property
    def query(self) -> str:
        """The query of the examples of its parameters; empty when there is none."""
        found = {name: one["examples"][self.name]["value"] for name, one in self._parameters("query").items()}
        return f"?{urlencode(found)}" if found else ""

    def body(self) -> dict[str, Any]:
        """The body of the example, or of the first one; empty when there is none."""
        content = self.node.get("requestBody", {}).get("content", {}).get("application/json", {})
        found: dict[str, Any] = self._example(content) or {}
        return found

    def is_paired(self) -> bool:
        """Whether the request has an example of this name wherever it has examples at all."""
        content = self.node.get("requestBody", {}).get("content", {}).get("application/json", {})
        path = self._parameters("path").values()
        return all(self.name in one["examples"] for one in (*path, content) if "examples" in one)

    def names(self) -> list[str]:
        """The names of the examples of its request; its own when there are none."""
        content = self.node.get("requestBody", {}).get("content", {}).get("application/json", {})
        nodes = (*self._parameters("path").values(), content)
        return [name for one in nodes for name in one.get("examples", ())] or [self.name]

    def _parameters(self, place: str) -> dict[str, dict[str, Any]]:
        """Its parameters in this place that have examples: all, or of a query those with one of this name."""
        found = [self.document.follow(one) for one in self.node.get("parameters", ())]
        found = [one for one in found if one["in"] == place and "examples" in one]
        return {one["name"]: one for one in found if place == "path" or self.name in one["examples"]}

    def _example(self, node: Mapping[str, Any]) -> Any:  # noqa: ANN401  a JSON value
        examples = node.get("examples", {})
        return examples.get(self.name, next(iter(examples.values()), {})).get("value")

    def send(self, zof: Zof, *, query: str = "", content: bytes | None = None, **more: Any) -> Answer:  # noqa: ANN401
        """Send the request; arguments replace parts of it."""
        sent = (json.dumps(self.body()).encode() if self.body() else b"") if content is None else content
        more.setdefault("headers", [JSON] if sent else [])
        return zof.send(self.method, self.target + query, body=sent, **more)

    def send_fields(self, zof: Zof, **fields: object) -> Answer:
        """Send the request with other fields in its body; a field that is None is left out."""
        body = {name: value for name, value in {**self.body(), **fields}.items() if value is not None}
        return self.send(zof, content=json.dumps(body).encode())

    def twice(self, zof: Zof, field: str) -> Answer:
        """Send the request with one field repeated in its body."""
        pair = f'"{field}": {json.dumps(self.body().get(field, "passed"))}'
        rest = json.dumps({name: value for name, value in self.body().items() if name != field})[1:-1]
        return self.send(zof, content=f"{{{pair}, {pair}{rest and ', '}{rest}}}".encode())


def all_operations() -> Iterator[Asked]:
    """Every operation of both documents."""
    for document, prefix in ((CONTRACT, "/v1"), (CONTROL, control_access.PREFIX)):
        yield from (Asked(document, prefix, method, path) for path, method, _ in document.operations())


def examples(*, of_errors: bool) -> Iterator[Any]:
    """Each example of a response, with its operation, status and media type."""
    for asked in all_operations():
        for status, response in asked.node["responses"].items():
            for media, content in asked.document.follow(response).get("content", {}).items():
                for name, example in content.get("examples", {}).items():
                    if (int(status) >= 400) is of_errors:
                        found = asked.document.follow(example)["value"]
                        label = f"{asked.node['operationId']}-{status}-{name}-{media.partition('/')[2]}"
                        yield pytest.param(replace(asked, name=name), int(status), media, found, id=label)


def make_emulator(**settings: Any) -> Zof:  # noqa: ANN401
    """A fresh emulator with an additional key that has no permission."""
    powerless = Key(POWERLESS, "org_abc", frozenset())
    return Zof(data=replace(DEFAULT, keys=(*DEFAULT.keys, powerless)), **settings)


def _use_up_limit(asked: Asked, _zof: Zof) -> Answer:
    zof = make_emulator(rate=Rate(1))
    asked.send(zof)
    return asked.send(zof)


OTHERS: Final = {"startRun": "suite", "exportResults": "csv"}
"""An example of another body, by operation."""


def _reuse_key(asked: Asked, zof: Zof) -> Answer:
    headers, operation = [JSON, ("idempotency-key", "once")], asked.node["operationId"]
    asked.send(zof, headers=headers)
    return asked.send(zof, headers=headers, content=json.dumps(replace(asked, name=OTHERS[operation]).body()).encode())


def _reused_with(**fields: object) -> Callable[[Asked, Zof], Answer]:
    """Asks twice under one key, the second time with other fields."""

    def ask(asked: Asked, zof: Zof) -> Answer:
        headers = [JSON, ("idempotency-key", "once")]
        asked.send(zof, headers=headers)
        return asked.send(zof, headers=headers, content=json.dumps({**asked.body(), **fields}).encode())

    return ask


def _bug(asked: Asked, zof: Zof) -> Answer:
    def broken(*_: object) -> Any:  # noqa: ANN401
        raise ZeroDivisionError

    api = zof.app.api if asked.document is CONTRACT else zof.app.control
    api._table = {asked.node["operationId"]: broken}  # noqa: SLF001
    return asked.send(zof)


def _powerless(asked: Asked, zof: Zof) -> Answer:
    return asked.send(zof, key=VIEWER if asked.node["operationId"] != "listProjects" else POWERLESS)


def _at_the_end_of_time(asked: Asked, zof: Zof) -> Answer:
    zof.advance(LAST - EPOCH)
    run = zof.start("tc_a")["id"]
    return zof.send(asked.method, asked.make_path(run), key=None)


def _sent_as(body: object) -> Callable[[Asked, Zof], Answer]:
    """A function that sends the request with this body."""
    return lambda asked, zof: asked.send(zof, content=json.dumps(body).encode(), headers=[JSON])


def _one_world(asked: Asked, _zof: Zof) -> Answer:
    return asked.send(make_emulator(max_worlds=1))


def _no_world(asked: Asked, zof: Zof) -> Answer:
    target = asked.target.replace("default", "alpha")
    content = json.dumps(asked.body()).encode() if asked.body() else b""
    return zof.send(asked.method, target, body=content, headers=[JSON] if content else [])


TOO_LATE: Final = {"to": "2025-12-31T00:00:00Z"}

PROVOKED: Final[Mapping[str, Callable[[Asked, Zof], Answer]]] = {
    "key_missing": lambda asked, zof: asked.send(zof, key=None),
    "key_repeated": lambda asked, zof: asked.send(zof, headers=[JSON, ("authorization", f"Bearer {ADMIN}")]),
    "key_invalid": lambda asked, zof: asked.send(zof, key="zof_test_nobody"),
    "key_expired": lambda asked, zof: asked.send(zof, key=EXPIRED),
    "permission_missing": _powerless,
    "rate_limited": _use_up_limit,
    "internal_error": _bug,
    "invalid_header": lambda asked, zof: asked.send(zof, headers=[JSON, ("idempotency-key", "k" * 256)]),
    "unknown_parameter": lambda asked, zof: asked.send(zof, query="?verbose=1"),
    "repeated_parameter": lambda asked, zof: asked.send(zof, query="?limit=1&limit=1"),
    "invalid_cursor": lambda asked, zof: asked.send(zof, query="?starting_after=made-up"),
    "body_missing": lambda asked, zof: asked.send(zof, content=b""),
    "body_unreadable": lambda asked, zof: asked.send(zof, content=b'{"project_id": 1e999}', headers=[JSON]),
    "body_malformed": lambda asked, zof: asked.send(zof, content=b'{"project_id": ', headers=[JSON]),
    "body_too_large": lambda asked, zof: asked.send(zof, content=b" " * ((1 << 20) + 1), headers=[JSON]),
    "body_not_json": lambda asked, zof: asked.send(zof, content=b"a=1", headers=[("content-type", "text/plain")]),
    "body_coded": lambda asked, zof: asked.send(zof, content=b"x", headers=[JSON, ("content-encoding", "gzip")]),
    "unknown_field": lambda asked, zof: asked.send_fields(zof, name="x"),
    "missing_alternative": lambda asked, zof: asked.send_fields(zof, test_case_ids=None, by_ms=None),
    "run_not_found": lambda asked, zof: zof.send(asked.method, asked.make_path("run_0")),
    "result_not_found": lambda asked, zof: zof.send("GET", asked.make_path("res_0")),
    "artifact_not_found": lambda asked, zof: zof.send("GET", asked.make_path("art_0")),
    "range_not_satisfiable": lambda asked, zof: asked.send(zof, headers=[("range", "bytes=1000000-")]),
    "run_ended": lambda asked, zof: zof.send(asked.method, asked.make_path("run_sample_failed")),
    "idempotency_key_reused": _reuse_key,
    "time_out_of_range": lambda asked, zof: asked.send(zof, content=json.dumps(TOO_LATE).encode()),
    "project_not_found": lambda asked, zof: asked.send_fields(zof, project_id="proj_missing"),
    "test_case_not_found": lambda asked, zof: asked.send_fields(zof, test_case_ids=["tc_1", "tc_missing_001"]),
    "test_suite_not_found": lambda asked, zof: asked.send_fields(
        zof, test_case_ids=None, test_suite_id="suite_missing"
    ),
}

NO_WEBHOOK: Final = "webhook_not_found"


def _too_many_webhooks(asked: Asked, zof: Zof) -> Answer:
    for _ in range(MOST_ENDPOINTS):
        asked.send(zof)
    return asked.send(zof)


def _too_many_rules(asked: Asked, zof: Zof) -> Answer:
    for _ in range(MOST_RULES):
        asked.send(zof)
    return asked.send(zof)


def _too_many_faults(asked: Asked, zof: Zof) -> Answer:
    """Adds a rule to as many as a world may have."""
    faults = zof.app.hosted.world.faults
    faults.replace([FaultRule.from_json({"effect": {"reset": True}})] * MOST_FAULTS)
    return asked.send(zof)


def _on_a_delivery(action: str) -> Callable[[Asked, Zof], Answer]:
    """Disturbs the one delivery of a test, which has been made by then."""

    def ask(asked: Asked, zof: Zof) -> Answer:
        outbox = zof.world.outbox
        outbox.send_test(outbox.endpoints.get(0), EventFacts("run_test", "run_test"), zof.world.now)
        (taken,) = outbox.take(zof.world.now)
        outbox.finish(taken.number, AttemptResult(204), zof.world.now)
        target = asked.target.replace("del_0", outbox.ids.delivery(taken.number))
        return zof.send(
            "POST", target, body=json.dumps({"action": action, "tampering": "old_event"}).encode(), headers=[JSON]
        )

    return ask


PROVOKED_OF_CONTROL: Final[Mapping[str, Callable[[Asked, Zof], Answer]]] = {
    "unknown_field": lambda asked, zof: asked.send_fields(zof, verbose_name="x"),
    "world_not_found": _no_world,
    "too_many_worlds": _one_world,
    "world_exists": lambda asked, zof: asked.send_fields(zof, name="default"),
    "no_journal": lambda asked, _zof: asked.send(make_emulator(journal=0)),
}

BY_OPERATION: Final[Mapping[tuple[str, str], Callable[[Asked, Zof], Answer]]] = {
    ("createWebhook", "repeated_field"): lambda asked, zof: asked.twice(zof, "url"),
    ("createWebhook", "missing_field"): lambda asked, zof: asked.send_fields(zof, events=None),
    ("createWebhook", "unknown_choice"): lambda asked, zof: asked.send_fields(zof, events=["run.ended"]),
    ("createWebhook", "invalid_value"): lambda asked, zof: asked.send_fields(zof, url="ftp://127.0.0.1/"),
    ("createWebhook", "too_many_webhooks"): _too_many_webhooks,
    ("createWebhook", "idempotency_key_reused"): _reused_with(events=["run.failed"]),
    ("testWebhook", NO_WEBHOOK): lambda asked, zof: zof.send("POST", asked.target.replace("wh_sample", "wh_0")),
    ("createDeliveryRule", "repeated_field"): lambda asked, zof: asked.twice(zof, "action"),
    ("createDeliveryRule", "missing_field"): lambda asked, zof: asked.send_fields(zof, action=None),
    ("createDeliveryRule", "unknown_choice"): lambda asked, zof: asked.send_fields(zof, action="lose"),
    ("createDeliveryRule", "invalid_value"): lambda asked, zof: asked.send_fields(zof, delay_ms=-1),
    ("createDeliveryRule", "unknown_field"): lambda asked, zof: asked.send_fields(zof, name="x"),
    ("createDeliveryRule", NO_WEBHOOK): lambda asked, zof: asked.send_fields(zof, webhook_id="wh_0"),
    ("createDeliveryRule", "too_many_rules"): _too_many_rules,
    ("createFault", "repeated_field"): lambda asked, zof: asked.twice(zof, "effect"),
    ("createFault", "invalid_value"): _sent_as([]),
    ("createFault", "invalid_rule"): lambda asked, zof: asked.send_fields(zof, match={"operation": "startrun"}),
    ("createFault", "too_many_faults"): _too_many_faults,
    ("getFault", "fault_not_found"): lambda asked, zof: asked.send(zof),
    ("deleteFault", "fault_not_found"): lambda asked, zof: asked.send(zof),
    ("changeConfig", "unknown_field"): lambda asked, zof: asked.send_fields(zof, name="x"),
    ("changeConfig", "repeated_field"): lambda asked, zof: asked.twice(zof, "capacity"),
    ("changeConfig", "invalid_value"): lambda asked, zof: asked.send_fields(zof, capacity=0),
    ("changeConfig", "unknown_choice"): lambda asked, zof: asked.send_fields(zof, clock="fast"),
    ("changeConfig", "invalid_rule"): lambda asked, zof: asked.send_fields(zof, faults=[{"effect": {}}]),
    ("disturbDelivery", "repeated_field"): lambda asked, zof: asked.twice(zof, "action"),
    ("disturbDelivery", "missing_field"): lambda asked, zof: asked.send_fields(zof, action=None),
    ("disturbDelivery", "unknown_choice"): lambda asked, zof: asked.send_fields(zof, action="lose"),
    ("disturbDelivery", "invalid_value"): lambda asked, zof: asked.send_fields(zof, delay_ms=-1),
    ("disturbDelivery", "unknown_field"): lambda asked, zof: asked.send_fields(zof, name="x"),
    ("disturbDelivery", "delivery_not_found"): lambda asked, zof: asked.send(zof),
    ("disturbDelivery", "delivery_not_pending"): _on_a_delivery("drop"),
    ("disturbDelivery", "no_older_event"): _on_a_delivery("tamper"),
    ("getDelivery", "delivery_not_found"): lambda asked, zof: asked.send(zof),
    ("listDeliveries", "unknown_choice"): lambda asked, zof: asked.send(zof, query="?status=lost"),
    ("sendEvent", "repeated_field"): lambda asked, zof: asked.twice(zof, "type"),
    ("sendEvent", "missing_field"): lambda asked, zof: asked.send_fields(zof, type=None),
    ("sendEvent", "unknown_choice"): lambda asked, zof: asked.send_fields(zof, type="run.ended"),
    ("sendEvent", "invalid_value"): lambda asked, zof: asked.send_fields(zof, run_id="1"),
    ("sendEvent", "unknown_field"): lambda asked, zof: asked.send_fields(zof, name="x"),
    ("sendEvent", "organization_not_found"): lambda asked, zof: asked.send_fields(zof, organization_id="org_none"),
    ("startRun", "repeated_field"): lambda asked, zof: asked.twice(zof, "environment"),
    ("startRun", "missing_field"): lambda asked, zof: asked.send_fields(zof, project_id=None),
    ("startRun", "conflicting_field"): lambda asked, zof: asked.send_fields(zof, test_suite_id="suite_pr_smoke"),
    ("startRun", "unknown_choice"): lambda asked, zof: asked.send_fields(zof, environment="qa"),
    ("startRun", "invalid_value"): lambda asked, zof: asked.send_fields(zof, test_case_ids=["tc_1", "login"]),
    ("exportResults", "repeated_field"): lambda asked, zof: asked.twice(zof, "status"),
    ("exportResults", "missing_field"): lambda asked, zof: asked.send_fields(zof, format=None),
    ("exportResults", "unknown_choice"): lambda asked, zof: asked.send_fields(zof, format="xml"),
    ("exportResults", "invalid_value"): lambda asked, zof: asked.send_fields(zof, run_id="1"),
    ("advanceClock", "repeated_field"): lambda asked, zof: asked.twice(zof, "by_ms"),
    ("advanceClock", "conflicting_field"): lambda asked, zof: asked.send_fields(zof, to="2026-01-01T00:00:00Z"),
    ("advanceClock", "invalid_value"): lambda asked, zof: asked.send_fields(zof, by_ms=-1),
    ("advanceClock", "unknown_field"): lambda asked, zof: asked.send_fields(zof, name="x"),
    ("advanceClock", "unknown_choice"): _sent_as({"until": "noon"}),
    ("advanceClock", "run_id_alone"): _sent_as({"by_ms": 1, "run_id": "run_sample_failed"}),
    ("advanceClock", "run_not_found"): _sent_as({"until": "run_ended", "run_id": "run_0"}),
    ("advanceClock", "run_ended"): _sent_as({"until": "run_ended", "run_id": "run_sample_failed"}),
    ("advanceClock", "nothing_due"): _sent_as({"until": "next"}),
    ("advanceRun", "unknown_field"): lambda asked, zof: asked.send_fields(zof, name="x"),
    ("createWorld", "repeated_field"): lambda asked, zof: asked.twice(zof, "name"),
    ("createWorld", "missing_field"): lambda asked, zof: asked.send_fields(zof, name=None),
    ("createWorld", "unknown_choice"): lambda asked, zof: asked.send_fields(zof, clock="fast"),
    ("createWorld", "invalid_value"): lambda asked, zof: asked.send_fields(zof, name="-"),
    ("createWorld", "invalid_scenario"): lambda asked, zof: asked.send_fields(zof, scenario="slow-queu"),
    ("putScenario", "repeated_field"): lambda asked, zof: asked.twice(zof, "scenario"),
    ("putScenario", "unknown_field"): lambda asked, zof: asked.send_fields(zof, name="x"),
    ("putScenario", "missing_field"): lambda asked, zof: asked.send_fields(zof, scenario=None),
    ("putScenario", "invalid_value"): lambda asked, zof: asked.send_fields(zof, scenario=1),
    ("putScenario", "invalid_scenario"): lambda asked, zof: asked.send_fields(zof, scenario="slow-queu"),
    ("forkWorld", "repeated_field"): lambda asked, zof: asked.twice(zof, "name"),
    ("forkWorld", "missing_field"): lambda asked, zof: asked.send_fields(zof, name=None),
    ("forkWorld", "invalid_value"): lambda asked, zof: asked.send_fields(zof, name="-"),
    ("deleteWorld", "world_needed"): lambda asked, zof: asked.send(zof),
    ("resetWorld", "unknown_field"): _sent_as({"name": "x"}),
    ("resetWorld", "invalid_value"): _sent_as([]),
    ("verifyJournal", "conflict"): _sent_as({"operation": "cancelRun"}),
    ("verifyJournal", "repeated_field"): lambda asked, zof: asked.twice(zof, "exactly"),
    ("verifyJournal", "invalid_value"): lambda asked, zof: asked.send_fields(zof, exactly=-1),
    ("restoreSnapshot", "repeated_field"): lambda asked, zof: asked.twice(zof, "version"),
    ("restoreSnapshot", "missing_field"): lambda asked, zof: asked.send_fields(zof, world=None),
    ("restoreSnapshot", "invalid_value"): lambda asked, zof: asked.send_fields(zof, version="1"),
    ("restoreSnapshot", "snapshot_unreadable"): lambda asked, zof: asked.send(zof),
    ("changeConfig", "body_too_large"): lambda asked, zof: zof.send(
        asked.method, asked.target, headers=[JSON, ("content-length", str((8 << 20) + 1))]
    ),
    ("restoreSnapshot", "body_too_large"): lambda asked, zof: zof.send(
        asked.method, asked.target, headers=[JSON, ("content-length", str(1 << 50))]
    ),
    ("advanceRun", "repeated_field"): lambda asked, zof: asked.twice(zof, "to"),
    ("advanceRun", "time_out_of_range"): _at_the_end_of_time,
    ("advanceRun", "unknown_choice"): lambda asked, zof: asked.send_fields(zof, to="start"),
    ("advanceRun", "invalid_value"): lambda asked, zof: asked.send(zof, content=b"[]", headers=[JSON]),
    ("listRuns", "unknown_choice"): lambda asked, zof: asked.send(zof, query="?status=done"),
    ("listResults", "unknown_choice"): lambda asked, zof: asked.send(zof, query="?status=queued"),
}


@pytest.mark.parametrize(("asked", "status", "media", "value"), list(examples(of_errors=True)))
def test_an_error(asked: Asked, status: int, media: str, value: object) -> None:
    """Every example of an error can be provoked, and the answer is equal to the example."""
    operation = asked.node["operationId"]
    zof = make_emulator()
    of_control = PROVOKED_OF_CONTROL if asked.document is CONTROL else {}
    provoke = BY_OPERATION.get((operation, asked.name)) or of_control.get(asked.name) or PROVOKED.get(asked.name)
    answer = provoke(asked, zof) if provoke else asked.send(zof, query="?limit=0")
    assert (answer.status, answer.headers["content-type"]) == (status, media)
    assert answer.json == value


def test_the_examples_of_successes_are_one_story() -> None:
    """A fresh emulator, sent the examples in the order of the document, answers with the examples of the same names."""
    zof, told = Zof(), 0
    for asked, status, media, value in (one.values for one in examples(of_errors=False)):
        name = f"{asked.node['operationId']}, {asked.name}"
        assert asked.is_paired(), name
        answer = asked.send(zof, query=asked.query)
        assert (answer.status, answer.headers["content-type"]) == (status, media), name
        assert (answer.json if media == "application/json" else answer.content.decode()) == value, name
        for header, node in asked.node["responses"][str(status)]["headers"].items():
            shown = asked.document.follow(node).get("examples", {}).get(asked.name)
            assert shown is None or shown["value"] == answer.headers[header.lower()], name
        told += 1
    assert told > 10


def test_every_example_of_a_request_is_accepted() -> None:
    """A fresh emulator, sent every named request in the order of the document, refuses none."""
    zof = Zof()
    for asked in all_operations():
        if asked.document is CONTRACT:
            for name in asked.names():
                assert replace(asked, name=name).send(zof).status < 300, (asked.path, name)


@pytest.mark.parametrize("name", ["cases", "suite"])
def test_a_request_that_the_pages_print(name: str) -> None:
    """The starts that S0 and S1 print are accepted as printed."""
    body = Asked(CONTRACT, "/v1", "POST", "/runs", name).body()
    answer = Zof().post("/runs", body, key=ADMIN)
    assert answer.status == 201
    assert answer.json["project_id"] == body["project_id"]


def test_every_operation_that_answers_json_shows_an_answer() -> None:
    """Every operation of the contract has an example of its answer."""
    shown = {asked.values[0].node["operationId"] for asked in examples(of_errors=False)}
    assert shown >= {node["operationId"] for _, _, node in CONTRACT.operations()}


def test_the_ids_in_parameters_exist() -> None:
    """Every ID that is an example of a parameter exists on a fresh emulator, except a delivery and a fault rule."""
    for asked in all_operations():
        if asked.method == "GET" and "{id}" in asked.path:
            is_missing = asked.node["operationId"] in {"getDelivery", "getFault"}
            assert asked.send(Zof()).status == (404 if is_missing else 200)
