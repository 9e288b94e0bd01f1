"""Executes the commands on recorded traffic: reads the recordings, has them judged and writes the reports."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import click

from zof_contracts.cli.config import select_rules
from zof_contracts.cli.reports import prepare_folder, read_baseline, write_reports
from zof_contracts.cli.terminal import hold_signals
from zof_contracts.client_checks.judgement import judge_clients
from zof_contracts.contract.client_rules import CLIENT_RULES
from zof_contracts.target.base_url import BaseUrl
from zof_contracts.traffic.keys import KeyNames
from zof_contracts.traffic.recording import Skips, UnusableRecording
from zof_contracts.traffic.sources import read_emulator, read_files

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from zof_contracts.evidence.verification import Verification
    from zof_contracts.traffic.recording import Recorded


def judge_client(options: Mapping[str, Any]) -> int:
    """Judge the clients in the recordings that the options name, write the reports and return the exit status.

    Raises:
        click.ClickException: an option is wrong, a recording cannot be read, or a report cannot be written.
    """
    rules = select_rules(options["include"], options["exclude"], CLIENT_RULES)
    known = read_baseline(options["baseline"])
    prepare_folder(options["report"], options["report_dir"])
    keys, skips = KeyNames(), Skips()
    try:
        verification = judge_clients(
            open_recordings(options, keys, skips),
            keys,
            skips,
            rules=rules,
            is_strict=options["strict"],
            known=known,
        )
    except UnusableRecording as error:
        raise click.ClickException(keys.redactor().text(str(error))) from error
    return report_verification(verification, options)


def open_recordings(options: Mapping[str, Any], keys: KeyNames, skips: Skips) -> Iterator[Recorded]:
    """Open what the options name: files, or the journal of a running emulator.

    Raises:
        click.UsageError: they name nothing, or both, or a wrong address.
    """
    files, url, base_url = options["files"], options.get("url", ""), options["base_url"]
    if bool(files) == bool(url):
        raise click.UsageError(
            "files and --url name two recordings: give one of them" if files else _nothing_named(options)
        )
    if base_url:
        try:
            BaseUrl.parse(base_url)
        except ValueError as error:
            raise click.UsageError(f"invalid --base-url: {error}") from error
    return read_emulator(url, keys, skips) if url else read_files(files, keys, skips, base_url=base_url)


def _nothing_named(options: Mapping[str, Any]) -> str:
    also = ", or a running emulator with --url" if "url" in options else ""
    return f"no recording: give a journal (.ndjson) or a HAR file, or - for standard input{also}"


def report_verification(verification: Verification, options: Mapping[str, Any]) -> int:
    """Write the reports of a judgement and return the exit status."""
    has_baseline = options["baseline"] is not None
    verification = replace(verification, fail_under=options["fail_under"], has_baseline=has_baseline)
    if not verification.recorded:
        raise click.ClickException("; ".join([verification.error, *verification.notes]))
    with hold_signals():
        write_reports(verification, options)
    return verification.exit_code(strict=options["strict"])
