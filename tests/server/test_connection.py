"""A connection over a transport and a clock of the test: what it writes, and how long it waits."""

from __future__ import annotations

import asyncio
from types import coroutine
from typing import TYPE_CHECKING, Any, ClassVar, Final

import pytest
import uvicorn
from hypothesis import given, settings
from hypothesis import strategies as st
from uvicorn.server import ServerState
from zof_emulator.server.protocol import Connection, make_connection_type

from tests.served import request

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Generator, Iterable, Iterator

    from starlette.types import Message, Receive, Scope, Send

PATIENCE: Final = 75
HELLO: Final = request("GET", "/hello")


class Timer:
    """A call that is due at an instant, unless it is canceled."""

    def __init__(self, at: float, call: Callable[[], None]) -> None:
        self.at = at
        self.call = call
        self.canceled = False

    def cancel(self) -> None:
        """Forget the call."""
        self.canceled = True


class Loop:
    """An event loop whose time and tasks the test controls."""

    made: ClassVar[list[Loop]] = []

    def __init__(self) -> None:
        self.made.append(self)
        self.now = 1_000.0
        self.timers: list[Timer] = []
        self.tasks: list[Coroutine[Any, Any, None]] = []

    def time(self) -> float:
        """The instant it is."""
        return self.now

    def call_later(self, seconds: float, call: Callable[[], None]) -> Timer:
        """Call something later."""
        self.timers.append(Timer(self.now + seconds, call))
        return self.timers[-1]

    def create_task(self, task: Coroutine[Any, Any, None]) -> Loop:
        """Take a task; it is its own handle."""
        self.tasks.append(task)
        return self

    def add_done_callback(self, _call: object) -> None:
        """Do nothing; finished tasks need no call."""

    def work(self) -> None:
        """Run the tasks as far as they go."""
        tasks, self.tasks = self.tasks, []
        for task in tasks:
            try:
                task.send(None)
            except StopIteration:
                continue
            self.tasks.append(task)

    def wait(self, seconds: float) -> None:
        """Let time pass, and what is due happen."""
        until = self.now + seconds
        while due := [one for one in self.timers if not one.canceled and one.at <= until]:
            first = min(due, key=lambda one: one.at)
            self.timers.remove(first)
            self.now = first.at
            first.call()
        self.now = until


@pytest.fixture(autouse=True)
def _nothing_runs_on() -> Iterator[None]:
    yield
    while Loop.made:
        for task in Loop.made.pop().tasks:
            task.close()


class Transport(asyncio.Transport):
    """A transport that keeps what is written, write by write."""

    def __init__(self) -> None:
        super().__init__()
        self.written: list[bytes] = []
        self.closed = False
        self.aborted = False
        self.reads = True

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Keep it."""
        self.written.append(bytes(data))

    def close(self) -> None:
        """Close."""
        self.closed = True

    def abort(self) -> None:
        """Close without another byte."""
        self.closed = self.aborted = True

    def is_closing(self) -> bool:
        """Whether it was closed."""
        return self.closed

    def resume_reading(self) -> None:
        """Note that more may come."""
        self.reads = True

    def pause_reading(self) -> None:
        """Note that nothing more may come."""
        self.reads = False


@coroutine
def _pause() -> Generator[None, None, None]:
    yield


class Line:
    """A connection to an application, its loop and its transport."""

    def __init__(self, *answers: Message, kind: type[Connection] | None = None) -> None:
        self.loop = Loop()
        self.transport = Transport()

        async def app(_scope: Scope, receive: Receive, send: Send) -> None:
            while self.connection._active is not None and self.connection._active.more_body:  # noqa: SLF001  what it answers
                await _pause()  # asyncio's own events need a loop of asyncio's
            await receive()
            for one in answers:
                await send(one)

        config = uvicorn.Config(app, ws="none", lifespan="off", log_config=None, timeout_keep_alive=PATIENCE)
        made = kind or make_connection_type(lambda _refused: (b"no HTTP", ()))
        self.connection: Connection = made(config, ServerState(), {}, self.loop)  # type: ignore[arg-type]
        self.connection.connection_made(self.transport)

    def say(self, data: bytes) -> None:
        """Let the client send something, and the application do what it can."""
        self.connection.data_received(data)
        self.loop.work()


def answer(content: bytes, headers: Iterable[tuple[bytes, bytes]] = (), status: int = 200) -> tuple[Message, Message]:
    """An answer whose length is known."""
    length = (b"content-length", b"%d" % len(content))
    return (
        {"type": "http.response.start", "status": status, "headers": [length, *headers]},
        {"type": "http.response.body", "body": content},
    )


def test_an_answer_is_one_write() -> None:
    """Head and body are written together."""
    line = Line(*answer(b"hello", [(b"x-request-id", b"req_1")], 201))
    line.say(HELLO)
    assert line.transport.written == [
        b"HTTP/1.1 201 Created\r\ncontent-length: 5\r\nx-request-id: req_1\r\n\r\nhello",
    ]
    assert not line.transport.closed


@pytest.mark.parametrize("is_first", [True, False])
def test_an_answer_that_says_close_closes_the_connection(*, is_first: bool) -> None:
    """An answer with `connection: close` ends the connection, wherever the header stands."""
    head, body = answer(b"hello")
    close = (b"connection", b"close")
    headers = [close, *head["headers"]] if is_first else [*head["headers"], close]
    line = Line({**head, "headers": headers}, body)
    line.say(HELLO)
    assert b"".join(line.transport.written).endswith(b"\r\n\r\nhello")
    assert line.transport.closed


@pytest.mark.parametrize("told", [4, 6])
def test_an_answer_of_another_length_than_its_own_is_cut_off(told: int, caplog: pytest.LogCaptureFixture) -> None:
    """If the body contradicts the head, the connection ends."""
    head, body = answer(b"hello")
    line = Line({**head, "headers": [(b"content-length", b"%d" % told)]}, body)
    line.say(HELLO)
    assert line.transport.closed
    assert "Exception in ASGI application" in caplog.text


@pytest.mark.parametrize("value", [b"a\r\nset-cookie: b", b"a\nb", b"a\rb"])
def test_a_header_is_one_line(value: bytes, caplog: pytest.LogCaptureFixture) -> None:
    """A header that contains a line break is not written."""
    line = Line(*answer(b"hello", [(b"location", value)]))
    line.say(HELLO)
    assert b"".join(line.transport.written).startswith(b"HTTP/1.1 500 ") or line.transport.closed
    assert value not in b"".join(line.transport.written)
    assert "Exception in ASGI application" in caplog.text


def test_a_client_that_goes_away_between_head_and_body() -> None:
    """Nothing is written after the client has disconnected."""
    head, body = answer(b"hello")
    line = Line(head)
    line.say(HELLO)
    cycle = line.connection.cycle
    line.connection.connection_lost(None)
    with pytest.raises(StopIteration):
        cycle.send(body).send(None)  # type: ignore[arg-type]
    assert line.transport.written == []


def test_an_idle_client_is_left_after_a_while() -> None:
    """A connection stays open for 75 seconds after each answer, however many there were."""
    line = Line(*answer(b"hello"))
    for _ in range(3):
        line.say(HELLO)
        line.loop.wait(PATIENCE - 1)
        assert not line.transport.closed
    line.loop.wait(1)
    assert line.transport.closed
    assert len(line.loop.timers) <= 1


@pytest.mark.parametrize("sent", [b"", b"GET /hel", HELLO[:-2], request("POST", "/hello", b"hello")[:-1]])
def test_a_client_that_stops_in_the_middle_is_left_too(sent: bytes) -> None:
    """A client that sends nothing for 75 seconds is disconnected, also within a head or a body."""
    line = Line(*answer(b"hello"))
    if sent:
        line.say(sent)
    line.loop.wait(PATIENCE - 1)
    assert not line.transport.closed
    line.loop.wait(1)
    assert line.transport.closed


def test_a_slow_client_is_waited_for() -> None:
    """A client whose request is complete within 120 seconds is answered, however small the pieces."""
    line = Line(*answer(b"hello"))
    for place in range(len(HELLO)):
        line.say(HELLO[place : place + 1])
        line.loop.wait(119 / len(HELLO))
    assert line.transport.written
    assert not line.transport.closed


@pytest.mark.parametrize("sent", [HELLO, request("POST", "/hello", b"hello" * 100)], ids=["head", "body"])
def test_a_request_has_a_time_to_be_complete(sent: bytes) -> None:
    """A client that sends one byte in 30 seconds is disconnected 120 seconds after its request began."""
    line = Line(*answer(b"hello"))
    line.say(HELLO)
    line.loop.wait(PATIENCE - 1)
    rest = iter(sent)
    for _ in range(4):
        assert not line.transport.closed
        line.say(bytes([next(rest)]))
        line.loop.wait(30)
    assert line.transport.closed


def test_an_answer_has_a_time_to_be_taken() -> None:
    """A client that does not read its answer is disconnected after 75 seconds; one that reads in time is not."""
    line = Line(*answer(b"hello"))
    line.connection.data_received(HELLO)  # its answer is being made
    line.connection.pause_writing()
    line.loop.wait(PATIENCE - 1)
    line.connection.resume_writing()
    line.loop.wait(10 * PATIENCE)
    assert not line.transport.closed
    line.connection.pause_writing()
    line.loop.wait(2 * PATIENCE)
    assert line.transport.aborted


def test_a_close_waits_for_no_reader() -> None:
    """A closing connection whose client does not read ends within twice the time limit."""
    line = Line(*answer(b"hello"))
    line.say(HELLO)
    line.transport.close()
    line.loop.wait(2 * PATIENCE)
    assert line.transport.aborted


@pytest.mark.parametrize("at_once", [True, False], ids=["one piece", "many pieces"])
def test_pipelined_requests_wait_unread(*, at_once: bool) -> None:
    """Few pipelined requests are held at a time, reading pauses until they are answered, and all are answered."""
    line = Line(*answer(b"hello"))
    data = HELLO * 5_000
    size = len(data) if at_once else 1_000
    sent = most = 0
    while sent < len(data) or len(line.transport.written) < 5_000:
        before = sent, len(line.transport.written)
        if line.transport.reads and sent < len(data):
            line.connection.data_received(data[sent : sent + size])
            sent += size
        most = max(most, len(line.connection.pipeline))
        line.loop.work()
        assert before != (sent, len(line.transport.written))
    assert most <= 64
    assert len(line.transport.written) == 5_000
    assert line.transport.reads
    assert line.connection.load.waiting == 0


def test_pipelined_requests_are_bounded_in_sum() -> None:
    """Connections that together hold more than 32 MiB of unread requests are closed, and their memory is freed."""
    first = Line()
    lines = [first, *(Line(kind=type(first.connection)) for _ in range(199))]
    for line in lines:
        line.connection.data_received(HELLO * (250_000 // len(HELLO)))
        assert first.connection.load.waiting <= 1 << 25
    assert any(line.transport.aborted for line in lines)
    for line in lines:
        line.connection.connection_lost(None)
    assert first.connection.load.waiting == 0


@given(st.lists(st.integers(0, 3_000), max_size=30), st.integers(1, 5_000))
@settings(deadline=None, max_examples=50)
def test_pipelined_requests_with_bodies_are_all_answered(sizes: list[int], piece: int) -> None:
    """Pipelined requests are answered wherever the segments end: in a head, in a body, or between two."""
    line = Line(*answer(b"hello"))
    data = b"".join(request("POST", "/hello", b"x" * size) for size in sizes)
    for _ in range(10 * len(sizes) + len(data) // piece + 1):
        if line.transport.reads:
            line.connection.data_received(data[:piece])
            data = data[piece:]
        line.loop.work()
    assert [one[:13] for one in line.transport.written] == [b"HTTP/1.1 200 "] * len(sizes)


def test_the_end_of_pipelined_requests_is_reached() -> None:
    """A client that sends many requests and closes its sending side gets all answers."""
    line = Line(*answer(b"hello"))
    line.connection.data_received(HELLO * 100)
    assert line.connection.eof_received()
    for _ in range(200):
        line.loop.work()
    assert len(line.transport.written) == 100
    assert line.transport.closed


def test_what_cannot_be_read_is_answered_after_pipelined_requests() -> None:
    """Bytes that are no request are answered with 400 after all requests before them."""
    line = Line(*answer(b"hello"))
    line.connection.data_received(HELLO * 100 + b"\0\r\n\r\n" + HELLO)
    for _ in range(200):
        line.loop.work()
    assert len(line.transport.written) == 101
    assert line.transport.written[-1].startswith(b"HTTP/1.1 400 ")
    assert line.transport.closed


def test_a_slow_answer_is_no_idle_client() -> None:
    """While an answer is awaited, the connection stays open."""
    line = Line(answer(b"hello")[0])
    line.connection.data_received(HELLO + HELLO[:9])
    line.loop.wait(10 * PATIENCE)
    assert not line.transport.closed


def test_nothing_is_left_of_a_connection_that_broke() -> None:
    """After an error no timer is left."""
    line = Line(*answer(b"hello"))
    line.say(HELLO)
    line.connection.connection_lost(ConnectionResetError())
    assert all(one.canceled for one in line.loop.timers)
