"""Executes `zof-contracts proxy`: forwards until the end, then writes the reports."""

from __future__ import annotations

import ipaddress
import json
import os
from typing import TYPE_CHECKING, Any

import click

from zof_contracts.cli.option_checks import check_ca_file, check_variables
from zof_contracts.cli.reports import prepare_folder, write_reports
from zof_contracts.cli.terminal import hold_signals, print_notice, print_text
from zof_contracts.coverage.report import render_html, render_text
from zof_contracts.evidence.verification import COULD_NOT, FOUND, NOTHING_FOUND
from zof_contracts.proxy.run import run_proxy
from zof_contracts.proxy.server import ProxySettings
from zof_contracts.report import write_whole
from zof_contracts.report.escape import dump_json
from zof_contracts.target.base_url import BaseUrl

if TYPE_CHECKING:
    from collections.abc import Mapping

    from zof_contracts.proxy.judging import Outcome

_SHORTEST_TOKEN = 16


def forward(options: Mapping[str, Any]) -> int:
    """Forward traffic until a signal ends it, write the reports and return the exit status.

    Raises:
        click.ClickException: an option is wrong, it cannot listen, nothing passed, or a report cannot be written.
    """
    settings = _read_settings(options)
    prepare_folder(options["report"], options["report_dir"])

    def print_ready(port: int) -> None:
        host = f"[{options['host']}]" if ":" in options["host"] else options["host"]
        ready = {"event": "ready", "base_url": f"http://{host}:{port}/v1", "upstream": str(settings.upstream)}
        print_text(json.dumps(ready) + "\n")

    try:
        outcome = run_proxy(
            settings,
            host=options["host"],
            port=options["port"],
            is_strict=options["strict"],
            ca_file=str(options["ca_file"] or ""),
            on_ready=print_ready,
        )
    except (OSError, ValueError) as error:
        raise click.ClickException(f"cannot listen on {options['host']}:{options['port']}: {error}") from error
    with hold_signals():
        return _report(outcome, options)


def _read_settings(options: Mapping[str, Any]) -> ProxySettings:
    check_variables(os.environ)
    try:
        upstream = BaseUrl.parse(options["upstream"])
    except ValueError as error:
        raise click.UsageError(f"invalid --upstream: {error}") from error
    if upstream.path:
        raise click.UsageError(
            f"invalid --upstream: the path {upstream.path} cannot be added to requests; give it to the client instead"
        )
    check_ca_file(str(options["ca_file"] or ""))
    token = options["token"]
    if token and (len(token) < _SHORTEST_TOKEN or not all("!" <= each <= "~" for each in token)):
        raise click.UsageError(f"invalid --token: use at least {_SHORTEST_TOKEN} printable ASCII characters")
    if not token and not _is_loopback(options["host"]):
        raise click.UsageError(f"--host {options['host']} is not on loopback: give a --token that clients must send")
    is_kept = upstream.is_loopback if options["keep_host"] is None else options["keep_host"]
    return ProxySettings(upstream=upstream, is_host_kept=is_kept, is_marking=options["mark"], token=token)


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _report(outcome: Outcome, options: Mapping[str, Any]) -> int:
    if not outcome.contract.recorded:
        raise click.ClickException("; ".join(["no exchange with the API passed", *outcome.contract.notes]))
    folder = options["report_dir"]
    written = []
    for name, verification in (("contract", outcome.contract), ("client", outcome.client)):
        print_text(f"\n{name.capitalize()}\n")
        written.append(write_reports(verification, {**options, "report_dir": folder / name}))
    _write_coverage(outcome.coverage, options)
    if any(each.unwritten for each in written):
        return COULD_NOT
    codes = {each.exit_code(strict=options["strict"]) for each in written}
    if FOUND in codes:
        return FOUND
    return NOTHING_FOUND if codes & {NOTHING_FOUND} else COULD_NOT


def _write_coverage(coverage: dict[str, Any], options: Mapping[str, Any]) -> None:
    texts = {"json": dump_json(coverage), "html": render_html(coverage)}
    try:
        for form in options["report"]:
            if form in texts:
                path = options["report_dir"] / f"coverage.{form}"
                write_whole(path, texts[form])
                if not options["quiet"]:
                    print_notice(f"wrote {path}")
    except OSError as error:
        raise click.ClickException(f"cannot write a report: {error}") from error
    if "text" in options["report"] and not options["quiet"]:
        print_text(f"\nCoverage\n{render_text(coverage)}")
