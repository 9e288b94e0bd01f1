"""The situations in which a client is tried: faults, existing runs, outcomes, disturbed webhooks.

A situation adds to the scenario of the user, so that the client meets its usual data.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from zof_emulator.core.deliveries import Action
from zof_emulator.scenarios.load import read_builtin
from zof_emulator.scenarios.tree import read_tree

if TYPE_CHECKING:
    from collections.abc import Mapping

_OPERATIONS: Final = ("startRun", "getRun", "listRuns", "listResults", "cancelRun")
"""The operations that fail in the situations with errors."""
_SECOND: Final = 1_000


def _fail_operations(schedule: Mapping[str, Any], effect: Mapping[str, Any]) -> dict[str, Any]:
    """Faults of each operation."""
    return {"faults": [{"match": {"operation": name}, "schedule": schedule, "effect": effect} for name in _OPERATIONS]}


@dataclass(frozen=True, slots=True)
class Situation:
    """A situation that provokes a client."""

    name: str
    description: str
    scenario: Mapping[str, Any] = field(default_factory=dict)
    """The members of a scenario that are added to that of the user."""
    disturbance: Action | None = None
    """The effect on the deliveries of webhooks."""

    @property
    def is_provoking(self) -> bool:
        """Whether the client meets anything out of the ordinary."""
        return bool(self.scenario) or self.disturbance is not None


SITUATIONS: Final = (
    Situation("plain", "nothing is provoked"),
    Situation(
        "throttled",
        "the first request of each kind is answered 429 with Retry-After: 1",
        _fail_operations({"first": 1}, {"error": "rate_limited", "retry_after": 1}),
    ),
    Situation(
        "unavailable",
        "the first three requests of each kind are answered 503",
        _fail_operations({"first": 3}, {"status": 503, "undocumented": True, "body": {}}),
    ),
    Situation(
        "reset",
        "the first start is carried out, and its connection is reset",
        {
            "faults": [
                {
                    "match": {"operation": "startRun"},
                    "schedule": {"first": 1},
                    "place": "after",
                    "effect": {"reset": True},
                }
            ]
        },
    ),
    Situation(
        "slow",
        "the first request of each kind is answered after 2 s",
        _fail_operations({"first": 1}, {"latency_ms": 2 * _SECOND}),
    ),
    Situation("evolved", "answers hold fields and values that the API may get", {"evolve": True}),
    Situation(
        "pages",
        "45 earlier runs exist, so that lists have several pages",
        {"runs": [{"project": "proj_abc", "suite": "suite_pr_smoke", "count": 45, "over": "14d"}]},
    ),
    Situation("errors", "the cases of every run end in error", {"outcomes": [{"status": "error"}]}),
    Situation("duplicates", "webhooks are sent twice", disturbance=Action.DUPLICATE),
    Situation("forgeries", "forged webhooks are sent too", disturbance=Action.TAMPER),
)
"""The situations, in the order in which they are tried."""


def extend_scenario(own: Any, situation: Situation) -> dict[str, Any]:  # noqa: ANN401  JSON
    """The scenario of the user with what a situation adds; the lists of the user follow those of the situation.

    Args:
        own: a scenario as a request takes it: an object, or the name of a built-in one.
        situation: what the client meets.

    Raises:
        UnusableScenario: no built-in scenario has this name.
    """
    if isinstance(own, str):
        content = read_builtin(own)
        own = {"name": own, **read_tree(content.encode()).value} if content else {"base": own}
    added = {
        name: [*value, *own.get(name, ())] if isinstance(value, list) else value
        for name, value in situation.scenario.items()
    }
    return {**own, **added}
