"""The contract harness: it verifies that a deployment of the Zof API keeps the published contract.

As a library, `run(Target(url=…, keys={"main": …}))` returns a `Verification` with every `Finding`. The names are
loaded on first use, because pytest imports this package, for its plugin, in every run.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from zof_contracts.evidence.findings import Finding
    from zof_contracts.target.target import Target
    from zof_contracts.verification.run import run

__all__ = ["Finding", "Target", "run"]

_MODULES: Final = {
    "Finding": "zof_contracts.evidence.findings",
    "Target": "zof_contracts.target.target",
    "run": "zof_contracts.verification.run",
}
"""The module of each public name."""


def __getattr__(name: str) -> Any:  # noqa: ANN401  whatever the name is
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_MODULES[name]), name)
