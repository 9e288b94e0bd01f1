"""The commands `zof-contracts rules` and `zof-contracts explain`."""

from __future__ import annotations

import json
import textwrap
from typing import TYPE_CHECKING

import click

from zof_contracts.cli.config import find_rules
from zof_contracts.contract.client_rules import CLIENT_RULES, CLIENT_SECTIONS
from zof_contracts.contract.rules import NEEDS, RULES, SECTIONS
from zof_contracts.report.document import BASES, describe_rule

if TYPE_CHECKING:
    from zof_contracts.contract.rules import Rule

_WIDTH = 80


@click.command()
@click.option(
    "--section", type=click.Choice([str(number) for number in SECTIONS]), help="List only the rules of a section."
)
@click.option(
    "--format", "form", type=click.Choice(["text", "json"]), default="text", show_default=True, help="Output format."
)
@click.option(
    "--client", "is_client", is_flag=True, help="List the rules for clients instead of those for deployments."
)
def rules(section: str | None, form: str, *, is_client: bool) -> None:
    """List the rules with their basis and needs."""
    catalogue, sections = (CLIENT_RULES, CLIENT_SECTIONS) if is_client else (RULES, SECTIONS)
    selected = [rule for rule in catalogue.values() if section in {None, str(rule.section)}]
    if form == "json":
        click.echo(json.dumps([describe_rule(rule) for rule in selected], indent=2, ensure_ascii=False))
        return
    width = max(len(rule.name) for rule in selected)
    for number, title in sections.items():
        mine = [rule for rule in selected if rule.section == number]
        if mine:
            click.echo(f"{number} {title}")
        for rule in mine:
            needs = f"  needs {', '.join(sorted(rule.needs))}" if rule.needs else ""
            click.echo(f"  {rule.name:{width}}  {rule.basis!s:34}{needs}".rstrip())
    bases = ", ".join(f"{tag} {word}" for tag, word in BASES.items())
    click.echo(f"{len(selected)} rules; {bases}. `zof-contracts explain RULE` describes one.")


@click.command()
@click.argument("rule")
def explain(rule: str) -> None:
    """Describe a rule, its check and its remedy; of a group such as runs.cancel, list the rules."""
    found, *others = find_rules(rule)
    if others:
        for each in (found, *others):
            click.echo(each.name)
            click.echo(textwrap.fill(each.sentence, _WIDTH, initial_indent="  ", subsequent_indent="  "))
        click.echo(f"{len(others) + 1} rules. `zof-contracts explain RULE` describes one.")
        return
    click.echo(found.name)
    for head, text in _describe_fields(found):
        click.echo(textwrap.fill(text, _WIDTH, initial_indent=f"  {head:10}", subsequent_indent=" " * 12))


def _describe_fields(rule: Rule) -> list[tuple[str, str]]:
    described = describe_rule(rule)
    sources = ", ".join(source.get("url", source["name"]) for source in described["sources"]) or "no page"
    is_client = rule.name in CLIENT_RULES
    subject = "A client" if is_client else "A deployment"
    consequence = (
        ("acts against the vendor's advice" if is_client else "violates the contract")
        if rule.basis.is_binding
        else "differs from an assumption, which fails only with --strict"
    )
    times = "once" if rule.least == 1 else f"{rule.least} times"
    rows = [
        ("promise", rule.sentence),
        ("section", f"{rule.section} {(CLIENT_SECTIONS if is_client else SECTIONS)[rule.section]}"),
        (
            "basis",
            f"{described['basis']}; {sources}; openapi.yaml: {rule.at}. {subject} that breaks it {consequence}.",
        ),
        (
            "needs",
            "; ".join(NEEDS[need] for need in sorted(rule.needs)) or ("a recording" if is_client else "a key only"),
        ),
        ("evidence", f"counts as kept when it was observed at least {times}"),
        ("checked", rule.how),
        ("fix", rule.mend),
    ]
    return [(head, text) for head, text in rows if text]
