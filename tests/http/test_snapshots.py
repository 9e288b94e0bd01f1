"""Snapshots: a restored world continues like the original, and an invalid snapshot changes nothing."""

from __future__ import annotations

import json
import tracemalloc
from hashlib import sha256
from typing import Any, Final

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from zof_emulator.control.snapshot_reader import SnapshotReader
from zof_emulator.core.catalogue import Order
from zof_emulator.core.limits import Rate, RateScope
from zof_emulator.core.tenants import DEFAULT

from tests.http.stories import answer_story, list_api_answers, stories
from tests.http.test_slices import Call
from tests.zof import STAGING, Answer, Zof

RATES: Final = st.sampled_from(
    [Rate(limit=1_000), Rate(limit=9), Rate(limit=9, scope=RateScope.ORGANIZATION), Rate(limit=3, burst=4)]
)
LARGE: Final = 100
CLOCKS: Final = st.sampled_from(["manual", "auto", "real"])


def put(zof: Zof, content: bytes) -> Answer:
    """The answer to a snapshot of these bytes."""
    return zof.send(
        "PUT", "/_emulator/snapshot", key=None, headers=[("content-type", "application/json")], body=content
    )


def take_snapshot(zof: Zof) -> bytes:
    """A snapshot."""
    answer = zof.tell("GET", "/snapshot")
    assert answer.status == 200
    return answer.content


@settings(max_examples=60)  # each makes two emulators
@given(
    before=stories,
    after=stories,
    rate=RATES,
    clock=CLOCKS,
    capacity=st.integers(1, 3),
    max_runs=st.sampled_from([1, 2, LARGE]),
)
def test_goes_on_as_the_original(  # noqa: PLR0913, PLR0917  what a world has
    before: list[str], after: list[str], rate: Rate, clock: str, capacity: int, max_runs: int
) -> None:
    """After any history, a world restored in another emulator answers with the original's bytes."""
    one = Zof(rate=rate, clock=clock, capacity=capacity, max_runs=max_runs, seed=5)
    answer_story(one, before)
    other = Zof()
    answer_story(other, ["start", "start once"])
    assert put(other, take_snapshot(one)).status == 200
    assert list_api_answers(other, after) == list_api_answers(one, after)


def test_an_event_that_no_webhook_can_name() -> None:
    """A snapshot in which an endpoint or a rule names a type to which nobody can subscribe is refused."""
    zof = Zof()
    assert zof.post("/webhooks", {"url": "http://127.0.0.1:9/x", "events": ["run.failed"]}).status == 201
    assert zof.tell("POST", "/delivery-rules", {"action": "drop", "type": "run.failed"}).status == 201
    for part in ("endpoints", "rules"):
        state = json.loads(take_snapshot(zof))["world"]
        state["outbox"][part] = json.loads(json.dumps(state["outbox"][part]).replace("run.failed", "run.provisioned"))
        assert put(Zof(), sign_snapshot(state)).status == 400


@settings(max_examples=30)
@given(before=stories, after=stories, rate=RATES)
def test_fork_equals_restore(before: list[str], after: list[str], rate: Rate) -> None:
    """A fork equals a world that was restored from the parent's snapshot, also later."""
    zof = Zof(rate=rate)
    answer_story(zof, before)
    assert zof.tell("POST", "/worlds/default/fork", {"name": "fork"}).status == 201
    fork, twin = zof.select_world("fork"), Zof().select_world("fork")
    assert put(twin, take_snapshot(zof)).status == 200
    assert take_snapshot(fork) == take_snapshot(zof) == take_snapshot(twin)
    assert list_api_answers(fork, after) == list_api_answers(twin, after)


@given(before=stories)
def test_what_is_restored_is_the_same_again(before: list[str]) -> None:
    """A snapshot of a restored world equals the snapshot that it was restored from."""
    zof = Zof(rate=Rate(limit=9))
    answer_story(zof, before)
    snapshot = take_snapshot(zof)
    assert put(zof.select_world("again"), snapshot).status == 200
    assert take_snapshot(zof.select_world("again")) == snapshot


def test_what_a_restore_says() -> None:
    """The answer to a restore has the seed and the numbers of runs and answered requests."""
    zof = Zof(seed=3)
    answer_story(zof, ["start", "start", "runs"])
    other = Zof()
    assert put(other, take_snapshot(zof)).json == {"seed": 3, "runs": 4, "requests": 3}
    assert other.tell("GET", "/worlds/default").json["from_snapshot"] is True
    assert other.tell("GET", "/journal").json["data"] == []


def test_reset_after_a_restore() -> None:
    """A reset after a restore uses the emulator's settings, not the snapshot's."""
    zof = Zof(seed=3)
    assert put(zof, take_snapshot(Zof(seed=4, scenario="empty"))).status == 200
    zof.control("/reset")
    found = zof.tell("GET", "/worlds/default").json
    assert (found["seed"], found["runs"], found["from_snapshot"]) == (3, 2, False)


@given(before=stories)
def test_no_secret(before: list[str]) -> None:
    """A snapshot holds no key's secret, whatever the scope of the rate limit."""
    zof = Zof(rate=Rate(limit=9))
    answer_story(zof, before)
    snapshot = take_snapshot(zof)
    assert not [key.secret for key in DEFAULT.keys if key.secret.encode() in snapshot]


SNAPSHOT: Final = take_snapshot(Zof(scenario="empty"))
TARGET: Final = Zof()


def restore_refused(content: bytes) -> str:
    """The message that refuses an invalid snapshot; fails if anything changed."""
    before = take_snapshot(TARGET)
    answer = put(TARGET, content)
    assert answer.error[:2] == (400, "invalid_request"), answer.content
    assert take_snapshot(TARGET) == before
    message: str = answer.json["error"]["message"]
    assert message.isprintable()
    return message


@settings(max_examples=300)
@given(index=st.integers(0, len(SNAPSHOT) - 1), flipped=st.integers(1, 255))
def test_one_damaged_byte(index: int, flipped: int) -> None:
    """A snapshot in which bits of any one byte are flipped is refused, and changes nothing."""
    restore_refused(SNAPSHOT[:index] + bytes([SNAPSHOT[index] ^ flipped]) + SNAPSHOT[index + 1 :])


@given(size=st.integers(0, len(SNAPSHOT) - 1))
def test_a_truncated_file(size: int) -> None:
    """A truncated snapshot is refused and changes nothing."""
    restore_refused(SNAPSHOT[:size])


def sign_snapshot(world: Any, **other: object) -> bytes:  # noqa: ANN401  a JSON value
    """A snapshot with this content and the right digest."""
    digest = sha256(orjson.dumps(world)).hexdigest()
    return orjson.dumps({"format": "zof-emulator-world", "version": 4, "sha256": digest, "world": world} | other)


def sign_text(world: bytes) -> bytes:
    """A snapshot with this text as its world, and the right digest."""
    digest = sha256(world).hexdigest()
    return b'{"format":"zof-emulator-world","version":4,"world":%b,"sha256":"%b"}' % (world, digest.encode())


@pytest.mark.parametrize("version", [0, 1, 99, -1])
def test_another_version(version: int) -> None:
    """A snapshot of another version is refused, and the message names both versions."""
    assert f"version {version}, and this emulator reads 4" in restore_refused(
        sign_snapshot(json.loads(SNAPSHOT)["world"], version=version)
    )


@pytest.mark.parametrize(
    "content",
    [b"", b"{}", b"[]", b"null", b"1", b'"x"', b"\xff", b'{"format": "zof-emulator-world"}', b'{"log": {}}',
     b'{"format":"zof-emulator-world","version":4,"sha256":"","world":{}}',
     b'{"format":"zof-emulator-world","version":4,"sha256":"","world":' + b'{"a":' * 300 + b"1" + b"}" * 301,
     b'{"format":"zof-emulator-world","version":true,"sha256":"","world":{}}',
     sign_snapshot({}), sign_snapshot({}, format="zof-emulator-journal"), sign_snapshot({}, more=1)],
    ids=[str(number) for number in range(15)],
)  # fmt: skip
def test_other_json(content: bytes) -> None:
    """A document that is no snapshot is refused."""
    restore_refused(content)


@pytest.mark.parametrize("name", sorted(json.loads(SNAPSHOT)["world"]))
@pytest.mark.parametrize("value", [None, True, "x", -1, 1.5, [1], {"x": 1}, [[1, 2]]], ids=repr)
def test_a_world_that_cannot_be(name: str, value: object) -> None:
    """A snapshot with a right digest is refused when one field of its world has a value of another kind."""
    restore_refused(sign_snapshot(json.loads(SNAPSHOT)["world"] | {name: value}))


def test_a_large_snapshot() -> None:
    """A snapshot of more than 64 MiB fits back in; the bound is what the largest world of its kind takes."""
    assert put(TARGET, SNAPSHOT + b" " * (65 << 20)).status == 200
    small = Zof(max_runs=1, scenario="empty")
    assert small.send("PUT", "/_emulator/snapshot", headers=[("content-length", str(1 << 40))]).status == 413


def test_a_snapshot_of_many_runs() -> None:
    """A snapshot that is sent in several pieces is restored, and its world continues."""
    zof = Zof(scenario="empty")
    for _ in range(1_100):
        zof.start("tc_a")
    snapshot = take_snapshot(zof)
    assert len(json.loads(snapshot)["world"]["runs"]) == 1_100
    assert put(TARGET, snapshot).status == 200
    assert take_snapshot(TARGET) == snapshot


def many_runs(count: int) -> Zof:
    """An emulator with this many queued and running runs."""
    zof = Zof(scenario="empty", capacity=2)
    order = Order("proj_abc123", "staging", tuple(f"tc_case_{place}" for place in range(20)))
    for _ in range(count):
        zof.world.start("org_abc", order)
    return zof


def test_others_are_served_while_a_snapshot_is_restored() -> None:
    """Between the pieces of a body and between the slices of the work after it, other requests are answered."""
    snapshot = take_snapshot(many_runs(5_000))
    zof = Zof()
    restore = Call(zof, "PUT", "/_emulator/snapshot", body=snapshot)
    steps = 0
    while not restore.step():
        steps += 1
        for path in ("/_emulator/health", "/w/other/v1/runs"):
            served = Call(zof, "GET", path)
            assert served.step()
            assert served.answer.status == 200
    assert restore.answer.json["runs"] == 5_000
    assert steps > len(snapshot) // (1 << 16) + 3


def test_others_are_served_while_kept_answers_are_written() -> None:
    """The answers that a world keeps for repeated requests are written in slices; the snapshot is restored whole."""
    zof = Zof(rate=Rate(limit=1_000))
    cases = {**STAGING, "test_case_ids": [f"tc_{number}" for number in range(500)]}
    for number in range(40):
        assert zof.post("/runs", cases, idempotency_key=f"key-{number}").status == 201
    written = Call(zof, "GET", "/_emulator/snapshot")
    steps = 1
    while not written.step():
        steps += 1
    assert steps > 4
    snapshot = written.answer.content
    assert len(json.loads(snapshot)["world"]["answers"]) == 40
    other = Zof()
    assert put(other, snapshot).status == 200
    assert take_snapshot(other) == snapshot
    assert other.post("/runs", cases, idempotency_key="key-39").headers["idempotency-replayed"] == "true"


def test_others_are_served_while_a_world_is_forked() -> None:
    """A fork of a large world is made in slices; it is there when it is complete, and equals its parent."""
    zof = many_runs(5_000)
    before = take_snapshot(zof)
    fork = Call(zof, "POST", "/_emulator/worlds/default/fork", body=b'{"name": "fork"}')
    assert not fork.step()
    assert zof.tell("GET", "/worlds/fork").status == 404
    while not fork.step():
        pass
    assert fork.answer.status == 201
    assert take_snapshot(zof.select_world("fork")) == before


def test_a_restore_takes_memory_once() -> None:
    """Restoring takes little memory beyond that of the restored world: the text of the runs is not kept."""
    snapshot = take_snapshot(many_runs(5_000))
    zof = Zof(scenario="empty")
    pieces = [snapshot[place : place + (1 << 16)] for place in range(0, len(snapshot), 1 << 16)]
    headers = [("content-type", "application/json")]
    tracemalloc.start()
    try:
        assert zof.send("PUT", "/_emulator/snapshot", headers=headers, pieces=pieces).status == 200
        now, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak - now < len(snapshot) / 3


def test_a_window_of_an_unknown_key() -> None:
    """A snapshot may hold the rate limit of a key that this emulator does not know; the next snapshot holds it too."""
    world = json.loads(SNAPSHOT)["world"]
    saved = sign_snapshot(world | {"limits": {"0" * 24: [world["now"], 1, False]}})
    assert put(TARGET, saved).status == 200
    assert json.loads(take_snapshot(TARGET))["world"] == json.loads(saved)["world"]


def test_white_space_changes_nothing() -> None:
    """A snapshot with other white space between its values is the same snapshot."""
    assert put(TARGET, json.dumps(json.loads(SNAPSHOT), indent=2).encode()).status == 200
    assert take_snapshot(TARGET) == SNAPSHOT


def test_runs_come_last() -> None:
    """A world whose runs come before another part is refused, since that part decides whether they are valid."""
    world = json.loads(SNAPSHOT)["world"]
    assert "world.config is missing before world.runs" in restore_refused(
        sign_snapshot({"runs": world.pop("runs"), **world})
    )


def test_a_repeated_part_is_refused() -> None:
    """A world that names a part twice is refused, and a document that names a field twice."""
    assert "world is given twice" in restore_refused(SNAPSHOT[:-1] + b',"world":{}}')
    world = orjson.dumps(json.loads(SNAPSHOT)["world"])
    twice = world.replace(b'"started":', b'"started":0,"started":')
    assert "world.started is given twice" in restore_refused(sign_text(twice))
    assert "world.runs is not its last part" in restore_refused(sign_text(world[:-1] + b',"more":1}'))


def test_a_value_that_is_too_long() -> None:
    """A document in which a value is longer than any snapshot has it is refused as such, and not as malformed."""
    for content in ({"format": "x" * 100_000}, [1] * 100_000, {"world": {"runs": [["x" * (1 << 20)]]}}):
        assert "a value in it is longer than in any snapshot" in restore_refused(orjson.dumps(content))


def test_a_long_part_is_read_as_it_arrives() -> None:
    """The rows of a part are read one after another, so that no piece of a long part takes much time or memory."""
    world = json.loads(SNAPSHOT)["world"]
    world["run_counts"] = [["org_abc", f"tc_{number}", 1] for number in range(20_000)]
    content = sign_snapshot(world)
    reader, size = SnapshotReader(), 1 << 14
    for place in range(0, len(content), size):
        reader.feed(content[place : place + size])
        assert len(reader._pieces._text) <= 2 * size  # noqa: SLF001  what is not parsed yet
    reader.finish()
    assert reader.parts["world"].state["run_counts"] == world["run_counts"]


def test_repeated_fields_are_counted_once() -> None:
    """A field that is given many times takes the memory of one."""
    reader = SnapshotReader()
    reader.feed(b"{" + b",".join([b'"format":1'] * 500) + b"}")
    assert reader.finish() == ({"format": 1}, ("format",))
