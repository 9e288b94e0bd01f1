"""docs/diff.md is right: its commands run as printed, and every option of its own is named."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Final

import click
from zof_contracts.cli.diff import diff
from zof_contracts.cli.options import add_target_options
from zof_contracts.comparison.compare import Kind

from tests.commands import run_manual
from tests.served import Server

if TYPE_CHECKING:
    from collections.abc import Iterable

ROOT: Final = Path(__file__).parents[2]
MANUAL: Final = (ROOT / "docs" / "diff.md").read_text()


def test_the_commands_run_as_printed(tmp_path: Path) -> None:
    """The commands of the manual end with status 0, and the emulator does not differ from itself."""
    (script,) = re.findall(r"```sh\n(.*?)```", MANUAL, re.DOTALL)
    assert len(script.splitlines()) <= 10
    with Server("--quiet", "--clock", "manual", "--rate-limit", "600/60") as server:
        done = run_manual(script, server.port, tmp_path)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-2000:]
    assert done.stdout.endswith("assumptions that do not hold: []\n")
    assert json.loads((tmp_path / "same-server.json").read_text())["answers"] == []


def test_every_option_of_its_own_is_named() -> None:
    """The manual has a row for every option that `verify` does not describe."""
    verify_options = click.Command("none")
    add_target_options(verify_options)
    described = set(_list_names(verify_options.params))
    for name in set(_list_names(diff.params)) - described:
        assert re.search(rf"^\| `{name}`", MANUAL, re.MULTILINE), name


def test_every_kind_is_described() -> None:
    """The manual says what each kind of difference means."""
    table = MANUAL.partition("| kind |")[2].partition("\n\n")[0]
    assert re.findall(r"^\| `([a-z ]+)`", table, re.MULTILINE) == [each.value for each in Kind]


def _list_names(params: Iterable[click.Parameter]) -> Iterable[str]:
    return [name for each in params for name in (*each.opts, *each.secondary_opts)]
