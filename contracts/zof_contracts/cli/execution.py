"""Executes `zof-contracts verify`: reads the configuration, verifies the target, writes the reports."""

from __future__ import annotations

import sys
import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import click

from zof_contracts.cli.config import read_config
from zof_contracts.cli.reports import prepare_folder, read_baseline, write_files, write_reports
from zof_contracts.cli.terminal import describe_internal_error, hold_signals, print_notice
from zof_contracts.evidence.ledger import Ledger
from zof_contracts.evidence.verification import Verification
from zof_contracts.report.progress import show_progress
from zof_contracts.target.budget import Stopped
from zof_contracts.target.redaction import Redactor
from zof_contracts.target.transport import Unreachable
from zof_contracts.verification.run import run

if TYPE_CHECKING:
    from collections.abc import Mapping

    from zof_contracts.cli.config import Config
    from zof_contracts.evidence.events import Listener


class NothingVerified(click.ClickException):
    """The target cannot be verified; the report files say why."""

    def __init__(self, message: str, verification: Verification) -> None:
        super().__init__(message)
        self.verification = verification
        """A verification in which no rule was exercised."""


def verify_and_report(options: Mapping[str, Any]) -> int:
    """Verify the target that the options name, write the reports and return the exit status.

    Raises:
        click.ClickException: the verification could not be done, or standard output cannot be written.
    """
    prepare_folder(options["report"], options["report_dir"])
    try:
        with show_progress(None if options["quiet"] else sys.stderr) as listener:
            verification = run_verification(options, listener)
    except NothingVerified as error:
        with hold_signals():
            for problem in write_files(error.verification, options):
                print_notice(f"zof-contracts: error: {problem}")
        raise
    with hold_signals():
        verification = write_reports(verification, options)
    return verification.exit_code(strict=options["strict"])


def run_verification(options: Mapping[str, Any], *listeners: Listener) -> Verification:
    """Run the verification that the options describe.

    Raises:
        NothingVerified: the target cannot be verified.
        click.ClickException: an option is invalid.
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
        message = Redactor(config.target.keys).text(message)
        raise NothingVerified(message, _describe_nothing(config, message)) from error
    return replace(verification, fail_under=options["fail_under"], has_baseline=options["baseline"] is not None)


def _describe_nothing(config: Config, message: str) -> Verification:
    """A verification that exercised no rule, for the reason that a message gives."""
    ledger = Ledger(config.target, rules=config.rules, seed=config.seed)
    for rule in config.rules:
        ledger.record_skip(rule.name, message)
    return Verification(
        target=config.target, results=ledger.results(), seed=config.seed, began=time.time(), error=message
    )
