"""The command line: verify a deployment, list the rules, explain one.

Exit status: 0 nothing found, 1 violations (with --strict differences too), 2 could not do its job or nothing was
tested, 130 interrupted, with the report of what was done until then.
"""

from __future__ import annotations

import json
import signal
import sys
import textwrap
import traceback
from typing import TYPE_CHECKING, Any, Final, NoReturn

import click

from zof_contracts.cli.config import asked, rule_named
from zof_contracts.cli.options import options
from zof_contracts.contract.rules import NEEDS, RULES, SECTIONS
from zof_contracts.target.transport import Unreachable
from zof_contracts.evidence.verification import COULD_NOT, INTERRUPTED
from zof_contracts.report import render, write
from zof_contracts.report.document import BASES, rule_of, version
from zof_contracts.report.progress import coloured, progress
from zof_contracts.target.budget import Stopped
from zof_contracts.target.redaction import Redactor
from zof_contracts.verification.run import run

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from zof_contracts.contract.rules import Rule
    from zof_contracts.evidence.events import Listener
    from zof_contracts.evidence.verification import Verification

_COLOURS: Final = {"VIOLATED": "red", "DIFFERS": "yellow", "FLAKY": "cyan"}


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(version(), prog_name="zof-contracts")
def _commands() -> None:
    """Does a deployment of the Zof API keep its published contract, and where it differs, whose fault is it?"""


@_commands.command()
@options
def verify(**flags: Any) -> None:  # noqa: ANN401
    """Verify a deployment against the contract.

    Exit status: 0 nothing found, 1 violations (with --strict differences too), 2 could not do its job or nothing was
    tested, 130 interrupted, with the report of what was done until then.
    """
    _prepare(flags["report"], flags["report_dir"])
    with progress(sys.stderr) as listener:
        facts = verified(flags, listener)
    _report(facts, flags["report"], flags["report_dir"])
    sys.exit(facts.exit_code(strict=flags["strict"]))


def verified(flags: Mapping[str, Any], *listeners: Listener) -> Verification:
    """How a verification went that the flags ask for; `click.ClickException` when it could not be done."""
    wanted, known = asked(flags), _baseline(flags["baseline"])
    try:
        return run(
            wanted.target,
            rules=wanted.rules,
            budget=wanted.budget,
            seed=wanted.seed,
            max_examples=wanted.max_examples,
            listeners=listeners,
            known=known,
        )
    except Exception as error:
        raise click.ClickException(Redactor(wanted.target.keys).text(_said(error))) from error


def _said(error: Exception) -> str:
    """Why nothing came of it; where a fault of our own is, too."""
    if isinstance(error, Unreachable | Stopped):
        return str(error)
    frame = traceback.extract_tb(error.__traceback__)[-1]
    return f"a fault of ours: {type(error).__name__}: {error} ({frame.filename}:{frame.lineno})"


def _baseline(path: Path | None) -> frozenset[str]:
    if path is None:
        return frozenset()
    try:
        said = json.loads(path.read_text(encoding="utf-8"))
        return frozenset(one["key"] for finding in said["findings"] for one in (finding, *finding["also"]))
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise click.UsageError(f"--baseline {path} is no JSON report that can be read: {error}") from error


def _prepare(forms: Sequence[str], folder: Path) -> None:
    """Find out that reports cannot be written before anything is sent."""
    if set(forms) - {"text"}:
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise click.UsageError(f"--report-dir {folder} cannot be made: {error.strerror or error}") from error


def _report(facts: Verification, forms: Sequence[str], folder: Path) -> None:
    if "text" in forms:
        text = render(facts, "text")
        click.echo(_in_colour(text) if coloured(sys.stdout) else text, nl=False, color=True)
    files = [form for form in forms if form != "text"]
    try:
        for path in write(facts, files, folder) if files else ():
            click.echo(f"wrote {path}", err=True)
    except OSError as error:
        raise click.ClickException(f"a report cannot be written: {error}") from error


def _in_colour(text: str) -> str:
    lines = text.splitlines(keepends=True)
    return "".join(_coloured_line(line) for line in lines)


def _coloured_line(line: str) -> str:
    number, dot, rest = line.partition(". ")
    word = rest.partition(" ")[0]
    if dot and number.isdigit() and word in _COLOURS:
        return f"{number}. {click.style(word, fg=_COLOURS[word], bold=True)}{rest.removeprefix(word)}"
    return line


@_commands.command()
@click.option("--section", type=click.Choice([str(number) for number in SECTIONS]), help="Only those of a section.")
@click.option("--format", "form", type=click.Choice(["text", "json"]), default="text", help="How to write them.")
def rules(section: str | None, form: str) -> None:
    """List the rules, each with its basis, its source and what it needs."""
    found = [rule for rule in RULES.values() if section in {None, str(rule.section)}]
    if form == "json":
        click.echo(json.dumps([rule_of(rule) for rule in found], indent=2, ensure_ascii=False))
        return
    width = max(len(rule.name) for rule in found)
    for number, title in SECTIONS.items():
        mine = [rule for rule in found if rule.section == number]
        if mine:
            click.echo(f"{number} {title}")
        for rule in mine:
            needs = f"  needs {', '.join(sorted(rule.needs))}" if rule.needs else ""
            click.echo(f"  {rule.name:{width}}  {rule.basis!s:34}{needs}".rstrip())
    bases = ", ".join(f"{tag} {word}" for tag, word in BASES.items())
    click.echo(f"{len(found)} rules; {bases}. zof-contracts explain RULE says what one is about.")


@_commands.command()
@click.argument("rule")
def explain(rule: str) -> None:
    """Say what a rule promises, how it is checked, and how to mend a finding."""
    found = rule_named(rule)
    click.echo(found.name)
    for head, text in _explained(found):
        click.echo(textwrap.fill(text, 100, initial_indent=f"  {head:10}", subsequent_indent=" " * 12))


def _explained(rule: Rule) -> list[tuple[str, str]]:
    said = rule_of(rule)
    sources = ", ".join(source.get("url", source["name"]) for source in said["sources"]) or "no page"
    breach = (
        "violates the contract"
        if rule.basis.binding
        else "only differs from an assumption, which --strict alone fails for"
    )
    rows = [
        ("promise", rule.sentence),
        ("section", f"{rule.section} {SECTIONS[rule.section]}"),
        ("basis", f"{said['basis']}; {sources}; openapi.yaml: {rule.at}. A deployment that breaks it {breach}."),
        ("needs", "; ".join(NEEDS[need] for need in sorted(rule.needs)) or "nothing but a key"),
        (
            "evidence",
            f"kept when it was seen kept {rule.least} times" if rule.least > 1 else "kept when seen kept once",
        ),
        ("checked", rule.how),
        ("mend", rule.mend),
    ]
    return [(head, text) for head, text in rows if text]


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line and exit."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        code = _commands.main(arguments, prog_name="zof-contracts", standalone_mode=False)
    except click.ClickException as error:
        _fail(error.format_message())
    except (KeyboardInterrupt, click.Abort):
        sys.exit(INTERRUPTED)
    except BrokenPipeError:
        sys.exit(COULD_NOT)
    else:
        sys.exit(code if isinstance(code, int) else 0)


def _fail(message: str) -> NoReturn:
    click.echo(f"zof-contracts: error: {' '.join(message.split())}", err=True)
    sys.exit(COULD_NOT)
