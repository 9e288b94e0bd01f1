"""Reports for GitHub and GitLab: annotations, the step summary and the code-quality report."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Final

import pytest
from zof_contracts.cli import execution
from zof_contracts.cli.main import main
from zof_contracts.report.ci import render_annotations, render_code_quality, render_summary
from zof_contracts.report.document import build_report

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from zof_contracts.evidence.verification import Verification

HOSTILE: Final = "a|b\n::add-mask::x\n##[error]y <img src=x> [z](http://evil) 100%"
VERIFY: Final = ("verify", "--url", "http://127.0.0.1:1", "--key", "zof_secret_main_1", "--quiet")


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, make: Callable[..., Verification]) -> Callable[..., int]:
    """Runs the command with a fake verification, whose target sends hostile text."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(execution, "run", lambda target, **_: make(HOSTILE, target=target))
    for name in ("GITHUB_ACTIONS", "GITLAB_CI", "GITHUB_STEP_SUMMARY"):
        monkeypatch.delenv(name, raising=False)

    def run_command(*arguments: str, **variables: str) -> int:
        for name, value in variables.items():
            monkeypatch.setenv(name, value)
        with pytest.raises(SystemExit) as ended:
            main([*VERIFY, *arguments])
        assert isinstance(ended.value.code, int)
        return ended.value.code

    return run_command


def test_annotations(make: Callable[..., Verification]) -> None:
    """Each finding that fails is one annotation of one line, at the line of its rule, with everything escaped."""
    (line,) = render_annotations(build_report(make(HOSTILE))).splitlines()
    found = re.fullmatch(r"::error file=openapi\.yaml,line=(\d+),title=runs\.cancel\.terminal-conflict::(.*)", line)
    assert found
    assert int(found[1]) > 1
    assert "got 200 with a|b%0A::add-mask::x%0A" in found[2]
    assert found[2].endswith("100%25")


def test_the_summary_shows_hostile_text_as_text(make: Callable[..., Verification]) -> None:
    """The step summary is a table whose cells hold no markup of the target."""
    text = render_summary(build_report(make(HOSTILE)))
    rows = [line for line in text.splitlines() if line.startswith("|")]
    assert len(rows) == 2 + 3
    assert all(len(re.findall(r"(?<!\\)\|", row)) == 6 for row in rows)
    assert "<img" not in text
    assert "](http" not in text


def test_code_quality(make: Callable[..., Verification]) -> None:
    """GitLab's report has what GitLab requires, and leaves out flaky findings and those of the baseline."""
    issues = json.loads(render_code_quality(build_report(make(HOSTILE))))
    assert [issue["severity"] for issue in issues] == ["major", "info"]
    for issue in issues:
        assert issue.keys() == {"description", "check_name", "fingerprint", "severity", "location"}
        assert issue["location"]["path"] == "openapi.yaml"
        assert issue["location"]["lines"]["begin"] > 1
    assert len({issue["fingerprint"] for issue in issues}) == 2
    known = frozenset(finding.key for finding in make().findings)
    assert json.loads(render_code_quality(build_report(make(known=known)))) == []


def test_in_github_actions(run: Callable[..., int], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """In GitHub Actions the report is printed with workflow commands off, then come annotations and the summary."""
    (tmp_path / "summary.md").write_text("before\n")
    assert run(GITHUB_ACTIONS="true", GITHUB_STEP_SUMMARY=str(tmp_path / "summary.md")) == 1
    first, *lines = capsys.readouterr().out.splitlines()
    token = first.removeprefix("::stop-commands::")
    assert len(token) == 32
    end = lines.index(f"::{token}::")
    assert any("add-mask" in line for line in lines[:end])
    assert [line.partition(" ")[0] for line in lines[end + 1 :]] == ["::error"]
    assert (tmp_path / "summary.md").read_text().startswith("before\n## Contract of the Zof API\n")


def test_a_step_summary_that_cannot_be_written(
    run: Callable[..., int], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The findings are printed all the same, and the status is 2 with a line that names the file."""
    assert run(GITHUB_ACTIONS="true", GITHUB_STEP_SUMMARY=str(tmp_path / "none" / "x")) == 2
    out, err = capsys.readouterr()
    assert err.count(f"cannot write GITHUB_STEP_SUMMARY {tmp_path}/none/x: No such file or directory") == 1
    assert "VIOLATED" in out
    assert "Exit status 2: cannot write GITHUB_STEP_SUMMARY" in " ".join(out.split())


def test_in_a_gitlab_pipeline(run: Callable[..., int], tmp_path: Path) -> None:
    """In a GitLab pipeline the code-quality report is written, wherever else only on demand."""
    assert run(GITLAB_CI="true") == 1
    path = tmp_path / "contract-report" / "gl-code-quality-report.json"
    assert len(json.loads(path.read_text())) == 2
    path.unlink()
    assert run(GITLAB_CI="") == 1
    assert not path.exists()
    assert run("--report", "gitlab", "--report-dir", "out") == 1
    assert (tmp_path / "out" / path.name).exists()


def test_elsewhere(run: Callable[..., int], capsys: pytest.CaptureFixture[str]) -> None:
    """Outside of GitHub Actions there are no workflow commands of ours."""
    assert run() == 1
    assert not [line for line in capsys.readouterr().out.splitlines() if line.startswith("::")]
