"""Control operations with any values, in any order, on any clock: no answer is a 5xx, and all JSON is readable."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import pytest
import zof_emulator
from hypothesis import given, settings
from hypothesis import strategies as st
from zof_emulator.cli.recorded_deliveries import RecordedDeliveries
from zof_emulator.core.limits import Rate
from zof_emulator.core.refusal import Refused
from zof_emulator.spec import document
from zof_emulator.spec.operation import compile_operations

from tests.zof import Answer, Zof

if TYPE_CHECKING:
    from random import Random

START: Final = {"project_id": "proj_a", "environment": "staging", "test_case_ids": ["tc_a", "tc_flaky", "tc_slow_fail"]}
ADVANCE: Final = "/_emulator/clock/advance"
REQUESTS: Final[tuple[tuple[str, str, Any], ...]] = (
    ("POST", ADVANCE, {"by_ms": 1_000}),
    *(
        ("POST", ADVANCE, {"until": until})
        for until in ("next", "run_ended", "window_reset", "delivered", "webhook_due")
    ),
    *(("POST", ADVANCE, {"to": to}) for to in ("2027-01-01T00:00:00Z", "9999-12-31T23:59:59Z")),
    *(("POST", "/_emulator/runs/{run}/advance", {"to": to}) for to in ("case", "end")),
    ("POST", "/_emulator/reset", None),
    ("GET", "/_emulator/worlds", None),
    ("POST", "/_emulator/worlds", {"name": "one", "clock": "auto", "capacity": 2}),
    ("POST", "/_emulator/worlds/default/fork", {"name": "fork"}),
    *(("DELETE", f"/_emulator/worlds/{name}", None) for name in ("one", "fork")),
    ("GET", "/_emulator/deliveries", None),
    ("POST", "/_emulator/deliveries/{delivery}/actions", {"action": "redeliver"}),
    ("POST", "/_emulator/delivery-rules", {"action": "delay", "delay_ms": 1_000, "times": 2}),
    ("DELETE", "/_emulator/delivery-rules", None),
    ("POST", "/_emulator/events", {"type": "run.started", "organization": "org_abc"}),
    *(("GET", f"/_emulator/{path}", None) for path in ("journal?limit=3", "journal.har", "journal.ndjson", "snapshot")),
    ("POST", "/_emulator/journal/verify", {"operation": "startRun", "at_least": 0}),
    ("DELETE", "/_emulator/journal", None),
    ("PUT", "/_emulator/snapshot", None),
    ("POST", "/v1/runs", START),
    ("POST", "/v1/webhooks", {"url": "http://127.0.0.1:9/x", "events": ["run.completed", "run.started"]}),
    ("POST", "/v1/runs/{run}/cancel", None),
    ("POST", "/v1/results/export", {"format": "json"}),
    *(("GET", f"/v1/{path}", None) for path in ("runs", "runs/{run}", "runs/{run}/logs", "results", "webhooks")),
)
NUMBERS: Final = (
    0,
    1,
    -1,
    2,
    999,
    1 << 31,
    1 << 53,
    1 << 63,
    1 << 64,
    10**18,
    253_402_300_799_999,
    253_402_300_800_000,
)
TEXTS: Final = (
    *("", "a", "org_abc", "run_sample_passed", "default", "fork", "x" * 65, "../x", "\ud800", "\0", "é", "case", "end"),
    *("2026-01-01T00:00:00Z", "9999-12-31T23:59:59Z", "9999-12-31T23:59:60Z", "0001-01-01T00:00:00Z", "2026-13-01"),
    *("next", "delivered", "auto", "real", "delay", "duplicate", "tamper", "signature", "run.started", "key", "empty"),
)
NAMES: Final = (
    *(
        "by_ms",
        "to",
        "until",
        "run_id",
        "name",
        "seed",
        "clock",
        "rate_limit",
        "burst",
        "capacity",
        "max_runs",
        "action",
    ),
    *("webhook_id", "type", "times", "delay_ms", "tampering", "operation", "exactly", "headers", "body", "before"),
)


def any_value(random: Random, depth: int = 0) -> Any:  # noqa: ANN401  JSON
    """A JSON value of any kind."""
    kind = random.randrange(10 if depth < 3 else 8)
    if kind < 3:
        return random.choice(NUMBERS)
    if kind < 7:
        return random.choice(TEXTS)
    if kind == 7:
        return random.choice((None, True, False, 1.5, -0.0, 1e308))
    if kind == 8:
        return [any_value(random, depth + 1) for _ in range(random.randrange(3))]
    return {random.choice(NAMES): any_value(random, depth + 1) for _ in range(random.randrange(3))}


def disturb(random: Random, body: Any) -> Any:  # noqa: ANN401  JSON
    """A body in which up to two fields are changed, added or removed."""
    if body is None:
        return any_value(random) if random.random() < 0.3 else None
    changed = dict(body)
    for _ in range(random.randrange(3)):
        kind = random.randrange(3)
        if kind == 0 and changed:
            del changed[random.choice(list(changed))]
        else:
            changed[random.choice(list(changed) if kind == 1 and changed else NAMES)] = any_value(random)
    return changed


class Client:
    """Sends random requests to one emulator, and names the runs and deliveries that it has seen."""

    def __init__(self, zof: Zof, random: Random) -> None:
        self.zof = zof
        self.random = random
        self.names = {"{run}": ["run_sample_passed"], "{delivery}": ["del_x"]}
        self.snapshots: list[bytes] = []

    def send_one(self) -> tuple[str, str, bytes, Answer]:
        """Send a request: method, target, body and answer."""
        random = self.random
        method, target, body = random.choice(REQUESTS)
        if random.random() < 0.5:
            body = disturb(random, body)
        content = b"" if body is None else json.dumps(body, ensure_ascii=False).encode("utf-8", "surrogatepass")
        if method == "PUT" and self.snapshots:
            content = random.choice(self.snapshots)
        for mark, names in self.names.items():
            target = target.replace(mark, random.choice(names))
        if random.random() < 0.1:
            target = random.choice(("/w/one", "/w/fork", "/w/new")) + target
        answer = self.zof.send(method, target, headers=[("content-type", "application/json")], body=content)
        self._note(target, answer)
        return method, target, content, answer

    def _note(self, target: str, answer: Answer) -> None:
        if answer.headers.get("content-type") == "application/json":
            found = json.loads(answer.content)
            if target.endswith("/runs") and answer.status == 201:
                self.names["{run}"].append(found["id"])
            if target.endswith("/deliveries") and answer.status == 200:
                self.names["{delivery}"] += [one["id"] for one in found["data"]][-3:]
        if target.endswith("/snapshot") and answer.headers.get("content-disposition"):
            self.snapshots.append(answer.content)


@settings(max_examples=60)
@given(
    random=st.randoms(use_true_random=False),
    clock=st.sampled_from(["manual", "auto", "real"]),
    capacity=st.sampled_from([1, 3]),
    limit=st.sampled_from([5, 1_000]),
)
def test_no_request_finds_a_bug(random: Random, clock: str, capacity: int, limit: int) -> None:
    """No request of a random story is answered with 5xx, whatever its values are."""
    zof = Zof(
        clock=clock,
        capacity=capacity,
        max_runs=5,
        rate=Rate(limit=limit),
        deliveries=RecordedDeliveries(()),
        system=partial(next, iter(range(1_767_225_600_000, 1 << 60, 700))),
    )
    client = Client(zof, random)
    for _ in range(50):
        method, target, content, answer = client.send_one()
        assert answer.status < 500, (method, target, content, answer.content)


BODIES: Final = (
    *sorted({(method, target) for method, target, _ in REQUESTS if method != "GET"}),
    ("POST", "/_emulator/faults"),
    ("PATCH", "/_emulator/config"),
    ("PUT", "/_emulator/scenario"),
)


@pytest.mark.parametrize(("method", "target"), BODIES)
@pytest.mark.parametrize("name", ["unheard_of", "effect", "name", "project_id", "scenario", "by_ms"])
def test_a_name_that_is_repeated(method: str, target: str, name: str) -> None:
    """A body that repeats a name is answered without 5xx, whether the operation knows the name or not."""
    body = f'{{"{name}": 1, "{name}": 2}}'.encode()
    zof = Zof(clock="manual", deliveries=RecordedDeliveries(()))
    target = target.format(run="run_sample_passed", delivery="del_x")
    answer = zof.send(method, target, headers=[("content-type", "application/json")], body=body)
    assert answer.status < 500, answer.content


@pytest.mark.parametrize("operation", ["verifyJournal", "createDeliveryRule"])
def test_every_count_has_a_maximum(operation: str) -> None:
    """A number in a request's body that the emulator keeps or compares has a maximum, which JSON can write."""
    control = document.load_document(Path(zof_emulator.__file__).with_name("control.yaml"))
    (found,) = [one for one in compile_operations(control) if one.id == operation]
    assert found.body is not None
    names = {"verifyJournal": ("exactly", "at_least", "at_most"), "createDeliveryRule": ("times",)}[operation]
    for name in names:
        for number in (1e308, 1 << 63, 10**30):
            with pytest.raises(Refused, match="invalid_value"):
                found.body.rules.judge({"action": "drop", name: number} if name == "times" else {name: number}, {})


@pytest.mark.parametrize("wanted", [1, None, ["x"], {"a": 1}, 10**30])
def test_a_header_that_is_no_text(wanted: object) -> None:
    """The journal is not compared with a header whose value is no text; the header is named."""
    answer = Zof().tell("POST", "/journal/verify", {"headers": {"X-Trace": wanted}})
    assert (answer.status, answer.json["error"]["param"]) == (400, "headers.X-Trace")


@pytest.mark.parametrize("name", ["after", "before"])
@pytest.mark.parametrize(
    "instant",
    ["9999-12-31T23:59:59.9999Z", "9999-12-31T23:59:59-23:59", "0000-01-01T00:00:00Z", "0001-01-01T00:00:00%2B23:59"],
)
def test_an_instant_outside_the_years_1_to_9999(name: str, instant: str) -> None:
    """The journal can be asked for any instant that RFC 3339 can write."""
    zof = Zof()
    zof.start()
    assert zof.control(f"/journal?{name}={instant}").status == 200
    asked = {name: instant.replace("%2B", "+"), "at_least": 2}
    assert zof.tell("POST", "/journal/verify", asked).status == 409


@pytest.mark.parametrize("name", ["created_after", "created_before"])
def test_a_timestamp_that_is_given_twice_and_lost_its_plus(name: str) -> None:
    """A parameter that is given twice is refused as such, also if its last value has a `+` that was read as a space."""
    instant = "2026-01-01T00:00:00+02:00"
    answer = Zof().get(f"/runs?{name}={instant}&{name}={instant}")
    assert (answer.status, answer.json["error"]["message"]) == (400, f"{name} is given twice")


def test_a_delivery_after_the_end_of_time() -> None:
    """A delivery whose next attempt would be due after the year 9999 is shown without an instant for it."""
    zof = Zof(deliveries=RecordedDeliveries(()))
    assert zof.post("/webhooks", {"url": "http://127.0.0.1:9/x", "events": ["run.started"]}).status == 201
    assert zof.tell("POST", "/delivery-rules", {"action": "delay", "delay_ms": 10_000}).status == 201
    assert zof.control("/clock/advance", {"to": "9999-12-31T23:59:58Z"}).status == 200
    zof.start()
    (delivery,) = zof.tell("GET", "/deliveries").json["data"]
    assert (delivery["status"], delivery["next_attempt_at"]) == ("pending", None)
    assert zof.control("/journal.ndjson").status == 200
