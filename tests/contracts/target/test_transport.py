"""Carrying requests to an application in process."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from zof_contracts.target.transport import AsgiTransport

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, MutableMapping


def test_paths_are_decoded() -> None:
    """An application gets its path decoded, and raw beside it, as servers give it."""
    scopes: list[MutableMapping[str, Any]] = []

    async def app(
        scope: MutableMapping[str, Any],
        receive: Callable[[], Awaitable[Any]],
        send: Callable[[Any], Awaitable[None]],
    ) -> None:
        del receive
        scopes.append(scope)
        await send({"type": "http.response.start", "status": 204, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    AsgiTransport(app).carry("GET", "/v1/runs/%C3%BC%2F?limit=%31", (), b"")
    (scope,) = scopes
    assert (scope["path"], scope["raw_path"]) == ("/v1/runs/\u00fc/", b"/v1/runs/%C3%BC%2F")
    assert scope["query_string"] == b"limit=%31"
