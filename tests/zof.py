"""A client for tests: calls the emulator in process, without a socket, an event loop or a thread."""

from __future__ import annotations

import json
from copy import copy
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import unquote, urlencode, urlsplit

from zof_emulator import Settings, create_app
from zof_emulator.app import EPOCH
from zof_emulator.settings import OFF

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from starlette.types import ASGIApp, Message
    from zof_emulator.core.tenants import SeedData
    from zof_emulator.core.world import World
    from zof_emulator.http.deliveries import Deliveries
    from zof_emulator.http.hosted_world import Exchange

ADMIN: Final = "zof_test_admin"
CI: Final = "zof_test_ci"
VIEWER: Final = "zof_test_viewer"
EXPIRED: Final = "zof_test_expired"
OTHER: Final = "zof_test_other"

STAGING: Final = {"project_id": "proj_abc123", "environment": "staging"}
"""The fields of a start besides its cases."""


@dataclass(frozen=True)
class Answer:
    """The answer."""

    status: int
    raw_headers: tuple[tuple[bytes, bytes], ...]
    content: bytes
    headers: Mapping[str, str] = field(init=False)

    def __post_init__(self) -> None:
        found = {name.decode("latin-1"): value.decode("latin-1") for name, value in self.raw_headers}
        object.__setattr__(self, "headers", found)

    @property
    def json(self) -> Any:  # noqa: ANN401  a JSON value
        """The body, as JSON."""
        return json.loads(self.content)

    @property
    def error(self) -> tuple[int, str, str | None]:
        """Status, code and param of an error."""
        error = self.json["error"]
        return self.status, error["code"], error.get("param")


def make_scope(  # noqa: PLR0913  what a request has
    method: str,
    path: str,
    headers: Iterable[tuple[str, str]],
    *,
    query: str = "",
    scheme: str = "http",
    client: str = "127.0.0.1",
) -> dict[str, Any]:
    """The scope of an ASGI request to an emulator on port 9630."""
    return {
        "type": "http",
        "http_version": "1.1",
        "method": method,
        "scheme": scheme,
        "path": unquote(path),
        "raw_path": path.encode("latin-1"),
        "query_string": query.encode("latin-1"),
        "root_path": "",
        "headers": [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in headers],
        "client": (client, 50_000),
        "server": ("127.0.0.1", 9630),
    }


class Zof:
    """An emulator in process with a manual clock and no rate limit, unless settings say otherwise."""

    def __init__(
        self,
        *,
        data: SeedData | None = None,
        system: Callable[[], int] = lambda: EPOCH,
        on_exchange: Callable[[Exchange], None] | None = None,
        deliveries: Deliveries | None = None,
        **settings: Any,  # noqa: ANN401  a setting
    ) -> None:
        chosen = Settings(**{"clock": "manual", "rate": OFF, **settings})
        self.app = create_app(chosen, data=data, system=system, on_exchange=on_exchange, deliveries=deliveries)
        self.key = ADMIN
        self.mount = ""

    def select_world(self, world: str) -> Zof:
        """A client of another world of the same emulator."""
        other = copy(self)
        other.mount = f"/w/{world}"
        return other

    @property
    def world(self) -> World:
        """The world behind it."""
        return self.app.hosted.world

    def send(  # noqa: PLR0913  what a request has
        self,
        method: str,
        target: str,
        *,
        key: str | None = "",
        headers: Iterable[tuple[str, str]] = (),
        body: bytes = b"",
        pieces: Iterable[bytes] | None = None,
        client: str = "127.0.0.1",
        base: str = "http://127.0.0.1:9630",
    ) -> Answer:
        """Send a request as it is; `key` is that of the client by default, and None sends none."""
        scheme, _, host = base.partition("://")
        path, _, query = (self.mount + target).partition("?")
        secret = self.key if key == "" else key
        given = [("host", host)]
        if secret is not None:
            given.append(("authorization", f"Bearer {secret}"))
        given += headers
        if body:
            given.append(("content-length", str(len(body))))
        scope = make_scope(method, path, given, query=query, scheme=scheme, client=client)
        return _call(self.app, scope, list(pieces) if pieces is not None else [body])

    def get(self, path: str, *, key: str | None = "", **query: object) -> Answer:
        """GET a path below `/v1`; parameters that are None are left out."""
        given = {name: value for name, value in query.items() if value is not None}
        return self.send("GET", f"/v1{path}" + (f"?{urlencode(given)}" if given else ""), key=key)

    def post(
        self, path: str, body: object = None, *, key: str | None = "", idempotency_key: str | None = None
    ) -> Answer:
        """POST a JSON body, if any, to a path below `/v1`."""
        headers = [] if body is None else [("content-type", "application/json")]
        if idempotency_key is not None:
            headers.append(("idempotency-key", idempotency_key))
        content = b"" if body is None else json.dumps(body).encode()
        return self.send("POST", f"/v1{path}", key=key, headers=headers, body=content)

    def follow(self, url: str, *, key: str | None = "") -> Answer:
        """GET an absolute link of an answer."""
        parts = urlsplit(url)
        outside = copy(self)
        outside.mount = ""
        return outside.send("GET", parts.path + (f"?{parts.query}" if parts.query else ""), key=key)

    def start(self, *cases: str, suite: str | None = None, key: str | None = "", **fields: object) -> Any:  # noqa: ANN401
        """Start a run that must be accepted; the run."""
        what: dict[str, object] = (
            {"test_suite_id": suite} if suite else {"test_case_ids": list(cases or ("tc_login_001",))}
        )
        answer = self.post("/runs", {**STAGING, **what, **fields}, key=key)
        assert answer.status == 201, answer.content
        return answer.json

    def complete_run(self, *cases: str, **fields: Any) -> Any:  # noqa: ANN401
        """Start a run and let it end; the run as it then is."""
        run = self.start(*cases, **fields)
        return self.control(f"/runs/{run['id']}/advance", {"to": "end"}).json

    def run(self, run_id: str) -> Any:  # noqa: ANN401
        """A run as it stands."""
        return self.get(f"/runs/{run_id}").json

    def walk(self, path: str, *, key: str | None = "", **query: object) -> list[Any]:
        """All items of a list, page by page; a walk must get on."""
        items: list[Any] = []
        cursor = None
        while True:
            page = self.get(path, key=key, **query, starting_after=cursor).json
            items += page["data"]
            assert cursor is None or cursor != page["next_cursor"], "a cursor leads to itself"
            cursor = page["next_cursor"]
            if not page["has_more"]:
                return items

    def control(self, path: str, body: object = None) -> Answer:
        """POST to the emulator's own operations; GET when there is no body and the path changes nothing."""
        if body is None and not path.endswith(("/reset", "/advance")):
            return self.send("GET", f"/_emulator{path}", key=None)
        content = b"" if body is None else json.dumps(body).encode()
        return self.send(
            "POST", f"/_emulator{path}", key=None, headers=[("content-type", "application/json")], body=content
        )

    def tell(self, method: str, path: str, body: object = None, *, key: str | None = None) -> Answer:
        """Ask for one of the emulator's own operations, with a JSON body if there is one."""
        content = b"" if body is None else json.dumps(body).encode()
        headers = [("content-type", "application/json")] if content else []
        return self.send(method, f"/_emulator{path}", key=key, headers=headers, body=content)

    def advance(self, by_ms: int) -> None:
        """Move the clock."""
        assert self.control("/clock/advance", {"by_ms": by_ms}).status == 200


def _call(app: ASGIApp, scope: dict[str, Any], pieces: list[bytes]) -> Answer:
    messages: list[Message] = []
    bodies = [
        {"type": "http.request", "body": piece, "more_body": place < len(pieces) - 1}
        for place, piece in enumerate(pieces)
    ]

    async def receive() -> Message:
        return bodies.pop(0) if bodies else {"type": "http.disconnect"}

    async def send(message: Message) -> None:
        messages.append(message)

    coroutine = app(scope, receive, send)
    try:
        while True:
            coroutine.send(None)  # type: ignore[attr-defined]
    except StopIteration:
        pass
    content = b"".join(message.get("body", b"") for message in messages[1:])
    return Answer(messages[0]["status"], tuple(messages[0]["headers"]), content)
