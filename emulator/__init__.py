"""zof-emulator: a stand-in for the Zof API, in memory and deterministic."""

from emulator.app import create_app
from emulator.settings import Settings

__all__ = ["Settings", "create_app"]
