"""zof-emulator: a stand-in for the Zof API, in memory and deterministic."""

from zof_emulator.app import create_app
from zof_emulator.settings import Settings

__all__ = ["Settings", "create_app"]
