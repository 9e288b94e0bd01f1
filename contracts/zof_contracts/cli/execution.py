"""Executes `zof-contracts verify`: reads the configuration, verifies the target, writes the reports."""

from __future__ import annotations

import sys
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import click

from zof_contracts.cli.config import read_config
from zof_contracts.cli.reports import prepare_folder, read_baseline, write_reports
from zof_contracts.cli.terminal import describe_internal_error, hold_signals
from zof_contracts.report.progress import show_progress
from zof_contracts.target.budget import Stopped
from zof_contracts.target.redaction import Redactor
from zof_contracts.target.transport import Unreachable
from zof_contracts.verification.run import run

if TYPE_CHECKING:
    from collections.abc import Mapping

    from zof_contracts.evidence.events import Listener
    from zof_contracts.evidence.verification import Verification


def verify_and_report(options: Mapping[str, Any]) -> int:
    """Verify the target that the options name, write the reports and return the exit status.

    Raises:
        click.ClickException: the verification could not be done, or a report cannot be written.
    """
    prepare_folder(options["report"], options["report_dir"])
    with show_progress(None if options["quiet"] else sys.stderr) as listener:
        verification = run_verification(options, listener)
    with hold_signals():
        write_reports(verification, options)
    return verification.exit_code(strict=options["strict"])


def run_verification(options: Mapping[str, Any], *listeners: Listener) -> Verification:
    """Run the verification that the options describe.

    Raises:
        click.ClickException: an option is invalid, or the target cannot be verified.
    """
    config, known = read_config(options), read_baseline(options["baseline"])
    try:
        verification = run(
            config.target,
            rules=config.rules,
            budget=config.budget,
            seed=config.seed,
            max_examples=config.max_examples,
            listeners=listeners,
            known=known,
        )
    except Exception as error:
        message = str(error) if isinstance(error, Unreachable | Stopped) else describe_internal_error(error)
        raise click.ClickException(Redactor(config.target.keys).text(message)) from error
    return replace(verification, fail_under=options["fail_under"], has_baseline=options["baseline"] is not None)
