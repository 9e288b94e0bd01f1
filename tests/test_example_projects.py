"""The projects below `examples/` and the files of docs/ci.md: they run as printed, and their options exist."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any, Final

import pytest
import yaml
from zof_emulator.cli.serve import serve

from tests.served import environment

ROOT: Final = Path(__file__).parents[1]
EXAMPLES: Final = ROOT / "examples"
GENERATORS: Final = ROOT / "tests" / "clients"
PAGE: Final = (ROOT / "docs" / "ci.md").read_text()
PIPELINES: Final = re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)
BIN: Final = os.pathsep.join((str(Path(sys.executable).parent), os.environ["PATH"]))
needs_curl: Final = pytest.mark.skipif(
    shutil.which("curl") is None, reason="curl is not installed; .ci/run installs it"
)
needs_tsc: Final = pytest.mark.skipif(
    not (GENERATORS / "node_modules").exists(),
    reason="tests/clients/node_modules is missing; scripts/clients installs it",
)


def run(*command: str, folder: Path, script: str = "", **variables: str) -> subprocess.CompletedProcess[str]:
    """Run a command in a folder, with the commands of this checkout first in the path."""
    return subprocess.run(
        command,
        input=script,
        cwd=folder,
        env=environment({"PATH": BIN, **variables}),
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


@needs_tsc
def test_the_typescript_project(tmp_path: Path) -> None:
    """The TypeScript project compiles, and its tests pass with Node's own test runner under `zof-emulator exec`."""
    folder = tmp_path / "typescript"
    shutil.copytree(EXAMPLES / "typescript", folder, ignore=shutil.ignore_patterns("node_modules", "out"))
    (folder / "node_modules").symlink_to(GENERATORS / "node_modules")
    ran = run("zof-emulator", "exec", "--", "npm", "test", folder=folder)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    tests = len(re.findall(r"^test\(", (folder / "src" / "zof.test.ts").read_text(), re.MULTILINE))
    assert tests > 1
    assert re.search(rf"\bpass {tests}$", ran.stdout, re.MULTILINE), ran.stdout


def test_the_typescript_project_uses_the_tools_that_are_tried() -> None:
    """The versions of the project's tools are those that `scripts/clients` installs, with which the test above runs."""
    wanted, installed = (
        json.loads((folder / "package.json").read_text())["devDependencies"]
        for folder in (EXAMPLES / "typescript", GENERATORS)
    )
    assert wanted.items() <= installed.items()


def test_the_python_service(tmp_path: Path) -> None:
    """The tests of the Python service pass with the fixture `zof`, without a warning."""
    folder = tmp_path / "python_service"
    shutil.copytree(EXAMPLES / "python_service", folder, ignore=shutil.ignore_patterns("__pycache__"))
    plugins = ("-p", "zof_emulator.testing.plugin", "-p", "anyio.pytest_plugin")
    command = (sys.executable, "-m", "pytest", *plugins, "-W", "error")
    ran = run(*command, folder=folder, PYTEST_DISABLE_PLUGIN_AUTOLOAD="1")
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert " 5 passed" in ran.stdout


@needs_curl
@pytest.mark.parametrize(
    ("arguments", "status", "out", "error"),
    [
        ("proj_abc staging tc_login_001", 0, r"run_\w+ passed\nid,.*\nres_\w+,.*,tc_login_001,staging,passed,", ""),
        ("proj_abc staging tc_ok tc_fail", 1, r"run_\w+ failed\nid,.*\n.*,tc_ok,.*\n.*,tc_fail,staging,failed,", ""),
        ("proj_abc nowhere tc_ok", 2, "", "environment must be one of: staging, production"),
        ("proj_abc staging", 2, "", "usage: run_cases.sh PROJECT ENVIRONMENT CASE..."),
    ],
    ids=["passed", "failed", "refused", "usage"],
)
def test_the_shell_script(tmp_path: Path, arguments: str, status: int, out: str, error: str) -> None:
    """The script prints the run and its results, and exits with 0, 1 or 2 as its header says."""
    script = str(EXAMPLES / "shell" / "run_cases.sh")
    command = ("zof-emulator", "exec", "--clock", "auto", "--", script, *arguments.split())
    ran = run(*command, folder=tmp_path, POLL_SECONDS="0")
    assert ran.returncode == status, ran.stderr
    assert re.match(out, ran.stdout), ran.stdout
    assert error in ran.stderr


def find_commands(node: Any) -> list[str]:  # noqa: ANN401  a YAML value
    """The lines of a pipeline that start the emulator."""
    if isinstance(node, str):
        return [line for line in node.splitlines() if line.startswith("zof-emulator ")]
    if isinstance(node, dict | list):
        return [each for one in (node.values() if isinstance(node, dict) else node) for each in find_commands(one)]
    return []


@pytest.mark.parametrize("pipeline", PIPELINES, ids=["github", "gitlab"])
def test_the_pipelines(tmp_path: Path, pipeline: str) -> None:
    """The step of each pipeline runs its tests against an emulator, passes their status on and leaves the journal."""
    [line] = find_commands(yaml.safe_load(pipeline))
    options, _, command = line.partition(" -- ")
    assert command in {"npm test", "pytest"}
    for status in (0, 3):
        ran = run(*shlex.split(options), "--", "sh", "-c", f"exit {status}", folder=tmp_path)
        assert ran.returncode == status, ran.stderr
        assert (tmp_path / "zof.ndjson").exists()
        (tmp_path / "zof.ndjson").unlink()


@needs_curl
def test_the_steps_of_the_page(tmp_path: Path) -> None:
    """The commands for an emulator of several steps run as printed, except for the port."""
    [block] = re.findall(r"```sh\n(.*?)```", PAGE, re.DOTALL)
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    script = "set -eu\n" + block.replace("9630", str(port))
    ran = run("sh", folder=tmp_path, script=script, XDG_RUNTIME_DIR=str(tmp_path))
    assert ran.returncode == 0, ran.stderr
    started, status, answer = map(json.loads, ran.stdout.splitlines())
    assert (started["port"], status["pid"], answer["has_more"]) == (port, started["pid"], True)


def test_the_container_files() -> None:
    """The options and variables in `Dockerfile` and `compose.yaml` exist; neither file is built here."""
    [entry] = re.findall(r"^ENTRYPOINT (.*)$", (ROOT / "Dockerfile").read_text(), re.MULTILINE)
    program, command, *options = json.loads(entry)
    assert (program, command) == ("zof-emulator", "serve")
    service = yaml.safe_load((ROOT / "compose.yaml").read_text())["services"]["zof"]
    chosen = serve.make_context("serve", [*options, *service["command"]]).params
    assert (chosen["host"], str(chosen["clock"])) == ("0.0.0.0", "auto")  # noqa: S104
    known = {option.envvar for option in serve.params if hasattr(option, "envvar")}
    assert service["environment"].keys() <= known
    assert all(f"{chosen['port']}" in part for part in (service["ports"][0], service["healthcheck"]["test"][-1]))
