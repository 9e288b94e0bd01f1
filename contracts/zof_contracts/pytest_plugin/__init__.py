"""A pytest way: `pytest --zof-url … --zof-key … --pyargs contracts` gives one test item a rule.

Light on purpose: pytest loads it in every run of whoever has installed the harness. It adds options and no more; where
a target is named on the command line, `zof_contracts.pytest_plugin.items` is brought in, which does the rest.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import click

from zof_contracts.cli.options import options

if TYPE_CHECKING:
    import pytest

_PREFIX: Final = "zof_"
_NOT_OURS: Final = frozenset({"config", "report", "report_dir", "include", "exclude"})
"""What pytest has its own ways for: -k, --junitxml, its own settings."""


def _flags() -> list[click.Option]:
    command = click.command(options(lambda: None))
    return [each for each in command.params if isinstance(each, click.Option) and each.name not in _NOT_OURS]


def pytest_addoption(parser: pytest.Parser) -> None:
    """The options of `zof-contracts verify`, as `--zof-…`."""
    group = parser.getgroup("zof", "the contract of the Zof API (with --pyargs contracts)")
    for option in _flags():
        name = f"--zof-{option.opts[-1].removeprefix('--')}"
        settings: dict[str, Any] = {"action": "store_true" if option.is_flag else "store"}
        if option.multiple:
            settings["action"] = "append"
        help_text = (option.help or "").replace("%", "%%")
        group.addoption(name, dest=f"{_PREFIX}{option.name}", default=None, help=help_text, **settings)


def pytest_configure(config: pytest.Config) -> None:
    """Bring in the items, where a target is named."""
    if where(config):
        config.pluginmanager.import_plugin("zof_contracts.pytest_plugin.items")


def where(config: pytest.Config) -> str:
    """The target that the command line names; empty when it names none."""
    return config.getoption(f"{_PREFIX}url") or config.getoption(f"{_PREFIX}app") or ""


def given(config: pytest.Config) -> dict[str, Any]:
    """The flags of `verify`: from pytest's command line, else the environment, `contracts.toml`, or their defaults."""
    arguments: list[str] = []
    for option in _flags():
        value = config.getoption(f"{_PREFIX}{option.name}")
        if option.is_flag:
            arguments += [option.opts[-1]] if value else []
        elif value is not None:
            values = value if option.multiple else [value]
            arguments += [word for each in values for word in (option.opts[-1], each)]
    return click.command(options(lambda: None)).make_context("pytest", arguments).params
