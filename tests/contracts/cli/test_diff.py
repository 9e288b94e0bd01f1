"""`zof-contracts diff` as a process: exit status, output and errors."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import TYPE_CHECKING, Final

import pytest

from tests.served import Server, environment

if TYPE_CHECKING:
    from pathlib import Path

KEYS: Final = ("--key", "zof_test_admin", "--key-other-org", "zof_test_other", "--key-ci", "zof_test_ci")


def run_command(*arguments: str) -> tuple[int, str, str]:
    """Run the command; return its exit status, standard output and standard error."""
    done = subprocess.run(
        [sys.executable, "-m", "zof_contracts", *arguments],
        env=environment({}),
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    return done.returncode, done.stdout, done.stderr


def test_a_server_is_compared_with_an_emulator_that_is_started(tmp_path: Path) -> None:
    """A server that is an emulator has no difference from the one that is started, whatever its seed and rate limit."""
    output = tmp_path / "differences.json"
    with Server("--clock", "manual", "--seed", "77", "--quiet") as server:
        url = f"http://127.0.0.1:{server.port}"
        code, out, err = run_command("diff", "--url", url, *KEYS, "--stories", "3", "--output", str(output))
    assert (code, err) == (0, ""), out
    assert out.startswith(f"{url} (--url) beside http://127.0.0.1:")
    report = json.loads(output.read_text())
    assert (report["format"], report["url"], report["rules"], report["answers"]) == (1, url, [], [])
    assert 2 < report["stories"] <= 5


def test_a_server_that_differs_ends_with_1() -> None:
    """Where one of two servers answers with undocumented fields, the status is 1, and no rule is about them."""
    with (
        Server("--clock", "manual", "--quiet") as one,
        Server("--clock", "manual", "--evolve", "--quiet") as other,
    ):
        urls = [f"http://127.0.0.1:{server.port}" for server in (one, other)]
        code, out, _ = run_command("diff", "--url", urls[1], "--against", urls[0], *KEYS, "--stories", "1")
    assert code == 1
    assert "SILENT getRun, 200/body/" in out
    assert "   --against: nothing\n" in out


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ((), "no target"),
        (("--url", "http://127.0.0.1:1"), "127.0.0.1:1"),
        (("--url", "http://127.0.0.1:1", "--against", "ftp://x"), "invalid --against"),
        (("--url", "http://127.0.0.1:1", "--against-key", "main=zof_x"), "--against-key needs --against"),
        (("--url", "http://127.0.0.1:1", "--against-key", "nobody=zof_x"), "use NAME=KEY"),
        (
            ("--url", "http://127.0.0.1:1", "--against", "https://staging.example"),
            "add --i-may-create-runs",
        ),
    ],
)
def test_what_cannot_be_compared_ends_with_2(arguments: tuple[str, ...], said: str) -> None:
    """An invalid option, or a deployment that is down, ends the command with status 2 and one line."""
    code, out, err = run_command("diff", *KEYS, *arguments)
    assert (code, out) == (2, "")
    assert said in err
    assert "zof_x" not in err
    assert err.count("\n") == 1
