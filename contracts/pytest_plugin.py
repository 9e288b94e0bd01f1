"""A pytest way: `pytest --zof-url … --zof-key … --pyargs contracts` gives one test item a rule.

Light on purpose: pytest loads it in every run of whoever has installed the harness. It adds options and no more; where
a target is named on the command line, `contracts.pytest_items` is brought in, which does the rest.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import click

from contracts.flags import options

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
        config.pluginmanager.import_plugin("contracts.pytest_items")


def where(config: pytest.Config) -> str:
    """The target that the command line names; empty when it names none."""
    return config.getoption(f"{_PREFIX}url") or config.getoption(f"{_PREFIX}app") or ""


def given(config: pytest.Config) -> dict[str, Any]:
    """The flags of `verify`: from pytest's command line, else the environment, else their defaults."""
    context = click.Context(click.Command("pytest"))
    return {option.name or "": _value(config, option, context) for option in _flags()}


def _value(config: pytest.Config, option: click.Option, context: click.Context) -> Any:  # noqa: ANN401  whatever it is
    value = config.getoption(f"{_PREFIX}{option.name}")
    if value is None:
        value = option.value_from_envvar(context)
    if value is None:
        value = option.get_default(context)
    return option.type_cast_value(context, value)
