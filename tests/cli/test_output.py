"""The output of commands: one that cannot be written is a line on standard error, and never a traceback."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
from pathlib import Path
from typing import IO

import pytest

from tests.served import PATIENCE, ROOT, Server, ask, environment, request

FULL = Path("/dev/full")


COMMANDS = [
    ("--help",),
    ("serve", "--help"),
    ("--version",),
    ("env",),
    ("scenario", "show"),
    ("scenario", "show", "many-runs"),
    ("scenario", "schema"),
    ("scenario", "check", "emulator/zof_emulator/scenarios/builtin/many-runs.yaml"),
    ("scenario", "check", "pyproject.toml"),
]
"""Commands that print something, and need no emulator."""


def run_into(stdout: int | IO[str], *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run a command line whose standard output goes to a file."""
    return subprocess.run(
        [sys.executable, "-m", "zof_emulator", *arguments],
        cwd=ROOT,
        stdout=stdout,
        stderr=subprocess.PIPE,
        env=environment({}),
        timeout=PATIENCE,
        check=False,
        text=True,
    )


def check_reported(done: subprocess.CompletedProcess[str], reason: str) -> None:
    """Check that a command reported in one line why it cannot write its output."""
    line = f"zof-emulator: error: cannot write the output: {reason}\n"
    assert (done.returncode, done.stderr) == (2, line), done.args


@pytest.mark.skipif(not FULL.exists(), reason="this system has no device that is always full")
@pytest.mark.parametrize("arguments", COMMANDS)
def test_a_full_device(arguments: tuple[str, ...]) -> None:
    """Output that cannot be written is reported in one line, and the exit status is 2."""
    with FULL.open("w") as full:
        check_reported(run_into(full, *arguments), os.strerror(errno.ENOSPC))


@pytest.mark.skipif(not FULL.exists(), reason="this system has no device that is always full")
def test_a_full_device_with_an_emulator(tmp_path: Path) -> None:
    """Commands that ask an emulator, or replay its journal, report output that cannot be written too."""
    journal = tmp_path / "journal.ndjson"
    with Server("--clock=manual") as server, FULL.open("w") as full:
        address = f"http://127.0.0.1:{server.port}"
        endpoint = {"url": f"{address}/v1/runs", "events": ["run.started"]}
        webhook = ask(server.port, request("POST", "/v1/webhooks", endpoint)).json
        ask(server.port, request("POST", f"/v1/webhooks/{webhook['id']}/test"))
        ask(server.port, request("POST", "/_emulator/clock/advance", {"by_ms": 1}))  # returns after the attempt
        journal.write_bytes(ask(server.port, request("GET", "/_emulator/journal.ndjson")).content)
        for arguments in (
            ("status", f"--port={server.port}"),
            ("webhooks", "--once", f"--url={address}"),
            ("replay", str(journal)),
            ("replay", "--json", str(journal)),
        ):
            check_reported(run_into(full, *arguments), os.strerror(errno.ENOSPC))


def test_a_closed_output() -> None:
    """A command whose standard output is closed or has no reader reports that in one line, and exits with 2."""
    closed = [sys.executable, "-m", "zof_emulator", "scenario", "show"]
    done = subprocess.run(
        ["/bin/sh", "-c", 'exec "$@" >&-', "sh", *closed],
        stderr=subprocess.PIPE,
        env=environment({}),
        timeout=PATIENCE,
        check=False,
        text=True,
    )
    check_reported(done, "standard output is closed")
    reader, writer = os.pipe()
    os.close(reader)
    try:
        check_reported(run_into(writer, "scenario", "show"), os.strerror(errno.EPIPE))
    finally:
        os.close(writer)


@pytest.mark.parametrize("token", [b"caf\xe9", "é".encode(), b"two words", b"a\tb"])
def test_a_token_that_no_header_can_carry(token: bytes) -> None:
    """A token with other than printable ASCII characters is refused in one line, which does not show it."""
    variables = {name.encode(): value.encode() for name, value in environment({}).items()}
    done = subprocess.run(
        [sys.executable, "-m", "zof_emulator", "serve", "--port=0"],
        capture_output=True,
        env={**variables, b"ZOF_EMULATOR_TOKEN": token},
        timeout=PATIENCE,
        check=False,
    )
    assert (done.returncode, done.stdout, done.stderr.count(b"\n")) == (2, b"", 1), done.stderr
    assert b"invalid token: use printable ASCII characters" in done.stderr
    assert token not in done.stderr
