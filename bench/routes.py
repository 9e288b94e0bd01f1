"""The same bytes as the floor's, as Starlette's own users would return them: a route and a response an operation.

`python -m bench.routes PORT ANSWERS`, where ANSWERS is a file that `bench.floor.kept` wrote.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from starlette.applications import Starlette
from starlette.responses import Response
from starlette.routing import Route

from bench.floor import LIST, RETRIEVE, START, ready, serve

if TYPE_CHECKING:
    from collections.abc import Mapping

    from starlette.requests import Request

    from bench.floor import Ready


def routed(answers: Mapping[str, Ready]) -> Starlette:
    """An application with a route for each operation."""

    async def retrieve(_request: Request) -> Response:
        return _response(*answers[RETRIEVE])

    async def listed(_request: Request) -> Response:
        return _response(*answers[LIST])

    async def start(request: Request) -> Response:
        await request.body()
        return _response(*answers[START])

    return Starlette(
        routes=[
            Route("/v1/runs", listed, methods=["GET"]),
            Route("/v1/runs", start, methods=["POST"]),
            Route("/v1/runs/{id}", retrieve),
        ]
    )


def _response(status: int, headers: list[tuple[bytes, bytes]], content: bytes) -> Response:
    response = Response(content, status)
    response.raw_headers = headers
    return response


if __name__ == "__main__":
    serve(routed(ready(sys.argv[2])), sys.argv[1])
