"""The control operations of one world, as a test calls them: the clock, faults, webhooks and the journal use them.

They use no socket and no client of HTTP, so that a world for a test costs little.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote, urlencode, urlsplit

if TYPE_CHECKING:
    from collections.abc import Mapping

    from zof_emulator.testing.in_process import ServedApp

_PATH: Final = "/_emulator/"
_TIMEOUT: Final = 60.0
"""Seconds. An operation that moves the clock far may take long."""
_FIRST_ERROR: Final = 400


class ControlError(Exception):
    """A control operation was refused. The message is the emulator's; `status` is the HTTP status."""

    __module__ = "zof_emulator.testing"  # the name that users import, which pytest shows

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


class Control:
    """The control operations of one world."""

    def __init__(self, served: ServedApp, url: str, token: str = "") -> None:
        """Prepare the operations.

        Args:
            served: the application of the emulator.
            url: the address of the world, without `/v1`.
            token: the token that `/_emulator` requires; empty for none.
        """
        parts = urlsplit(url)
        self.url = url + _PATH.rstrip("/")
        self.served = served
        self._token = token
        self._path = parts.path + _PATH
        self._headers = [(b"host", parts.netloc.encode()), (b"content-type", b"application/json")]
        if token:
            self._headers.append((b"authorization", f"Bearer {token}".encode()))

    def select(self, url: str) -> Control:
        """The operations of another world of the same emulator."""
        return Control(self.served, url, self._token)

    def call(
        self,
        method: str,
        path: str,
        *,
        body: Mapping[str, Any] | bytes | None = None,
        query: Mapping[str, Any] | None = None,
    ) -> bytes:
        """Call an operation; return the body of its answer.

        Args:
            method: the method of the request.
            path: the path of the operation below `/_emulator/`.
            body: the fields of the body, or the body itself as JSON.
            query: the query parameters.

        Raises:
            ControlError: the operation was refused.
            ConnectionRefusedError: the emulator has stopped.
            TimeoutError: the operation took longer than a minute.
        """
        content = body if isinstance(body, bytes) else b"" if body is None else json.dumps(body).encode()
        scope = {
            "type": "http",
            "http_version": "1.1",
            "method": method,
            "scheme": "http",
            "path": self._path + path,
            "raw_path": quote(self._path + path).encode(),
            "query_string": urlencode(query or {}, doseq=True).encode(),
            "root_path": "",
            "headers": self._headers,
            "client": ("127.0.0.1", 0),
            "server": ("127.0.0.1", 0),
        }
        answered = self.served.start(scope, content).answered.result(_TIMEOUT)
        if answered.status >= _FIRST_ERROR:
            raise ControlError(answered.status, json.loads(answered.content)["error"]["message"])
        return answered.content

    def read(
        self,
        method: str,
        path: str,
        *,
        body: Mapping[str, Any] | None = None,
        query: Mapping[str, Any] | None = None,
    ) -> Any:  # noqa: ANN401  JSON
        """Call an operation; return the JSON value of its answer. Raises what `call` raises."""
        return json.loads(self.call(method, path, body=body, query=query))
