"""`serve --detach`, `status` and `stop`, run as users run them, each test with a folder for state of its own."""

from __future__ import annotations

import json
import os
import signal
import socket
import stat
import subprocess
import sys
from contextlib import suppress
from typing import TYPE_CHECKING, Final

import pytest

from tests.served import PATIENCE, Server, ask, environment, request

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

TOKEN: Final = "a-token-of-this-test"  # noqa: S105  the test's own


class Commands:
    """Runs `zof-emulator` with a folder for state."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "zof-emulator"
        self._variables = environment({"XDG_RUNTIME_DIR": str(folder)})
        self._folder = folder

    def run(self, *arguments: str, status: int = 0) -> str:
        """The output of a command, or its error if it ends with another status than 0."""
        done = subprocess.run(
            [sys.executable, "-m", "zof_emulator", *arguments],
            cwd=self._folder,
            env=self._variables,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=3 * PATIENCE,
            check=False,
        )
        assert done.returncode == status, done.stderr
        return done.stderr if status else done.stdout

    def list_files(self) -> list[str]:
        """The names of the files in the folder for state."""
        return sorted(one.name for one in self.folder.iterdir())

    def kill_all(self) -> None:
        """Kill the emulators that a failed test has left behind."""
        for file in self.folder.glob("*.json"):
            self.run("stop", "--wait", "0", "--port", file.stem, status=2)


@pytest.fixture
def commands(tmp_path: Path) -> Iterator[Commands]:
    """Commands with an empty folder for state."""
    found = Commands(tmp_path)
    yield found
    found.kill_all()


def test_an_emulator_for_several_steps(commands: Commands) -> None:
    """A detached emulator is ready when the command returns, is shown by `status`, and has ended after `stop`."""
    ready = json.loads(commands.run("serve", "--detach", "--port", "0", "--clock", "manual"))
    port = str(ready["port"])
    assert ask(ready["port"], request("GET", "/v1/runs")).status == 200
    assert (ready["event"], ready["token_file"]) == ("ready", None)
    assert ready["pid"] != os.getpid()
    log = commands.folder / f"{port}.log"
    assert json.loads(commands.run("status", "--port", port)) == {**ready, "log_file": str(log)}
    assert commands.list_files() == [f"{port}.json", f"{port}.log"]
    assert "Base URL" in log.read_text()
    assert commands.run("stop", "--port", port) == ""
    assert commands.list_files() == [f"{port}.log"]
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", ready["port"]), PATIENCE)
    assert f"no emulator is ready at 127.0.0.1:{port}" in commands.run("status", "--port", port, status=2)
    assert f"no detached emulator listens on port {port}" in commands.run("stop", "--port", port, status=2)


def test_the_token_is_private(commands: Commands) -> None:
    """The token is in one file alone, which only its user can read, and which ends with the emulator."""
    ready = json.loads(commands.run("serve", "--detach", "--port", "0", "--token", TOKEN))
    port = str(ready["port"])
    assert stat.S_IMODE(commands.folder.stat().st_mode) == 0o700
    for name in commands.list_files():
        file = commands.folder / name
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
        assert (TOKEN in file.read_text()) is (name == f"{port}.token")
    assert ready["token_file"] == str(commands.folder / f"{port}.token")
    assert (commands.folder / f"{port}.token").read_text() == TOKEN + "\n"
    commands.run("stop", "--port", port)
    assert commands.list_files() == [f"{port}.log"]


def test_a_world_is_saved_at_the_end(commands: Commands, tmp_path: Path) -> None:
    """`stop` returns when the world is saved; the same command starts with it again, also the first time."""
    for number in range(2):
        options = ("--load", "world.json", "--save-on-exit", "world.json", "--clock", "manual")
        port = json.loads(commands.run("serve", "--detach", "--port", "0", *options))["port"]
        runs = ask(port, request("GET", "/v1/runs")).json["data"]
        assert len(runs) == 2 + number
        body = {"project_id": "proj_a", "environment": "staging", "test_suite_id": "suite_a"}
        assert ask(port, request("POST", "/v1/runs", body)).status == 201
        commands.run("stop", "--port", str(port))
        assert (tmp_path / "world.json").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--host", "192.0.2.1"), "cannot listen on 192.0.2.1:"),
        (("--port", "x"), "'x' is not allowed; use a whole number from 0 to 65535"),
        (("--load", "missing.json"), "cannot read missing.json: No such file or directory"),
    ],
)
def test_an_emulator_that_does_not_start(commands: Commands, arguments: tuple[str, ...], message: str) -> None:
    """An emulator that cannot start is one line on stderr with exit status 2, and leaves no file and no process."""
    said = commands.run("serve", "--detach", *arguments, status=2)
    assert said.startswith("zof-emulator: error: ")
    assert message in said
    assert len(said.splitlines()) == 1
    assert not commands.folder.exists() or commands.list_files() == []


@pytest.mark.parametrize("detach", [("--detach",), ()])
def test_the_port_of_a_detached_emulator(commands: Commands, detach: tuple[str, ...]) -> None:
    """An emulator on the port of a detached one is refused with the commands that show and end that one."""
    port = str(json.loads(commands.run("serve", "--detach", "--port", "0"))["port"])
    said = commands.run("serve", *detach, "--port", port, status=2)
    assert said == (
        f"zof-emulator: error: cannot listen on 127.0.0.1:{port}: an emulator that was started with --detach listens "
        f"on this port; zof-emulator status --port {port} shows it, zof-emulator stop --port {port} ends it\n"
    )
    assert json.loads(commands.run("status", "--port", port))["port"] == int(port)
    commands.run("stop", "--port", port)


def test_an_emulator_that_was_killed(commands: Commands) -> None:
    """The state of a process that was killed is not taken for that of another process."""
    ready = json.loads(commands.run("serve", "--detach", "--port", "0"))
    state = commands.folder / f"{ready['port']}.json"
    with socket.create_connection(("127.0.0.1", ready["port"]), PATIENCE) as connection:
        os.kill(ready["pid"], signal.SIGKILL)
        with suppress(ConnectionResetError):
            assert connection.recv(1) == b""  # it has ended
    state.write_text(state.read_text().replace(f'"pid": {ready["pid"]}', f'"pid": {os.getpid()}'))
    assert "no detached emulator" in commands.run("stop", "--port", str(ready["port"]), status=2)


def test_status_of_an_emulator_that_is_not_detached(commands: Commands) -> None:
    """`status` finds an emulator however it was started, and `stop` ends detached ones alone."""
    with Server("--quiet") as server:
        port = str(server.port)
        found = json.loads(commands.run("status", "--wait", "5", "--port", port))
        assert found == {name: server.ready[name] for name in ("event", "base_url", "host", "port")}
        assert "no detached emulator" in commands.run("stop", "--port", port, status=2)
        assert ask(server.port, request("GET", "/v1/runs")).status == 200


def test_a_folder_that_others_can_enter(commands: Commands) -> None:
    """A folder for state that others can enter is refused."""
    commands.folder.mkdir(0o755)
    commands.folder.chmod(0o755)
    assert "only this user can enter" in commands.run("serve", "--detach", status=2)
