"""Scenarios: read and change the scenario of a world, and choose one for a new world."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

from zof_emulator.core.limits import RateScope
from zof_emulator.core.refusal import Refused
from zof_emulator.handlers.messages import Document, Reply, Request
from zof_emulator.scenarios.load import UnusableScenario, load_object
from zof_emulator.scenarios.schema import SCHEMA

if TYPE_CHECKING:
    from collections.abc import Mapping

    from zof_emulator.core.config import WorldConfig
    from zof_emulator.handlers.messages import Slices
    from zof_emulator.http.hosted_world import HostedWorld

_LONGEST_WHY: Final = 2_000


def get_scenario(hosted: HostedWorld, _request: Request) -> Reply:
    """The scenario and the settings with which a world begins."""
    settings = hosted.config.to_json()
    scenario = settings.pop("scenario")
    return Reply(200, Document({"name": hosted.config.scenario.name, "scenario": scenario, "settings": settings}))


def put_scenario(hosted: HostedWorld, request: Request) -> Slices:
    """Replace the world by a new one with another scenario."""
    yield from hosted.reset_in_slices(choose_config(hosted.config, request.body))
    return get_scenario(hosted, request)


def get_schema() -> Reply:
    """The JSON Schema of a scenario file."""
    return Reply(200, Document(SCHEMA))


def choose_config(base: WorldConfig, given: Mapping[str, Any]) -> WorldConfig:
    """The configuration of a world: the fields that a request gives, then those of its scenario, then those of `base`.

    Raises:
        Refused: the scenario has mistakes, or there is none of this name.
    """
    fields = dict(given)
    if "scenario" in fields:
        try:
            base = load_object(fields.pop("scenario")).apply(base)
        except UnusableScenario as error:
            raise Refused("invalid_scenario", "scenario", why="; ".join(error.lines)[:_LONGEST_WHY]) from error
    if "rate" in fields:
        rate = dict(fields["rate"])
        scope = {"scope": RateScope(rate["scope"])} if "scope" in rate else {}
        fields["rate"] = replace(base.rate, **{**rate, **scope})
    if "environments" in fields:
        fields["environments"] = tuple(fields["environments"])
    return replace(base, **fields)
