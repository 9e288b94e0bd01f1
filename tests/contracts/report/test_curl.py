"""A finding's script: it runs as printed, uses the values of its own answers, and holds no API key."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from dataclasses import replace
from typing import TYPE_CHECKING, Final

import pytest
from zof_contracts.evidence.exchange import Exchange, Request, Response
from zof_contracts.report.curl import name_key_variable, write_script
from zof_contracts.target.client import Client
from zof_contracts.target.clock import find_clock_control
from zof_contracts.target.requests import add_header, build_post, build_request
from zof_contracts.target.target import Target

from tests.contracts.shell import Shell
from tests.hostile import HostileServer
from tests.mutants.catalogue import MUTANTS, target
from tests.mutants.table import verify
from tests.served import Server, environment
from tests.zof import ADMIN

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

    from tests.hostile import Connection, Received

_OF_THE_CONNECTION: Final = frozenset({"host", "content-length", "connection"})
curl = pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed; .ci/run installs it")


def exchange(request: Request, body: object = None) -> Exchange:
    """A fabricated exchange."""
    return Exchange(1, request, Response(200, (), json.dumps(body).encode()), "", 0.0, 0.0)


@pytest.fixture(scope="module")
def client() -> Iterator[Client]:
    """A client of a real server."""
    with Server("--clock", "manual", "--quiet", "--rate-limit", "off") as server:
        client = Client(Target(url=f"http://127.0.0.1:{server.port}", keys={"main": ADMIN}))
        yield client
        client.close()  # a connection that nobody closes is a warning, and that an error


def run_script(client: Client, folder: Path, *trace: Exchange) -> str:
    """Run the script of a trace in a shell and return its output."""
    target = client.target
    script = write_script(trace, base=target.base, keys=target.keys, can_move_clock=target.can_move_clock)
    return run_printed(script, folder, target.keys)


def run_printed(script: str, folder: Path, keys: Mapping[str, str]) -> str:
    """Run a script in a shell, with the keys in its environment, and return its output."""
    variables = environment({name_key_variable(name): key for name, key in keys.items()})
    done = subprocess.run(
        ["/bin/sh", "-eu"],
        input=script,
        capture_output=True,
        text=True,
        cwd=folder,
        env=variables,
        check=False,
        timeout=60,
    )
    assert (done.returncode, done.stderr) == (0, ""), script
    return done.stdout


def answer_for(deployment: Target) -> Callable[[Received, Connection], None]:
    """A script of a server that passes every request on to an application in process."""
    transport = deployment.make_transport()

    def answer(request: Received, connection: Connection) -> None:
        headers = tuple((name, value) for name, value in request.headers.items() if name not in _OF_THE_CONNECTION)
        got = transport.carry(request.method, request.target, headers, request.body)
        lines = [f"{name}: {value}" for name, value in got.headers if name != "content-length"]
        head = [f"HTTP/1.1 {got.status} X", *lines, f"content-length: {len(got.body)}", "", ""]
        connection.write("\r\n".join(head).encode("latin-1") + got.body)

    return answer


@curl
def test_ids_are_threaded(client: Client, tmp_path: Path) -> None:
    """The script cancels the run that it started, not the run of the trace."""
    started = client.start("tc_a's", "tc_b")
    assert started.response.status == 400
    started = client.start("tc_a", "tc_b")
    run = started.response.fields["id"]
    canceled = client.post(f"/runs/{run}/cancel")
    assert run not in write_script((started, canceled), base="http://x", keys={}).replace(f"# 1. 201, {run}", "")
    printed = run_script(client, tmp_path, started, canceled)
    assert '"status":"canceled"' in printed
    assert run not in printed


@curl
@pytest.mark.parametrize(
    "body",
    [
        pytest.param(b'{"a": "it\'s $HOME `x` \\\\"}', id="quotes"),
        pytest.param(b"\xff\x00", id="bytes"),
        pytest.param(b"@/etc/passwd", id="at"),
        pytest.param(b'"' + b"x" * 1_048_577 + b'"', id="large"),
    ],
)
def test_a_body_arrives_as_it_was(client: Client, tmp_path: Path, body: bytes) -> None:
    """The script sends the same bytes as the original request, whatever they are."""
    first = client.post("/results/export", body)
    printed = run_script(client, tmp_path, first)
    assert printed.startswith(f"HTTP/1.1 {first.response.status}")
    assert first.response.error["message"] in printed


@curl
@pytest.mark.parametrize("path", ["/runs/[1-2]", "/runs/../runs", "/runs/a%2Fb", '/runs/"$HOME"'])
def test_a_path_arrives_as_it_was(client: Client, tmp_path: Path, path: str) -> None:
    """The script requests the same path as the original request."""
    first = client.send(build_request("GET", path.replace('"', "%22"), limit=1))
    assert run_script(client, tmp_path, first).startswith(f"HTTP/1.1 {first.response.status}")


@curl
def test_a_header_arrives_as_it_was(tmp_path: Path) -> None:
    """The script sends a header with shell syntax unchanged."""
    header = ("X-Forwarded-For", 'a "$b" `c` \\d')
    first = exchange(add_header(build_request("GET", "/runs", key=""), *header))
    with HostileServer(lambda _, connection: connection.answer()) as server:
        run_printed(write_script([first], base=server.url, keys={}), tmp_path, {})
    assert server.requests[0].headers["x-forwarded-for"] == header[1]


@curl
def test_an_idempotency_key_is_new_each_time(client: Client, tmp_path: Path) -> None:
    """The script replays its own start, and not that of the verification, whose key the target still knows."""
    body = {"project_id": "proj_abc123", "environment": "staging", "test_case_ids": ["tc_a"]}
    request = add_header(build_post("/runs", body), "Idempotency-Key", "a key")
    first, second = client.send(request), client.send(request)
    assert second.response.header("idempotency-replayed") == "true"
    for folder in (tmp_path / "one", tmp_path / "two"):
        folder.mkdir()
        printed = run_script(client, folder, first, second)
        assert printed.count("HTTP/1.1 201") == 2
        assert printed.lower().count("idempotency-replayed: true") == 1
        assert first.response.fields["id"] not in printed


@curl
def test_a_pause_moves_the_clock(client: Client, tmp_path: Path) -> None:
    """The script lets as much time pass as the verification did, on the target's clock where it can be moved."""
    control = find_clock_control(client)
    assert control
    client.target = replace(client.target, advance=control)
    began = client.start("tc_a")
    client.wait(60, "the run")
    ended = client.get(f"/runs/{began.response.fields['id']}")
    assert ended.response.fields["status"] == "passed"
    assert '"status":"passed"' in run_script(client, tmp_path, began, ended)


def show_run(number: int, at: float, status: str, *, method: str = "GET") -> Exchange:
    """An exchange that shows a run, on a target whose clock cannot be moved."""
    path, operation = ("/v1/runs", "startRun") if method == "POST" else ("/v1/runs/run_00000001", "getRun")
    body = json.dumps({"id": "run_00000001", "status": status}).encode()
    return Exchange(number, Request(method, path), Response(200, (), body), operation, at, 0.0)


@pytest.mark.parametrize(
    ("before", "after", "line"),
    [
        ("queued", "passed", 'wait_for_end "$RUN" 120 "$ZOF_API_KEY"'),
        ("running", "canceled", 'wait_for_end "$RUN" 120 "$ZOF_API_KEY"'),
        ("queued", "running", "pause 95"),
        ("passed", "running", "pause 95"),
        ("passed", "passed", "pause 95"),
    ],
)
def test_a_script_waits_for_the_end_of_a_run(before: str, after: str, line: str) -> None:
    """On a real clock a script asks for a run until it has ended, if the run ended in the time between two requests."""
    trace = [show_run(1, 0, "queued", method="POST"), show_run(2, 0.1, before), show_run(3, 95, after)]
    text = write_script(trace, base="http://x", keys={"main": "s3cret-main"})
    assert line in text.splitlines()
    assert ("wait_for_end() {" in text, "pause() {" in text) == ("wait" in line, "pause" in line)


def test_a_script_does_not_wait_for_the_end_before_a_cancel() -> None:
    """A run that is canceled after a pause must not have ended by then."""
    cancel = Exchange(2, Request("POST", "/v1/runs/run_00000001/cancel"), Response(200, (), b"{}"), "cancelRun", 3, 0.0)
    trace = [show_run(1, 0, "queued", method="POST"), cancel, show_run(3, 3.1, "canceled")]
    text = write_script(trace, base="http://x", keys={"main": "s3cret-main"})
    assert "pause 3" in text.splitlines()
    assert "wait_for_end" not in text


def test_a_pause_on_a_real_clock_has_a_bound() -> None:
    """Two answers that are an hour apart are repeated without a pause of an hour."""
    trace = [show_run(1, 0, "passed"), show_run(2, 3600, "running")]
    assert "pause 120" in write_script(trace, base="http://x", keys={}).splitlines()


@curl
def test_a_wait_for_the_end_of_a_run(tmp_path: Path) -> None:
    """The printed function asks for a run until it has ended, and gives up a run that is not there."""
    with Server("--clock", "auto", "--quiet", "--rate-limit", "off") as server:
        client = Client(Target(url=f"http://127.0.0.1:{server.port}", keys={"main": ADMIN}))
        began = client.start("tc_a")
        run_id = began.response.fields["id"]
        ended = next(each for _ in range(100) if (each := client.get(f"/runs/{run_id}")).response.fields["duration_ms"])
        client.close()
        script = write_script([began, replace(ended, at=began.at + 59)], base=client.target.base, keys={"main": ADMIN})
        assert '"status":"passed"' in run_printed(script, tmp_path, {"main": ADMIN})
        unknown, count = re.subn('wait_for_end "[$]RUN" [0-9]+', 'wait_for_end "run_unknown" 1', script)
        assert count == 1
        assert "HTTP/1.1 200" in run_printed(unknown, tmp_path, {"main": ADMIN})


@curl
def test_an_answer_is_printed_without_control_characters(tmp_path: Path) -> None:
    """A terminal gets no control character and no mark that reorders text from an answer."""
    body = json.dumps({"name": "\x1b]0;title\x07 \u202e \x9b"}, ensure_ascii=False).encode()
    with HostileServer(lambda _, connection: connection.answer(body, "200 OK", "X-Odd: a\x1bb")) as server:
        script = write_script([exchange(Request("GET", "/v1/runs", key=""))], base=server.url, keys={})
        printed = run_printed(script, tmp_path, {})
    assert "]0;title" in printed
    assert [each for each in printed if each != "\n" and not (each.isascii() and each.isprintable())] == []


@curl
@pytest.mark.parametrize("name", ["replay-starts-another", "download-inline", "null-is-absent", "page-skips"])
def test_the_small_shell_is_right(tmp_path: Path, name: str) -> None:
    """A real shell with curl prints the answers that the shell of the tests of mutants gets."""
    mutant = MUTANTS[name]
    finding = next(each for each in verify(mutant).findings if each.rule.name == mutant.rule)
    keys = target(mutant).keys
    small = Shell(target(mutant), {name_key_variable(key): secret for key, secret in keys.items()})
    small.run(write_script(finding.trace, base=small.target.base, keys=keys, can_move_clock=True))
    with HostileServer(answer_for(target(mutant))) as server:
        printed = run_printed(
            write_script(finding.trace, base=server.url, keys=keys, can_move_clock=True), tmp_path, keys
        )
    assert re.findall(r"^HTTP/1.1 (\d+)", printed, re.MULTILINE) == [str(each.status) for each in small.answers]
    assert small.answers[-1].body.decode()[:20] in printed


def test_equal_requests_are_sent_in_a_loop() -> None:
    """Three equal requests in a row are one command that is run three times."""
    starts = [exchange(Request("POST", "/v1/runs", body=b"{}"), {"id": f"run_0000000{number}"}) for number in range(3)]
    text = write_script([*starts, exchange(Request("GET", "/v1/runs"))], base="http://x", keys={})
    assert "# 1 to 3. 200\nfor _ in $(seq 3); do\n  curl" in text
    assert text.count("curl") == 2


@pytest.mark.parametrize(("base", "is_named"), [("http://127.0.0.1:4711", False), ("https://zof.example", True)])
def test_a_recorded_script_sends_what_the_client_sent(base: str, is_named: bool) -> None:  # noqa: FBT001  a parameter
    """It sends each request once, and does not name an emulator that may have ended."""
    throttled = Exchange(1, Request("POST", "/v1/runs", body=b"{}"), Response(429, (), b"{}"), "", 0.0, 0.0)
    trace = [throttled, exchange(Request("GET", "/v1/runs"))]
    text = write_script(trace, base=base, keys={}, is_recorded=True)
    assert (f"export ZOF_BASE_URL={base}/v1" in text, ': "${ZOF_BASE_URL:?set it to' in text) == (
        is_named,
        not is_named,
    )
    assert text.count("curl") == 2
    assert "for count" not in text
    assert "for count" in write_script(trace, base=base, keys={})


def test_keys_are_variables() -> None:
    """Each API key of the target is a variable; any other credential is printed as it was sent."""
    trace = [
        exchange(Request("GET", "/v1/runs", key="readonly")),
        exchange(Request("GET", "/v1/runs", key="zof_wrong")),
        exchange(Request("GET", "/v1/runs", key="")),
        exchange(Request("GET", "/v1/runs", authorization="Basic {key}")),
    ]
    text = write_script(trace, base="http://x", keys={"main": "s3cret-main", "readonly": "s3cret-read"})
    assert "s3cret" not in text
    assert '"Authorization: Bearer ${ZOF_API_KEY_READONLY}"' in text
    assert "'Authorization: Bearer zof_wrong'" in text
    assert '"Authorization: Basic ${ZOF_API_KEY}"' in text
    assert text.count("Authorization") == 3


def test_two_values_of_a_kind() -> None:
    """Two runs have two variables."""
    first, second = (exchange(Request("POST", "/v1/runs"), {"id": name}) for name in ("run_00000001", "run_00000002"))
    ends = [exchange(Request("GET", f"/v1/runs/{name}")) for name in ("run_00000001", "run_00000002")]
    text = write_script([first, second, *ends], base="http://x", keys={})
    assert '"$ZOF_BASE_URL/runs/${RUN}"' in text
    assert '"$ZOF_BASE_URL/runs/${RUN2}"' in text


def test_outside_of_the_api() -> None:
    """A path outside /v1 is requested outside the base URL's /v1."""
    text = write_script([exchange(Request("HEAD", "/nowhere"))], base="http://x", keys={})
    assert '"${ZOF_BASE_URL%/v1}/nowhere"' in text
    assert " -I " in text
