"""The life of a server process: its ready line and banner, what it logs, its pipes, and how it ends."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
from typing import TYPE_CHECKING, Final

import pytest

from tests.served import LIST, PATIENCE, ROOT, START, Server, Wire, ask, environment, first_line, request, until
from tests.zof import STAGING

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

HEALTH: Final = request("GET", "/_emulator/health")
RUN: Final = request("POST", "/v1/runs", START)
HINT: Final = "--rate-limit N/SECONDS (ZOF_EMULATOR_RATE_LIMIT)"


# --- beginning


def test_the_ready_line() -> None:
    """The ready line is one line of JSON with true values, and the only output on stdout."""
    with Server() as server:
        ready = server.ready
        assert ready == {
            "event": "ready",
            "base_url": f"http://127.0.0.1:{ready['port']}/v1",
            "host": "127.0.0.1",
            "port": ready["port"],
            "pid": server.process.pid,
            "token_file": None,
        }
        assert ask(server.port, LIST).status == 200
        assert server.stop() == (130, b"")


def test_the_banner() -> None:
    """The banner on stderr shows the address, the keys and the permissions of each."""
    with Server() as server:
        banner = server.log
    assert server.ready["base_url"] in banner
    for key in ("zof_test_admin", "zof_test_ci", "zof_test_viewer", "zof_test_expired", "zof_test_other"):
        assert re.search(rf"^ +{key} +org_(abc|other) +\S", banner, re.MULTILINE)


@pytest.mark.skipif(shutil.which("curl") is None, reason="there is no curl to paste into")
def test_the_curl_line() -> None:
    """The curl line of the banner works when it is pasted into a shell."""
    with Server() as server:
        (line,) = re.findall(r"^ *(curl .*)$", server.log, re.MULTILINE)
        pasted = subprocess.run(["/bin/sh", "-c", line], capture_output=True, timeout=PATIENCE, check=True)
    assert [run["id"] for run in json.loads(pasted.stdout)["data"]] == ["run_sample_failed", "run_sample_passed"]


@pytest.mark.parametrize(("flags", "said"), [((), False), (("--clock", "manual"), True)], ids=["real", "manual"])
def test_the_banner_says_when_time_stands_still(flags: Sequence[str], said: bool) -> None:  # noqa: FBT001  a parameter
    """The banner of a manual clock says that the clock stands still and how to move it."""
    with Server(*flags) as server:
        assert ("/_emulator/clock/advance" in server.log) is said


def test_the_banner_warns_of_an_open_address() -> None:
    """The banner of a non-loopback address says that other machines can reach it."""
    with Server("--host", "0.0.0.0") as server:  # noqa: S104  that it is open is the point
        assert "Not a loopback address" in server.log


def test_quiet() -> None:
    """With --quiet nothing is written on stderr but warnings: no banner, no line for each exchange, none at the end."""
    with Server("--quiet") as server:
        assert ask(server.port, LIST).status == 200
        assert server.stop()[0] == 130
        assert server.log.strip() == ""


@pytest.mark.parametrize(
    "variables", [{"NO_COLOR": "1"}, {"CI": "true"}, {"FORCE_COLOR": "1", "TERM": "xterm-256color"}], ids=str
)
def test_no_escape_codes(variables: dict[str, str]) -> None:
    """Output to a pipe or a file has no escape codes, not even those that a client sends."""
    with Server(variables=variables) as server:
        ask(server.port, request("GET", "/v1/%1B[31mred"))
        ask(server.port, b"\x1b[31m /v1 HTTP/1.1\r\n\r\n")
        assert server.stop()[0] == 130
        assert "\x1b" not in server.log


# --- logging


def list_log_lines(server: Server) -> list[str]:
    """The log lines since the banner."""
    return server.log.partition("Ctrl-C ends it.\n")[2].split("\n")[1:-1]


def test_a_text_line_for_each_exchange() -> None:
    """A text line has the time, request, status, reason of a refusal, and ID of the answer."""
    with Server("--clock", "manual") as server:
        fine = ask(server.port, LIST)
        refused = ask(server.port, request("GET", "/v1/runs/a%0Ab%20c?x=1", key=None))
        at = "2026-01-01T00:00:00.000Z"
        assert list_log_lines(server) == [
            f"{at} GET /v1/runs 200 {fine['x-request-id']}",
            rf"{at} GET '/v1/runs/a\nb c' 401 key_missing {refused['x-request-id']}",
        ]


def test_a_json_line_for_each_exchange() -> None:
    """With --log-format json each line is an object of one shape."""
    with Server("--clock", "manual", "--log-format", "json") as server:
        answers = [ask(server.port, content) for content in (LIST, request("GET", "/v1/\n"), request("GET", "/v1/%0A"))]
        lines = [json.loads(line) for line in list_log_lines(server)]
    exchanges = [line for line in lines if "status" in line]
    assert [line["status"] for line in exchanges] == [200, 400, 404]
    assert [line["request_id"] for line in exchanges] == [answer["x-request-id"] for answer in answers]
    assert {tuple(line) for line in exchanges} == {tuple(exchanges[0])}
    assert all(line.keys() == {"level", "message"} for line in lines if line not in exchanges)


@pytest.mark.parametrize("form", ["text", "json"])
@pytest.mark.parametrize("quiet", [(), ("--quiet",)], ids=["loud", "quiet"])
def test_the_first_429_says_how_to_raise_the_limit(form: str, quiet: Sequence[str]) -> None:
    """The first 429 logs how to raise the limit; later ones do not, for any key."""
    with Server("--rate-limit", "1/60", "--log-format", form, *quiet) as server:
        assert ask(server.port, LIST).status == 200
        assert HINT not in server.log
        keys = ("zof_test_admin", "zof_test_admin", "zof_test_ci", "zof_test_ci")
        statuses = [ask(server.port, request("GET", "/v1/runs", key=key)).status for key in keys]
        assert statuses == [429, 429, 200, 429]
        (line,) = [line for line in server.log.splitlines() if HINT in line]
        assert form == "text" or json.loads(line)["level"] == "warning"


ODD: Final = [
    b"Bearer %s",
    b"bearer %s",
    b"Bearer  %s ",
    b"Basic %s",
    b"%s",
    b"Bearer %s, Bearer %s",
    b"Bearer\t%s",
    b"Bearer %s\xff",
    b'Bearer "%s"',
]


@pytest.mark.parametrize("form", ["text", "json"])
def test_no_log_line_shows_a_key(form: str) -> None:
    """The Authorization header of a client never appears in a log."""
    secret = b"sekret_0123456789"
    with Server("--log-format", form) as server:
        for shape in ODD:
            line = b"Authorization: " + shape.replace(b"%s", secret)
            for content in (
                request("GET", "/v1/runs", b"", line, key=None),
                request("POST", "/v1/runs", b"{", line, line, key=None),
                request("BREW", "/v1/runs", b"", line, key=None),
                request("GET", "/v1/runs", b"", b"X Y: 1", line, key=None),
                request("GET", "/v1/nothing", b"", line, b"Connection: Upgrade", b"Upgrade: h2c", key=None),
                request("POST", "/_emulator/clock/advance", {"by_ms": -1}, line, key=None),
            ):
                assert ask(server.port, content).status >= 400
        ask(server.port, request("GET", b"/v1/runs?api_key=" + secret, key="zof_test_ci"))
        assert len(list_log_lines(server)) > 6 * len(ODD)
        assert secret.decode() not in server.log
        assert "zof_test" not in "".join(list_log_lines(server))


@pytest.mark.parametrize("quiet", [(), ("--quiet",)], ids=["loud", "quiet"])
def test_an_offer_of_another_protocol_is_no_news(quiet: Sequence[str]) -> None:
    """A client that offers HTTP/2 or WebSocket causes no hint to install anything."""
    with Server(*quiet) as server:
        for offer in (b"h2c", b"websocket"):
            ask(server.port, request("GET", "/v1/runs", b"", b"Connection: Upgrade", b"Upgrade: " + offer))
        assert "install" not in server.log
        assert "warning" not in server.log


# --- pipes


@pytest.mark.parametrize("closed", [("stdout",), ("stderr",), ("stdout", "stderr")], ids="+".join)
def test_a_reader_that_goes_away(closed: Sequence[str]) -> None:
    """The emulator continues and ends as usual when the readers of its output have gone."""
    command = [sys.executable, "-m", "zof_emulator", "serve", "--port", "0"]
    with subprocess.Popen(
        command, cwd=ROOT, env=environment({}), stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        try:
            port = json.loads(first_line(process))["port"]
            pipes = {"stdout": process.stdout, "stderr": process.stderr}
            for name in closed:
                pipe = pipes[name]
                assert pipe is not None
                pipe.close()
            assert [ask(port, content).status for content in (HEALTH, LIST, RUN, b"\0" * 9)] == [200, 200, 201, 400]
            process.send_signal(signal.SIGINT)
            assert process.wait(PATIENCE) == 130
        finally:
            process.kill()


@pytest.mark.parametrize(
    ("closed", "flags"), [("stdout", ()), ("stderr", ()), ("stderr", ("--quiet",))], ids=["stdout", "stderr", "quiet"]
)
def test_a_reader_that_was_never_there(free_port: Callable[[], int], closed: str, flags: Sequence[str]) -> None:
    """The emulator starts and ends as usual although nobody reads its output."""
    reader, writer = os.pipe()
    os.close(reader)
    port = free_port()
    command = [sys.executable, "-m", "zof_emulator", "serve", "--port", str(port), *flags]
    stdout, stderr = (writer, subprocess.PIPE) if closed == "stdout" else (subprocess.PIPE, writer)
    with subprocess.Popen(command, cwd=ROOT, env=environment({}), stdout=stdout, stderr=stderr) as process:
        os.close(writer)
        try:
            if process.stderr is not None:
                until(process.stderr, b"Ctrl-C ends it.\n")
            elif process.stdout is not None:
                until(process.stdout, b"\n")
            assert [ask(port, content).status for content in (HEALTH, LIST, RUN)] == [200, 200, 201]
            process.send_signal(signal.SIGINT)
            assert process.wait(PATIENCE) == 130
        finally:
            process.kill()


# --- end


@pytest.mark.parametrize(
    "lines", [(), (b"Content-Length: 9",), (b"Transfer-Encoding: chunked",)], ids=["head", "body", "chunks"]
)
def test_ctrl_c_ends_it_at_once(lines: Sequence[bytes]) -> None:
    """SIGINT ends it silently within a second with exit status 130, whatever the connections."""
    with Server("--quiet") as server, Wire(server.port) as idle, Wire(server.port) as silent, Wire(server.port) as half:
        idle.send(LIST)
        assert idle.answer().status == 200
        if lines:
            half.send(request("POST", "/v1/runs", b"", b"Expect: 100-continue", *lines))
            assert half.answer().status == 100  # now it waits for the body
        else:
            half.send(LIST[:-20])
            assert ask(server.port, HEALTH).status == 200
        assert server.stop(within=1.0) == (130, b"")
        assert server.log.strip() == ""
        assert (idle.rest(), silent.rest(), half.rest()) == (b"", b"", b"")


def test_ctrl_c_where_it_was_ignored() -> None:
    """SIGINT ends it with 130 also in the background of a script, where the shell ignores SIGINT."""
    command = [sys.executable, "-m", "zof_emulator", "serve", "--port", "0", "--quiet"]
    with subprocess.Popen(
        ["sh", "-c", 'trap "" INT; exec "$@"', "sh", *command],  # noqa: S607  any shell will do
        cwd=ROOT,
        env=environment({}),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
    ) as process:
        try:
            assert json.loads(first_line(process))["event"] == "ready"
            process.send_signal(signal.SIGINT)
            assert process.wait(PATIENCE) == 130
        finally:
            process.kill()  # else the block would wait for a server that goes on


def test_ctrl_c_in_an_answer() -> None:
    """SIGINT ends it within a second although a client has stopped reading its answer."""
    with Server("--quiet", "--clock", "manual", "--rate-limit", "off") as server:
        runs = []
        for number in range(20):
            cases = [f"tc_{number}_{case}" for case in range(500)]
            runs.append(ask(server.port, request("POST", "/v1/runs", {**STAGING, "test_case_ids": cases})).json["id"])
        ask(server.port, request("POST", f"/_emulator/runs/{runs[-1]}/advance", {"to": "end"}))
        with Wire(server.port, most_waiting=4096) as stalled:
            for _ in range(4):
                stalled.send(request("POST", "/v1/results/export", {"format": "json"}))
            assert ask(server.port, HEALTH).status == 200
            assert server.stop(within=1.0) == (130, b"")
            assert server.log.strip() == ""


def test_sigterm_ends_it() -> None:
    """SIGTERM ends it silently, with the exit status of that signal."""
    with Server("--quiet") as server, Wire(server.port) as idle:
        idle.send(LIST)
        assert idle.answer().status == 200
        assert server.stop(signal.SIGTERM, within=1.0) == (-signal.SIGTERM, b"")
        assert server.log.strip() == ""


@pytest.mark.direct(reason="another server takes the port of the first one")
def test_its_port_is_free_at_once() -> None:
    """A port can be reused as soon as its server has ended, even if clients were connected."""
    with Server() as server, Wire(server.port) as idle:
        idle.send(LIST)
        assert idle.answer().status == 200
        server.stop()
        with Server("--port", str(server.port)) as again:
            assert (again.port, ask(again.port, LIST).status) == (server.port, 200)


# --- clients as they come


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_links_follow_the_name_that_the_client_used(host: str) -> None:
    """Links begin with the scheme and host that the client used."""
    with Server("--clock", "manual") as server:
        content = request("GET", "/v1/runs/run_sample_failed").replace(b"localhost", f"{host}:{server.port}".encode())
        assert ask(server.port, content).json["url"] == f"http://{host}:{server.port}/runs/run_sample_failed"
