"""The output of commands: one that cannot be written is a line on standard error, and never a traceback."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.served import PATIENCE, environment

FULL = Path("/dev/full")


@pytest.mark.skipif(not FULL.exists(), reason="this system has no device that is always full")
@pytest.mark.parametrize("arguments", [("--help",), ("serve", "--help"), ("--version",), ("env",)])
def test_a_full_device(arguments: tuple[str, ...]) -> None:
    """Output that cannot be written is reported in one line, and the exit status is 2."""
    with FULL.open("w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "zof_emulator", *arguments],
            stdout=full,
            stderr=subprocess.PIPE,
            env=environment({}),
            timeout=PATIENCE,
            check=False,
            text=True,
        )
    assert (done.returncode, done.stderr.count("\n")) == (2, 1), done.stderr
    assert done.stderr.startswith("zof-emulator: error: cannot write the output: ")


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
