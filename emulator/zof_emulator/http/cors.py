"""Cross-origin requests (CORS) of the pages that `--cors` names."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from starlette.datastructures import MutableHeaders
from starlette.middleware.cors import CORSMiddleware
from starlette.responses import Response

from zof_emulator.core.instants import SECOND, format_http_date

if TYPE_CHECKING:
    from collections.abc import Collection
    from contextlib import AbstractContextManager

    from starlette.datastructures import Headers
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from zof_emulator.http.hosted_world import HostedWorld

_METHODS: Final = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")
_EXPOSED: Final = (
    "X-Request-Id",
    "X-RateLimit-Limit",
    "X-RateLimit-Remaining",
    "X-RateLimit-Reset",
    "Retry-After",
    "Location",
    "Idempotency-Replayed",
    "Content-Disposition",
    "Accept-Ranges",
    "Content-Range",
    "Preference-Applied",
    "WWW-Authenticate",
    "Allow",
)
"""The headers of answers that a page of another origin can read besides those that CORS always allows."""
_NO_CONTENT: Final = 204
_OF_CONTENT: Final = frozenset({"content-length", "content-type"})
_SECONDS: Final = 600
"""How long a browser may remember the answer to a preflight."""


class CrossOrigin(CORSMiddleware):
    """Answers the preflights of the named origins, and lets their pages read answers; others get no CORS headers."""

    def __init__(
        self, app: ASGIApp, origins: Collection[str], hosted: HostedWorld, lock: AbstractContextManager[object]
    ) -> None:
        """Wrap an application.

        Args:
            app: the application.
            origins: the origins, each as a browser writes it.
            hosted: the world that numbers and dates the answers to preflights.
            lock: held while the world is used.
        """
        super().__init__(
            app,
            allow_origins=origins,
            allow_methods=_METHODS,
            allow_headers=("*",),
            allow_private_network=True,
            expose_headers=_EXPOSED,
            max_age=_SECONDS,
        )
        self._hosted = hosted
        self._lock = lock

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request; that of another origin gets no header of CORS, but `Vary`."""
        origin = dict(scope["headers"]).get(b"origin", b"").decode("latin-1") if scope["type"] == "http" else ""
        if origin and not self.is_allowed_origin(origin):
            await self.app(scope, receive, _add_vary(send))
        else:
            await super().__call__(scope, receive, send)

    def preflight_response(self, request_headers: Headers) -> Response:
        """The answer to a preflight, with the headers that every answer has."""
        found = super().preflight_response(request_headers).headers
        headers = {name: value for name, value in found.items() if name not in _OF_CONTENT}
        with self._lock:
            world = self._hosted.settle_slice()
            headers["x-request-id"] = self._hosted.make_outside_id()
            headers["date"] = format_http_date(world.now // SECOND)
        return Response(status_code=_NO_CONTENT, headers=headers)


def _add_vary(send: Send) -> Send:
    """Send answers that a cache does not give to the pages of other origins."""

    async def send_with_vary(message: Message) -> None:
        if message["type"] == "http.response.start":
            message.setdefault("headers", [])
            MutableHeaders(scope=message).add_vary_header("Origin")
        await send(message)

    return send_with_vary
