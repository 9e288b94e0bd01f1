"""`zof-emulator exec --check-client`: the situations in which a client is tried, and what it did in each.

A situation changes the world that a command meets: faults, existing runs, outcomes, disturbed webhooks. The journals of
all of them are judged by `zof-contracts client`, which is called as a process.
"""

from __future__ import annotations

import subprocess
import sys
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from zof_emulator.core.deliveries import Action, DeliveryRule
from zof_emulator.core.faults import EffectKind
from zof_emulator.scenarios.load import load_object

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from zof_emulator.http.dispatch import Dispatcher
    from zof_emulator.journal.ring import Entry
    from zof_emulator.settings import Settings

_OPERATIONS: Final = ("startRun", "getRun", "listRuns", "listResults", "cancelRun")
"""The operations that fail in the situations with errors."""
_KEY: Final = b"idempotency-key"
_MOST_REACTIONS: Final = 3
"""Reactions that are described for each situation."""
_SECOND: Final = 1_000


def _fail(schedule: Mapping[str, Any], effect: Mapping[str, Any]) -> dict[str, Any]:
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
    """The effect on the first deliveries of each event."""


SITUATIONS: Final = (
    Situation("plain", "nothing is provoked"),
    Situation(
        "throttled",
        "the first request of each kind is answered 429 with Retry-After: 1",
        _fail({"first": 1}, {"error": "rate_limited", "retry_after": 1}),
    ),
    Situation(
        "unavailable",
        "the first three requests of each kind are answered 503",
        _fail({"first": 3}, {"status": 503, "undocumented": True, "body": {}}),
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
        _fail({"first": 1}, {"latency_ms": 2 * _SECOND}),
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


def make_settings(settings: Settings, situation: Situation) -> Settings:
    """The settings of the emulator in a situation; lists of the user's scenario stay, behind those of the situation."""
    if not situation.scenario:
        return settings
    own: Any = settings.scenario.to_json()
    if isinstance(own, str):
        own = {} if own == "default" else {"base": own}
    added = {
        name: [*value, *own.get(name, ())] if isinstance(value, list) else value
        for name, value in situation.scenario.items()
    }
    return load_object({**own, **added}).apply(settings)


def disturb(app: Dispatcher, situation: Situation) -> None:
    """Disturb the webhooks of the default world, if the situation does."""
    if situation.disturbance is not None:
        app.hosted.world.outbox.add_rule(DeliveryRule(0, situation.disturbance))


def describe_reactions(app: Dispatcher) -> Iterator[str]:
    """The requests that the client sent after each fault, one line for each fault."""
    hosted = app.hosted
    entries = [] if hosted.journal is None else [entry for _, entry in hosted.journal.list_entries(hosted.world)]
    met = [index for index, entry in enumerate(entries) if entry.fault is not None]
    for index in met[:_MOST_REACTIONS]:
        yield _describe_reaction(entries[index], entries[index + 1 :])
    if met[_MOST_REACTIONS:]:
        yield f"{len(met) - _MOST_REACTIONS} more faults were met"


def _describe_reaction(entry: Entry, later: Sequence[Entry]) -> str:
    what = f"{entry.method} {entry.path} {_describe_fault(entry)}"
    follower = next((each for each in later if (each.method, each.path) == (entry.method, entry.path)), None)
    if follower is None:
        return f"{what}: not sent again"
    wait = (follower.at - entry.at) / _SECOND
    keys = [dict(each.headers).get(_KEY) for each in (entry, follower)]
    word = "the same" if keys[0] == keys[1] else "another"
    key = "" if keys == [None, None] else f" with {word} Idempotency-Key"
    return f"{what}: sent again after {wait:.2f} s{key}"


def _describe_fault(entry: Entry) -> str:
    """The fault of an entry, in words."""
    match entry.fault.effect if entry.fault is not None else None:
        case EffectKind.ERROR | EffectKind.STATUS:
            return f"was answered {entry.status}"
        case EffectKind.LATENCY | EffectKind.DRIP:
            return "was answered late"
        case _:
            return "lost its answer"


def judge_journals(journals: Sequence[Path]) -> int:
    """Have `zof-contracts client` judge the journals; its exit status."""
    command = [sys.executable, "-m", "zof_contracts", "client", *map(str, journals)]
    return subprocess.run(command, stdin=subprocess.DEVNULL, check=False).returncode  # noqa: S603  a fixed command
