"""The webhook of one verification: the receiver that it leads to, its secret, and the events that came.

The client holds receiver and registration, so that probes that are repeated register nothing again.
"""

from __future__ import annotations

import json
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from zof_contracts.checks.webhooks import SIGNATURE, read_event
from zof_contracts.target.http_transport import HttpTransport
from zof_contracts.target.receiver import Receiver
from zof_contracts.target.transport import NoAnswer, Unreachable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from zof_contracts.checks.webhooks import Event
    from zof_contracts.evidence.exchange import Exchange
    from zof_contracts.target.client import Client
    from zof_contracts.target.receiver import Received

EVENTS: Final = ("run.completed", "run.started", "run.failed")
"""The events that the webhook subscribes to; the test call sends the first."""
_PATIENCE: Final = 10.0
"""Seconds for a request through the public URL."""
_MOMENT: Final = 1.0
"""Seconds of real time for events that may come later too."""
_SHORTER: Final = 10
_NO_CONTENT: Final = 204
_SUCCESS: Final = range(200, 300)


class WebhookSession:
    """A registered webhook with its receiver, which the probes of webhooks share."""

    def __init__(self, client: Client, nonce: str) -> None:
        """Listen, and register a webhook, unless the client did before. Raises `OSError` when it cannot listen."""
        target = client.target
        if client.receiver is None:
            client.receiver = Receiver(target.webhook_port)
        self._receiver = client.receiver
        self._client = client
        self._target = target
        self._nonce = nonce
        self._judged = 0
        self._has_missed = False
        """Whether an event has not come in time."""
        if client.webhook is None:
            base = self._base
            registration = {"url": f"{base}/zof-contracts/{nonce}", "events": list(EVENTS)}
            client.webhook = client.post("/webhooks", registration, idempotency_key=f"contracts-{nonce}-webhook")
        self.created: Exchange = client.webhook

    @property
    def _base(self) -> str:
        return self._target.webhook_public_url.rstrip("/") or self._receiver.url

    @property
    def registration(self) -> dict[str, object]:
        """The body of the request that registers the webhook."""
        fields: dict[str, object] = json.loads(self.created.request.body)
        return fields

    @property
    def url(self) -> str:
        """The URL that was registered."""
        return str(self.registration["url"])

    @property
    def idempotency_key(self) -> str:
        """The key under which it was registered."""
        return next(value for name, value in self.created.request.headers if name == "Idempotency-Key")

    @property
    def id(self) -> str:
        """The ID of the webhook."""
        return str(self.created.response.fields.get("id"))

    @property
    def secret(self) -> str:
        """The secret of the webhook; empty when none was shown."""
        secret = self.created.response.fields.get("secret")
        return secret if isinstance(secret, str) else ""

    def events(self) -> list[Event]:
        """The events that came, in order."""
        return self._read(self._receiver.requests)

    def take_new(self) -> list[Event]:
        """The events that came since the last call."""
        events = self.events()
        before, self._judged = self._judged, len(events)
        return events[before:]

    def wait_for(self, has_come: Callable[[Sequence[Event]], bool], seconds: float) -> bool:
        """Wait until the condition on the events holds, at most `seconds` of real time; return whether it does.

        Once an event has not come in time, later calls wait a tenth as long.
        """
        most = seconds / _SHORTER if self._has_missed else seconds
        came = self._receiver.wait_for(lambda received: has_come(self._read(received)), most)
        self._has_missed = self._has_missed or not came
        return came

    def wait_briefly(self, has_come: Callable[[Sequence[Event]], bool]) -> None:
        """Wait a moment for events that may come later too."""
        self._receiver.wait_for(lambda received: has_come(self._read(received)), _MOMENT)

    def find_obstacle(self) -> str:
        """Why no event can come through the public URL, although the target may send them; empty if one can.

        When nothing has come, a request to the public URL shows whether it leads to the receiver.
        """
        public_url = self._target.webhook_public_url
        if not public_url or self._receiver.requests:
            return ""
        path = f"/zof-contracts/{self._nonce}/reachable"
        with suppress(NoAnswer, Unreachable, ValueError):  # what the receiver got decides
            transport = HttpTransport(self._base, ca_file=self._target.ca_file)
            try:
                self._client.send_unrecorded("POST", path, {}, transport=transport, seconds=_PATIENCE)
            finally:
                transport.close()
        if self._receiver.requests:
            return ""
        return f"--webhook-public-url {public_url} does not lead to the receiver at {self._receiver.url}"

    @contextmanager
    def answer_with(self, status: int) -> Iterator[None]:
        """Answer every event with a status for the time of a `with`."""
        self._receiver.answer = lambda _: status
        try:
            yield
        finally:
            self._receiver.answer = lambda _: _NO_CONTENT

    def _read(self, received: Sequence[Received]) -> list[Event]:
        path = urlsplit(self.url).path
        return [
            read_event(one.body, one.header(SIGNATURE), was_taken=one.answer in _SUCCESS)
            for one in received
            if one.path == path
        ]
