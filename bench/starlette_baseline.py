"""The bytes of the baseline, served by a Starlette application with a route and a response for each operation.

`python -m bench.starlette_baseline PORT ANSWERS`, where ANSWERS is a file that `bench.baseline.dump_answers` wrote.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from starlette.applications import Starlette
from starlette.responses import Response
from starlette.routing import Route

from bench.baseline import LIST, RETRIEVE, START, load_answers, serve

if TYPE_CHECKING:
    from collections.abc import Mapping

    from starlette.requests import Request

    from bench.baseline import Ready


def make_starlette_app(answers: Mapping[str, Ready]) -> Starlette:
    """An application with a route for each operation."""

    async def retrieve(_request: Request) -> Response:
        return _make_response(*answers[RETRIEVE])

    async def list_runs(_request: Request) -> Response:
        return _make_response(*answers[LIST])

    async def start(request: Request) -> Response:
        await request.body()
        return _make_response(*answers[START])

    return Starlette(
        routes=[
            Route("/v1/runs", list_runs, methods=["GET"]),
            Route("/v1/runs", start, methods=["POST"]),
            Route("/v1/runs/{id}", retrieve),
        ]
    )


def _make_response(status: int, headers: list[tuple[bytes, bytes]], content: bytes) -> Response:
    response = Response(content, status)
    response.raw_headers = headers
    return response


if __name__ == "__main__":
    serve(make_starlette_app(load_answers(sys.argv[2])), sys.argv[1])
