"""zof-emulator: a stand-in for the Zof API, in memory and deterministic.

The names are loaded when they are first used: pytest imports this package in every run, for the plugin in `testing`.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from zof_emulator.app import create_app
    from zof_emulator.core.config import ClockMode, Envelope, References, WorldConfig
    from zof_emulator.core.limits import Rate, RateScope
    from zof_emulator.core.scenario import Scenario
    from zof_emulator.core.tenants import SeedData
    from zof_emulator.settings import Settings

__all__ = [
    "ClockMode",
    "Envelope",
    "Rate",
    "RateScope",
    "References",
    "Scenario",
    "SeedData",
    "Settings",
    "WorldConfig",
    "create_app",
]

_MODULES: Final = {
    "create_app": "zof_emulator.app",
    "ClockMode": "zof_emulator.core.config",
    "Envelope": "zof_emulator.core.config",
    "References": "zof_emulator.core.config",
    "Scenario": "zof_emulator.core.scenario",
    "WorldConfig": "zof_emulator.core.config",
    "Rate": "zof_emulator.core.limits",
    "RateScope": "zof_emulator.core.limits",
    "SeedData": "zof_emulator.core.tenants",
    "Settings": "zof_emulator.settings",
}


def __getattr__(name: str) -> Any:  # noqa: ANN401  whatever the name stands for
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_MODULES[name]), name)
