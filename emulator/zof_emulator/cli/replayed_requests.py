"""Sends the requests of a journal to a new world, in the order in which they came and were carried out."""

from __future__ import annotations

import re
from base64 import b64decode
from collections import defaultdict
from types import coroutine
from typing import TYPE_CHECKING, Any, Final

from zof_emulator.core.tenants import DEFAULT
from zof_emulator.http.broken_answers import UNDISTURBED
from zof_emulator.journal.masking import mask_text
from zof_emulator.journal.view import show_answer

if TYPE_CHECKING:
    from collections.abc import Generator, Iterable, Mapping

    from zof_emulator.http.dispatch import Dispatcher

OWN: Final = "/_emulator/"
"""The beginning of the paths of control operations."""
_MARK: Final = re.compile(r"\(([0-9a-f]{12})\)\Z")
_MOST_SENT: Final = 1 << 26
"""The largest body, in bytes, that stands for a body which was not read; its length decides the answer."""
_RULE_KEYS: Final = {mask_text(key.secret): key.secret for key in DEFAULT.keys}
_HELD: Final = object()
"""The value that a request yields in the place of a delay."""


class ReplayedRequests:
    """The requests of a journal, which are sent one by one.

    A request that was delayed begins when it came, so that fault rules count the requests in the same order, and is
    carried out at its turn.
    """

    def __init__(
        self, app: Dispatcher, mount: str, keys: Mapping[str, bytes], exchanges: Iterable[Mapping[str, Any]]
    ) -> None:
        """Prepare the requests.

        Args:
            app: the emulator.
            mount: the prefix of the paths of the world.
            keys: the header to send for each key, by the digest that the journal shows.
            exchanges: the exchanges of the journal.
        """
        self._app = app
        self._mount = mount
        self._keys = keys
        self._begun: dict[int, _Request] = {}
        self._delayed: dict[int, list[Mapping[str, Any]]] = defaultdict(list)
        for one in exchanges:
            if one.get("delayed") is not None and one["delayed"]["after"] < one["number"]:
                self._delayed[one["delayed"]["after"]].append(one)
        self._begin_after(0)

    def send(self, one: Mapping[str, Any]) -> Mapping[str, Any]:
        """Send the request of the next exchange; return its answer as the journal would show it."""
        answer = (self._begun.pop(one["number"], None) or self._make(one)).finish()
        self._begin_after(one["number"])
        return answer

    def _begin_after(self, number: int) -> None:
        """Begin the delayed requests that came after an exchange and before the next one."""
        for one in sorted(self._delayed.pop(number, ()), key=lambda each: each["delayed"]["order"]):
            self._begun[one["number"]] = request = self._make(one)
            request.begin()

    def _make(self, one: Mapping[str, Any]) -> _Request:
        return _Request(self._app, one["request"], self._mount, self._keys)


class _Request:
    """A request of a journal on its way."""

    def __init__(self, app: Dispatcher, recorded: Mapping[str, Any], mount: str, keys: Mapping[str, bytes]) -> None:
        scope, self._body = _build_scope(recorded, mount, keys)
        self._messages: list[Any] = []
        self._running = app(scope, self._receive, self._send)
        self._has_ended = False

    def begin(self) -> None:
        """Carry the request out as far as the place of its delay."""
        while not self._has_ended and self._go_on() is not _HELD:
            pass

    def finish(self) -> Mapping[str, Any]:
        """Carry the request out; return its answer as the journal would show it."""
        while not self._has_ended:
            self._go_on()
        head, *rest = self._messages
        return show_answer(head["status"], head["headers"], b"".join(part.get("body", b"") for part in rest))

    def _go_on(self) -> object:
        try:
            return self._running.send(None)
        except StopIteration:
            self._has_ended = True
            return None

    async def _receive(self) -> dict[str, Any]:
        return {"type": "http.request", "body": self._body, "more_body": False}

    async def _send(self, message: Mapping[str, Any]) -> None:
        self._messages.append(message)


@coroutine
def _hold() -> Generator[object, None, None]:
    yield _HELD


def _build_scope(recorded: Mapping[str, Any], mount: str, keys: Mapping[str, bytes]) -> tuple[dict[str, Any], bytes]:
    """The ASGI scope and the body of a request of the journal."""
    raw, _, query = recorded["target"].partition("?")
    headers = [(name.encode("latin-1", "replace"), _unmask(name, value, keys)) for name, value in recorded["headers"]]
    text = _unmask_rule_keys(recorded["body"]) if recorded["path"].startswith(OWN) else recorded["body"]
    body = b64decode(text) if recorded["encoding"] == "base64" else text.encode()
    if recorded["truncated"] and not any(name == b"content-length" for name, _ in headers):
        body = bytes(min(recorded["size"], _MOST_SENT))
    scope = {
        "type": "http",
        "http_version": "1.1",
        "method": recorded["method"],
        "scheme": "http",
        "path": mount + recorded["path"],
        "raw_path": (mount + raw).encode("latin-1", "replace"),
        "query_string": query.encode("latin-1", "replace"),
        "root_path": "",
        "headers": headers,
        "client": ("127.0.0.1", 1),
        "server": ("127.0.0.1", 9630),
        # The journal shows each answer as it was made, before a fault broke it.
        "extensions": {UNDISTURBED: {"hold": _hold}},
    }
    return scope, body


def _unmask(name: str, value: str, keys: Mapping[str, bytes]) -> bytes:
    """The header as it was sent. Keys that the world does not have stay masked: they are unknown in any case."""
    mark = _MARK.search(value) if name == "authorization" else None
    return keys.get(mark[1] if mark else "", value.encode("latin-1", "replace"))


def _unmask_rule_keys(body: str) -> str:
    """The body of a control operation, with the keys of the default data that fault rules name."""
    for mask, secret in _RULE_KEYS.items():
        body = body.replace(f'"{mask}"', f'"{secret}"')
    return body
