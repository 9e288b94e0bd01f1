"""The documents are true: each command runs as printed, each flag is named, each outcome of the example occurs."""

from __future__ import annotations

import http.server
import json
import os
import re
import runpy
import shlex
import shutil
import subprocess
import sys
import threading
import urllib.request
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Final

import click
import pytest
from zof_emulator.cli.serve import serve
from zof_emulator.core.tenants import DEFAULT

from tests.served import Server, environment

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

ROOT: Final = Path(__file__).parents[1]
README: Final = (ROOT / "README.md").read_text()
SHELL: Final = [block for block in re.findall(r"```sh\n(.*?)```", README, re.DOTALL) if "ci_gate" not in block]
PYTHON: Final = re.findall(r"```python\n(.*?)```", README, re.DOTALL)


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    """A server with a manual clock."""
    with Server("--clock", "manual", "--quiet") as running:
        yield running


def control(server: Server, path: str, body: object) -> Any:  # noqa: ANN401  a JSON value
    """Send a request to one of the emulator's own operations."""
    request = urllib.request.Request(
        f"http://127.0.0.1:{server.port}/_emulator{path}",
        json.dumps(body).encode(),
        {"Content-Type": "application/json"},
    )
    with urllib.request.urlopen(request, timeout=10) as answer:  # noqa: S310
        return json.load(answer)


@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed; .ci/run installs it")
def test_the_commands_of_the_readme(server: Server, tmp_path: Path) -> None:
    """Every command of the README runs as printed, except for the port, and no answer is an error."""
    assert len(SHELL) == 8
    assert all(len(block.splitlines()) <= 10 for block in SHELL[1:])
    (tmp_path / "scripts").symlink_to(ROOT / "scripts")
    variables = {**os.environ, "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}
    script = "set -eu\n" + "".join(SHELL).replace("9630", str(server.port))
    ran = subprocess.run(
        ["sh"],  # noqa: S607
        input=script,
        capture_output=True,
        text=True,
        cwd=tmp_path,
        check=False,
        timeout=60,
        env=variables,
    )
    assert (ran.returncode, ran.stderr) == (0, "")
    assert '"error":{' not in ran.stdout
    assert '"effect":"reset"' in ran.stdout
    assert json.loads((tmp_path / "run.json").read_text())["status"] == "queued"
    assert '"status":"failed"' in ran.stdout
    assert "tc_pay_fail_002,staging,failed" in ran.stdout
    assert "tc_login_001,staging" not in ran.stdout
    assert '"verified":true' in ran.stdout
    assert '"verified":false' not in ran.stdout
    assert "answers are the same, byte for byte" in ran.stdout


FAULTS: Final = re.findall(r"```sh\n(.*?)```", (ROOT / "docs" / "faults.md").read_text(), re.DOTALL)


@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed; .ci/run installs it")
@pytest.mark.parametrize(
    ("block", "shown"),
    list(
        zip(
            FAULTS,
            ['"effect":"reset"', "rate_limit_exceeded", '"percent":10', '"id":"run_sample_failed"'],
            strict=True,
        )
    ),
)
def test_the_commands_about_faults(server: Server, block: str, shown: str) -> None:
    """Every example of `docs/faults.md` has at most ten lines, runs as printed, and shows what the text says."""
    assert len(block.splitlines()) <= 10
    script = "set -eu\n" + block.replace("9630", str(server.port))
    ran = subprocess.run(["sh"], input=script, capture_output=True, text=True, check=False, timeout=60)  # noqa: S607
    assert ran.returncode == 0, ran.stderr
    assert shown in ran.stdout


def test_the_rule_about_faults(server: Server) -> None:
    """The rule that `docs/faults.md` shows can be created."""
    (rule,) = re.findall(r"```json\n(.*?)```", (ROOT / "docs" / "faults.md").read_text(), re.DOTALL)
    assert control(server, "/faults", json.loads(rule))["id"].startswith("fault_")
    control(server, "/reset", {})


def test_the_python_of_the_readme() -> None:
    """The program of the README runs as printed."""
    _, program = PYTHON
    ran = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        cwd=ROOT,
        env=environment({}),
        check=False,
        timeout=60,
    )
    assert (ran.returncode, ran.stdout) == (0, "run_sample_failed\n"), ran.stderr


def test_the_test_of_the_readme(tmp_path: Path) -> None:
    """The pytest example of the README passes as printed."""
    test, _ = PYTHON
    (tmp_path / "test_readme.py").write_text(test)
    command = [sys.executable, "-m", "pytest", "-p", "zof_emulator.testing.plugin", "-W", "error"]
    variables = environment({"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}, measured=False)
    ran = subprocess.run(command, cwd=tmp_path, env=variables, capture_output=True, text=True, check=False, timeout=60)
    assert ran.returncode == 0, ran.stdout + ran.stderr


@pytest.mark.parametrize(
    "option", [one for one in serve.params if isinstance(one, click.Option)], ids=lambda one: one.name
)
def test_a_flag_is_named(option: click.Option) -> None:
    """README names every flag with its environment variable and its default."""
    rows = [line for line in README.splitlines() if line.startswith("| `") and f"`{option.opts[-1]}`" in line]
    assert len(rows) == 1
    _, flags, variable, default, _, _ = rows[0].replace(r"\|", "/").split("|")
    assert re.findall(r"`(.*?)`", flags) == [*option.opts, *option.secondary_opts]
    assert variable.strip() == f"`{option.envvar}`"
    shown = {"True": "on", "False": "off", "()": "", "": ""}.get(str(option.default), f"`{option.default}`")
    assert default.strip() == ("" if option.multiple else shown)


def test_every_key_is_named() -> None:
    """README names every key of the default data, its organization and its permissions."""
    for key in DEFAULT.keys:
        row = next(line for line in README.splitlines() if line.startswith(f"| `{key.secret}` "))
        assert f"`{key.organization}`" in row
        assert key.note in row


GATE: Final = runpy.run_path(str(ROOT / "examples" / "ci_gate.py"))


@pytest.fixture
def gate(server: Server, monkeypatch: pytest.MonkeyPatch) -> Callable[..., int]:
    """The command line of the example against a fresh world; the emulator's clock moves while it sleeps."""
    control(server, "/reset", {})
    monkeypatch.setenv("ZOF_API_KEY", "zof_test_ci")
    monkeypatch.setenv("ZOF_BASE_URL", f"http://127.0.0.1:{server.port}/v1")

    def sleep(seconds: float) -> None:
        control(server, "/clock/advance", {"by_ms": int(seconds * 1000)})

    def run(*arguments: str) -> int:
        code: int = GATE["main"](arguments, sleep)
        return code

    return run


@pytest.mark.parametrize(
    ("case", "status", "code"),
    [("tc_ok", "passed", 0), ("tc_fail", "failed", 1), ("tc_error", "error", 1)],
)
def test_the_gate(
    gate: Callable[..., int], capsys: pytest.CaptureFixture[str], case: str, status: str, code: int
) -> None:
    """The gate succeeds for `passed`, fails for `failed` and `error`, and prints the URL of the run."""
    assert gate("proj_abc", "staging", "--case", "tc_login_001", "--case", case) == code
    printed = capsys.readouterr().out
    assert re.search(rf"run_\w+ {status}: .*; http://127\.0\.0\.1:\d+/runs/run_\w+\n", printed)
    assert (f"  {case} {status}\n" in printed) is (code == 1)


def test_the_gate_as_the_readme_prints_it(gate: Callable[..., int]) -> None:
    """The command line of the example in the README gates the run of a suite."""
    line = re.search(r"^python3 examples/ci_gate\.py (.*)$", README, re.MULTILINE)
    assert line
    assert gate(*shlex.split(line[1])) == 0


def test_a_run_that_somebody_cancels(
    server: Server, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The gate fails if the run is canceled."""
    control(server, "/reset", {})
    monkeypatch.setenv("ZOF_API_KEY", "zof_test_admin")
    monkeypatch.setenv("ZOF_BASE_URL", f"http://127.0.0.1:{server.port}/v1")

    def cancel(_seconds: float) -> None:
        name = re.findall(r"run_\w+", capsys.readouterr().out)[0]
        GATE["Zof"](f"http://127.0.0.1:{server.port}/v1", "zof_test_admin").call("POST", f"/runs/{name}/cancel")

    assert GATE["main"](["proj_abc", "staging", "--case", "tc_a"], cancel) == 1
    assert " canceled: 1 canceled" in capsys.readouterr().out


def test_the_gate_honours_retry_after(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """The gate waits as long as `Retry-After` says, and then continues."""
    slept: list[float] = []
    with Server("--clock", "manual", "--quiet", "--rate-limit", "2/60") as server:
        monkeypatch.setenv("ZOF_API_KEY", "zof_test_ci")
        monkeypatch.setenv("ZOF_BASE_URL", f"http://127.0.0.1:{server.port}/v1")

        def sleep(seconds: float) -> None:
            slept.append(seconds)
            control(server, "/clock/advance", {"by_ms": int(seconds * 1000)})

        code = GATE["main"](["proj_abc", "staging", "--case", "tc_slow", "--case", "tc_slow_too"], sleep)
    assert code == 0, capsys.readouterr()
    assert any(seconds > GATE["LONGEST_WAIT"] for seconds in slept)


def test_the_gate_says_that_it_tries_again(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """Each failed attempt but the last is one line with its reason and the pause; the last one ends the gate."""
    slept: list[float] = []
    monkeypatch.setenv("ZOF_API_KEY", "zof_test_ci")
    monkeypatch.setenv("ZOF_BASE_URL", "http://127.0.0.1:1/v1")
    assert GATE["main"](["proj_abc", "staging", "--case", "tc_a"], slept.append) == 2
    *attempts, end = capsys.readouterr().err.splitlines()
    assert len(attempts) == len(slept) == GATE["ATTEMPTS"] - 1
    for line, pause in zip(attempts, slept, strict=True):
        assert line.startswith("ci_gate: ")
        assert line.endswith(f"Connection refused>; next attempt in {pause:.0f} s")
    assert end.startswith("ci_gate: POST http://127.0.0.1:1/v1/runs: ")


@pytest.mark.parametrize(
    ("header", "seconds"),
    [("7", 7.0), ("Thu, 01 Jan 2026 00:01:00 GMT", 60.0), ("Wed, 31 Dec 2025 00:00:00 GMT", 0.0)],
)
def test_the_gate_reads_every_form_of_retry_after(header: str, seconds: float) -> None:
    """`Retry-After` is honoured in seconds and as a date; a date that has passed means no wait."""
    assert GATE["delay"](header, 0, 1_767_225_600.0) == seconds


@pytest.mark.parametrize("header", [None, "", "soon", "Thu, 99 Jan 2026 00:00:00 GMT"])
def test_the_gate_backs_off_without_a_usable_retry_after(header: str | None) -> None:
    """Without a `Retry-After`, or with an unreadable one, the gate backs off."""
    assert GATE["FIRST_WAIT"] / 2 <= GATE["delay"](header, 0, 0.0) <= GATE["FIRST_WAIT"]


def test_a_run_that_takes_too_long(gate: Callable[..., int], capsys: pytest.CaptureFixture[str]) -> None:
    """The gate stops waiting for a run after the given time, and reports it with status 2."""
    assert gate("proj_abc", "staging", "--case", "tc_slow", "--most-seconds", "1") == 2
    assert "is still running after 1 s" in capsys.readouterr().err


@pytest.mark.parametrize(("key", "said"), [("", "set ZOF_API_KEY"), ("zof_test_expired", "401 unauthorized")])
def test_a_gate_without_a_valid_key(
    gate: Callable[..., int],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    key: str,
    said: str,
) -> None:
    """Without a valid key the gate reports it in one line, with status 2."""
    monkeypatch.setenv("ZOF_API_KEY", key)
    assert gate("proj_abc", "staging", "--case", "tc_a") == 2
    error = capsys.readouterr().err
    assert said in error
    assert error.count("\n") == 1


@pytest.mark.parametrize(
    "key", ["zof_test_expired\n", "zof_test_\nexpired", "zof_test_expired\u00fc", "zof test expired"]
)
def test_the_gate_never_prints_the_key(
    gate: Callable[..., int], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], key: str
) -> None:
    """A line end after the key is removed, and a key that cannot be sent is refused without showing it."""
    monkeypatch.setenv("ZOF_API_KEY", key)
    assert gate("proj_abc", "staging", "--case", "tc_a") == 2
    out, error = capsys.readouterr()
    assert ("401 unauthorized" if key.strip() == "zof_test_expired" else "set ZOF_API_KEY") in error
    assert error.count("\n") == 1
    assert "test_expired" not in out + error
    assert "test expired" not in out + error


def test_the_gate_shows_hostile_text_harmlessly() -> None:
    """The output of an API is printed without the key and without control characters."""
    assert GATE["show"]("a zof_secret_key \x1b]0;x\x07\r\n\u202e", "zof_secret_key") == "a [key] ?]0;x????"


class Redirects(http.server.BaseHTTPRequestHandler):
    """Redirects every request to another path, and records the paths."""

    paths: ClassVar[list[str]] = []

    def do_POST(self) -> None:
        """Redirect."""
        self.paths.append(self.path)
        self.send_response(302)
        self.send_header("Location", "/elsewhere")
        self.send_header("Content-Length", "0")
        self.end_headers()

    def do_GET(self) -> None:
        """Redirect."""
        self.do_POST()

    def log_message(self, *_: object) -> None:
        """Print nothing."""


def test_the_gate_follows_no_redirect(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """A redirect is an error, so that the key is sent nowhere else."""
    with http.server.HTTPServer(("127.0.0.1", 0), Redirects) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        monkeypatch.setenv("ZOF_API_KEY", "zof_test_ci")
        monkeypatch.setenv("ZOF_BASE_URL", f"http://127.0.0.1:{server.server_port}/v1")
        code = GATE["main"](["proj_abc", "staging", "--case", "tc_a"], lambda _: None)
        server.shutdown()
        thread.join()
    assert code == 2
    assert set(Redirects.paths) == {"/v1/runs"}
    assert "302" in capsys.readouterr().err


def test_an_api_that_is_not_there(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """The gate tries again, and then reports that nothing answers, with status 2; each attempt is a line."""
    monkeypatch.setenv("ZOF_API_KEY", "zof_test_ci")
    monkeypatch.setenv("ZOF_BASE_URL", "http://127.0.0.1:1/v1")
    slept: list[float] = []
    assert GATE["main"](["proj_abc", "staging", "--case", "tc_a"], slept.append) == 2
    assert len(slept) == GATE["ATTEMPTS"] - 1
    assert capsys.readouterr().err.count("\n") == GATE["ATTEMPTS"]


def named_files(text: str) -> set[str]:
    """The texts in backticks in a document that look like the path of a file or folder."""
    spans = {span for line in text.splitlines() for span in re.findall(r"`([^`]+)`", line)}
    return {span for span in spans if re.fullmatch(r"[\w./-]+(\.(py|yaml|toml|md)|/)", span)}


@pytest.mark.parametrize("document", ["ARCHITECTURE.md", "tests/README.md", "README.md"])
def test_a_map_names_what_exists(document: str) -> None:
    """Each file and folder that a document for contributors names exists in the checkout or in one of the packages."""
    folders = (ROOT, ROOT / "emulator" / "zof_emulator", ROOT / "contracts" / "zof_contracts")
    named = named_files((ROOT / document).read_text())
    assert {path for path in named if not any((folder / path).exists() for folder in folders)} == set()


def test_a_map_names_every_room() -> None:
    """ARCHITECTURE.md names every room of both packages."""
    named = named_files((ROOT / "ARCHITECTURE.md").read_text())
    packages = (ROOT / "emulator" / "zof_emulator", ROOT / "contracts" / "zof_contracts")
    rooms = {f"{path.parent.name}/" for package in packages for path in package.glob("*/__init__.py")}
    assert rooms - named == set()
