"""The control operations of one world, as a test calls them: the clock, faults, webhooks and the journal use them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import httpx


class ControlError(Exception):
    """A control operation was refused. The message is the emulator's; `status` is the HTTP status."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


class Control:
    """The control operations of one world."""

    def __init__(self, client: httpx.Client, url: str) -> None:
        """`url` is the address of `/_emulator` in that world."""
        self._client = client
        self.url = url

    def call(self, method: str, path: str, **options: Any) -> httpx.Response:  # noqa: ANN401  httpx's own options
        """Call an operation.

        Raises:
            ControlError: the operation was refused.
        """
        answer = self._client.request(method, f"{self.url}/{path}", **options)
        if answer.is_error:
            raise ControlError(answer.status_code, answer.json()["error"]["message"])
        return answer
