"""What the flags of `verify` mean: a target, rules, budget; `click.UsageError` when they mean nothing."""

from __future__ import annotations

from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlsplit

import click

from zof_contracts.cli.options import meant
from zof_contracts.contract.rules import RULES
from zof_contracts.target.budget import Budget
from zof_contracts.target.clock import load_application
from zof_contracts.target.target import KEYS, Target

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from zof_contracts.contract.rules import Rule

_FEWEST_CASES: Final = 2


@dataclass(frozen=True, slots=True)
class Asked:
    """What a command line asks for."""

    target: Target
    rules: tuple[Rule, ...]
    budget: Budget
    seed: int
    max_examples: int | None


def asked(flags: Mapping[str, Any]) -> Asked:
    """What the flags mean; `click.UsageError` when they mean nothing."""
    budget = Budget(requests=flags["budget"], seconds=flags["max_time"], runs=flags["max_runs"])
    rules = chosen(flags["include"], flags["exclude"])
    return Asked(_target(flags), rules, budget, flags["seed"], flags["max_examples"])


def _target(flags: Mapping[str, Any]) -> Target:
    keys = {name: flags[_field(name)] for name in KEYS if flags[_field(name)]}
    if "main" not in keys:
        raise click.UsageError("name a key with --key or in ZOF_API_KEY")
    if len(flags["case"]) < _FEWEST_CASES:
        raise click.UsageError(f"name at least {_FEWEST_CASES} test cases with --case")
    target = Target(
        keys=keys,
        project=flags["project"],
        environment=flags["environment"],
        cases=tuple(flags["case"]),
        suite=flags["suite"],
        failing_case=flags["failing_case"],
        error_case=flags["error_case"],
        strict=flags["strict"],
        **_where(flags),
    )
    return replace(target, profile=_profile(target, flags), quota=flags["use_up_quota"])


def _field(key: str) -> str:
    return "key" if key == "main" else f"key_{key.replace('-', '_')}"


def _where(flags: Mapping[str, Any]) -> dict[str, Any]:
    if flags["app"]:
        try:
            app = load_application(flags["app"])
        except ValueError as error:
            raise click.UsageError(f"--app {error}") from error
        return {"app": app}
    if not flags["url"]:
        raise click.UsageError("name a target with --url, in ZOF_BASE_URL, or with --app")
    parts = urlsplit(flags["url"])
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise click.UsageError(f"--url {flags['url']!r} is no http:// or https:// address")
    return {"url": flags["url"]}


def _profile(target: Target, flags: Mapping[str, Any]) -> str:
    profile: str = flags["profile"] or ("full" if target.is_loopback else "read-only")
    if profile == "full" and not target.is_loopback and not flags["i_may_create_runs"]:
        raise click.UsageError(f"--profile full starts runs on {target.base}; say --i-may-create-runs if you may")
    return profile


def chosen(include: Iterable[str], exclude: Iterable[str]) -> tuple[Rule, ...]:
    """The rules that patterns choose; `click.UsageError` for a pattern that names none."""
    wanted = _named(include) if (include := tuple(include)) else set(RULES)
    left = wanted - _named(exclude)
    if not left:
        raise click.UsageError("--include and --exclude leave no rule")
    return tuple(rule for name, rule in RULES.items() if name in left)


def _named(patterns: Iterable[str]) -> set[str]:
    names: set[str] = set()
    for pattern in patterns:
        found = {name for name in RULES if fnmatchcase(name, pattern) or name.startswith(f"{pattern}.")}
        if not found:
            raise click.UsageError(f"no rule is called {pattern!r}{meant(pattern, RULES)}; see zof-contracts rules")
        names |= found
    return names


def rule_named(name: str) -> Rule:
    """A rule by its name; `click.UsageError` when there is none."""
    if name not in RULES:
        raise click.UsageError(f"no rule is called {name!r}{meant(name, RULES)}; see zof-contracts rules")
    return RULES[name]
