"""The proxy forwards every byte unchanged, judges what passes, and survives both sides."""

from __future__ import annotations

import http.client
import json
import statistics
import time
from typing import TYPE_CHECKING, Any, Final

import pytest
from zof_contracts.proxy import judging

from tests.contracts.proxy.proxies import RunningProxy
from tests.hostile import HABITS, HostileServer
from tests.served import Server, Wire
from tests.zof import ADMIN

if TYPE_CHECKING:
    from collections.abc import Iterator

KEY: Final = f"Authorization: Bearer {ADMIN}\r\n"
BODY: Final = json.dumps({"project_id": "proj_a", "environment": "staging", "test_case_ids": ["tc_a", "tc_fail"]})


def ask(method: str, target: str, body: str = "", *headers: str) -> bytes:
    """The bytes of a request."""
    lines = [f"{method} {target} HTTP/1.1", "Host: 127.0.0.1:9630", KEY.strip(), *headers]
    lines += ["Content-Type: application/json", f"Content-Length: {len(body)}"] if body else []
    return ("\r\n".join(lines) + "\r\n\r\n" + body).encode()


STORY: Final = [
    ask("POST", "/v1/runs", BODY, "Idempotency-Key: once"),
    ask("GET", "/v1/runs?limit=1"),
    ask("HEAD", "/v1/runs"),
    ask("OPTIONS", "/v1/runs"),
    ask("POST", "/_emulator/clock/advance", '{"until": "run_ended"}'),
    ask("GET", "/v1/results"),
    ask("POST", "/v1/results/export", '{"format": "csv"}'),
    ask("GET", "/v1/nothing"),
    ask("GET", "/v1/runs/run_sample_failed/artifacts") + ask("GET", "/v1/projects"),
    ask("GET", "/_emulator/journal.har"),
    b"POST /v1/runs HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n3\r\n{ab\r\n0\r\n\r\n",
]
MALFORMED: Final = [
    b"GET /v1/runs HTTP/1.1\r\n\r\n",
    b"GET  /v1/runs HTTP/1.1\r\nHost: x\r\n\r\n",
    b"hello\r\n\r\n",
    b"POST /v1/runs HTTP/1.1\r\nHost: x\r\nContent-Length: 1, 2\r\n\r\nabc",
    b"POST /v1/runs HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: gzip\r\n\r\nabc",
    b"GET /v1/runs HTTP/1.1\nHost: x\n\n",
    b"\x16\x03\x01\x02\x00\x01\x00\x01",
    b"GET /v1/runs HTTP/1.1\r\nHost: x\r\nX: " + b"y" * 100_000 + b"\r\n\r\n",
    b"GET /v1/runs HTT",
]


def converse(port: int, parts: list[bytes]) -> bytes:
    """All that comes back for some bytes on one connection."""
    with Wire(port) as wire:
        wire.pour(parts)
        wire.finish()
        return wire.rest()


@pytest.fixture
def twins() -> Iterator[tuple[int, RunningProxy]]:
    """The port of an emulator, and a proxy before another one with the same seed."""
    flags = ("--clock", "manual", "--quiet")
    with Server(*flags) as one, Server(*flags) as other, RunningProxy(other.port) as proxy:
        yield one.port, proxy


def test_no_byte_changes(twins: tuple[int, RunningProxy]) -> None:
    """Two emulators with one seed answer the same bytes, directly and through the proxy, broken requests included."""
    port, proxy = twins
    for parts in ([b"".join(STORY)], STORY):
        assert converse(proxy.port, parts) == converse(port, parts)
    outcome = proxy.report()
    assert outcome.contract.recorded >= 16
    assert [one.rule.name for one in outcome.contract.findings] == []
    assert outcome.coverage["seen"] > 15
    for each in MALFORMED:
        assert converse(proxy.port, [each]) == converse(port, [each])


def test_requests_may_come_byte_by_byte(twins: tuple[int, RunningProxy]) -> None:
    """A request that drips is answered as one that comes at once."""
    port, proxy = twins
    drips = [bytes([byte]) for byte in STORY[0]]
    assert converse(proxy.port, drips) == converse(port, [STORY[0]])
    assert proxy.report().contract.recorded == 1


def get_report(port: int, **headers: str) -> tuple[int, Any]:
    """The report that the proxy gives."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    connection.request("GET", "/_contracts/report", headers=headers)
    answer = connection.getresponse()
    value = json.load(answer)
    connection.close()
    return answer.status, value


def test_exchanges_wait_for_a_quiet_moment(monkeypatch: pytest.MonkeyPatch) -> None:
    """While exchanges pass they are not judged, unless a report is wanted, the proxy ends, or too many wait."""
    monkeypatch.setattr(judging, "_QUIET_SECONDS", 1_000.0)
    with Server("--quiet") as server, RunningProxy(server.port) as proxy:
        converse(proxy.port, [ask("GET", "/v1/projects")] * 2)
        assert proxy.judge.judged_count == 0
        assert proxy.report().contract.recorded == 2
        converse(proxy.port, [ask("GET", "/v1/projects")])
        assert proxy.judge.judged_count == 2
    assert proxy.judge.judged_count == 3
    monkeypatch.setattr(judging, "_MOST_DEFERRED", 0)
    with Server("--quiet") as server, RunningProxy(server.port) as proxy:
        converse(proxy.port, [ask("GET", "/v1/projects")])
        changed = vars(proxy.judge)["_changed"]
        with changed:
            assert changed.wait_for(lambda: proxy.judge.judged_count == 1, 10)


def test_the_report_says_what_was_found() -> None:
    """The report holds the findings of contract and client, and coverage, and can be had more than once."""
    with Server("--clock", "manual", "--quiet") as server, RunningProxy(server.port) as proxy:
        converse(proxy.port, [ask("POST", "/v1/runs", BODY), ask("GET", f"/v1/projects?api_key={ADMIN}")])
        for _ in range(2):
            status, value = get_report(proxy.port)
            assert status == 200
            broken = {one["rule"] for one in value["client"]["findings"]}
            assert broken == {"client.idempotency.start-has-key", "client.secrets.header-only"}
            assert value["contract"]["findings"] == []
            assert value["coverage"]["exchanges"] == 2
            assert ADMIN not in json.dumps(value)
        assert b'"code": "not_found"' in converse(proxy.port, [ask("GET", "/_contracts/nothing")])


def test_the_key_is_stored_nowhere() -> None:
    """No object of the judge holds an API key, even where a request or an answer repeats it."""
    with Server("--quiet") as server, RunningProxy(server.port) as proxy:
        body = json.dumps({"project_id": f"proj_{ADMIN}", "environment": "staging", "test_case_ids": ["tc_a"]})
        converse(proxy.port, [ask("POST", "/v1/runs", body), ask("GET", f"/v1/runs/{ADMIN}?key={ADMIN}")])
        outcome = proxy.report()
        assert outcome.contract.recorded == 2
        assert ADMIN not in repr([vars(each) for each in vars(proxy.judge)["_client"]._check._judges])  # noqa: SLF001
        assert ADMIN not in json.dumps(outcome.build())


def test_a_finding_is_marked_on_its_answer() -> None:
    """With mark, an answer that breaks a rule gets a header, and another answer gets none."""

    def answer_badly(_: object, connection: Any) -> None:  # noqa: ANN401
        connection.write(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}")

    with HostileServer(answer_badly) as server, RunningProxy(server.port, is_marking=True) as proxy:
        with Wire(proxy.port) as wire:
            wire.send(ask("GET", "/v1/runs"))
            head, _, body = wire.answer().raw.partition(b"\r\n\r\n")
        marks = [line for line in head.split(b"\r\n") if line.startswith(b"X-Zof-Contracts-Finding: ")]
        keys = {one.key for one in proxy.report().contract.findings}
        assert body == b"{}"
        assert len(marks) == 1
        assert set(marks[0].decode().partition(": ")[2].split(", ")) == keys
    with Server("--quiet") as healthy, RunningProxy(healthy.port, is_marking=True) as proxy:
        assert b"X-Zof-Contracts-Finding" not in converse(proxy.port, [ask("GET", "/v1/projects")])


def test_a_token_is_demanded_and_not_forwarded() -> None:
    """With a token, a request without it is 407, and one with it reaches the upstream without it."""
    token = "0123456789abcdef"  # noqa: S105  of the test alone
    with Server("--quiet") as server, RunningProxy(server.port, token=token) as proxy:
        assert converse(proxy.port, [ask("GET", "/v1/projects")]).startswith(b"HTTP/1.1 407 ")
        header = f"Proxy-Authorization: Bearer {token}"
        assert converse(proxy.port, [ask("GET", "/v1/projects", "", header)]).startswith(b"HTTP/1.1 200 ")
        journal = converse(server.port, [ask("GET", "/_emulator/journal.ndjson")])
        assert b'"target":"/v1/projects"' in journal
        assert b"proxy-authorization" not in journal
        assert get_report(proxy.port)[0] == 407
        assert get_report(proxy.port, **{"Proxy-Authorization": f"Bearer {token}"})[0] == 200


def test_the_host_is_that_of_the_upstream_where_it_is_rewritten() -> None:
    """With another Host, links lead to the upstream, and nothing else changes."""
    with Server("--quiet") as server, RunningProxy(server.port, is_host_kept=False) as proxy:
        answer = converse(proxy.port, [ask("POST", "/v1/runs", BODY)])
        assert f"Location: http://127.0.0.1:{server.port}/v1/runs/".lower().encode() in answer.lower()
        assert [one.got for one in proxy.report().contract.findings] == []


@pytest.mark.parametrize("habit", sorted(HABITS))
def test_an_upstream_with_bad_habits_is_survived(habit: str) -> None:
    """The proxy serves the next client after any behaviour of the upstream."""
    request = ask("GET", "/v1/runs")
    with HostileServer(HABITS[habit]) as server, RunningProxy(server.port) as proxy:
        wires = [Wire(proxy.port) for _ in range(2)]
        for wire in wires:
            wire.send(request)
        for wire in wires:
            wire.drop()
        assert get_report(proxy.port)[0] == 200


@pytest.mark.parametrize(
    "habit", ["compress-br", "compress-deflate", "compress-gzip", "compress-twice", "hint-early", "miscode", "redirect"]
)
def test_every_form_of_answer_passes_unchanged(habit: str) -> None:
    """Chunked, coded and interim answers reach the client as the upstream sent them."""
    request = ask("GET", "/v1/runs")
    heard = []
    with HostileServer(HABITS[habit]) as server, RunningProxy(server.port) as proxy:
        for port in (server.port, proxy.port):
            with Wire(port) as wire:
                wire.send(request)
                heard.append([wire.answer().raw for _ in range(2 if habit == "hint-early" else 1)])
    assert heard[0] == heard[1]


def test_an_upstream_that_is_down_is_a_502() -> None:
    """A request that cannot be forwarded is answered 502 by the proxy, and is no finding."""
    with Server("--quiet") as server:
        port = server.port
    with RunningProxy(port) as proxy:
        answer = converse(proxy.port, [ask("GET", "/v1/runs")])
        assert answer.startswith(b"HTTP/1.1 502 ")
        assert b"X-Zof-Contracts-Proxy: true" in answer
        assert proxy.report().contract.recorded == 0


def test_a_client_that_goes_away_is_survived() -> None:
    """A client that resets its connection in the middle of an answer harms no other client."""
    with Server("--quiet") as server, RunningProxy(server.port) as proxy:
        for _ in range(3):
            wire = Wire(proxy.port)
            wire.send(ask("GET", "/_emulator/openapi.json") * 20)
            wire.drop()
        assert converse(proxy.port, [ask("GET", "/v1/projects")]).startswith(b"HTTP/1.1 200 ")


def test_the_proxy_adds_little_time() -> None:
    """The median of a request through the proxy is less than a few milliseconds above that of a direct one."""

    def measure(port: int) -> float:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
        times = []
        for _ in range(100):
            began = time.perf_counter()
            connection.request("GET", "/v1/projects", headers={"Authorization": f"Bearer {ADMIN}"})
            connection.getresponse().read()
            times.append(time.perf_counter() - began)
        connection.close()
        return statistics.median(times)

    with Server("--quiet", "--rate-limit", "off") as server, RunningProxy(server.port) as proxy:
        direct = measure(server.port)
        assert measure(proxy.port) - direct < 0.01
