"""`zof-emulator exec --check-client`: the settings and webhooks of a situation, and the judgement of what was sent.

The journals of all situations are judged by `zof-contracts client`, which is called as a process.
"""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from typing import TYPE_CHECKING, Final

import click

from zof_emulator.core.deliveries import DeliveryRule
from zof_emulator.http.world_registry import DEFAULT
from zof_emulator.journal.reactions import describe_reactions
from zof_emulator.journal.view import show_exchange
from zof_emulator.scenarios.load import load_object
from zof_emulator.scenarios.situations import extend_scenario

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from zof_emulator.cli.traffic_recorder import TrafficRecorder
    from zof_emulator.core.scenario import Scenario
    from zof_emulator.http.dispatch import Dispatcher
    from zof_emulator.http.hosted_world import HostedWorld
    from zof_emulator.scenarios.situations import Situation
    from zof_emulator.settings import Settings

REPORT_FORMATS: Final = ("text", "json", "junit", "html", "sarif", "gitlab")
"""The formats of the reports of `zof-contracts client`."""
_MOST_NAMES: Final = 5
"""The names of worlds that a message lists."""


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


def disturb(situation: Situation, hosted: HostedWorld) -> None:
    """Disturb the webhooks of a world, if the situation does."""
    if situation.disturbance is not None:
        hosted.world.outbox.add_rule(DeliveryRule(0, situation.disturbance))


def describe_client(app: Dispatcher) -> Iterator[str]:
    """The requests that the client sent after each fault, one line for each fault, in each world that exists."""
    for hosted in app.worlds:
        entries = () if hosted.journal is None else hosted.journal.list_entries(hosted.world)
        where = f"world {hosted.name}: " if hosted.name else ""
        for line in describe_reactions([show_exchange(number, entry) for number, entry in entries]):
            yield where + line


def describe_failure(status: int, recorder: TrafficRecorder) -> str:
    """What is known about a command that failed where nothing is provoked."""
    failure = f"the command ended with {status} though nothing was provoked"
    if not recorder.limited:
        return failure
    times = "once" if recorder.limited == 1 else f"{recorder.limited} times"
    return f"{failure}; the emulator answered 429 (rate limit) {times}: --rate-limit N/SECONDS or off raises the limit"


def check_requests(recorder: TrafficRecorder, scenario: Scenario) -> str:
    """A warning about the requests to worlds with scenarios of their own, where nothing is provoked; may be empty.

    Args:
        recorder: what the command sent where nothing is provoked.
        scenario: the scenario of the worlds that are provoked.

    Raises:
        click.ClickException: the command sent no request to the API, or none to a world that is provoked.
    """
    total = recorder.requests.total()
    if not total:
        raise click.ClickException(
            "the client cannot be judged: the command sent no request to the API at ZOF_BASE_URL or to another world"
        )
    own = {name: count for (name, used), count in recorder.requests.items() if used != scenario}
    if not own:
        return ""
    count = sum(own.values())
    names = sorted(name or DEFAULT for name in own)
    listed = ", ".join(names[:_MOST_NAMES]) + (f" and {len(names) - _MOST_NAMES} more" if names[_MOST_NAMES:] else "")
    warning = (
        f"{count} of {total} requests went to worlds with a scenario of their own ({listed}), "
        "where --check-client provokes nothing"
    )
    if count == total:
        raise click.ClickException(f"{warning}: give the scenario with --scenario, or create the worlds without one")
    return warning


def judge_journals(folder: Path, names: Sequence[str], options: Sequence[str]) -> int:
    """Have `zof-contracts client` judge the journals in a folder; its exit status."""
    command = [sys.executable, "-m", "zof_contracts", "client", *options, *names]
    return subprocess.run(command, cwd=folder, stdin=subprocess.DEVNULL, check=False).returncode  # noqa: S603  fixed
