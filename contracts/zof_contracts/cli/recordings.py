"""Executes the commands on recorded traffic: reads the recordings, has them judged and writes the reports."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import click

from zof_contracts.checks.recorded import PASSIVE_RULES, check_recordings
from zof_contracts.cli.config import select_rules
from zof_contracts.cli.reports import prepare_folder, read_baseline, write_reports
from zof_contracts.cli.terminal import hold_signals, print_notice, print_text
from zof_contracts.client_checks.judgement import judge_clients
from zof_contracts.contract.client_rules import CLIENT_RULES
from zof_contracts.coverage.collector import CoverageCollector
from zof_contracts.coverage.report import build_coverage, render_html, render_text
from zof_contracts.evidence.verification import FOUND, NOTHING_FOUND
from zof_contracts.report.escape import dump_json
from zof_contracts.target.base_url import BaseUrl
from zof_contracts.traffic.keys import KeyNames
from zof_contracts.traffic.recording import RecordingStarted, Skips, UnusableRecording
from zof_contracts.traffic.sources import read_emulator, read_files

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from zof_contracts.contract.rules import Rule
    from zof_contracts.evidence.verification import Verification
    from zof_contracts.traffic.recording import Recorded


def judge_client(options: Mapping[str, Any]) -> int:
    """Judge the clients in the recordings that the options name, write the reports and return the exit status.

    Raises:
        click.ClickException: an option is wrong, a recording cannot be read, or a report cannot be written.
    """
    return _judge(options, CLIENT_RULES, judge_clients)


def check_answers(options: Mapping[str, Any]) -> int:
    """Hold the answers in the recordings against the contract, write the reports and return the exit status.

    Raises:
        click.ClickException: an option is wrong, a recording cannot be read, or a report cannot be written.
    """
    return _judge(options, {rule.name: rule for rule in PASSIVE_RULES}, check_recordings)


def _judge(options: Mapping[str, Any], catalogue: Mapping[str, Rule], judge: Callable[..., Verification]) -> int:
    rules = select_rules(options["include"], options["exclude"], catalogue)
    known = read_baseline(options["baseline"])
    prepare_folder(options["report"], options["report_dir"])
    keys, skips = KeyNames(), Skips()
    recorded = open_recordings(options, keys, skips)
    try:
        verification = judge(recorded, keys, skips, rules=rules, is_strict=options["strict"], known=known)
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
            "files and --url name two recordings: give one of them" if files else _explain_no_recording(options)
        )
    if base_url:
        try:
            BaseUrl.parse(base_url)
        except ValueError as error:
            raise click.UsageError(f"invalid --base-url: {error}") from error
    return read_emulator(url, keys, skips) if url else read_files(files, keys, skips, base_url=base_url)


def _explain_no_recording(options: Mapping[str, Any]) -> str:
    also = ", or a running emulator with --url" if "url" in options else ""
    return f"no recording: give a journal (.ndjson) or a HAR file, or - for standard input{also}"


def report_verification(verification: Verification, options: Mapping[str, Any]) -> int:
    """Write the reports of a judgement and return the exit status."""
    has_baseline = options["baseline"] is not None
    verification = replace(verification, fail_under=options["fail_under"], has_baseline=has_baseline)
    if not verification.recorded:
        raise click.ClickException("; ".join([verification.error, *verification.notes]))
    with hold_signals():
        verification = write_reports(verification, options)
    return verification.exit_code(strict=options["strict"])


def report_coverage(options: Mapping[str, Any]) -> int:
    """Show the coverage of the recordings that the options name, and return the exit status.

    Raises:
        click.ClickException: a recording cannot be read or holds nothing of the API, or a report cannot be written.
    """
    keys, skips = KeyNames(), Skips()
    prepare_folder(options["report"], options["report_dir"])
    collector, names = CoverageCollector(), list[str]()
    try:
        for recorded in open_recordings(options, keys, skips):
            collector.observe(recorded)
            if isinstance(recorded, RecordingStarted):
                names.append(recorded.name)
    except UnusableRecording as error:
        raise click.ClickException(keys.redactor().text(str(error))) from error
    if not collector.exchange_count:
        raise click.ClickException("; ".join(["the recording holds no exchange with the API", *skips.describe()]))
    report = build_coverage(collector, recordings=names, notes=skips.describe())
    texts = {"json": dump_json(report), "html": render_html(report)}
    try:
        for form in options["report"]:
            if form in texts:
                path = options["report_dir"] / f"coverage.{form}"
                path.write_text(texts[form], encoding="utf-8", errors="replace")
                print_notice(f"wrote {path}")
    except OSError as error:
        raise click.ClickException(f"cannot write a report: {error}") from error
    is_enough = report["percent"] >= options["fail_under"]
    ending = f"{report['percent']:g}% of the parts were seen"
    ending += "." if is_enough else f", and --fail-under demands {options['fail_under']:g}%."
    print_text((render_text(report) if "text" in options["report"] else "") + ending + "\n")
    return NOTHING_FOUND if is_enough else FOUND
