"""Turns the option values of `verify` into a target, rules and a budget."""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any

import click

from zof_contracts.cli.option_checks import check_ca_file, check_cases, check_variables, check_webhook_url, read_keys
from zof_contracts.cli.options import suggest
from zof_contracts.cli.terminal import print_notice
from zof_contracts.contract.client_rules import CLIENT_RULES
from zof_contracts.contract.rules import RULES
from zof_contracts.target.base_url import BaseUrl, has_user_info
from zof_contracts.target.budget import Budget
from zof_contracts.target.clock import load_application
from zof_contracts.target.target import Target

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from zof_contracts.contract.rules import Rule


@dataclass(frozen=True, slots=True)
class Config:
    """The configuration of one verification."""

    target: Target
    rules: tuple[Rule, ...]
    budget: Budget
    seed: int
    max_examples: int | None


def read_config(options: Mapping[str, Any]) -> Config:
    """Read the configuration from the option values.

    Raises:
        click.UsageError: an option is missing or invalid, or two contradict each other.
    """
    budget = Budget(requests=options["budget"], seconds=options["max_time"], runs=options["max_runs"])
    rules = select_rules(options["include"], options["exclude"])
    return Config(read_target(options), rules, budget, options["seed"], options["max_examples"])


def read_target(options: Mapping[str, Any]) -> Target:
    """Read the target from the option values.

    Raises:
        click.UsageError: an option is missing or invalid, or two contradict each other.
    """
    check_variables(os.environ)
    address = _read_address(options)
    keys = read_keys(options)
    check_cases(options)
    check_ca_file(options["ca_file"])
    try:
        target = Target(
            keys=keys,
            project=options["project"],
            environment=options["environment"],
            cases=tuple(options["case"]),
            suite=options["suite"],
            webhook_public_url=options["webhook_public_url"],
            webhook_port=options["webhook_port"],
            failing_case=options["failing_case"],
            error_case=options["error_case"],
            is_strict=options["strict"],
            patience=options["patience"],
            workers=options["workers"],
            ca_file=options["ca_file"],
            **address,
        )
    except ValueError as error:
        raise click.UsageError(f"invalid target: {error}") from error
    check_webhook_url(target)
    return replace(target, profile=_read_profile(target, options), quota=options["use_up_quota"])


def _read_address(options: Mapping[str, Any]) -> dict[str, Any]:
    if options["app"] and options["url"]:
        raise click.UsageError("--app and --url (or ZOF_BASE_URL) name two targets: give one of them")
    if options["app"]:
        try:
            app = load_application(options["app"])
        except ValueError as error:
            raise click.UsageError(f"--app {error}") from error
        return {"app": app}
    if not options["url"]:
        raise click.UsageError("no target: give one with --url, in ZOF_BASE_URL, or with --app")
    try:
        BaseUrl.parse(options["url"])
    except ValueError as error:
        raise click.UsageError(f"invalid --url: {error}") from error
    if has_user_info(options["url"]):
        print_notice("zof-contracts: note: the user name and password in --url were removed")
    return {"url": options["url"]}


def _read_profile(target: Target, options: Mapping[str, Any]) -> str:
    profile: str = options["profile"] or ("full" if target.is_loopback else "read-only")
    if profile == "full" and not target.is_loopback and not options["i_may_create_runs"]:
        raise click.UsageError(
            f"--profile full starts runs on {target.base}: add --i-may-create-runs if you are permitted to"
        )
    return profile


def select_rules(
    include: Iterable[str], exclude: Iterable[str], catalogue: Mapping[str, Rule] = RULES
) -> tuple[Rule, ...]:
    """Select rules by patterns, in the order of the catalogue.

    Args:
        include: names or patterns of the rules to check; all rules if it is empty.
        exclude: names or patterns of the rules to leave out.
        catalogue: the rules that can be selected.

    Raises:
        click.UsageError: a pattern matches no rule, or no rule is left.
    """
    included = _match_rules(include, catalogue) if (include := tuple(include)) else set(catalogue)
    selected = included - _match_rules(exclude, catalogue)
    if not selected:
        raise click.UsageError("--include and --exclude leave no rule to check")
    return tuple(rule for name, rule in catalogue.items() if name in selected)


def _match_rules(patterns: Iterable[str], catalogue: Mapping[str, Rule]) -> set[str]:
    names: set[str] = set()
    for pattern in patterns:
        matches = {name for name in catalogue if fnmatchcase(name, pattern) or name.startswith(f"{pattern}.")}
        if not matches:
            raise click.UsageError(_describe_unknown(pattern, catalogue))
        names |= matches
    return names


def find_rules(name: str) -> tuple[Rule, ...]:
    """Find a rule by its name, or those that a pattern or the beginning of their names selects.

    Raises:
        click.UsageError: there is no such rule.
    """
    catalogue = {**RULES, **CLIENT_RULES}
    return (catalogue[name],) if name in catalogue else select_rules([name], (), catalogue)


def _describe_unknown(name: str, catalogue: Mapping[str, Rule]) -> str:
    option = " --client" if catalogue.keys() <= CLIENT_RULES.keys() else ""
    groups = {_name_group(rule, depth) for rule in catalogue for depth in range(1, rule.count(".") + 1)}
    similar = suggest(name, sorted({*groups, *catalogue}))
    return f"unknown rule {name!r}{similar}: `zof-contracts rules{option}` lists all rules"


def _name_group(rule: str, depth: int) -> str:
    """The first parts of a rule's name, by which all rules that begin with them can be selected."""
    return ".".join(rule.split(".")[:depth])
