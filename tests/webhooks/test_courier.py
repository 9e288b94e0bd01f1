"""The courier: which receivers it calls, what counts as an answer, and how it treats faulty receivers."""

from __future__ import annotations

import asyncio
import itertools
import socket
import ssl
import subprocess
from contextlib import suppress
from threading import Event, Thread
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st
from zof_emulator.webhooks import courier as courier_module
from zof_emulator.webhooks.courier import MOST_KEPT, Courier
from zof_emulator.webhooks.post import CallPolicy, Post, build_host_header, is_loopback

from tests.receivers import NO_CONTENT, PATIENCE, Received, answer, receiving, silent
from tests.served import has_ipv6

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from zof_emulator.core.deliveries import AttemptResult

    Results = list[AttemptResult]

HEADERS = (("Content-Type", "application/json"), ("X-Zof-Signature", "00ff"))


def send_all(*urls: str, allowed: tuple[str, ...] = (), limit_ms: int = 5_000, body: bytes = b"{}") -> Results:
    """The results of requests that one courier sends one after another."""

    async def send_each() -> Results:
        courier = Courier(CallPolicy(allowed), limit_ms)
        try:
            return [await courier.send(Post(url, headers_for(url, body), body)) for url in urls]
        finally:
            await courier.aclose()

    return asyncio.run(send_each())


def headers_for(url: str, body: bytes) -> tuple[tuple[str, str], ...]:
    """The headers of a request."""
    return (("Host", build_host_header(url)), *HEADERS, ("Content-Length", str(len(body))))


def send(url: str, *allowed: str, limit_ms: int = 5_000, body: bytes = b'{"id":"evt_1"}') -> AttemptResult:
    """The result of one request."""
    return send_all(url, allowed=allowed, limit_ms=limit_ms, body=body)[0]


@pytest.mark.parametrize("status", [200, 204, 302, 404, 500])
def test_the_answer_is_recorded(status: int) -> None:
    """Status, headers and body of an answer are recorded, and the request arrives byte for byte."""
    with receiving(lambda _: answer(status, b"" if status == 204 else b"seen", "X-Mine: yes")) as receiver:
        result = send(receiver.url, body=b'{ "a":\t"\xc3\xa9" }')
        assert (result.status, result.error, result.is_success) == (status, "", status < 300)
        assert ("x-mine", "yes") in result.headers
        assert result.body == ("" if status == 204 else "seen")
        (request,) = receiver.requests
        assert request.body == b'{ "a":\t"\xc3\xa9" }'
        assert request.headers["x-zof-signature"] == "00ff"
        assert request.headers["host"] == f"127.0.0.1:{receiver.port}"
        assert set(request.headers) == {"content-type", "x-zof-signature", "host", "content-length"}


def test_a_redirect_is_not_followed() -> None:
    """A redirect is an ordinary answer, and its target is not called."""
    with receiving() as target, receiving(lambda _: answer(307, b"", f"Location: {target.url}")) as receiver:
        assert send(receiver.url).status == 307
        assert not target.requests


@pytest.mark.parametrize(
    ("reply", "connections"), [(NO_CONTENT, 1), (answer(500, b"sorry"), 1), (answer(200, b"", "Connection: close"), 3)]
)
def test_a_connection_is_used_again(reply: bytes, connections: int) -> None:
    """Requests to one address share a connection, unless the receiver closes it."""
    with receiving(lambda _: reply) as receiver:
        found = send_all(receiver.url, receiver.url, receiver.url)
        assert [one.error for one in found] == [""] * 3
        assert receiver.connection_count == connections


def test_idle_connections_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """At most `MOST_IDLE` connections stay open after their answers."""
    monkeypatch.setattr(courier_module, "MOST_IDLE", 1)
    with receiving() as first, receiving() as second:
        send_all(first.url, second.url, first.url, second.url)
        assert (first.connection_count, second.connection_count) == (1, 2)


@pytest.mark.parametrize("is_closed_by_receiver", [True, False])
def test_an_idle_connection_is_closed(
    is_closed_by_receiver: bool,  # noqa: FBT001  a case
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A connection is closed when its receiver has closed it or it was idle for too long, without another request."""
    monkeypatch.setattr(courier_module, "_PAUSE", 0.01)
    monkeypatch.setattr(courier_module, "_LONGEST_IDLE", PATIENCE if is_closed_by_receiver else 0.01)

    async def serve() -> None:
        closed = asyncio.Event()

        async def respond(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.readuntil(b"{}")
            writer.write(NO_CONTENT)
            if is_closed_by_receiver:
                writer.write_eof()
            assert await reader.read() == b""
            writer.close()
            closed.set()

        async with await asyncio.start_server(respond, "127.0.0.1", 0) as server:
            url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/"
            courier = Courier(CallPolicy())
            assert (await courier.send(Post(url, headers_for(url, b"{}"), b"{}"))).status == 204
            async with asyncio.timeout(PATIENCE):
                await closed.wait()
            await courier.aclose()

    asyncio.run(serve())


@pytest.mark.parametrize("name", ["HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"])
def test_a_proxy_of_the_environment_is_ignored(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A receiver on this machine is called directly, whatever proxy the environment names."""
    with receiving() as receiver, receiving() as proxy:
        monkeypatch.setenv(name, f"http://127.0.0.1:{proxy.port}")
        assert send(receiver.url).status == 204
        assert not proxy.requests


@pytest.mark.parametrize(
    "url",
    [
        "http://192.0.2.1/",
        "http://0.0.0.0:9/",
        "http://[::]:9/",
        "http://169.254.169.254/latest",
        "http://[fe80::1]:9/",
    ],
)
def test_only_this_machine_is_called(url: str) -> None:
    """An address that is no loopback address is refused, and the refusal says how to allow it."""
    result = send(url)
    assert (result.status, result.is_refused) == (None, True)
    assert "--webhook-allow" in result.error


def test_a_name_is_judged_by_its_addresses(monkeypatch: pytest.MonkeyPatch) -> None:
    """A name is resolved once; only its loopback addresses are called, or all if the name is allowed."""
    asked = itertools.count()

    async def resolve(host: str, port: int) -> list[str]:
        assert (host, port) == ("hooks.test", receiver.port)
        return ["127.0.0.1"] if next(asked) == 0 else ["192.0.2.1"]

    monkeypatch.setattr(courier_module, "_resolve", resolve)
    with receiving() as receiver:
        assert send(f"http://hooks.test:{receiver.port}/hook").status == 204
        assert next(asked) == 1
        assert receiver.requests[0].headers["host"] == f"hooks.test:{receiver.port}"
        assert send(f"http://hooks.test:{receiver.port}/hook").is_refused


def test_an_allowed_name_may_lead_elsewhere() -> None:
    """A host that the setting allows is called at any address, and no other host is."""
    policy = CallPolicy(("Host.Docker.Internal",))
    assert policy.permits("host.docker.internal", "172.17.0.1")
    assert not policy.permits("example.com", "172.17.0.1")
    assert policy.permits("example.com", "127.0.0.1")


@pytest.mark.parametrize(
    ("address", "expected"),
    [("127.0.0.1", True), ("127.9.9.9", True), ("::1", True), ("::ffff:127.0.0.1", True), ("::ffff:10.0.0.1", False)],
)
def test_loopback(address: str, expected: bool) -> None:  # noqa: FBT001  a case
    """An IPv4 loopback address is a loopback address also as a mapped IPv6 address."""
    assert is_loopback(address) is expected


def test_every_address_of_this_machine_is_tried(monkeypatch: pytest.MonkeyPatch) -> None:
    """A receiver that listens on one of its name's loopback addresses is reached."""

    async def resolve(_host: str, _port: int) -> list[str]:
        return ["127.0.0.2", "127.0.0.1"]

    monkeypatch.setattr(courier_module, "_resolve", resolve)
    with receiving() as receiver:
        assert send(f"http://localhost:{receiver.port}/").status == 204


@pytest.mark.parametrize("url", ["http://does-not-exist.invalid/", f"http://{'a' * 300}/"])
def test_a_name_without_an_address_is_recorded(url: str) -> None:
    """A name that cannot be resolved is a failed attempt, not an exception."""
    result = send(url)
    assert "cannot be resolved" in result.error
    assert not result.is_refused


def test_a_closed_port_is_recorded() -> None:
    """A receiver that does not listen is a failed attempt."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    assert send(f"http://127.0.0.1:{port}/").error == "the connection was refused"


def test_a_silent_receiver_is_left() -> None:
    """A receiver that does not answer in time is a failed attempt."""
    with silent() as receiver:
        assert send(receiver.url, limit_ms=50).error == "there was no complete answer within 50 ms"


def test_a_dripping_receiver_is_left() -> None:
    """The time limit holds for the whole answer; slow single bytes do not extend it."""
    pause = Event()

    def drip(_: Received) -> Iterator[bytes]:
        yield b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n"
        for _round in range(500):
            pause.wait(0.01)
            yield b"."

    with receiving(drip) as receiver:
        assert send(receiver.url, limit_ms=200).error == "there was no complete answer within 200 ms"


def test_an_endless_answer_is_cut() -> None:
    """Only the beginning of an endless answer is read and stored, and its status counts."""

    def gush(_: Received) -> Iterator[bytes]:
        yield b"HTTP/1.1 200 OK\r\nContent-Length: 1000000000000\r\n\r\n"
        yield from itertools.repeat(b"x" * 65_536)

    with receiving(gush) as receiver:
        result = send(receiver.url)
        assert (result.status, result.truncated, len(result.body)) == (200, True, MOST_KEPT)


@pytest.mark.parametrize(
    "noise",
    [b"\x00\xff\x00\r\n\r\n", b"HTTP/1.1 999999 X\r\n\r\n", b"", b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nx"],
)
def test_what_is_no_answer_is_recorded(noise: bytes) -> None:
    """A receiver that speaks no HTTP, or stops in the middle of an answer, is a failed attempt."""

    def close(_: Received) -> Iterator[bytes]:
        yield noise
        raise OSError

    with receiving(close) as receiver:
        result = send(receiver.url)
        assert result.status is None
        assert result.error


def test_tls_needs_a_certificate() -> None:
    """An https endpoint that speaks no TLS is a failed attempt."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def answer_in_clear() -> None:
            connection, _ = server.accept()
            with connection:
                connection.recv(1)
                connection.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")

        Thread(target=answer_in_clear, daemon=True).start()
        assert send(f"https://127.0.0.1:{server.getsockname()[1]}/").error == "the TLS connection failed"


@pytest.fixture
def tls_port(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[int]:
    """The port of a receiver over TLS, whose certificate is for the name `localhost` alone and is trusted."""
    certificate, key = tmp_path / "certificate.pem", tmp_path / "key.pem"
    command = (
        "openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=localhost -addext subjectAltName=DNS:localhost"
    )
    subprocess.run([*command.split(), "-keyout", key, "-out", certificate], check=True, capture_output=True)
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            for _ in range(2):
                with suppress(OSError):
                    connection, _ = listener.accept()
                    with context.wrap_socket(connection, server_side=True) as stream:
                        while not stream.recv(65_536).endswith(b"{}"):
                            pass
                        stream.sendall(NO_CONTENT)

        Thread(target=serve, daemon=True).start()
        yield listener.getsockname()[1]


def test_a_certificate_is_checked_against_the_name(tls_port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """The certificate must be for the host of the URL, although the address that was judged is called."""

    async def resolve(_host: str, _port: int) -> list[str]:
        return ["127.0.0.1"]

    monkeypatch.setattr(courier_module, "_resolve", resolve)
    named, other = send_all(f"https://localhost:{tls_port}/", f"https://hooks.test:{tls_port}/")
    assert (named.status, named.error) == (204, "")
    assert (other.status, other.error) == (None, "the TLS connection failed")


def test_an_ipv6_receiver_is_called() -> None:
    """A receiver on the IPv6 loopback address is called, and the `Host` header has brackets."""
    if not has_ipv6():
        pytest.skip("this machine has no IPv6 loopback address")
    with receiving(host="::1") as receiver:
        assert send(f"http://[::1]:{receiver.port}/a?b=c%20d").status == 204
        assert receiver.requests[0].headers["host"] == f"[::1]:{receiver.port}"
        assert receiver.requests[0].target == "/a?b=c%20d"


@given(st.text(max_size=60), st.lists(st.text(max_size=9), max_size=3))
def test_no_url_raises(url: str, allowed: list[str]) -> None:
    """Any text in place of a URL gives a result, and nothing outside this machine is called."""
    if "://" not in url:
        result = asyncio.run(Courier(CallPolicy(tuple(allowed)), 100).send(Post(url, (), b"")))
        assert result.is_refused
