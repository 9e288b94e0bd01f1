"""The test items of the pytest plugin, one per rule. `zof_contracts.pytest_plugin` loads this if a target is named.

The first item verifies all rules that are selected (by `-k`, for example); the other items read its report. Under xdist
the workers share one verification through a file, so that the target is verified once.
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

from zof_contracts.cli.execution import run_verification
from zof_contracts.cli.options import add_options
from zof_contracts.contract.rules import RULES
from zof_contracts.pytest_plugin import PREFIX, target_of
from zof_contracts.report.document import build_report
from zof_contracts.report.junit import explain_finding, is_failing

if TYPE_CHECKING:
    from collections.abc import Iterator

    from zof_contracts.report.document import Report

_PACKAGE: Final = Path(__file__).parent.parent
_CATALOGUE: Final = _PACKAGE / "contract" / "rules.yaml"
_REPORT: Final = pytest.StashKey["Report"]()
_LONGEST_WAIT: Final = 3600.0
_REPLACED: Final = frozenset({"config", "report", "report_dir", "include", "exclude"})
"""The options of `verify` that pytest replaces with its own: `-k`, `--junitxml` and its settings."""


def list_options() -> list[click.Option]:
    """List the options of `verify` that the plugin offers."""
    command = click.command(add_options(lambda: None))
    return [each for each in command.params if isinstance(each, click.Option) and each.name not in _REPLACED]


def read_options(config: pytest.Config) -> dict[str, Any]:
    """Read the options of `verify` from pytest's command line, the environment, `contracts.toml` or the defaults."""
    arguments: list[str] = []
    for option in list_options():
        value = config.getoption(f"{PREFIX}{option.name}")
        if option.is_flag:
            arguments += [option.opts[-1]] if value else []
        elif value is not None:
            values = value if option.multiple else [value]
            arguments += [word for each in values for word in (option.opts[-1], each)]
    return click.command(add_options(lambda: None)).make_context("pytest", arguments).params


def pytest_collect_file(file_path: Path, parent: pytest.Collector) -> pytest.Collector | None:
    """Collect the catalogue of rules as a file of tests."""
    return Catalogue.from_parent(parent, path=file_path) if file_path == _CATALOGUE else None


def pytest_report_header(config: pytest.Config) -> str:
    """Name the target in the header."""
    return f"zof-contracts: {target_of(config)}"


class Catalogue(pytest.File):
    """The catalogue of rules as a test file."""

    def collect(self) -> Iterator[pytest.Item]:
        """Yield one item per rule."""
        for name in RULES:
            yield RuleItem.from_parent(self, name=name)


class RuleViolated(Exception):  # noqa: N818  a verdict, not an error of the program
    """A rule is violated; the message describes the findings."""


class RuleItem(pytest.Item):
    """The test of one rule: it passes if the rule is kept, fails if it is violated, and is skipped if not exercised."""

    def runtest(self) -> None:
        """Verify the target if no item has yet, and judge the rule by the report."""
        report = _load_report(self.session)
        rule = next(each for each in report["rules"] if each["name"] == self.name)
        findings = [each for each in report["findings"] if each["rule"] == self.name]
        counted = [each for each in findings if is_failing(each, strict=report["target"]["strict"])]
        if counted:
            raise RuleViolated("\n\n".join(explain_finding(rule, each) for each in counted))
        if findings:
            self.add_report_section(
                "call", rule["verdict"], "\n\n".join(explain_finding(rule, each) for each in findings)
            )
        if rule["verdict"] == "not exercised":
            pytest.skip(rule["reason"])

    def repr_failure(self, excinfo: pytest.ExceptionInfo[BaseException], style: Any = None) -> Any:  # noqa: ANN401  as pytest has it
        """Return the findings without a traceback."""
        if isinstance(excinfo.value, RuleViolated):
            return str(excinfo.value)
        return super().repr_failure(excinfo, style)

    def reportinfo(self) -> tuple[Path, int, str]:
        """Return the file, line and title of the item."""
        return self.path, 0, f"{self.name}: {RULES[self.name].sentence}"


def _load_report(session: pytest.Session) -> Report:
    if _REPORT not in session.stash:
        session.stash[_REPORT] = (
            _share_report(session) if os.environ.get("PYTEST_XDIST_TESTRUNUID") else _verify(session)
        )
    return session.stash[_REPORT]


def _verify(session: pytest.Session) -> Report:
    names = tuple(item.name for item in session.items if isinstance(item, RuleItem))
    try:
        return build_report(run_verification({**read_options(session.config), "include": names, "exclude": ()}))
    except click.ClickException as error:
        pytest.exit(f"zof-contracts: {error.format_message()}", returncode=2)


def _share_report(session: pytest.Session) -> Report:
    """Return the report that the workers share: the first worker verifies, the others wait for its report."""
    folder = Path(tempfile.gettempdir()) / f"zof-contracts-{os.environ['PYTEST_XDIST_TESTRUNUID']}"
    try:
        folder.mkdir(mode=0o700)
    except FileExistsError:
        return _wait_for(folder / "done.json")
    try:
        report = _verify(session)
    except BaseException:
        (folder / "done.json").write_text("null", encoding="utf-8")
        raise
    written = folder / "writing.json"
    written.write_text(json.dumps(report), encoding="utf-8")
    written.rename(folder / "done.json")
    return report


def _wait_for(path: Path) -> Report:
    until = time.monotonic() + _LONGEST_WAIT
    while not path.exists() and time.monotonic() < until:
        time.sleep(0.05)
    report: Report | None = json.loads(path.read_text(encoding="utf-8"))
    if report is None:
        pytest.exit("zof-contracts: another worker could not verify the target", returncode=2)
    return report
