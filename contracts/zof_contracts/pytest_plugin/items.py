"""The test items of the pytest plugin, one per rule. `zof_contracts.pytest_plugin` loads this if a target is named.

The first item verifies all rules that are selected (by `-k`, for example); the other items read its report. Under xdist
the workers share one verification through a file, so that the target is verified once.
"""

from __future__ import annotations

import json
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click
import pytest

from zof_contracts.cli.execution import run_verification
from zof_contracts.cli.options import add_options
from zof_contracts.contract.rules import RULES
from zof_contracts.pytest_plugin import PREFIX, find_target
from zof_contracts.report.document import build_report
from zof_contracts.report.escape import escape_controls
from zof_contracts.report.junit import explain_finding, is_failing

if TYPE_CHECKING:
    from collections.abc import Iterator

    from zof_contracts.report.document import Report

_PACKAGE: Final = Path(__file__).parent.parent
_CATALOGUE: Final = _PACKAGE / "contract" / "rules.yaml"
_REPORT: Final = pytest.StashKey["Report"]()
_COLLECTED: Final = pytest.StashKey[bool]()
_SHARED: Final = pytest.StashKey["tempfile.TemporaryDirectory[str]"]()
_FOLDER: Final = "zof_folder"
"""The name under which a worker of xdist finds the shared folder."""
_NOT_COLLECTED: Final = "zof-contracts: a target is named, but no rule was collected: add --pyargs zof_contracts"
_LONGEST_WAIT: Final = 3600.0
_REPLACED: Final = frozenset({"config", "report", "report_dir", "include", "exclude", "quiet", "fail_under"})
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


def pytest_itemcollected(item: pytest.Item) -> None:
    """Note that the rules were collected."""
    if isinstance(item, RuleItem):
        item.config.stash[_COLLECTED] = True


def pytest_collection_finish(session: pytest.Session) -> None:
    """Refuse a target without the rules; under xdist the controller decides, because it alone can end the session."""
    if not hasattr(session.config, "workerinput") and _COLLECTED not in session.config.stash:
        raise pytest.UsageError(_NOT_COLLECTED)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_node_collection_finished(ids: list[str]) -> None:
    """Refuse a target without the rules, by what a worker of xdist collected."""
    if not any(_CATALOGUE.name in name for name in ids):
        pytest.exit(_NOT_COLLECTED, returncode=pytest.ExitCode.USAGE_ERROR)


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: Any) -> None:  # noqa: ANN401  xdist's
    """Name the folder that the workers of xdist share; it goes with the session."""
    stash = node.config.stash
    if _SHARED not in stash:
        stash[_SHARED] = tempfile.TemporaryDirectory(prefix="zof-contracts-")
    node.workerinput[_FOLDER] = stash[_SHARED].name


def pytest_unconfigure(config: pytest.Config) -> None:
    """Remove the folder that the workers shared."""
    if _SHARED in config.stash:
        config.stash[_SHARED].cleanup()


def pytest_collect_file(file_path: Path, parent: pytest.Collector) -> pytest.Collector | None:
    """Collect the catalogue of rules as a file of tests."""
    return Catalogue.from_parent(parent, path=file_path) if file_path == _CATALOGUE else None


def pytest_report_header(config: pytest.Config) -> str:
    """Name the target in the header."""
    return f"zof-contracts: {find_target(config)}"


class Catalogue(pytest.File):
    """The catalogue of rules as a test file."""

    def collect(self) -> Iterator[pytest.Item]:
        """Yield one item per rule."""
        for name in RULES:
            yield RuleItem.from_parent(self, name=name)


class RuleViolated(Exception):  # noqa: N818  a verdict, not an error of the program
    """A rule is violated; the message describes the findings."""


class CannotVerify(Exception):  # noqa: N818  the reason for which no rule can be judged
    """The target cannot be verified; the message says why, in one line."""


class RuleItem(pytest.Item):
    """The test of one rule: it passes if the rule is kept, fails if it is violated, and is skipped if not exercised."""

    def runtest(self) -> None:
        """Verify the target if no item has yet, and judge the rule by the report."""
        try:
            report = _load_report(self.session)
        except CannotVerify as error:
            if hasattr(self.config, "workerinput"):  # a worker of xdist cannot end the session, so each item fails
                raise
            pytest.exit(f"zof-contracts: {error}", returncode=2)
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
        if isinstance(excinfo.value, CannotVerify):
            return f"zof-contracts: {excinfo.value}"
        return super().repr_failure(excinfo, style)

    def reportinfo(self) -> tuple[Path, int, str]:
        """Return the file, line and title of the item."""
        return self.path, 0, f"{self.name}: {RULES[self.name].sentence}"


def _load_report(session: pytest.Session) -> Report:
    if _REPORT not in session.stash:
        folder = getattr(session.config, "workerinput", {}).get(_FOLDER)
        session.stash[_REPORT] = _share_report(session, Path(folder)) if folder else _verify(session)
    return session.stash[_REPORT]


def _verify(session: pytest.Session) -> Report:
    """Verify the rules of the session's items.

    Raises:
        CannotVerify: an option is invalid, or the target cannot be verified.
    """
    names = tuple(item.name for item in session.items if isinstance(item, RuleItem))
    try:
        return build_report(run_verification({**read_options(session.config), "include": names, "exclude": ()}))
    except click.ClickException as error:
        raise CannotVerify(escape_controls(error.format_message())) from error


def _share_report(session: pytest.Session, folder: Path) -> Report:
    """Return the report that the workers share: the first worker verifies, the others wait for its report."""
    try:
        (folder / "begun").mkdir()
    except FileExistsError:
        return _wait_for(folder / "report.json")
    shared: dict[str, Any] = {"error": "the worker that verified the target did not finish"}
    try:
        shared = {"report": _verify(session)}
    except CannotVerify as error:
        shared = {"error": str(error)}
        raise
    finally:
        (folder / "writing.json").write_text(json.dumps(shared), encoding="utf-8")
        (folder / "writing.json").rename(folder / "report.json")
    report: Report = shared["report"]
    return report


def _wait_for(path: Path) -> Report:
    until = time.monotonic() + _LONGEST_WAIT
    while not path.exists():
        if time.monotonic() > until:
            raise CannotVerify("the worker that verifies the target takes too long")
        time.sleep(0.05)
    shared: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    if "report" not in shared:
        raise CannotVerify(shared["error"])
    report: Report = shared["report"]
    return report
