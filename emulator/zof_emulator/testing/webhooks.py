"""The webhooks of a world, as a test uses them: what was delivered, and deliveries that go wrong on purpose."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import httpx

    from zof_emulator.testing.control import Control

    Action = Literal["redeliver", "duplicate", "reorder", "delay", "drop", "tamper"]
    RuleAction = Literal["duplicate", "reorder", "delay", "drop", "tamper"]
    Tampering = Literal["signature", "body", "whitespace", "old_event"]


class Webhooks:
    """The webhooks of a world and their deliveries. A world sends webhooks to addresses of this machine."""

    def __init__(self, control: Control, find_client: Callable[[], httpx.Client]) -> None:
        """`find_client` returns the client of the API that registers webhooks."""
        self._control = control
        self._find_client = find_client

    def register(self, url: str, events: Sequence[str], *, secret: str | None = None) -> dict[str, Any]:
        """Register a webhook with `POST /webhooks`; the answer holds its `id` and its `secret`.

        Raises:
            httpx.HTTPStatusError: the API refused it.
        """
        body: dict[str, Any] = {"url": url, "events": list(events)}
        answer = self._find_client().post("/webhooks", json=body if secret is None else {**body, "secret": secret})
        answer.raise_for_status()
        webhook: dict[str, Any] = answer.json()
        return webhook

    def deliveries(self, **filters: Any) -> list[dict[str, Any]]:  # noqa: ANN401  values of query parameters
        """The deliveries that match, the oldest first; `filters` are `webhook_id`, `event_id` and `status`."""
        deliveries: list[dict[str, Any]] = []
        while True:
            after = {"starting_after": deliveries[-1]["number"]} if deliveries else {}
            page = self._control.read("GET", "deliveries", query={"limit": 1_000, **filters, **after})
            deliveries += page["data"]
            if not page["has_more"]:
                return deliveries

    def send(self, event_type: str, *, run_id: str | None = None, object_id: str | None = None) -> int:
        """Send an event to the webhooks that subscribe to its type; how many they are."""
        fields = {"type": event_type, "run_id": run_id, "object_id": object_id}
        body = {name: value for name, value in fields.items() if value is not None}
        return int(self._control.read("POST", "events", body=body)["deliveries"])

    def disturb(
        self, delivery_id: str, action: Action, *, delay_ms: int | None = None, tampering: Tampering | None = None
    ) -> dict[str, Any]:
        """Send a delivery again, or disturb or falsify it; returns the delivery that the action made or changed.

        Raises:
            ControlError: there is no such delivery, or the action is not possible.
        """
        fields = {"action": action, "delay_ms": delay_ms, "tampering": tampering}
        body = {name: value for name, value in fields.items() if value is not None}
        found: dict[str, Any] = self._control.read("POST", f"deliveries/{delivery_id}/actions", body=body)
        return found

    def add_rule(  # noqa: PLR0913  the fields of the operation
        self,
        action: RuleAction,
        *,
        webhook_id: str | None = None,
        event_type: str | None = None,
        times: int | None = None,
        delay_ms: int | None = None,
        tampering: Tampering | None = None,
    ) -> None:
        """Disturb deliveries to come: the next `times` ones, or all, of a webhook and an event type, or of all."""
        fields = {
            "action": action,
            "webhook_id": webhook_id,
            "type": event_type,
            "times": times,
            "delay_ms": delay_ms,
            "tampering": tampering,
        }
        body = {name: value for name, value in fields.items() if value is not None}
        self._control.call("POST", "delivery-rules", body=body)

    def clear_rules(self) -> None:
        """Delete the rules that disturb deliveries."""
        self._control.call("DELETE", "delivery-rules")
