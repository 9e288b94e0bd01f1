"""The control operations on what can be changed of the configuration of a running world, and on its fault rules."""

from __future__ import annotations

from dataclasses import asdict, replace
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final

from zof_emulator.control.faults import read_rule, show_faults
from zof_emulator.core.config import ClockMode, References
from zof_emulator.core.limits import RateScope
from zof_emulator.handlers.messages import Document, Reply, Request

if TYPE_CHECKING:
    from zof_emulator.core.world import World
    from zof_emulator.http.hosted_world import HostedWorld
    from zof_emulator.spec.fault_rules import FaultJudge

_CHOICES: Final = MappingProxyType({"clock": ClockMode, "references": References})
"""The fields whose values are members of an enumeration."""


def get_config(hosted: HostedWorld, _request: Request) -> Reply:
    """The configuration as it is now."""
    return Reply(200, Document(_show_config(hosted.world)))


def change_config(hosted: HostedWorld, request: Request, judge: FaultJudge) -> Reply:
    """Change the fields that are given; nothing changes if one of them is wrong."""
    world, given = hosted.world, dict(request.body)
    config = world.config
    if "faults" in given:
        rules = [read_rule(world, one, judge, f"faults[{place}]") for place, one in enumerate(given.pop("faults"))]
        world.faults.replace(rules)
        hosted.pauses.release_all()
    if "rate" in given:
        rate = dict(given["rate"])
        if "scope" in rate:
            rate["scope"] = RateScope(rate["scope"])
        given["rate"] = replace(config.rate, **rate)
    given |= {name: choices(given[name]) for name, choices in _CHOICES.items() if name in given}
    world.change_config(replace(config, **given), hosted.used_at)
    hosted.choose_encoder()
    return Reply(200, Document(_show_config(world)))


def _show_config(world: World) -> dict[str, Any]:
    config = world.config
    return {
        "rate": asdict(config.rate),
        "capacity": config.capacity,
        "clock": config.clock.value,
        "references": config.references.value,
        "evolve": config.evolve,
        "faults": show_faults(world),
    }
