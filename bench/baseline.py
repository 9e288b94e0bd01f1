"""The baseline: a bare ASGI function on the same uvicorn configuration, which only returns prepared bytes.

`python -m bench.baseline PORT ANSWERS`, where ANSWERS is a file that `dump_answers` wrote.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import orjson
import uvicorn

if TYPE_CHECKING:
    from collections.abc import Mapping

    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from bench.wire import Reply

    Headers = list[tuple[bytes, bytes]]
    Ready = tuple[int, Headers, bytes]

RETRIEVE: Final = "retrieve"
LIST: Final = "list"
START: Final = "start"


def dump_answers(answers: Mapping[str, Reply]) -> bytes:
    """Encode answers of the emulator for a file that the baselines read."""
    return orjson.dumps(
        {
            name: [one.status, [[k.decode(), v.decode()] for k, v in one.headers], one.content.decode()]
            for name, one in answers.items()
        }
    )


def make_bare_app(answers: Mapping[str, Ready]) -> ASGIApp:
    """An ASGI application that does the least possible work to return these bytes."""
    messages = {name: _make_messages(*one) for name, one in answers.items()}
    retrieve, start = messages[RETRIEVE], messages[START]
    exact = {"/v1/runs": messages[LIST]}

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["method"] == "POST":
            while (await receive()).get("more_body", False):
                pass
            head, body = start
        else:
            head, body = exact.get(scope["path"], retrieve)
        await send(head)
        await send(body)

    return app


def load_answers(file: str) -> dict[str, Ready]:
    """Decode a file that `dump_answers` wrote."""
    return {
        name: (status, [(key.encode(), value.encode()) for key, value in headers], content.encode())
        for name, (status, headers, content) in orjson.loads(Path(file).read_bytes()).items()
    }


def serve(app: ASGIApp, port: str) -> None:
    """Serve an application until a signal arrives."""
    # Configured as in zof_emulator.server.run, but with uvicorn's own protocol: the emulator bears the cost of its own.
    uvicorn.run(
        app,
        host="127.0.0.1",
        port=int(port),
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        date_header=False,
        proxy_headers=False,
        timeout_keep_alive=75,
    )


def _make_messages(status: int, headers: Headers, content: bytes) -> tuple[Message, Message]:
    head: dict[str, Any] = {"type": "http.response.start", "status": status, "headers": headers}
    return head, {"type": "http.response.body", "body": content}


if __name__ == "__main__":
    serve(make_bare_app(load_answers(sys.argv[2])), sys.argv[1])
