"""`zof-emulator scenario`: checks scenario files, and prints the built-in scenarios and the schema."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from zof_emulator.cli.output import print_line
from zof_emulator.scenarios.load import UnreadableScenario, UnusableScenario, list_names, load_file, read_builtin
from zof_emulator.scenarios.schema import SCHEMA
from zof_emulator.scenarios.tree import read_tree
from zof_emulator.server.terminal import write_line

if TYPE_CHECKING:
    from zof_emulator.scenarios.load import LoadedScenario

_OF_CORE = {
    "default": "The default data, with the two ended runs of the contract's examples.",
    "empty": "The default data without runs.",
}


@click.group("scenario", short_help="Check scenario files; print the built-in scenarios.")
def scenario() -> None:
    """Check scenario files, and print the built-in scenarios and the schema."""


@scenario.command("check")
@click.argument("files", metavar="FILE...", nargs=-1, required=True, type=click.Path(path_type=Path))
def check(files: tuple[Path, ...]) -> int:
    """Report every mistake in scenario files, each with its file and its line.

    Exit status: 0 no mistake, 1 mistakes, 2 a file could not be read.
    """
    status = 0
    for file in files:
        try:
            print_line(f"{file}: {_summarize(load_file(file))}")
        except UnreadableScenario as error:
            write_line(sys.stderr, f"zof-emulator: error: {error}")
            status = 2
        except UnusableScenario as error:
            print_line("\n".join(error.lines))
            status = max(status, 1)
    return status


@scenario.command("show")
@click.argument("name", required=False)
def show(name: str | None) -> None:
    """Print the built-in scenario NAME, or what all of them are for."""
    if name is not None:
        print_line(read_builtin(name).rstrip() or f"# {_OF_CORE[name]} It is no file.")
        return
    width = max(map(len, list_names()))
    print_line("\n".join(f"{one:{width}}  {_describe(one)}" for one in list_names()))


@scenario.command("schema")
def schema() -> None:
    """Print the JSON Schema of a scenario file, for editors."""
    print_line(json.dumps(SCHEMA, indent=2))


def _describe(name: str) -> str:
    text = read_builtin(name)
    return str(read_tree(text.encode()).value["description"]) if text else _OF_CORE[name]


def _summarize(loaded: LoadedScenario) -> str:
    """The content of a scenario, in one line."""
    found = loaded.scenario
    counts = {
        "settings": len(loaded.settings),
        "outcomes": len(found.rules.rules),
        "faults": len(found.faults),
        "runs": sum(one.count for one in found.runs),
    }
    return f"scenario {found.name} has no mistake; " + ", ".join(f"{name}: {count}" for name, count in counts.items())
