"""A verification that is interrupted early, or twice, ends with status 130 and its reports."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
import threading
from typing import TYPE_CHECKING

import pytest

from tests.hostile import HostileServer
from tests.mutants.catalogue import target
from tests.served import PATIENCE, environment

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.hostile import Connection, Received

_OF_THE_CONNECTION = frozenset({"host", "content-length", "connection"})


def start_verification(url: str, folder: Path) -> subprocess.Popen[bytes]:
    """Start `zof-contracts verify` with a report in a folder."""
    command = [sys.executable, "-m", "zof_contracts", "verify", "--url", url, "--key", "zof_test_admin"]
    return subprocess.Popen(
        [*command, "--report", "text,json", "--report-dir", str(folder), "--quiet"],
        env=environment({}, measured=False),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )


def stall(has_begun: threading.Event) -> Callable[[Received, Connection], None]:
    """A script that takes requests and answers none."""

    def take(_: Received, connection: Connection) -> None:
        has_begun.set()
        connection.released.wait()

    return take


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP], ids=lambda number: number.name)
def test_a_signal_during_the_preflight(number: signal.Signals, tmp_path: Path) -> None:
    """A signal that comes while the first request waits for its answer ends with status 130 and the reports."""
    has_begun = threading.Event()
    with HostileServer(stall(has_begun)) as server:
        process = start_verification(server.url, tmp_path)
        assert has_begun.wait(2 * PATIENCE)
        process.send_signal(number)
        out, err = process.communicate(timeout=2 * PATIENCE)
    assert (process.returncode, err) == (130, b"")
    assert out.decode().endswith("Exit status 130: the verification was interrupted.\n")
    assert json.loads((tmp_path / "report.json").read_text())["summary"]["interrupted"]


def test_a_signal_during_a_comparison(tmp_path: Path) -> None:
    """A signal ends `diff` with status 130, the report and the file, also while the first request waits."""
    has_begun, output = threading.Event(), tmp_path / "differences.json"
    with HostileServer(stall(has_begun)) as server:
        command = [sys.executable, "-m", "zof_contracts", "diff", "--url", server.url, "--key", "zof_test_admin"]
        process = subprocess.Popen(
            [*command, "--output", str(output)],
            env=environment({}, measured=False),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        assert has_begun.wait(2 * PATIENCE)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=2 * PATIENCE)
    assert (process.returncode, err) == (130, b"")
    assert b"\ninterrupted: the differences are those found until then\n" in out
    assert json.loads(output.read_text())["interrupted"] is True


def test_a_pipe_that_closes_during_the_preflight(tmp_path: Path) -> None:
    """A reader that goes away while the first request waits costs the text, and not the report files."""
    has_begun = threading.Event()
    with HostileServer(stall(has_begun)) as server:
        process = start_verification(server.url, tmp_path)
        assert has_begun.wait(2 * PATIENCE)
        assert process.stdout
        process.stdout.close()
        process.send_signal(signal.SIGTERM)
        assert process.wait(2 * PATIENCE) == 2
        assert process.stderr
        said = process.stderr.read().decode()
        process.stderr.close()
    assert said == "zof-contracts: error: cannot write to standard output: Broken pipe\n"
    assert json.loads((tmp_path / "report.json").read_text())["summary"]["interrupted"]


def test_a_second_signal_ends_the_clean_up_and_writes_the_report(tmp_path: Path) -> None:
    """A second Ctrl-C, while the cancel of a run waits for its answer, ends with the report and the run in it."""
    is_started, is_waiting, is_canceling = threading.Event(), threading.Event(), threading.Event()
    transport = target().make_transport()

    def answer(request: Received, connection: Connection) -> None:
        if request.target.endswith("/cancel"):
            is_canceling.set()
        if is_started.is_set():
            is_waiting.set()
            connection.released.wait()
            return
        headers = tuple((name, value) for name, value in request.headers.items() if name not in _OF_THE_CONNECTION)
        got = transport.carry(request.method, request.target, headers, request.body)
        lines = [f"{name}: {value}" for name, value in got.headers if name != "content-length"]
        head = [f"HTTP/1.1 {got.status} X", *lines, f"content-length: {len(got.body)}", "", ""]
        connection.write("\r\n".join(head).encode("latin-1") + got.body)
        if request.method == "POST" and request.target.endswith("/v1/runs") and got.status == 201:
            is_started.set()

    with HostileServer(answer) as server:
        process = start_verification(server.url, tmp_path)
        assert is_waiting.wait(2 * PATIENCE)
        process.send_signal(signal.SIGINT)
        assert is_canceling.wait(PATIENCE)
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=2 * PATIENCE)
    assert process.returncode == 130
    assert re.fullmatch(
        rb"Note: the world contracts-\w+, which was made for this verification, was not deleted.\n", err
    )
    receipts = json.loads((tmp_path / "report.json").read_text())["receipt"]
    assert "left running: the clean-up was interrupted" in [one["state"] for one in receipts]
