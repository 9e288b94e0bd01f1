"""A connection by itself, over a transport and a clock that a test holds: what it writes, and how long it waits."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, ClassVar, Final

import pytest
import uvicorn
from uvicorn.server import ServerState
from zof_emulator.server.protocol import Connection, connection_type

from tests.served import request

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Iterable, Iterator

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
    """An event loop whose time a test moves, and that runs what waits when it is told to."""

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
        """What is done is forgotten anyway."""

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

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Keep it."""
        self.written.append(bytes(data))

    def close(self) -> None:
        """Close."""
        self.closed = True

    def is_closing(self) -> bool:
        """Whether it was closed."""
        return self.closed

    def resume_reading(self) -> None:
        """Nothing waits to be read."""

    def pause_reading(self) -> None:
        """Nothing more comes by itself."""


class Line:
    """A connection to an application, its loop and its transport."""

    def __init__(self, *answers: Message) -> None:
        self.loop = Loop()
        self.transport = Transport()

        async def app(_scope: Scope, receive: Receive, send: Send) -> None:
            while (await receive()).get("more_body", False):
                pass
            for one in answers:
                await send(one)

        config = uvicorn.Config(app, ws="none", lifespan="off", log_config=None, timeout_keep_alive=PATIENCE)
        made = connection_type(lambda: (b"no HTTP", ()))
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
    """Head and body leave together."""
    line = Line(*answer(b"hello", [(b"x-request-id", b"req_1")], 201))
    line.say(HELLO)
    assert line.transport.written == [
        b"HTTP/1.1 201 Created\r\ncontent-length: 5\r\nx-request-id: req_1\r\n\r\nhello",
    ]
    assert not line.transport.closed


@pytest.mark.parametrize("told", [4, 6])
def test_an_answer_of_another_length_than_its_own_is_cut_off(told: int, caplog: pytest.LogCaptureFixture) -> None:
    """What the head says of the body is true, or the connection ends."""
    head, body = answer(b"hello")
    line = Line({**head, "headers": [(b"content-length", b"%d" % told)]}, body)
    line.say(HELLO)
    assert line.transport.closed
    assert "Exception in ASGI application" in caplog.text


@pytest.mark.parametrize("value", [b"a\r\nset-cookie: b", b"a\nb", b"a\rb"])
def test_a_header_is_one_line(value: bytes, caplog: pytest.LogCaptureFixture) -> None:
    """A header that would be taken for two never leaves."""
    line = Line(*answer(b"hello", [(b"location", value)]))
    line.say(HELLO)
    assert b"".join(line.transport.written).startswith(b"HTTP/1.1 500 ") or line.transport.closed
    assert value not in b"".join(line.transport.written)
    assert "Exception in ASGI application" in caplog.text


def test_a_client_that_goes_away_between_head_and_body() -> None:
    """Nothing is written to a client that is gone."""
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
    """Who sends nothing, half a head or half a body for 75 seconds is waited for no longer."""
    line = Line(*answer(b"hello"))
    if sent:
        line.say(sent)
    line.loop.wait(PATIENCE - 1)
    assert not line.transport.closed
    line.loop.wait(1)
    assert line.transport.closed


def test_a_slow_client_is_waited_for() -> None:
    """Who sends a little within 75 seconds is waited for."""
    line = Line(*answer(b"hello"))
    for place in range(len(HELLO)):
        line.say(HELLO[place : place + 1])
        line.loop.wait(PATIENCE - 1)
    assert line.transport.written
    assert not line.transport.closed


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
