"""Faults on the wire, as a bare socket sees them."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import pytest

from tests.served import LIST, PATIENCE, START, Server, Wire, ask, request
from tests.zof import ADMIN

if TYPE_CHECKING:
    from collections.abc import Iterator

RUN: Final = request("POST", "/v1/runs", START)
BODY: Final = b'{"data":'
"""The beginning of a list."""


@pytest.fixture
def port(server: Server) -> Iterator[int]:
    """The port of a server whose world is new, without fault rules."""
    assert ask(server.port, request("POST", "/_emulator/reset")).status == 200
    yield server.port
    assert "Traceback" not in server.log
    assert "bug in" not in server.log


def add(port: int, effect: dict[str, Any], operation: str = "listRuns", **rule: object) -> str:
    """Add a fault rule; its ID."""
    body = {"match": {"operation": operation}, "effect": effect, **rule}
    answer = ask(port, request("POST", "/_emulator/faults", body), "POST")
    assert answer.status == 201, answer.content
    name: str = answer.json["id"]
    return name


def count_runs(port: int) -> int:
    """The number of runs that were started."""
    return len(ask(port, request("GET", "/v1/runs?project_id=proj_abc123")).json["data"])


def wait_for_hit(port: int, name: str) -> None:
    """Ask until a rule has given its effect."""
    while not ask(port, request("GET", f"/_emulator/faults/{name}")).json["hits"]:
        pass


@pytest.mark.parametrize(("place", "runs"), [("before", 0), ("after", 1)])
def test_a_reset(port: int, place: str, runs: int) -> None:
    """A reset ends the connection with RST and without a byte, before or after the run is started."""
    before = count_runs(port)
    add(port, {"reset": True}, "startRun", place=place, schedule={"first": 1})
    with Wire(port) as wire:
        wire.send(RUN)
        with pytest.raises(ConnectionResetError):
            wire._socket.recv(1)  # noqa: SLF001  `rest` does not tell a reset from an end
    assert count_runs(port) == before + runs
    assert ask(port, RUN, "POST").status == 201


@pytest.mark.parametrize(("effect", "end"), [({"reset": True}, "reset"), ({"truncate": True}, "closed")])
def test_an_answer_that_breaks_off(port: int, effect: dict[str, Any], end: str) -> None:
    """An answer breaks off after so many bytes of its body, although its head announces all of them."""
    whole = ask(port, LIST)
    add(port, {**effect, "after_bytes": 10}, place="body")
    with Wire(port) as wire:
        wire.send(LIST)
        head = wire._until(b"\r\n\r\n")  # noqa: SLF001  the answer is not complete
        assert f"content-length: {len(whole.content)}".encode() in head
        assert wire._take(10) == whole.content[:10]  # noqa: SLF001
        if end == "reset":
            with pytest.raises(ConnectionResetError):
                wire._socket.recv(1)  # noqa: SLF001
        else:
            assert wire._socket.recv(1) == b""  # noqa: SLF001


def test_a_truncated_answer_is_never_whole(port: int) -> None:
    """A body that is cut after more bytes than it has still lacks its last byte."""
    whole = ask(port, LIST)
    add(port, {"truncate": True, "after_bytes": 1_000_000})
    with Wire(port) as wire:
        wire.send(LIST)
        assert wire.rest().partition(b"\r\n\r\n")[2] == whole.content[:-1]


@pytest.mark.parametrize("place", ["before", "after", "body"])
def test_a_stall_ends_with_its_rule(port: int, place: str) -> None:
    """A stalled connection sends nothing, or nothing more, and is closed when the rule is removed."""
    whole = ask(port, LIST)
    name = add(port, {"stall": True}, place=place)
    with Wire(port) as wire:
        wire.send(LIST)
        wait_for_hit(port, name)
        wire._socket.settimeout(0)  # noqa: SLF001
        if place != "body":
            with pytest.raises(BlockingIOError):
                wire._socket.recv(1)  # noqa: SLF001
        wire._socket.settimeout(PATIENCE)  # noqa: SLF001
        assert ask(port, request("DELETE", f"/_emulator/faults/{name}"), "DELETE").status == 200
        sent = wire.rest().partition(b"\r\n\r\n")[2]
        assert sent == (whole.content[: len(whole.content) // 2] if place == "body" else b"")
    assert ask(port, LIST).status == 200


@pytest.mark.parametrize("end", ["reset", "config", "restore"])
def test_a_stall_ends_with_its_world(port: int, end: str) -> None:
    """A reset of the world, a change of its rules and a restored snapshot release the connections that it stalls."""
    snapshot = ask(port, request("GET", "/_emulator/snapshot")).content
    name = add(port, {"stall": True})
    with Wire(port) as wire:
        wire.send(LIST)
        wait_for_hit(port, name)
        release = {
            "reset": request("POST", "/_emulator/reset"),
            "config": request("PATCH", "/_emulator/config", {"faults": []}),
            "restore": request("PUT", "/_emulator/snapshot", snapshot),
        }[end]
        assert ask(port, release, "POST").status == 200
        assert wire.rest() == b""


def test_a_stall_ends_with_the_server() -> None:
    """A server with stalled and delayed requests ends at once, and logs nothing about them."""
    with Server("--quiet") as server:
        names = [add(server.port, {"stall": True}), add(server.port, {"latency_ms": 600_000}, "listProjects")]
        with Wire(server.port) as stalled, Wire(server.port) as delayed:
            stalled.send(LIST)
            delayed.send(request("GET", "/v1/projects"))
            for name in names:
                wait_for_hit(server.port, name)
            assert server.stop(signal.SIGTERM)[0] in {0, -signal.SIGTERM, 143}
            assert stalled.rest() == delayed.rest() == b""
        assert server.log == ""


@pytest.mark.parametrize("place", ["before", "after", "body"])
def test_a_latency_ends_with_its_rule(port: int, place: str) -> None:
    """A delayed answer comes whole when the rule is removed, and other requests are served meanwhile."""
    whole = ask(port, LIST)
    name = add(port, {"latency_ms": 600_000}, place=place, schedule={"first": 1})
    with Wire(port) as wire:
        wire.send(LIST)
        wait_for_hit(port, name)
        assert ask(port, LIST).content == whole.content
        assert ask(port, request("DELETE", f"/_emulator/faults/{name}"), "DELETE").status == 200
        assert wire.answer().content == whole.content


def test_a_drip(port: int) -> None:
    """A body that drips comes in pieces of the given size, and is whole in the end."""
    whole = ask(port, LIST)
    add(port, {"drip_ms": 1, "drip_bytes": 40, "after_bytes": 0})
    with Wire(port) as wire:
        wire.send(LIST)
        assert wire.answer().content == whole.content
        wire.send(LIST)
        assert wire.answer().content == whole.content, "the connection can be used again"


def test_malformed_json(port: int) -> None:
    """Malformed JSON is framed correctly, so that only the parser can fail."""
    whole = ask(port, LIST)
    add(port, {"malformed_json": True})
    answer = ask(port, LIST)
    assert (answer.status, answer.content) == (200, whole.content[:-1])
    with pytest.raises(json.JSONDecodeError):
        json.loads(answer.content)


def test_a_wrong_content_type(port: int) -> None:
    """Another content type leaves the body as it is."""
    whole = ask(port, LIST)
    add(port, {"content_type": "text/html"})
    answer = ask(port, LIST)
    assert (answer["content-type"], answer.content) == ("text/html", whole.content)


def test_an_answer_of_ones_own(port: int) -> None:
    """A rule answers with any status, headers and body, and the client sees no sign of the emulator."""
    effect = {"status": 503, "undocumented": True, "text": "<h1>down</h1>", "headers": {"Content-Type": "text/html"}}
    add(port, effect)
    answer = ask(port, LIST)
    assert (answer.status, answer["content-type"], answer.content) == (503, "text/html", b"<h1>down</h1>")
    assert {name for name, _ in answer.headers} == {"content-type", "content-length", "x-request-id", "date"}


@pytest.mark.parametrize("status", [204, 304])
def test_an_answer_without_content(port: int, status: int) -> None:
    """A status that has no body is sent without one, and the connection can be used again."""
    add(port, {"status": status, "undocumented": True}, schedule={"first": 1})
    with Wire(port) as wire:
        wire.send(LIST)
        head = wire._until(b"\r\n\r\n")  # noqa: SLF001  an answer without content has no length
        assert head.startswith(b"HTTP/1.1 %d " % status)
        assert b"content-length" not in head
        assert b"transfer-encoding" not in head
        wire.send(LIST)
        assert wire.answer().status == 200


def test_head_meets_faults_too(port: int) -> None:
    """HEAD gets the head of the answer that a fault gives to GET, without a body."""
    add(port, {"error": "rate_limited"})
    answer = ask(port, request("HEAD", "/v1/runs"), "HEAD")
    assert (answer.status, answer["retry-after"]) == (429, "1")


# --- retries of stock clients

URLLIB3: Final = """
import sys, urllib3
url, key, *headers = sys.argv[1:]
retry = urllib3.Retry(total=3, allowed_methods=None, backoff_factor=0)
named = dict(one.split(": ") for one in headers)
sent = {"authorization": f"Bearer {key}", **named}
answer = urllib3.PoolManager().request("POST", url, json=BODY, headers=sent, retries=retry)
assert answer.status == 201, answer.data
"""
FETCH: Final = """
const [url, key, ...given] = process.argv.slice(1);
const headers = { authorization: `Bearer ${key}`, "content-type": "application/json" };
for (const one of given) { const [name, value] = one.split(": "); headers[name] = value; }
let answer;
for (let left = 3; left > 0 && !answer; left -= 1) {
  try { answer = await fetch(url, { method: "POST", headers, body: JSON.stringify(BODY) }); } catch { continue; }
}
if (answer?.status !== 201) throw new Error(`status ${answer?.status}`);
"""


def make_command(client: str, url: str, headers: list[str]) -> list[str]:
    """The command by which a stock client starts a run, and tries again when the connection is reset."""
    body = json.dumps(START)
    if client == "urllib3":
        return [sys.executable, "-c", URLLIB3.replace("BODY", body), url, ADMIN, *headers]
    if client == "fetch":
        return ["node", "--input-type=module", "-e", FETCH.replace("BODY", body), "--", url, ADMIN, *headers]
    sent = [f"Authorization: Bearer {ADMIN}", "Content-Type: application/json", *headers]
    flags = [part for header in sent for part in ("-H", header)]
    return ["curl", "-fsS", "--retry", "3", "--retry-all-errors", "--retry-delay", "1", *flags, "-d", body, url]


@pytest.mark.parametrize(("headers", "runs"), [(["Idempotency-Key: once"], 1), ([], 2)], ids=["key", "no key"])
@pytest.mark.parametrize("client", ["urllib3", "fetch", "curl"])
def test_a_reset_after_commit(port: int, client: str, headers: list[str], runs: int) -> None:
    """A start whose answer is lost is tried again by stock clients: with an idempotency key it makes one run."""
    program = {"urllib3": sys.executable, "fetch": "node", "curl": "curl"}[client]
    if shutil.which(program) is None and not Path(program).exists():
        pytest.skip(f"there is no {program}")
    before = count_runs(port)
    name = add(port, {"reset": True}, "startRun", place="after", schedule={"first": 1})
    command = make_command(client, f"http://127.0.0.1:{port}/v1/runs", headers)
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    assert count_runs(port) == before + runs
    met = ask(port, request("GET", f"/_emulator/journal?fault={name}")).json["data"]
    assert [(one["operation"], one["response"]["status"], one["fault"]) for one in met] == [
        ("startRun", 201, {"id": name, "place": "after", "effect": "reset"})
    ]
