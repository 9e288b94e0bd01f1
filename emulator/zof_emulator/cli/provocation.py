"""`zof-emulator exec --check-client`: the settings and webhooks of a situation, and the judgement of what was sent.

The journals of all situations are judged by `zof-contracts client`, which is called as a process.
"""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from typing import TYPE_CHECKING

from zof_emulator.core.deliveries import DeliveryRule
from zof_emulator.journal.reactions import describe_reactions
from zof_emulator.journal.view import show_exchange
from zof_emulator.scenarios.load import load_object
from zof_emulator.scenarios.situations import extend_scenario

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from zof_emulator.http.dispatch import Dispatcher
    from zof_emulator.scenarios.situations import Situation
    from zof_emulator.settings import Settings


def make_settings(settings: Settings, situation: Situation) -> Settings:
    """The settings of the emulator in a situation; the scenario of the user stays, and the situation adds to it."""
    if not situation.scenario:
        return settings
    own = settings.scenario
    changed = load_object(extend_scenario(own.to_json(), situation)).apply(settings)
    if own.data is None:
        return changed
    data = own.data  # the JSON form masks the secrets of its webhooks
    return replace(changed, scenario=replace(changed.scenario, data=data))


def disturb(app: Dispatcher, situation: Situation) -> None:
    """Disturb the webhooks of the default world, if the situation does."""
    if situation.disturbance is not None:
        app.hosted.world.outbox.add_rule(DeliveryRule(0, situation.disturbance))


def describe_client(app: Dispatcher) -> Iterator[str]:
    """The requests that the client sent after each fault, one line for each fault."""
    hosted = app.hosted
    entries = () if hosted.journal is None else hosted.journal.list_entries(hosted.world)
    return describe_reactions([show_exchange(number, entry) for number, entry in entries])


def judge_journals(folder: Path, names: Sequence[str]) -> int:
    """Have `zof-contracts client` judge the journals in a folder; its exit status."""
    command = [sys.executable, "-m", "zof_contracts", "client", *names]
    return subprocess.run(command, cwd=folder, stdin=subprocess.DEVNULL, check=False).returncode  # noqa: S603  fixed
