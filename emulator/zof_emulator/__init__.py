"""zof-emulator: a stand-in for the Zof API, in memory and deterministic."""

from zof_emulator.app import create_app
from zof_emulator.core.config import ClockMode, References, Scenario, WorldConfig
from zof_emulator.core.limits import Rate, RateScope
from zof_emulator.core.tenants import SeedData
from zof_emulator.settings import Settings

__all__ = [
    "ClockMode",
    "Rate",
    "RateScope",
    "References",
    "Scenario",
    "SeedData",
    "Settings",
    "WorldConfig",
    "create_app",
]
