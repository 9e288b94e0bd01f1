"""Worlds: their selection, creation, deletion and isolation."""

from __future__ import annotations

import gc
import json
import logging
import re
from typing import TYPE_CHECKING, Any, Final
from weakref import ref

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from zof_emulator.app import EPOCH
from zof_emulator.core.limits import Rate

from tests.http.stories import REQUESTS, answer_story, list_api_answers, stories
from tests.zof import STAGING, Answer, Zof

if TYPE_CHECKING:
    from collections.abc import Iterator

IDS: Final = re.compile(rb"(?:/w/[a-z-]+)?/(runs|v1)/")
NAMES: Final = ["a", "Z", "9", "a.b-c_d", "default", "x" * 64]
IMPOSSIBLE: Final = ["", ".", "-a", "_a", "a b", "ä", "x" * 65, "a%2Fb", "a%00", "%", "%2e%2e", "a%"]


def names(zof: Zof) -> list[str]:
    """All worlds."""
    return [one["name"] for one in zof.tell("GET", "/worlds").json["data"]]


def ask_by_header(zof: Zof, name: str, target: str = "/v1/runs", method: str = "GET") -> Answer:
    """The answer to a request that names a world by the header."""
    return zof.send(method, target, headers=[("x-zof-world", name)])


def runs(zof: Zof) -> list[str]:
    """The runs of a world."""
    return [one["id"] for one in zof.walk("/runs")]


@pytest.mark.parametrize("name", NAMES)
def test_path_and_header_name_the_same_world(name: str) -> None:
    """Path, header, or both select the same world."""
    zof = Zof(scenario="empty")
    started = zof.select_world(name).start()["id"]
    assert [one["id"] for one in ask_by_header(zof, name).json["data"]] == [started]
    assert [one["id"] for one in ask_by_header(zof.select_world(name), name).json["data"]] == [started]
    assert runs(zof) == ([started] if name == "default" else [])


def test_no_mark() -> None:
    """A request without a world goes to the default one."""
    zof = Zof(scenario="empty")
    started = zof.start()["id"]
    assert runs(zof.select_world("default")) == [started]
    assert names(zof) == ["default"]


@pytest.mark.parametrize("name", ["b", "A", ""])
def test_path_and_header_differ(name: str) -> None:
    """A path and a header with different worlds are refused, and neither world is created."""
    zof = Zof()
    assert ask_by_header(zof.select_world("a"), name).error == (400, "invalid_request", "X-Zof-World")
    assert names(zof) == ["default"]


@pytest.mark.parametrize("path", ["/v1/runs", "/_emulator/clock", "/", ""])
@pytest.mark.parametrize("name", IMPOSSIBLE)
def test_name_that_cannot_be(name: str, path: str) -> None:
    """An invalid world name is refused in path, header and body, and no world is created."""
    zof = Zof()
    assert zof.send("GET", f"/w/{name}{path}").error == (400, "invalid_request", "name")
    if "%" not in name:
        assert ask_by_header(zof, name).error == (400, "invalid_request", "X-Zof-World")
        assert zof.tell("POST", "/worlds", {"name": name}).error == (400, "invalid_request", "name")
        assert zof.tell("POST", "/worlds/default/fork", {"name": name}).error == (400, "invalid_request", "name")
    assert names(zof) == ["default"]


def test_header_given_twice() -> None:
    """Two worlds in two headers are refused."""
    answer = Zof().send("GET", "/v1/runs", headers=[("x-zof-world", "a"), ("x-zof-world", "b")])
    assert answer.error == (400, "invalid_request", "X-Zof-World")


@pytest.mark.parametrize(
    ("method", "path"),
    [("DELETE", "/_emulator/worlds/a"), ("POST", "/w/a/_emulator/reset"), ("PUT", "/w/a/_emulator/scenario")],
)
def test_the_memory_of_a_world_is_free_at_once(method: str, path: str) -> None:
    """A world that was deleted or replaced is free at once, without the collector of reference cycles."""
    zof = Zof()
    inside = zof.select_world("a")
    inside.start("tc_a")
    assert inside.post("/webhooks", {"url": "http://127.0.0.1:9/x", "events": ["agent.offline"]}).status == 201
    world = ref(zof.app.worlds.find("a").world)
    gc.disable()
    try:
        body = b'{"scenario": "empty"}' if method == "PUT" else b""
        assert zof.send(method, path, key=None, headers=[("content-type", "application/json")], body=body).status == 200
        assert world() is None
    finally:
        gc.enable()


def links(value: Any) -> Iterator[str]:  # noqa: ANN401  a JSON value
    """All links in an answer."""
    if isinstance(value, dict):
        yield from (one for key, one in value.items() if key in {"url", "logs_url"} and one)
        value = list(value.values())
    if isinstance(value, list):
        for one in value:
            yield from links(one)


@pytest.mark.parametrize("by_header", [False, True])
def test_links_lead_back(by_header: bool) -> None:  # noqa: FBT001
    """Every link in an answer leads to the same world and can be followed."""
    zof = Zof(scenario="empty")
    inside = zof.select_world("a")
    body = json.dumps({**STAGING, "test_case_ids": ["tc_fail"]}).encode()
    told_by = zof if by_header else inside
    mark = [("x-zof-world", "a")] if by_header else []
    started = told_by.send("POST", "/v1/runs", headers=[("content-type", "application/json"), *mark], body=body)
    run = started.json["id"]
    inside.control(f"/runs/{run}/advance", {"to": "end"})
    found = [started.headers["location"]]
    for path in (
        "/runs",
        f"/runs/{run}",
        f"/runs/{run}/artifacts",
        "/results",
        f"/results/{run.replace('run', 'res')}_001",
    ):
        found += links(told_by.send("GET", f"/v1{path}", headers=mark).json)
    assert len(found) > 6
    assert {one.startswith("http://127.0.0.1:9630/w/a/") for one in found} == {True}
    assert {zof.follow(one).status for one in found} == {200}
    (server,) = inside.control("/openapi.json").json["servers"]
    assert zof.follow(f"{server['url']}/runs").json["data"][0]["id"] == run


@settings(max_examples=25)  # each makes two emulators
@given(
    steps=st.lists(st.tuples(st.sampled_from(["default", "a", "b"]), st.sampled_from(sorted(REQUESTS))), max_size=15)
)
def test_no_cross_talk(steps: list[tuple[str, str]]) -> None:
    """State, clock, limits, idempotency, journal and request IDs of a world do not depend on other worlds."""
    together = Zof(rate=Rate(limit=12))
    for world, step in steps:
        answer_story(together.select_world(world), [step])
    for name in ("default", "a", "b"):
        alone = Zof(rate=Rate(limit=12)).select_world(name)
        answer_story(alone, [step for world, step in steps if world == name])
        for path in ("/snapshot", "/journal.ndjson", "/clock"):
            assert together.select_world(name).tell("GET", path).content == alone.tell("GET", path).content
        assert list_api_answers(together.select_world(name), ["runs", "start once"]) == list_api_answers(
            alone, ["runs", "start once"]
        )


def test_made_with_all_that_may_be_said() -> None:
    """A world begins with the seed, clock and scenario of its creation."""
    zof = Zof()
    made = zof.tell("POST", "/worlds", {"name": "a", "seed": 7, "clock": "auto", "scenario": "empty"})
    assert made.status == 201
    expected = {"name": "a", "base_url": "http://127.0.0.1:9630/w/a/v1", "seed": 7, "scenario": "empty", "runs": 0}
    assert made.json.items() >= {**expected, "from_snapshot": False, "requests": 0, "exchanges": 0}.items()
    assert made.json["clock"]["mode"] == "auto"
    assert zof.select_world("a").start()["id"] == Zof(seed=7, scenario="empty").start()["id"]
    assert zof.tell("GET", "/worlds/a").json["requests"] == 1


def test_made_as_the_default_one() -> None:
    """Omitted fields have the default world's values, also in a world created by its first request."""
    zof = Zof(seed=5, clock="auto", scenario="empty")
    said = zof.tell("POST", "/worlds", {"name": "a"}).json
    runs(zof.select_world("b"))
    used = zof.tell("GET", "/worlds/b").json
    assert [(one["seed"], one["clock"]["mode"], one["scenario"]) for one in (said, used)] == [(5, "auto", "empty")] * 2
    assert names(zof) == ["default", "a", "b"]


@pytest.mark.parametrize("name", ["default", "a"])
def test_made_twice(name: str) -> None:
    """A name in use is refused, and its world does not change."""
    zof = Zof()
    zof.select_world("a").start()
    for answer in (zof.tell("POST", "/worlds", {"name": name}), zof.tell("POST", "/worlds/a/fork", {"name": name})):
        assert answer.error == (409, "conflict", "name")
    assert zof.tell("GET", "/worlds/a").json["runs"] == 3


@pytest.mark.parametrize(
    ("body", "param"),
    [({}, "name"), ({"name": 5}, "name"), ({"name": "a", "seed": -1}, "seed"), ({"name": "a", "seed": 2**63}, "seed"),
     ({"name": "a", "clock": "wall"}, "clock"), ({"name": "a", "scenario": "x"}, "scenario"),
     ({"name": "a", "x": 1}, "x")],
    ids=str,
)  # fmt: skip
def test_made_of_nonsense(body: object, param: str) -> None:
    """An invalid configuration is refused, `param` names the field, and no world is created."""
    zof = Zof()
    assert zof.tell("POST", "/worlds", body).error == (400, "invalid_request", param)
    assert names(zof) == ["default"]


def remove_mount(answer: Answer) -> tuple[int, dict[str, str], bytes]:
    """An answer without the world's mount and without `Content-Length`, which depends on the mount."""
    headers = {name: value.replace("/w/fork", "") for name, value in answer.headers.items() if name != "content-length"}
    return answer.status, headers, answer.content.replace(b"/w/fork", b"")


@settings(max_examples=40)
@given(before=stories, after=stories)
def test_fork(before: list[str], after: list[str]) -> None:
    """Parent and fork answer the same requests equally except for links, and are independent."""
    zof = Zof(rate=Rate(limit=20))
    answer_story(zof, before)
    zof.tell("POST", "/worlds/default/fork", {"name": "fork"})
    texts = [step for step in after if step not in {"a file", "artifacts", "logs"}] + ["runs", "artifacts"]
    one = [remove_mount(answer) for answer in list_api_answers(zof.select_world("fork"), texts)]
    assert one == [remove_mount(answer) for answer in list_api_answers(zof, texts)]


def test_reset_of_one() -> None:
    """A reset restores the initial state of one world only."""
    zof = Zof()
    zof.tell("POST", "/worlds", {"name": "a", "seed": 7, "scenario": "empty"})
    first = zof.select_world("a").start()["id"]
    zof.start()
    zof.select_world("a").control("/reset")
    assert [zof.tell("GET", f"/worlds/{name}").json["runs"] for name in ("default", "a")] == [3, 0]
    assert zof.select_world("a").start()["id"] == first


def test_delete() -> None:
    """The answer to a deletion shows the world; a new world with its name starts empty."""
    zof = Zof()
    first = zof.select_world("a").start()["id"]
    answer = zof.tell("DELETE", "/worlds/a")
    assert (answer.status, answer.json["runs"]) == (200, 3)
    assert names(zof) == ["default"]
    for method, path in (("GET", "/worlds/a"), ("DELETE", "/worlds/a")):
        assert zof.tell(method, path).error == (404, "not_found", None)
    assert zof.tell("POST", "/worlds/a/fork", {"name": "b"}).error == (404, "not_found", None)
    assert zof.select_world("a").start()["id"] == first


def test_the_default_one_stays() -> None:
    """The default world cannot be deleted through any world's control operations."""
    zof = Zof()
    zof.start()
    for one in (zof, zof.select_world("a"), zof.select_world("default")):
        assert one.tell("DELETE", "/worlds/default").error == (409, "conflict", None)
    assert zof.tell("GET", "/worlds/default").json["runs"] == 3


def test_the_most(caplog: pytest.LogCaptureFixture) -> None:
    """At the limit of worlds, the answer and the log say so, and existing worlds continue."""
    zof = Zof(max_worlds=3)
    zof.select_world("a").start()
    zof.tell("POST", "/worlds", {"name": "b"})
    with caplog.at_level(logging.WARNING, "zof_emulator"):
        for answer in (
            zof.tell("POST", "/worlds", {"name": "c"}),
            zof.tell("POST", "/worlds/a/fork", {"name": "c"}),
            zof.select_world("c").get("/runs"),
            ask_by_header(zof, "c"),
        ):
            assert answer.error == (409, "conflict", None)
            assert "3 worlds" in answer.json["error"]["message"]
            assert "--max-worlds" in answer.json["error"]["message"]
    assert len(caplog.records) == 4
    assert "the limit of 3 worlds" in caplog.text
    assert names(zof) == ["default", "a", "b"]
    assert zof.select_world("a").get("/runs").status == 200
    zof.tell("DELETE", "/worlds/b")
    assert zof.select_world("c").get("/runs").status == 200


def test_idle(caplog: pytest.LogCaptureFixture) -> None:
    """A world unused for the idle time is dropped for a new one and logged; listing worlds is not use."""
    system = [EPOCH]
    zof = Zof(max_worlds=4, world_idle=10, system=lambda: system[0])
    for name in ("a", "b", "c"):
        zof.select_world(name).get("/runs")
    system[0] += 10_000
    zof.select_world("b").get("/runs")
    names(zof)
    zof.tell("GET", "/worlds/a")
    with caplog.at_level(logging.WARNING, "zof_emulator"):
        assert zof.select_world("d").get("/runs").status == 409, "ten seconds are not more than ten"
        system[0] += 1
        assert zof.select_world("d").get("/runs").status == 200
    assert "deleted 2 worlds" in caplog.text
    assert "--world-idle" in caplog.text
    assert names(zof) == ["default", "b", "d"]
    system[0] += 100_000
    zof.select_world("e").get("/runs")
    assert names(zof) == ["default", "e"]


@pytest.mark.parametrize("name", ["%61", "a", "%61%2Db"])
def test_encoded_name(name: str) -> None:
    """A percent-encoded name is the same name."""
    zof = Zof(scenario="empty")
    zof.send("GET", f"/w/{name}/v1/runs")
    assert names(zof) == ["default", {"%61": "a", "a": "a", "%61%2Db": "a-b"}[name]]


@pytest.mark.parametrize(
    ("path", "status"),
    [("/w/a/v1/runs/run%5Fsample_failed", 200), ("/%77/a/v1/runs", 200), ("/w/a/v1/runs/run_%2F", 404),
     ("/w/a/v1%2Fruns", 404), ("/w%2Fa/v1/runs", 404), ("/w%2Fa%2Fv1%2Fruns", 404), ("/w/a/v1/runs?limit=%31", 200)],
)  # fmt: skip
def test_encoded_path(path: str, status: int) -> None:
    """Below a world, as without one, an encoded slash ends no path segment."""
    assert Zof().send("GET", path).status == status


@pytest.mark.parametrize("path", ["", "/", "/runs/run_sample_failed"])
def test_pages(path: str) -> None:
    """A world has its own pages, whose links stay in it and can be followed."""
    zof = Zof()
    answer = zof.send("GET", f"/w/a{path}", key=None)
    assert (answer.status, answer.headers["content-type"]) == (200, "text/html; charset=utf-8")
    found = re.findall(r"""href=["']([^"']*)""", answer.content.decode())
    assert [one for one in found if one != "/" and not one.startswith("/w/a/")] == []
    assert {zof.send("GET", one, key=None).status for one in found} == {200}


@pytest.mark.parametrize(
    "path", ["/nothing", "/v1", "/v1/", "/_emulator/nothing", "/_emulator", "/runs/", "/w/b/v1/runs"]
)
def test_unknown_path(path: str) -> None:
    """A path that does not exist is not found below a world either, and creates no world."""
    zof = Zof()
    assert zof.send("GET", f"/w/a{path}").error == (404, "not_found", None)
    assert names(zof) == ["default"]


def test_what_is_told_of_an_exchange() -> None:
    """A log line of another world has the path as the client sent it."""
    heard: list[str] = []
    zof = Zof(on_exchange=lambda exchange: heard.append(exchange.path))
    zof.select_world("a").get("/runs")
    zof.send("GET", "/w/a/_emulator/health", base="http://evil.test")
    assert heard == ["/w/a/v1/runs", "/w/a/_emulator/health"]


def test_forgotten_runs_are_said(caplog: pytest.LogCaptureFixture) -> None:
    """The first deletion of ended runs is logged with the world's name."""
    zof = Zof(max_runs=1)
    for _ in range(4):
        zof.complete_run("tc_a")
    (line,) = [record.getMessage() for record in caplog.records]
    assert "--max-runs" in line
    world = zof.tell("GET", "/worlds/default").json
    assert (world["runs"], world["forgotten_runs"]) == (1, 5)
