"""Clients that close their half of the connection after their last request."""

from __future__ import annotations

import socket

from tests.served import PATIENCE, Server


def build_post(size: int, *, expects: bool) -> bytes:
    """A start with a body of this size that is no valid JSON, so that the answer is 400."""
    expect = b"expect: 100-continue\r\n" if expects else b""
    head = b"POST /v1/runs HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer zof_test_admin\r\n"
    return head + b"content-type: application/json\r\n%scontent-length: %d\r\n\r\n" % (expect, size) + b"x" * size


def test_every_pipelined_request_is_answered_after_a_half_close() -> None:
    """Requests that were complete when the client closed its half are all answered, also behind `Expect`."""
    with Server("--quiet") as server, socket.create_connection(("127.0.0.1", server.port), PATIENCE) as client:
        client.sendall(build_post(2, expects=True) * 2 + build_post(3_000, expects=False))
        client.shutdown(socket.SHUT_WR)
        answers = b"".join(iter(lambda: client.recv(65_536), b""))
    assert answers.count(b"HTTP/1.1 400 ") == 3
