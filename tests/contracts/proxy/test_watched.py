"""The proxy carries the emulator's own HTTP tests without a changed byte, and a changed byte would be found."""

from __future__ import annotations

import subprocess
import sys
from typing import Any, Final

import pytest

from tests.contracts.proxy.watched import Direction, WatchedProxy
from tests.served import ROOT, Server, ask, environment, request

CARRIED: Final = ("tests/server/test_faults.py", "tests/server/test_half_close.py")


def test_the_tests_of_the_server_pass_through_the_proxy() -> None:
    """Faults and half-closed connections pass with the proxy before the server, and no byte changes."""
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "tests.through_proxy", *CARRIED]
    ran = subprocess.run(
        command, cwd=ROOT, env=environment({}), capture_output=True, text=True, check=False, timeout=300
    )
    assert ran.returncode == 0, ran.stdout[-3000:] + ran.stderr[-1000:]
    assert " passed" in ran.stdout


@pytest.mark.parametrize(("settings", "changes"), [({}, 0), ({"is_host_kept": False}, 1)])
def test_a_changed_byte_is_found(settings: dict[str, Any], changes: int) -> None:
    """The comparison reports the proxy where it is told to change the Host, and nothing where it changes nothing."""
    with Server("--quiet") as server, WatchedProxy(server.port, **settings) as proxy:
        assert ask(proxy.port, request("GET", "/v1/projects")).status == 200
    assert len(proxy.changes) == changes, proxy.changes
    assert proxy.connections == 1
    assert proxy.outcome is not None
    assert proxy.outcome.contract.recorded == 1


@pytest.mark.parametrize(
    ("entered", "left", "is_whole", "change"),
    [
        (b"abc", b"abc", True, ""),
        (b"abc", b"ab", False, ""),
        (b"abc", b"ab", True, "1 bytes are missing: bytearray(b'c')"),
        (b"abc", b"axc", False, "byte 1 differs: bytearray(b'bc') became bytearray(b'xc')"),
        (b"abc", b"abcd", False, "byte 3 differs: bytearray(b'') became bytearray(b'd')"),
    ],
)
def test_the_comparison(entered: bytes, left: bytes, change: str, *, is_whole: bool) -> None:
    """Bytes may be missing at the end only where the connection ended before the sender did."""
    assert Direction(bytearray(entered), bytearray(left), is_whole).describe_change() == change
