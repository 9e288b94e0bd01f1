"""Worlds that evolve: answers hold fields and values that the API may get without a new version."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

import pytest
from hypothesis import given, settings
from zof_emulator.cli.recorded_deliveries import RecordedDeliveries
from zof_emulator.cli.replay import replay
from zof_emulator.spec.document import find_document, load_document
from zof_emulator.webhooks.compose import compose

from tests.http.exchanges import JUDGED, STRANGERS, SUCCESSES
from tests.http.stories import answer_story, stories
from tests.zof import Zof

if TYPE_CHECKING:
    from collections.abc import Iterator

ENDPOINT = {"url": "http://127.0.0.1:9/x", "events": ["run.started", "run.completed"], "secret": "s" * 16}


def objects(value: Any, place: str = "") -> Iterator[tuple[str, dict[str, Any]]]:  # noqa: ANN401  JSON
    """Every object in a JSON value, with its place; what a new field holds is left out."""
    if isinstance(value, list):
        for one in value:
            yield from objects(one, f"{place}[]")
    elif isinstance(value, dict):
        yield place, value
        for name, one in value.items():
            if name not in NEW:
                yield from objects(one, f"{place}.{name}")


NEW = frozenset({"archived", "labels", "metadata", "owner_team", "priority", "region", "score"})


ANSWERS: Final = {**SUCCESSES, **{name: judged[-1] for name, judged in (JUDGED | STRANGERS).items()}}


@pytest.mark.parametrize("kind", sorted(ANSWERS.keys() - {"too often", "our fault"}))
def test_every_object_has_new_fields(kind: str) -> None:
    """Every object of every JSON answer, errors included, has new fields; otherwise the answer is the same."""
    before, after = ANSWERS[kind](Zof(seed=4)), ANSWERS[kind](Zof(seed=4, evolve=True))
    assert after.status == before.status
    assert all(NEW & one.keys() for _, one in objects(after.json)), after.content
    assert [place for place, _ in objects(after.json)] == [place for place, _ in objects(before.json)]


def test_without_it_nothing_is_new() -> None:
    """A world that does not evolve has no new field, and the control operations never have one."""
    assert all(not NEW & one.keys() for _, one in objects(Zof().get("/runs").json))
    assert all(not NEW & one.keys() for _, one in objects(Zof(evolve=True).control("/clock").json))


def test_a_run_is_provisioned() -> None:
    """A run is `provisioning` between `queued` and `running`, and looks as if it had not started."""
    zof = Zof(evolve=True, capacity=1)
    run = zof.start("tc_slow_1")
    seen: list[str] = []
    for _ in range(250):
        found = zof.run(run["id"])
        if not seen or seen[-1] != found["status"]:
            seen.append(found["status"])
        if found["status"] == "provisioning":
            assert found["started_at"] is None
            assert found["summary"]["queued"] == 1
            assert zof.get("/runs").json["data"][0]["status"] == "provisioning"
        zof.advance(1)
    assert run["status"] == "queued"
    assert seen == ["provisioning", "running"]
    assert zof.run(run["id"])["started_at"] is not None


def test_an_artifact_has_a_new_type() -> None:
    """Some artifacts have a type that the document lacks, always the same ones."""
    types = []
    for _ in range(2):
        zof = Zof(evolve=True)
        run = zof.complete_run(*(f"tc_{number}" for number in range(20)))
        types.append([one["type"] for one in zof.walk(f"/runs/{run['id']}/artifacts")])
    assert types[0] == types[1]
    assert set(types[0]) == {"trace", "recording", "export"}


def test_a_new_event() -> None:
    """An endpoint that gets `run.started` also gets an event of a new type, and all events have new fields."""
    zof = Zof(evolve=True, deliveries=RecordedDeliveries(()))
    assert zof.post("/webhooks", ENDPOINT).status == 201
    zof.complete_run("tc_1")
    world = zof.app.hosted.world
    events = [json.loads(compose(world, one).body) for one in world.outbox.deliveries()]
    assert [one["type"] for one in events] == ["run.provisioned", "run.started", "run.completed"]
    assert len({one["id"] for one in events}) == 3
    assert all(NEW & found.keys() for event in events for _, found in objects(event))


def test_a_new_event_is_shown() -> None:
    """The control operations list, show and repeat a delivery of the new event, as they do any other."""
    zof = Zof(evolve=True, deliveries=RecordedDeliveries(()))
    assert zof.post("/webhooks", ENDPOINT).status == 201
    zof.complete_run("tc_1")
    listed = zof.tell("GET", "/deliveries")
    assert listed.status == 200
    first = listed.json["data"][0]
    assert first["type"] == "run.provisioned"
    assert zof.tell("GET", f"/deliveries/{first['id']}").json == first
    assert zof.tell("POST", f"/deliveries/{first['id']}/actions", {"action": "redeliver"}).json["type"] == first["type"]
    snapshot = zof.tell("GET", "/snapshot").json
    other = Zof(deliveries=RecordedDeliveries(()))
    assert other.tell("PUT", "/snapshot", snapshot).status == 200
    assert other.tell("GET", "/deliveries").json["data"][0]["type"] == "run.provisioned"


def test_no_value_of_the_document_is_new() -> None:
    """The new status, the new type and the new event are in no enumeration of the document."""
    text = json.dumps(load_document(find_document("openapi.yaml")).root)
    assert not any(f'"{word}"' in text for word in ("provisioning", "recording", "run.provisioned"))


@settings(max_examples=15, deadline=None)
@given(stories)
def test_it_is_the_same_every_time(history: list[str]) -> None:
    """The same seed and requests give the same bytes, the journal replays, and another seed gives other fields."""
    one, two = Zof(seed=3, evolve=True), Zof(seed=3, evolve=True)
    assert answer_story(one, history) == answer_story(two, history)
    assert replay(one.tell("GET", "/journal.ndjson").content).differing == ()
    assert len({frozenset(Zof(seed=seed, evolve=True).get("/runs").json) for seed in range(8)}) > 1


def test_a_replayed_start_is_the_same() -> None:
    """A replay by its idempotency key has the bytes of the first answer, new fields included."""
    zof = Zof(evolve=True)
    first, second = SUCCESSES["start"](zof), SUCCESSES["start"](zof)
    assert first.status == second.status == 201
    snapshot = zof.tell("GET", "/snapshot")
    other = Zof()
    assert other.tell("PUT", "/snapshot", snapshot.json).status == 200
    assert other.get("/runs").content == zof.get("/runs").content
