"""Text from a target is shown and repeated, and never becomes code, a terminal sequence or markup."""

from __future__ import annotations

import io
import json
import stat
import subprocess
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Final

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from zof_contracts.evidence.events import FindingRecorded
from zof_contracts.evidence.exchange import Exchange, Request, Response
from zof_contracts.report import FILES, render
from zof_contracts.report.curl import write_script
from zof_contracts.report.escape import is_control
from zof_contracts.report.progress import ProgressBar, ProgressLines

from tests.served import environment

if TYPE_CHECKING:
    from collections.abc import Callable

    from zof_contracts.evidence.verification import Verification

FAKE_CURL: Final = """\
#!/bin/sh
printf '%s\\0' "$@" >> "$LOG"
printf '\\n\\0' >> "$LOG"
printf 'HTTP/1.1 200 OK\\r\\n\\r\\n'
cat "$ANSWER_FILE"
"""
"""Records its arguments and prints the answer."""
HOSTILE: Final = (
    '"]); import os; os.system("touch PWNED"); print(["',
    "'; touch PWNED; echo '",
    "$(touch PWNED)",
    "`touch PWNED`",
    '"; touch PWNED; "',
    "\ntouch PWNED\n#",
    "!touch\\x07 PWNED ",
    "@/etc/passwd",
    "-o/etc/passwd",
    "%s%n\\033[31m",
    "\x1b]0;title\x07\u202e\u2066 \x9b31m",
    "PATH",
    "LD_PRELOAD",
)
NAME: Final = st.sampled_from(HOSTILE) | st.text(max_size=20)
VALUE: Final = st.sampled_from([f"{text:8}" for text in HOSTILE]) | st.text(
    st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=8, max_size=40
).filter(lambda text: not text.endswith("\n"))


def run_with_fake_curl(script: str, answer: object, folder: Path) -> list[list[str]]:
    """Run a script with a curl that sends nothing; return the arguments of each call."""
    (folder / "answer.json").write_text(json.dumps(answer))
    (folder / "curl").write_text(FAKE_CURL)
    (folder / "curl").chmod(stat.S_IRWXU)
    variables = environment({"LOG": str(folder / "log"), "ANSWER_FILE": str(folder / "answer.json")})
    variables["PATH"] = f"{folder}:{variables['PATH']}"
    done = subprocess.run(
        ["/bin/sh", "-eu"],
        input=script,
        cwd=folder,
        env=variables,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert (done.returncode, done.stderr) == (0, ""), script
    calls = (folder / "log").read_bytes().decode(errors="surrogateescape").split("\0\n\0")[:-1]
    return [call.split("\0") for call in calls]


@given(name=NAME, value=VALUE)
@example(name='"]); import os; os.system("touch PWNED"); print(["', value="$(touch PWNED)")
@settings(max_examples=10, deadline=None)
def test_a_script_sends_what_the_target_wrote_and_executes_none_of_it(name: str, value: str) -> None:
    """The script passes on all names and values of an answer as data, in a printable text."""
    answer = {name: {"id": value}, "x": [1, {name: "other"}]}
    headers = (("x-request-id", f"req{name}"), ("content-type", "application/json"))
    first = Exchange(1, Request("GET", "/v1/runs"), Response(200, headers, json.dumps(answer).encode()), "", 0.0, 0.0)
    body = json.dumps({"project_id": "p", "again": "@"}).encode()
    header = ("X-Again", value)
    request = Request("POST", "/v1/runs", "", (("Content-Type", "application/json"), header), body)
    last = Exchange(2, request, Response(200, headers, b"{}"), "", 0.0, 0.0)
    script = write_script([first, last], base="http://127.0.0.1:1", keys={})
    assert not [each for each in script if each != "\n" and (is_control(each) or each == "\t")]
    with tempfile.TemporaryDirectory() as folder:
        calls = run_with_fake_curl(script, answer, Path(folder))
        assert not list(Path(folder).glob("PWNED*"))
    assert len(calls) == 2
    assert f"X-Again: {value}" in calls[1]
    assert body.decode() in calls[1]
    assert [word for word in calls[1] if word.startswith("http")] == ["http://127.0.0.1:1/v1/runs"]


@pytest.mark.parametrize("text", HOSTILE)
@pytest.mark.parametrize("form", FILES)
def test_no_report_holds_a_control_character(make: Callable[..., Verification], form: str, text: str) -> None:
    """No report holds a control, format or surrogate character, so that none reaches a terminal or a page."""
    report = render(make(text), form)
    assert [each for each in report if is_control(each)] == []


def test_progress_holds_no_control_character(make: Callable[..., Verification]) -> None:
    """The lines and the bar of the progress escape what a target sent."""
    for stream, kind in ((io.StringIO(), ProgressLines), (io.StringIO(), ProgressBar)):
        kind(stream)(FindingRecorded(make("a\x1b]0;title\x07").findings[0]))
        assert "200 with a\\x1b]0;title\\x07" in stream.getvalue()
        assert "\x07" not in stream.getvalue()
