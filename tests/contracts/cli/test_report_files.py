"""The report files: each is written whatever becomes of the others, also where the target cannot be verified."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Final

import pytest
from zof_contracts.cli import execution
from zof_contracts.cli.main import main
from zof_contracts.target.transport import Unreachable

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from zof_contracts.evidence.verification import Verification

KEY: Final = "zof_secret_main_1"


@pytest.fixture
def verify(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, make: Callable[..., Verification]) -> Callable[..., int]:
    """Runs `verify` with a fake verification, in an empty folder; returns its exit status."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(execution, "run", lambda target, **_: make(target=target))
    for name in ("GITHUB_ACTIONS", "GITLAB_CI", "GITHUB_STEP_SUMMARY"):
        monkeypatch.delenv(name, raising=False)

    def run_command(*arguments: str) -> int:
        with pytest.raises(SystemExit) as ended:
            main(["verify", "--url", "http://127.0.0.1:1", "--key", KEY, *arguments])
        assert isinstance(ended.value.code, int)
        return ended.value.code

    return run_command


def test_a_report_that_cannot_be_written_does_not_prevent_the_others(
    verify: Callable[..., int], capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """The text and the other files are written, no partial file is left, and the status is 2 with the reason."""
    (tmp_path / "out" / "report.html").mkdir(parents=True)
    assert verify("--report", "text,html,json,junit", "--report-dir", "out") == 2
    out, err = capsys.readouterr()
    why = "cannot write out/report.html: Is a directory"
    assert f"zof-contracts: error: {why}" in err.splitlines()
    assert out.startswith("1. VIOLATED  runs.cancel.terminal-conflict\n")
    assert out.endswith(f"Exit status 2: {why}.\n")
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["junit.xml", "report.html", "report.json"]


def test_a_target_that_cannot_be_verified_has_reports(
    verify: Callable[..., int], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """Where the first request is refused, the files say so, and those of an earlier verification are replaced."""
    assert verify("--report", "json,junit", "--report-dir", ".") == 1
    capsys.readouterr()

    def fail(*_: object, **__: object) -> Verification:
        raise Unreachable(f"127.0.0.1:1 refuses {KEY}")

    monkeypatch.setattr(execution, "run", fail)
    assert verify("--report", "json,junit", "--report-dir", ".") == 2
    out, err = capsys.readouterr()
    assert (out, err.splitlines()[-1]) == ("", "zof-contracts: error: 127.0.0.1:1 refuses [key main]")
    report = json.loads((tmp_path / "report.json").read_text())
    assert report["summary"]["error"] == "127.0.0.1:1 refuses [key main]"
    assert (report["summary"]["exit_status"], report["summary"]["exercised"], report["findings"]) == (2, 0, [])
    assert "refuses [key main]" in (tmp_path / "junit.xml").read_text()
