"""The fault rules of a world, as a test uses them. `docs/faults.md` describes what a rule may say."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from collections.abc import Mapping

    from zof_emulator.testing.control import Control

    Place = Literal["before", "after", "body"]


class Fault:
    """A fault rule of a world."""

    def __init__(self, control: Control, fault_id: str) -> None:
        self._control = control
        self.id = fault_id
        """The ID of the rule; exchanges in the journal name it as their `fault`."""

    @property
    def calls(self) -> int:
        """How many requests matched."""
        return int(self._read()["calls"])

    @property
    def hits(self) -> int:
        """How many requests got the effect."""
        return int(self._read()["hits"])

    def remove(self) -> None:
        """Delete the rule: later requests do not meet it.

        Raises:
            ControlError: the rule does not exist any more.
        """
        self._control.call("DELETE", f"faults/{self.id}")

    def _read(self) -> dict[str, Any]:
        found: dict[str, Any] = self._control.read("GET", f"faults/{self.id}")
        return found


class Faults:
    """The fault rules of a world."""

    def __init__(self, control: Control) -> None:
        self._control = control

    def add(
        self,
        operation: str | None = None,
        *,
        effect: Mapping[str, Any],
        match: Mapping[str, Any] | None = None,
        schedule: Mapping[str, Any] | None = None,
        place: Place | None = None,
    ) -> Fault:
        """Create a rule. Of several rules that are due for a request, the one that was created first has its effect.

        Args:
            operation: the operation that fails, such as `startRun`; by default all.
            effect: what happens, such as `{"error": "rate_limited"}`, `{"reset": True}` or `{"latency_ms": 500}`.
            match: further conditions, such as `{"body": {"environment": "staging"}}`.
            schedule: which of the matching requests, such as `{"first": 1}`; by default all.
            place: `before` the request is carried out, `after` it, or in the `body` of its answer.

        Raises:
            ControlError: the rule says something that does not exist; the message names the nearest that does.
        """
        conditions = dict(match or {}) | ({} if operation is None else {"operation": operation})
        fields = {"match": conditions, "schedule": schedule, "place": place, "effect": effect}
        body = {name: value for name, value in fields.items() if value is not None}
        return Fault(self._control, self._control.read("POST", "faults", body=body)["id"])

    def list(self) -> list[dict[str, Any]]:
        """The rules with their counts, in the order in which they apply."""
        found: list[dict[str, Any]] = self._control.read("GET", "faults")["data"]
        return found

    def clear(self) -> None:
        """Delete all rules."""
        self._control.call("PATCH", "config", body={"faults": []})
