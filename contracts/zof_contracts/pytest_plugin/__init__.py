"""The pytest plugin: `pytest --zof-url URL --zof-key KEY --pyargs zof_contracts` runs one test item per rule.

pytest imports this module in every run of every project in whose environment we are installed. It therefore imports
nothing of the harness and no other package: it adds the options, and where the command line names a target it loads
`zof_contracts.pytest_plugin.items`, which does the rest.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any, Final

import pytest

_PACKAGE: Final = "zof_contracts"
_ITEMS: Final = "zof_contracts.pytest_plugin.items"
PREFIX: Final = "zof_"
"""The prefix of our options in pytest's own namespace of options."""

STORED: Final = (
    *(
        "url",
        "app",
        "ca-file",
        "key",
        "key-readonly",
        "key-no-webhooks",
        "key-no-projects",
        "key-other-org",
        "key-expired",
        "key-ci",
    ),
    *("project", "environment", "suite", "failing-case", "error-case", "webhook-public-url", "webhook-port"),
    *("profile", "budget", "max-time", "patience", "workers", "max-runs", "seed", "max-examples", "baseline"),
)
"""The options of `zof-contracts verify` that take one value. A test holds these three lists against the command."""
REPEATED: Final = ("case",)
"""The options that may be given several times."""
SWITCHES: Final = ("i-may-create-runs", "use-up-quota", "strict")
"""The options that take no value."""


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the options of `zof-contracts verify`, each with the prefix `--zof-`."""
    group = parser.getgroup("zof", "the contract of the Zof API (with --pyargs zof_contracts)")
    for action, names in (("store", STORED), ("append", REPEATED), ("store_true", SWITCHES)):
        for name in names:
            settings: dict[str, Any] = {"dest": PREFIX + name.replace("-", "_"), "default": None, "action": action}
            group.addoption(f"--zof-{name}", help=f"as --{name} of `zof-contracts verify`", **settings)


def pytest_configure(config: pytest.Config) -> None:
    """Load the test items if the command line names a target."""
    if find_target(config):
        _require_extra()
        config.pluginmanager.import_plugin(_ITEMS)
    elif config.getoption("pyargs") and any(name.partition("::")[0] == _PACKAGE for name in config.args):
        raise pytest.UsageError("zof-contracts: no target: give one with --zof-url or --zof-app")


def _require_extra() -> None:
    """Load the items before pytest does, since its errors for a plugin that cannot be loaded differ by release.

    Raises:
        pytest.UsageError: a package of the extra is not installed.
    """
    try:
        import_module(_ITEMS)
    except ModuleNotFoundError as error:
        if not error.name or error.name.startswith("zof_"):
            raise
        raise pytest.UsageError(
            f"zof-contracts: package {error.name} is not installed: "
            "pip install 'PATH/zof_emulator-VERSION.whl[contracts]'"
        ) from error


def find_target(config: pytest.Config) -> str:
    """The target that the command line names; empty if it names none."""
    return config.getoption(f"{PREFIX}url") or config.getoption(f"{PREFIX}app") or ""
