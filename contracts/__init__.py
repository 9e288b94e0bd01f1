"""The contract harness: does a deployment keep the published contract, and where it differs, whose fault is it?

Plug in: `contracts.run(contracts.Target(url=…, keys={"main": …}))`; what comes back holds every `contracts.Finding`.
The names are looked up when they are asked for, so that pytest may load our plugin without loading the harness.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from contracts.findings import Finding
    from contracts.runner import run
    from contracts.target import Target

__all__ = ["Finding", "Target", "run"]

_ROOMS: Final = {"Finding": "contracts.findings", "Target": "contracts.target", "run": "contracts.runner"}


def __getattr__(name: str) -> Any:  # noqa: ANN401  whatever the name is
    if name not in _ROOMS:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_ROOMS[name]), name)
