"""Checks the options that name a target, so that a mistake in them is one line and no finding about the target."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import click

from zof_contracts.cli.options import PROXY_VARIABLE, add_options, suggest
from zof_contracts.cli.terminal import print_notice
from zof_contracts.target.base_url import BaseUrl, has_user_info
from zof_contracts.target.proxies import make_ssl_context
from zof_contracts.target.redaction import check_key
from zof_contracts.target.target import KEYS
from zof_contracts.target.transport import Unreachable

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from zof_contracts.target.target import Target

_FEWEST_CASES: Final = 2
_OURS: Final = "ZOF_CONTRACTS_"
_OUR_KEYS: Final = "ZOF_API_KEY_"
"""The beginnings of the names of our variables. Other programs may have keys of their own."""
_COMPATIBLE: Final = (
    frozenset({"readonly", "no-webhooks", "no-projects"}),
    frozenset({"no-webhooks", "ci"}),
)
"""Names that one key may have at the same time, since it may lack several permissions."""


def name_key_option(name: str) -> str:
    """Name the option that gives a key."""
    return "--key" if name == "main" else f"--key-{name}"


def read_keys(options: Mapping[str, Any]) -> dict[str, str]:
    """Read the keys by name.

    Raises:
        click.UsageError: there is no main key, a key is invalid, or two options give the same key.
    """
    keys = {name: key for name in KEYS if (key := _read_key(name, options))}
    if "main" not in keys:
        raise click.UsageError("no API key: give one with --key or in ZOF_API_KEY")
    check_different(keys)
    return keys


def _read_key(name: str, options: Mapping[str, Any]) -> str:
    option = name_key_option(name)
    given: str = options[option.removeprefix("--").replace("-", "_")] or ""
    if given != given.strip():
        print_notice(f"zof-contracts: note: white space around {option} was removed")
    try:
        return check_key(given) if given.strip() else ""
    except ValueError as error:
        raise click.UsageError(f"invalid {option}: {error}") from error


def check_different(keys: Mapping[str, str], describe_option: Callable[[str], str] = name_key_option) -> None:
    """Refuse one key under two names that contradict each other.

    Args:
        keys: the keys by name.
        describe_option: returns how the user gives the key of a name.

    Raises:
        click.UsageError: two names have the same key.
    """
    names: dict[str, list[str]] = {}
    for name, key in keys.items():
        for other in names.get(key, ()):
            if not any({name, other} <= compatible for compatible in _COMPATIBLE):
                raise click.UsageError(
                    f"{describe_option(other)} and {describe_option(name)} give the same key: "
                    f"{describe_option(name)} needs another one ({KEYS[name]})"
                )
        names.setdefault(key, []).append(name)


def list_variables() -> frozenset[str]:
    """List the environment variables that any command reads."""
    command = click.command(add_options(lambda: None))
    return frozenset({str(param.envvar) for param in command.params if param.envvar} | {PROXY_VARIABLE})


def check_variables(environment: Mapping[str, str]) -> None:
    """Refuse misspelled variables, which would leave an option such as the budget at its default.

    Raises:
        click.UsageError: a variable begins as ours do, and no command reads it.
    """
    known = list_variables()
    for name in sorted(environment):
        if name.startswith(_OURS) and name not in known:
            raise click.UsageError(f"unknown environment variable {name}{suggest(name, known)}")
        if name.startswith(_OUR_KEYS) and name not in known:
            print_notice(f"zof-contracts: note: environment variable {name} is not used{suggest(name, known)}")


def check_cases(options: Mapping[str, Any]) -> None:
    """Refuse test cases with which no run could be started, or that contradict each other.

    Raises:
        click.UsageError: there are too few, or a case is given twice.
    """
    cases, failing, error = options["case"], options["failing_case"], options["error_case"]
    if len(cases) < _FEWEST_CASES:
        raise click.UsageError(f"too few test cases: give at least {_FEWEST_CASES} with --case")
    if twice := next((case for index, case in enumerate(cases) if case in cases[:index]), ""):
        raise click.UsageError(f"--case gives {twice!r} twice: give each test case once")
    if failing and failing == error:
        raise click.UsageError(
            f"--failing-case and --error-case both give {failing!r}: a test case that fails does not end in error"
        )


def check_ca_file(path: str) -> None:
    """Refuse a file of authorities that cannot be used, also where the target needs no TLS.

    Raises:
        click.UsageError: it cannot be read, or has no certificate.
    """
    if path:
        try:
            make_ssl_context(path)
        except Unreachable as error:
            raise click.UsageError(f"invalid --ca-file: {error}") from error


def check_webhook_url(target: Target) -> None:
    """Refuse a public URL for webhooks that the target could not register, or that cannot lead here.

    Raises:
        click.UsageError: it is no such URL.
    """
    if target.webhook_public_url and (reason := _find_url_mistake(target, target.webhook_public_url)):
        raise click.UsageError(f"invalid --webhook-public-url: {reason}")


def _find_url_mistake(target: Target, url: str) -> str:
    try:
        address = BaseUrl.parse(url)
    except ValueError as error:
        return str(error)
    if has_user_info(url):
        return "the address contains a user name or a password: remove it"
    if not target.is_loopback and (address.scheme != "https" or address.is_loopback):
        return f"{target.base} sends webhooks to public https:// addresses only"
    return ""
