"""A finding's script: it runs as printed, uses the values of its own answers, and holds no API key."""

from __future__ import annotations

import json
import shutil
import subprocess
from typing import TYPE_CHECKING

import pytest
from zof_contracts.evidence.exchange import Exchange, Request, Response
from zof_contracts.report.curl import key_variable, write_script
from zof_contracts.target.client import Client
from zof_contracts.target.requests import add_header, build_post, build_request
from zof_contracts.target.target import Target

from tests.served import Server, environment
from tests.zof import ADMIN

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

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
    text = write_script(trace, base=client.target.base, keys=client.target.keys)
    variables = environment({key_variable("main"): ADMIN})
    done = subprocess.run(
        ["/bin/sh", "-eu"],
        input=text,
        capture_output=True,
        text=True,
        cwd=folder,
        env=variables,
        check=False,
        timeout=60,
    )
    assert (done.returncode, done.stderr) == (0, ""), text
    return done.stdout


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
def test_a_header_arrives_as_it_was(client: Client, tmp_path: Path) -> None:
    """The script sends a header with shell syntax unchanged."""
    body = {"project_id": "proj_abc123", "environment": "staging", "test_case_ids": ["tc_a"]}
    first = client.send(add_header(build_post("/runs", body), "Idempotency-Key", 'a "$b" `c` \\d'))
    again = run_script(client, tmp_path, first)
    assert first.response.fields["id"] in again


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
