"""The test items of the pytest way: one a rule. `zof_contracts.pytest_plugin` brings this in where a target is named.

The first item verifies the rules that `-k` and the like have left, all in one go; the others read what came of it.
Under xdist the workers share that one verification through a file, so that the target is not verified once for each.
"""

from __future__ import annotations

import json
import os
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click
import pytest

from zof_contracts.cli.main import verified
from zof_contracts.cli.options import options
from zof_contracts.contract.rules import RULES
from zof_contracts.pytest_plugin import PREFIX, target_of
from zof_contracts.report.document import document
from zof_contracts.report.junit import explained, fails

if TYPE_CHECKING:
    from collections.abc import Iterator

    from zof_contracts.report.document import Document

_HERE: Final = Path(__file__).parent.parent
_CATALOGUE: Final = _HERE / "contract" / "rules.yaml"
_VERIFIED: Final = pytest.StashKey["Document"]()
_LONGEST_WAIT: Final = 3600.0
_REPLACED: Final = frozenset({"config", "report", "report_dir", "include", "exclude"})
"""The options of `verify` that pytest replaces with its own: `-k`, `--junitxml` and its settings."""


def offered() -> list[click.Option]:
    """The options of `verify` that the plugin offers."""
    command = click.command(options(lambda: None))
    return [each for each in command.params if isinstance(each, click.Option) and each.name not in _REPLACED]


def read_flags(config: pytest.Config) -> dict[str, Any]:
    """The flags of `verify`: from pytest's command line, else the environment, `contracts.toml`, or their defaults."""
    arguments: list[str] = []
    for option in offered():
        value = config.getoption(f"{PREFIX}{option.name}")
        if option.is_flag:
            arguments += [option.opts[-1]] if value else []
        elif value is not None:
            values = value if option.multiple else [value]
            arguments += [word for each in values for word in (option.opts[-1], each)]
    return click.command(options(lambda: None)).make_context("pytest", arguments).params


def pytest_collect_file(file_path: Path, parent: pytest.Collector) -> pytest.Collector | None:
    """The catalogue is a file of tests."""
    return Catalogue.from_parent(parent, path=file_path) if file_path == _CATALOGUE else None


def pytest_report_header(config: pytest.Config) -> str:
    """What is verified."""
    return f"zof-contracts: {target_of(config)}"


class Catalogue(pytest.File):
    """The rules."""

    def collect(self) -> Iterator[pytest.Item]:
        """One item a rule."""
        for name in RULES:
            yield RuleItem.from_parent(self, name=name)


class Broken(Exception):  # noqa: N818  what pytest prints, and no fault of the program
    """A rule is broken; the message is what a reader needs."""


class RuleItem(pytest.Item):
    """A rule: passes when it is kept, fails when it is violated, is skipped when it was not exercised."""

    def runtest(self) -> None:
        """Verify, if nobody has yet, and look the rule up."""
        said = _document(self.session)
        rule = next(each for each in said["rules"] if each["name"] == self.name)
        findings = [each for each in said["findings"] if each["rule"] == self.name]
        counted = [each for each in findings if fails(each, strict=said["target"]["strict"])]
        if counted:
            raise Broken("\n\n".join(explained(rule, each) for each in counted))
        if findings:
            self.add_report_section("call", rule["verdict"], "\n\n".join(explained(rule, each) for each in findings))
        if rule["verdict"] == "not exercised":
            pytest.skip(rule["reason"])

    def repr_failure(self, excinfo: pytest.ExceptionInfo[BaseException], style: Any = None) -> Any:  # noqa: ANN401  as pytest has it
        """What was found, without a traceback of ours."""
        if isinstance(excinfo.value, Broken):
            return str(excinfo.value)
        return super().repr_failure(excinfo, style)

    def reportinfo(self) -> tuple[Path, int, str]:
        """Where it stands, and what it is called."""
        return self.path, 0, f"{self.name}: {RULES[self.name].sentence}"


def _document(session: pytest.Session) -> Document:
    if _VERIFIED not in session.stash:
        session.stash[_VERIFIED] = _shared(session) if os.environ.get("PYTEST_XDIST_TESTRUNUID") else _verify(session)
    return session.stash[_VERIFIED]


def _verify(session: pytest.Session) -> Document:
    names = tuple(item.name for item in session.items if isinstance(item, RuleItem))
    try:
        return document(verified({**read_flags(session.config), "include": names, "exclude": ()}))
    except click.ClickException as error:
        pytest.exit(f"zof-contracts: {error.format_message()}", returncode=2)


def _shared(session: pytest.Session) -> Document:
    """What one worker verified; the first to come is that one, and the others wait for it."""
    folder = Path(tempfile.gettempdir()) / f"zof-contracts-{os.environ['PYTEST_XDIST_TESTRUNUID']}"
    try:
        folder.mkdir(mode=0o700)
    except FileExistsError:
        return _waited_for(folder / "done.json")
    try:
        said = _verify(session)
    except BaseException:
        (folder / "done.json").write_text("null", encoding="utf-8")
        raise
    written = folder / "writing.json"
    written.write_text(json.dumps(said), encoding="utf-8")
    written.rename(folder / "done.json")
    return said


def _waited_for(path: Path) -> Document:
    until = time.monotonic() + _LONGEST_WAIT
    while not path.exists() and time.monotonic() < until:
        time.sleep(0.05)
    said: Document | None = json.loads(path.read_text(encoding="utf-8"))
    if said is None:
        pytest.exit("zof-contracts: another worker could not verify the target", returncode=2)
    return said
