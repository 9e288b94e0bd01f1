"""The HTTP transport against servers with bad habits."""

from __future__ import annotations

import socket
import ssl
import threading
import tracemalloc
from contextlib import closing, suppress
from pathlib import Path
from typing import TYPE_CHECKING

import httpcore
import pytest
from zof_contracts.target.deadline import Deadline, DeadlineBackend
from zof_contracts.target.http_transport import HttpTransport
from zof_contracts.target.transport import NoAnswer, Unreachable

from tests.hostile import HABITS, PAGE, Connection, HostileServer, Received

if TYPE_CHECKING:
    from zof_contracts.evidence.exchange import Response

SHORT = 0.25
"""Seconds for an answer that never comes."""


def carry(server: HostileServer, *, seconds: float = 10.0, max_body: int = 1 << 20) -> Response:
    """The answer to one GET."""
    with closing(HttpTransport(server.url, max_body=max_body)) as transport:
        return transport.carry("GET", "/v1/runs", (("Authorization", "Bearer zof_test_key"),), b"", seconds=seconds)


@pytest.mark.parametrize("habit", ["drip", "drip-headers", "stall"])
def test_an_answer_that_does_not_end_is_given_up_in_time(habit: str) -> None:
    """The deadline bounds the whole answer, not each read."""
    with HostileServer(HABITS[habit]) as server, pytest.raises(NoAnswer) as raised:
        carry(server, seconds=SHORT)
    assert raised.value.timed_out
    assert str(raised.value) == f"it gave no whole answer within {SHORT} s"


@pytest.mark.parametrize(
    ("habit", "message"),
    [
        ("reset", "it reset the connection before its answer was complete"),
        ("close", "it closed the connection without an answer"),
        ("cut", "it closed the connection before its answer was complete"),
        ("babble", "its answer is not HTTP/1.1"),
    ],
)
def test_a_broken_connection_is_no_answer(habit: str, message: str) -> None:
    """A target that does something else than answer is described in one line."""
    with HostileServer(HABITS[habit]) as server, pytest.raises(NoAnswer) as raised:
        carry(server)
    assert str(raised.value) == message
    assert not raised.value.timed_out


@pytest.mark.parametrize(
    "habit",
    [
        "hint-early",
        "chunk",
        "compress-gzip",
        "compress-deflate",
        "compress-deflate-raw",
        "compress-br",
        "compress-twice",
    ],
)
def test_what_http_allows_is_understood(habit: str) -> None:
    """Informational answers, chunk extensions, trailers and content codings do not change what was answered."""
    with HostileServer(HABITS[habit]) as server:
        answer = carry(server)
    assert (answer.status, answer.body, answer.flaw) == (200, PAGE, "")


@pytest.mark.parametrize(
    ("habit", "flaw"),
    [
        ("miscode", "the body is not in its content coding gzip"),
        ("cut-gzip", "the body ends in the middle of its content coding gzip"),
        ("bomb", "the body is longer than 1048576 bytes"),
    ],
)
def test_a_bad_body_is_an_answer_with_a_flaw(habit: str, flaw: str) -> None:
    """A body that cannot be read whole is said to be so, and costs little memory."""
    with HostileServer(HABITS[habit]) as server:
        tracemalloc.start()
        try:
            answer = carry(server)
            peak = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
    assert (answer.status, answer.flaw) == (200, flaw)
    assert len(answer.body) <= 4096
    if habit != "bomb":  # the fake itself compresses a gigabyte in the same process
        assert peak < 8 << 20


def test_a_huge_body_is_not_read_to_its_end() -> None:
    """At most so many bytes of a body are read."""
    with HostileServer(HABITS["flood"]) as server:
        answer = carry(server, max_body=1000)
    assert answer.flaw == "the body is longer than 1000 bytes"


def test_a_redirect_is_not_followed() -> None:
    """A redirect is an answer like any other, so that the key stays at the target."""
    with HostileServer(HABITS["redirect"]) as server:
        answer = carry(server)
        assert answer.status == 302
        assert len(server.requests) == 1


def test_a_request_goes_over_the_wire_as_it_is() -> None:
    """Path, query and header values are not normalized."""
    with (
        HostileServer(lambda _, connection: connection.answer()) as server,
        closing(HttpTransport(f"{server.url}/base/v1/")) as transport,
    ):
        transport.carry("POST", "/v1/a/../b//c?x=%zz&y='\"", (("X-Odd", "a \xe9  b"),), b"")
        (request,) = server.requests
    assert request.target == "/base/v1/a/../b//c?x=%zz&y='\""
    assert request.headers["x-odd"] == "a \xe9  b"
    assert request.headers["content-length"] == "0"
    assert request.headers["host"] == f"127.0.0.1:{server.port}"
    assert request.headers["accept-encoding"] == "gzip, deflate, br"


def test_a_fresh_connection_is_new() -> None:
    """Connections are kept for later requests, except for those that ask for a fresh one."""
    with (
        HostileServer(lambda _, connection: connection.answer()) as server,
        closing(HttpTransport(server.url)) as transport,
    ):
        for fresh in (False, False, True, True, False):
            transport.carry("GET", "/v1/runs", (), b"", fresh=fresh)
        assert server.connections == 3


def test_a_proxy_is_used_for_other_hosts_and_never_for_loopback(monkeypatch: pytest.MonkeyPatch) -> None:
    """The environment's proxy carries requests to other hosts, with the whole address and the exact path."""
    with HostileServer(lambda _, connection: connection.answer()) as proxy, HostileServer(HABITS["chunk"]) as target:
        for name in ("http_proxy", "HTTP_PROXY"):
            monkeypatch.setenv(name, f"http://user:secret@127.0.0.1:{proxy.port}")
        for name in ("no_proxy", "NO_PROXY"):
            monkeypatch.delenv(name, raising=False)
        with closing(HttpTransport("http://zof.test/api")) as transport:
            assert transport.carry("GET", "/v1/../runs", (), b"").status == 200
        assert carry(target).status == 200
        (request,) = proxy.requests
        assert len(target.requests) == 1
    assert request.target == "http://zof.test:80/api/v1/../runs"
    assert request.headers["host"] == "zof.test"
    assert request.headers["proxy-authorization"].startswith("Basic ")


def test_a_proxy_that_refuses_a_tunnel_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    """HTTPS goes through a tunnel; a proxy that refuses it is named, without its password."""

    def refuse(request: Received, connection: Connection) -> None:
        assert request.method == "CONNECT"
        assert request.target == "zof.test:443"
        connection.answer(b"", "407 Proxy Authentication Required")

    with HostileServer(refuse) as proxy:
        for name in ("https_proxy", "HTTPS_PROXY"):
            monkeypatch.setenv(name, f"http://user:secret@127.0.0.1:{proxy.port}")
        with closing(HttpTransport("https://zof.test")) as transport, pytest.raises(Unreachable) as raised:
            transport.carry("GET", "/v1/runs", (), b"")
    assert str(raised.value) == f"the proxy 127.0.0.1:{proxy.port} refuses the connection to zof.test"


@pytest.mark.parametrize("address", ["socks5://127.0.0.1:1", "http://[::bad", "ftp://proxy"])
def test_another_kind_of_proxy_is_refused(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A proxy that is not an HTTP proxy is one line, not a traceback."""
    for name in ("http_proxy", "HTTP_PROXY"):
        monkeypatch.setenv(name, address)
    with pytest.raises(Unreachable, match=r"not an http:// or https:// address"):
        HttpTransport("http://zof.test").carry("GET", "/v1/runs", (), b"")


def test_a_missing_file_of_authorities_is_one_line() -> None:
    """`--ca-file` names a file with certificates."""
    with pytest.raises(Unreachable, match=r"certificates \(PEM\) from 'nowhere.pem': No such file"):
        HttpTransport("https://127.0.0.1:1", ca_file="nowhere.pem").carry("GET", "/v1/runs", (), b"")


def test_a_request_that_http_does_not_allow_is_not_sent() -> None:
    """A header with a line end is refused, and the message does not quote it."""
    with HostileServer(HABITS["chunk"]) as server, closing(HttpTransport(server.url)) as transport:
        with pytest.raises(ValueError, match=r"^the request holds a character that HTTP does not allow$"):
            transport.carry("GET", "/v1/runs", (("X", "zof\r\nsecret"),), b"")
        assert server.requests == []


CERTIFICATE = Path(__file__).parent / "loopback.pem"
"""A certificate of 127.0.0.1 that nobody but these tests trusts, with its key."""


def answer_over_tls(listener: socket.socket) -> None:
    """Accept two connections, and answer those that trust the certificate."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(CERTIFICATE)
    for _ in range(2):
        connection, _ = listener.accept()
        with suppress(OSError), context.wrap_socket(connection, server_side=True) as secure:
            secure.recv(1 << 16)
            secure.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}")


@pytest.mark.parametrize("way", ["ca_file", "SSL_CERT_FILE"])
def test_an_authority_of_ones_own_is_trusted(way: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A certificate is refused unless `--ca-file` or SSL_CERT_FILE names its authority."""
    monkeypatch.delenv("SSL_CERT_FILE", raising=False)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=answer_over_tls, args=(listener,))
        thread.start()
        url = f"https://127.0.0.1:{listener.getsockname()[1]}"
        with (
            closing(HttpTransport(url)) as transport,
            pytest.raises(Unreachable, match="offers no TLS that is trusted"),
        ):
            transport.carry("GET", "/v1/runs", (), b"")
        if way == "SSL_CERT_FILE":
            monkeypatch.setenv(way, str(CERTIFICATE))
        with closing(HttpTransport(url, ca_file=str(CERTIFICATE) if way == "ca_file" else "")) as transport:
            assert transport.carry("GET", "/v1/runs", (), b"").status == 200
        thread.join()


def test_a_name_that_is_not_found_in_time_is_given_up() -> None:
    """A lookup of a host's name that does not end takes no longer than the request may."""
    released = threading.Event()

    def look_up(_: str, __: int) -> list[str]:
        released.wait()
        return []

    deadline = Deadline()
    deadline.set(0.05)
    with pytest.raises(httpcore.ConnectTimeout):
        DeadlineBackend(deadline, look_up).connect_tcp("zof.test", 80)
    released.set()


def test_each_address_of_a_name_is_tried() -> None:
    """A host whose first address refuses connections is reached by its second one."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        deadline = Deadline()
        deadline.set(5)
        backend = DeadlineBackend(deadline, lambda _, __: ["127.0.0.2", "127.0.0.1"])
        stream = backend.connect_tcp("zof.test", listener.getsockname()[1])
        accepted, _ = listener.accept()
        accepted.close()
        stream.close()


def test_a_name_without_an_address_is_no_connection() -> None:
    """A lookup that finds nothing is an error of the connection."""

    def look_up(_: str, __: int) -> list[str]:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    deadline = Deadline()
    deadline.set(5)
    with pytest.raises(httpcore.ConnectError):
        DeadlineBackend(deadline, look_up).connect_tcp("zof.test", 80)
