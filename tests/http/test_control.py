"""The control operations: no key, no rate limit, and only clients on this machine."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from hypothesis import given
from zof_emulator.app import EPOCH
from zof_emulator.core.limits import Rate
from zof_emulator.spec.document import find_document, load_document

from tests.http.histories import Step, histories, perform, reset_emulator
from tests.zof import OTHER, Answer, Zof

JSON = [("content-type", "application/json")]
PROBES = ("/health", "/ready")
READ = ("/health", "/ready", "/version", "/openapi.json", "/clock")
UNNAMED = {"journal.ndjson", "journal.har", "scenario-schema.json"}
"""Paths that the 404 below `/_emulator` leaves out: other forms of what it names."""
WRITTEN = ("/reset", "/clock/advance", "/runs/run_x/advance")


@pytest.mark.parametrize(("path", "status"), [("/health", "ok"), ("/ready", "ready")])
def test_alive(path: str, status: str) -> None:
    """The emulator reports that it is alive and accepts requests."""
    answer = reset_emulator().control(path)
    assert (answer.status, answer.json) == (200, {"status": status})


def test_version() -> None:
    """The emulator reports its name, its version, the contract's version and its seed."""
    found = reset_emulator(seed=7).control("/version").json
    contract = reset_emulator().control("/openapi.json").json["info"]["version"]
    assert found | {"version": ""} == {"name": "zof-emulator", "version": "", "contract": contract, "seed": 7}
    assert found["version"]


def test_openapi() -> None:
    """The served contract has this server's URL, its environments and every operation."""
    found = reset_emulator(environments=("qa",)).control("/openapi.json").json
    assert found["openapi"].startswith("3.1")
    assert [server["url"] for server in found["servers"]] == ["http://127.0.0.1:9630/v1"]
    start = found["components"]["schemas"]["StartRun"]["properties"]
    assert start["environment"]["enum"] == ["staging", "production", "qa"]
    ids = {one["operationId"] for path in found["paths"].values() for one in path.values() if "operationId" in one}
    assert {"startRun", "cancelRun", "exportResults", "listProjects", "downloadArtifact"} <= ids


def test_an_unknown_path() -> None:
    """The 404 below `/_emulator` names the first part of every path there, except for other forms of the same thing."""
    paths = load_document(find_document("control.yaml")).root["paths"]
    message = reset_emulator().control("/no-such-path").json["error"]["message"]
    assert {path.split("/")[1] for path in paths} - set(re.findall(r"[a-z.-]*[a-z]", message)) == UNNAMED


def test_openapi_is_the_same_each_time() -> None:
    """An environment label of one emulator is unknown to another."""
    before = reset_emulator().control("/openapi.json").content
    reset_emulator(environments=("qa",)).control("/openapi.json")
    assert reset_emulator().control("/openapi.json").content == before


@pytest.mark.parametrize("path", READ)
def test_no_key_no_limit(path: str) -> None:
    """Control operations need no key, count against no limit, and carry no rate-limit headers."""
    zof = reset_emulator(rate=Rate(limit=1))
    assert zof.get("/runs").status == 200
    answers = [zof.send("GET", f"/_emulator{path}", key=key) for key in (None, "nobody", OTHER)]
    assert [answer.status for answer in answers] == [200] * 3
    assert not [name for name in answers[0].headers if name.startswith("x-ratelimit")]


@pytest.mark.parametrize("path", READ)
def test_no_trace(path: str) -> None:
    """Control reads do not change the bytes of the API's answers."""
    plain = reset_emulator()
    expected = plain.get("/runs").raw_headers
    asked = Zof(scenario="empty")
    asked.control(path)
    assert asked.get("/runs").raw_headers == expected


@pytest.mark.parametrize("path", [*READ, *WRITTEN])
def test_request_id(path: str) -> None:
    """Each answer has an ID of its own."""
    zof = reset_emulator()
    names = [zof.control(path, None if path in READ else {}).headers["x-request-id"] for _ in range(3)]
    assert len(set(names)) == 3
    assert all(re.fullmatch("req_[A-Za-z0-9_-]{20}", name) for name in names)


@pytest.mark.parametrize("path", [*READ, *WRITTEN])
def test_other_method(path: str) -> None:
    """An unsupported method is refused, and `Allow` lists the supported ones."""
    taken = {"GET", "HEAD", "OPTIONS"} if path in READ else {"POST", "OPTIONS"}
    for method in {"GET", "POST", "PUT", "DELETE", "PATCH", "HEAD"} - taken:
        answer = reset_emulator().send(method, f"/_emulator{path}", key=None)
        assert answer.status == 405
        assert method == "HEAD" or answer.error == (405, "method_not_allowed", None)
        assert answer.headers["allow"] == ", ".join(sorted(taken))


@pytest.mark.parametrize("path", ["/", "/x", "/health/", "/clock/x", "/runs", "/runs/x", "/Health"])
def test_unknown_path(path: str) -> None:
    """An unknown path is 404."""
    assert reset_emulator().send("GET", f"/_emulator{path}", key=None).error == (404, "not_found", None)


@pytest.mark.parametrize("path", READ)
def test_unknown_parameter(path: str) -> None:
    """An unknown query parameter is refused, and `param` names it."""
    assert reset_emulator().control(f"{path}?x=1").error == (400, "invalid_request", "x")


def story(zof: Zof, history: list[Step]) -> list[Any]:
    """All bytes that a client gets in a history, headers included."""
    runs = perform(zof, history)
    paths = [
        "/runs",
        "/results",
        "/projects",
        *(f"/runs/{run}/{kind}" for run in runs for kind in ("logs", "artifacts")),
    ]
    return [zof.get(path) for path in paths]


@given(before=histories, history=histories)
def test_reset(before: list[Step], history: list[Step]) -> None:
    """After a reset, clock included, the same requests get the same bytes."""
    expected = story(reset_emulator(), history)
    zof = reset_emulator()
    perform(zof, before)
    answer = zof.control("/reset")
    assert (answer.status, answer.json["now_ms"]) == (200, EPOCH)
    assert story(zof, history) == expected


def test_as_at_the_start() -> None:
    """A reset emulator answers like a new one."""
    history = [Step("start", cases=("tc_a", "tc_pay_fail")), Step("advance", number=9_000)]
    assert story(reset_emulator(), history) == story(Zof(scenario="empty"), history)


def test_samples() -> None:
    """A reset restores the sample runs."""
    zof = Zof()
    before = zof.walk("/runs")
    zof.start()
    zof.control("/reset")
    assert len(before) == 2
    assert zof.walk("/runs") == before


def ask_from_address(client: str, path: str, host: str = "0.0.0.0") -> Answer:  # noqa: S104  the address under test
    """The answer to a client at an address."""
    method, body = ("GET", b"") if path in READ else ("POST", json.dumps({}).encode())
    return reset_emulator(host=host).send(method, f"/_emulator{path}", key=None, headers=JSON, body=body, client=client)


@pytest.mark.parametrize("path", [*(path for path in READ if path not in PROBES), *WRITTEN, "/nowhere"])
@pytest.mark.parametrize(
    "client", ["192.0.2.7", "10.0.0.1", "2001:db8::1", "", "unix", "128.0.0.1", "::ffff:192.0.2.7"]
)
def test_elsewhere(path: str, client: str) -> None:
    """On a public address, all but health and readiness refuse clients that are not on loopback."""
    assert ask_from_address(client, path).error == (403, "forbidden", None)


@pytest.mark.parametrize("client", ["127.0.0.1", "127.8.9.10", "::1", "::ffff:127.0.0.1"])
def test_loopback_client(client: str) -> None:
    """A client on a loopback address is admitted, whatever the spelling of the address."""
    assert ask_from_address(client, "/clock").status == 200


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "::1", "127.1.1.1"])
def test_loopback_host(host: str) -> None:
    """On a loopback address, no client is refused."""
    assert ask_from_address("192.0.2.7", "/clock", host).status == 200


def test_the_api_for_all() -> None:
    """The API answers clients on other machines."""
    assert reset_emulator(host="0.0.0.0").send("GET", "/v1/runs", client="192.0.2.7").status == 200  # noqa: S104
