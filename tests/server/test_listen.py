"""`listen`: the addresses that a server listens on."""

from __future__ import annotations

import errno
import socket
from contextlib import ExitStack
from typing import Final

import pytest
from zof_emulator.server.run import listen

from tests.served import LIST, Server, ask, has_ipv6

needs_ipv6: Final = pytest.mark.skipif(not has_ipv6(), reason="this machine has no IPv6")


def list_addresses(host: str, port: int = 0) -> list[tuple[str, int]]:
    """The addresses that `listen` opens; they are closed again."""
    with ExitStack() as stack:
        return [stack.enter_context(one).getsockname()[:2] for one in listen(host, port)]


@needs_ipv6
def test_localhost() -> None:
    """`localhost` is both loopback addresses, with one port, also where the port is chosen by the system."""
    (first, port), (second, other) = list_addresses("localhost")
    assert (first, second) == ("127.0.0.1", "::1")
    assert port == other > 0
    assert list_addresses("localhost", port) == [("127.0.0.1", port), ("::1", port)]


@pytest.mark.parametrize("host", ["127.0.0.1", "127.0.0.2"])
def test_an_address(host: str) -> None:
    """Any other host is one address."""
    ((address, port),) = list_addresses(host)
    assert (address, port > 0) == (host, True)


@needs_ipv6
@pytest.mark.parametrize("family", [socket.AF_INET, socket.AF_INET6])
def test_half_of_localhost_in_use(family: socket.AddressFamily) -> None:
    """A port that is in use on one of the loopback addresses is refused, and nothing is left open."""
    address = "127.0.0.1" if family == socket.AF_INET else "::1"
    with socket.create_server((address, 0), family=family) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(OSError, match="in use") as refused:
            listen("localhost", port)
        assert refused.value.errno == errno.EADDRINUSE
    assert list_addresses("localhost", port)


@pytest.mark.direct(reason="the server listens on two addresses")
@needs_ipv6
def test_a_server_on_localhost() -> None:
    """A server on `localhost` answers on both loopback addresses."""
    with Server("--host", "localhost", "--quiet") as server:
        assert ask(server.port, LIST).status == 200
        with socket.create_connection(("::1", server.port), 5) as connection:
            connection.sendall(LIST)
            assert connection.recv(1 << 16).startswith(b"HTTP/1.1 200 ")
