"""Executes `zof-contracts diff`: reads the options, compares the deployments, writes the differences."""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

import click

from zof_contracts.cli.config import read_target
from zof_contracts.cli.option_checks import check_different
from zof_contracts.cli.terminal import hold_signals, print_text
from zof_contracts.comparison.compare import compare
from zof_contracts.comparison.emulator import NotStarted, start_emulator
from zof_contracts.comparison.report import build_differences, render_json, render_text
from zof_contracts.target.base_url import BaseUrl
from zof_contracts.target.budget import Stopped
from zof_contracts.target.redaction import Redactor
from zof_contracts.target.transport import Unreachable

if TYPE_CHECKING:
    from collections.abc import Mapping
    from contextlib import AbstractContextManager
    from pathlib import Path

    from zof_contracts.comparison.report import Report
    from zof_contracts.target.target import Target

_UNUSED: Final[dict[str, Any]] = {"strict": False, "workers": 1}
"""Options of `verify` that the comparison does not have."""


def compare_deployments(options: Mapping[str, Any]) -> int:
    """Compare the deployments that the options name, write the differences and return the exit status.

    Raises:
        click.ClickException: an option is invalid, the comparison could not be done, or the file cannot be written.
    """
    target = read_target({**options, **_UNUSED})
    other = _read_other(target, options)
    keys = {**target.keys, **{f"against {name}": key for name, key in options["against_key"]}}
    try:
        with other as against:
            comparison = compare(
                target, against, seed=options["seed"], stories=options["stories"], seconds=options["max_time"]
            )
    except (Unreachable, Stopped, NotStarted) as error:
        raise click.ClickException(Redactor(keys).text(str(error))) from error
    with hold_signals():
        _write(build_differences(comparison), options["output"])
    return comparison.exit_code


def _write(report: Report, output: Path | None) -> None:
    if output is not None:
        try:
            output.write_text(render_json(report), encoding="utf-8")
        except OSError as error:
            raise click.ClickException(f"cannot write --output {output}: {error.strerror or error}") from error
    print_text(render_text(report))


def _read_other(target: Target, options: Mapping[str, Any]) -> AbstractContextManager[Target]:
    """The deployment to compare with: that of --against, or an emulator that is started.

    Raises:
        click.UsageError: an option is invalid.
    """
    if not options["against"]:
        if options["against_key"]:
            raise click.UsageError("--against-key needs --against: an emulator that is started has keys of its own")
        return start_emulator(target, seed=options["seed"])
    try:
        address = BaseUrl.parse(options["against"])
    except ValueError as error:
        raise click.UsageError(f"invalid --against: {error}") from error
    keys = dict(options["against_key"]) or target.keys
    if "main" not in keys:
        raise click.UsageError("no API key of --against: give one with --against-key main=KEY")
    check_different(keys, "--against-key {}".format)
    try:
        other = replace(target, url=str(address), app=None, keys=keys)
    except ValueError as error:
        raise click.UsageError(f"invalid --against-key: {error}") from error
    if target.profile == "full" and not other.is_loopback and not options["i_may_create_runs"]:
        raise click.UsageError(
            f"the comparison starts runs on {other.base}: add --i-may-create-runs if you are permitted to, "
            "or --profile read-only"
        )
    return nullcontext(other)
