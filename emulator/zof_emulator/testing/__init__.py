"""The emulator inside a test suite: `running()` starts one, and the pytest fixture `zof` gives each test a world.

The names are loaded when they are first used, since pytest imports this package in every run.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from zof_emulator.scenarios.load import UnusableScenario
    from zof_emulator.testing.client_check import BrokenClientRules, ClientCheck, UnjudgedClient
    from zof_emulator.testing.control import ControlError
    from zof_emulator.testing.emulator import Emulator, running
    from zof_emulator.testing.faults import Fault, Faults
    from zof_emulator.testing.webhooks import Webhooks
    from zof_emulator.testing.world import Clock, Journal, World

__all__ = [
    "BrokenClientRules",
    "ClientCheck",
    "Clock",
    "ControlError",
    "Emulator",
    "Fault",
    "Faults",
    "Journal",
    "UnjudgedClient",
    "UnusableScenario",
    "Webhooks",
    "World",
    "running",
]

_MODULES: Final = {
    "BrokenClientRules": "zof_emulator.testing.client_check",
    "ClientCheck": "zof_emulator.testing.client_check",
    "Clock": "zof_emulator.testing.world",
    "ControlError": "zof_emulator.testing.control",
    "Emulator": "zof_emulator.testing.emulator",
    "Fault": "zof_emulator.testing.faults",
    "Faults": "zof_emulator.testing.faults",
    "Journal": "zof_emulator.testing.world",
    "UnjudgedClient": "zof_emulator.testing.client_check",
    "Webhooks": "zof_emulator.testing.webhooks",
    "UnusableScenario": "zof_emulator.scenarios.load",
    "World": "zof_emulator.testing.world",
    "running": "zof_emulator.testing.emulator",
}


def __getattr__(name: str) -> Any:  # noqa: ANN401  the object of that name
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_MODULES[name]), name)
