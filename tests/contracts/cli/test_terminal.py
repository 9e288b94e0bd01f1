"""The command ends with a documented status and at most one line on any terminal, with any streams and signals."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final

import pytest

from tests.served import Server, environment, until
from tests.zof import ADMIN

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

ROOT: Final = Path(__file__).parents[3]
FAKE: Final = """
import sys
from tests.contracts.conftest import fabricate
from zof_contracts.cli import execution
from zof_contracts.cli.main import main
from zof_contracts.evidence.events import VerificationStarted

def run(target, **options):
    for listener in options["listeners"]:
        listener(VerificationStarted("http://127.0.0.1:1 \\u2026 \\u30c6", "full", 207, 3))
    return fabricate("\\u2026 \\u30c6 \\u00fc", target=target)

execution.run = run
main(sys.argv[1:])
"""
"""The command with a fake verification, whose findings hold characters that few encodings have."""
VERIFY: Final = ("verify", "--url", "http://127.0.0.1:1", "--key", "zof_secret_main_1")


def run_fake(
    arguments: Sequence[str], variables: Mapping[str, str] | None = None, redirect: str = ""
) -> subprocess.CompletedProcess[bytes]:
    """Run the command with a fake verification, through a shell that redirects its streams."""
    script = f'exec "$@" {redirect}'
    words = ["/bin/sh", "-c", script, "sh", sys.executable, "-c", FAKE, *arguments]
    known = environment({**(variables or {}), "PYTHONPATH": str(ROOT)}, measured=False)
    return subprocess.run(words, env=known, capture_output=True, check=False, timeout=60)


@pytest.mark.parametrize(
    ("arguments", "encoding"),
    [
        *((VERIFY, encoding) for encoding in ("cp437", "cp932", "latin-1", "ascii", "utf-8")),
        *((arguments, "cp437") for arguments in (("rules",), ("explain", "runs.cancel.race"), ("verify", "--help"))),
    ],
)
def test_every_encoding_will_do(arguments: Sequence[str], encoding: str) -> None:
    """Characters that the encoding of the terminal lacks are escaped."""
    done = run_fake(arguments, {"PYTHONIOENCODING": encoding})
    assert done.returncode == (1 if arguments is VERIFY else 0), done.stderr
    assert b"Traceback" not in done.stderr
    if arguments is VERIFY:
        text = done.stdout.decode(encoding)
        assert ("\u30c6" if encoding in {"cp932", "utf-8"} else "\\u30c6") in text
        assert "Exit status 1: 1 rule is broken." in text


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="the system has no /dev/full")  # noqa: PTH110  no path of ours
@pytest.mark.parametrize("redirect", [">/dev/full", ">&-"], ids=["full", "closed"])
@pytest.mark.parametrize("arguments", [VERIFY, ("rules",), ("--help",), ("--version",), ("explain", "pages.walk"), ()])
def test_standard_output_that_cannot_be_written(arguments: Sequence[str], redirect: str) -> None:
    """Standard output that is full or closed ends with status 2 and one line."""
    done = run_fake(arguments, redirect=redirect)
    assert done.returncode == 2
    lines = [line for line in done.stderr.decode().splitlines() if not line.startswith("verifying ")]
    assert len(lines) == 1
    assert lines[0].startswith("zof-contracts: error: ")
    assert "standard output" in lines[0]


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="the system has no /dev/full")  # noqa: PTH110  no path of ours
@pytest.mark.parametrize("redirect", ["2>/dev/full", "2>&-"], ids=["full", "closed"])
def test_standard_error_that_cannot_be_written(redirect: str, tmp_path: Path) -> None:
    """Progress that cannot be shown changes neither the report nor the status."""
    done = run_fake((*VERIFY, "--report", "text,json", "--report-dir", str(tmp_path)), redirect=redirect)
    assert done.returncode == 1
    assert b"Exit status 1" in done.stdout
    assert json.loads((tmp_path / "report.json").read_text())["summary"]["exit_status"] == 1
    assert run_fake(("verify",), redirect=redirect).returncode == 2


def test_a_pipe_that_nobody_reads_leaves_the_files(tmp_path: Path) -> None:
    """The report files are written before standard output turns out to be a closed pipe."""
    reading, writing = os.pipe()
    os.close(reading)
    done = subprocess.run(
        [sys.executable, "-c", FAKE, *VERIFY, "--report", "text,json", "--report-dir", str(tmp_path)],
        env=environment({"PYTHONPATH": str(ROOT)}, measured=False),
        stdout=writing,
        stderr=subprocess.PIPE,
        check=False,
        timeout=60,
    )
    os.close(writing)
    assert done.returncode == 2
    assert done.stderr.decode().endswith("zof-contracts: error: cannot write to standard output: Broken pipe\n")
    assert (tmp_path / "report.json").exists()


def ignore_interrupts() -> None:
    """Start a process as a shell starts a job in the background."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP], ids=lambda number: number.name)
def test_a_signal_ends_with_reports_and_clean_up(number: signal.Signals, tmp_path: Path) -> None:
    """SIGINT to a background job, SIGTERM and SIGHUP end with status 130, the reports, and every run canceled."""
    with Server("--quiet", "--rate-limit", "off") as server:
        command = [sys.executable, "-m", "zof_contracts", "verify", "--url", f"http://127.0.0.1:{server.port}"]
        process = subprocess.Popen(
            [*command, "--key", ADMIN, "--report", "text,json", "--report-dir", str(tmp_path)],
            env=environment({}, measured=False),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            preexec_fn=ignore_interrupts,  # noqa: PLW1509  this process has no threads
        )
        assert process.stderr is not None
        until(process.stderr, b"[3/")
        process.send_signal(number)
        out, err = process.communicate(timeout=30)
    assert process.returncode == 130, err
    assert out.decode().endswith("Exit status 130: the verification was interrupted.\n")
    report = json.loads((tmp_path / "report.json").read_text())
    assert report["summary"]["interrupted"]
    assert report["receipt"]
    states = {one["state"].partition(";")[0] for one in report["receipt"]}
    lost = {state for state in states if state.startswith("the answer to its start was lost")}  # the signal came then
    assert states - lost <= {"ended", "canceled"}
    assert not any("left running" in one["state"] for one in report["receipt"])
