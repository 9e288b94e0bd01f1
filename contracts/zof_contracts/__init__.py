"""The contract harness: does a deployment keep the published contract, and where it differs, whose fault is it?

Use it as a library: `run(Target(url=…, keys={"main": …}))` returns a value that holds every `Finding`.
The names are looked up when they are asked for, so that pytest may load our plugin without loading the harness.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from zof_contracts.evidence.findings import Finding
    from zof_contracts.target.target import Target
    from zof_contracts.verification.run import run

__all__ = ["Finding", "Target", "run"]

_ROOMS: Final = {
    "Finding": "zof_contracts.evidence.findings",
    "Target": "zof_contracts.target.target",
    "run": "zof_contracts.verification.run",
}


def __getattr__(name: str) -> Any:  # noqa: ANN401  whatever the name is
    if name not in _ROOMS:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_ROOMS[name]), name)
