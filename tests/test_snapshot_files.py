"""Keeping: worlds that outlive the process, `--load` and `--save-on-exit`, and who is told the token."""

from __future__ import annotations

import errno
import json
import os
import re
import resource
import signal
from pathlib import Path
from typing import Any

import pytest
from zof_emulator.cli.snapshot_files import UnusableFile, check_writable, write_file

from tests.commands import command, complaint
from tests.served import START, Server, ask, request

MANUAL = ("--clock", "manual", "--rate-limit", "off", "--quiet")


def runs(server: Server) -> Any:  # noqa: ANN401  a JSON value
    """The runs, as listed."""
    return ask(server.port, request("GET", "/v1/runs")).json["data"]


@pytest.mark.parametrize(
    ("number", "status"),
    [(signal.SIGINT, 130), (signal.SIGTERM, -signal.SIGTERM), (signal.SIGHUP, -signal.SIGHUP)],
)
def test_a_world_outlives_its_process(tmp_path: Path, number: signal.Signals, status: int) -> None:
    """A world is saved when a signal ends the server, and one that loads it goes on with the same bytes."""
    file = tmp_path / "world.json"
    with Server(*MANUAL, "--seed", "7", "--save-on-exit", str(file)) as server:
        ask(server.port, request("POST", "/v1/runs", START, b"Idempotency-Key: one"))
        again = ask(server.port, request("POST", "/v1/runs", START, b"Idempotency-Key: one"))
        listed = runs(server)
        assert not file.exists()
        assert server.stop(number)[0] == status
        assert server.log == ""
    assert json.loads(file.read_bytes())["format"] == "zof-emulator-world"
    assert [one.name for one in tmp_path.iterdir()] == ["world.json"]
    with Server(*MANUAL, "--load", str(file)) as server:
        found = ask(server.port, request("POST", "/v1/runs", START, b"Idempotency-Key: one"))
        assert (found.status, found.content, found["idempotency-replayed"]) == (201, again.content, "true")
        assert runs(server) == listed


def test_load_and_save_the_same_file(tmp_path: Path) -> None:
    """A file may be loaded and saved to: the world goes on from process to process."""
    file = tmp_path / "world.json"
    for number in range(3):
        load = ("--load", str(file)) if number else ()
        with Server(*MANUAL, *load, "--save-on-exit", str(file)) as server:
            assert len(runs(server)) == 2 + number
            ask(server.port, request("POST", "/v1/runs", START))
            server.stop()


def test_a_link_leads_to_the_file_to_write(tmp_path: Path) -> None:
    """A symbolic link stays one, and what it leads to is written, with the mode that it had."""
    (tmp_path / "kept").mkdir()
    target, link = tmp_path / "kept" / "world.json", tmp_path / "link"
    target.write_text("before")
    target.chmod(0o640)
    link.symlink_to(target)
    with Server(*MANUAL, "--save-on-exit", str(link)) as server:
        assert server.stop(signal.SIGTERM)[0] == -signal.SIGTERM
    assert link.is_symlink()
    assert json.loads(target.read_bytes())["format"] == "zof-emulator-world"
    assert target.stat().st_mode & 0o777 == 0o640
    assert [one.name for one in target.parent.iterdir()] == ["world.json"]


def test_a_new_file_has_the_usual_mode(tmp_path: Path) -> None:
    """A file that is new has the mode that the process gives to new files."""
    (tmp_path / "usual").touch()
    write_file(check_writable(tmp_path / "new"), lambda: (b"content",))
    assert (tmp_path / "new").stat().st_mode == (tmp_path / "usual").stat().st_mode


def test_what_is_no_file_is_refused(tmp_path: Path) -> None:
    """A FIFO or a device is refused at the start, by its own name or by that of a link to it."""
    os.mkfifo(tmp_path / "fifo")
    (tmp_path / "link").symlink_to(tmp_path / "fifo")
    for target in (tmp_path / "fifo", tmp_path / "link", "/dev/null"):
        line = complaint(command("serve", "--port=0", f"--save-on-exit={target}"))
        assert f"cannot write {target}: it is no regular file" in line


@pytest.fixture(params=["replaced", "overwritten"])
def target(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A file with content, which can be replaced, or cannot because it is a mount point."""
    file = tmp_path / "world.json"
    file.write_bytes(b"before")
    if request.param == "overwritten":

        def refuse(_name: Path, _file: Path) -> None:
            raise OSError(errno.EBUSY, os.strerror(errno.EBUSY))

        monkeypatch.setattr(Path, "replace", refuse)
    return check_writable(file)


@pytest.mark.parametrize("content", [b"", b"short", b"long" * 100_000], ids=["nothing", "less", "more"])
def test_a_file_is_written_whole(target: Path, content: bytes) -> None:
    """A written file holds the new content and nothing of the old one, and no other file is left."""
    write_file(target, lambda: (content[:3], content[3:]))
    assert target.read_bytes() == content
    assert list(target.parent.iterdir()) == [target]


def test_the_old_file_survives_a_failure(target: Path) -> None:
    """When there is no room for the new content the old one stays, and no other file is left."""
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1_000, limits[1]))
    try:
        with pytest.raises(UnusableFile, match=f"cannot write {target}: File too large"):
            write_file(target, lambda: (b"long",) * 1_000)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert target.read_bytes() == b"before"
    assert list(target.parent.iterdir()) == [target]


@pytest.mark.parametrize("name", ["none/world.json", ".", "file/world.json"])
def test_a_target_that_cannot_be_written(tmp_path: Path, name: str) -> None:
    """A target that cannot be written is said at the start, in one line that names it, and not at the end."""
    (tmp_path / "file").write_text("")
    line = complaint(command("serve", "--port=0", f"--save-on-exit={tmp_path / name}"))
    assert f"cannot write {tmp_path / name}" in line


def test_a_target_that_is_gone(tmp_path: Path) -> None:
    """A target that can no longer be written is said at the end, in one line, and the exit status is 2."""
    folder = tmp_path / "gone"
    folder.mkdir()
    with Server(*MANUAL, "--save-on-exit", str(folder / "world.json")) as server:
        folder.rmdir()
        status, _ = server.stop()
        (line,) = server.log.splitlines()
    assert line.startswith(f"zof-emulator: error: cannot write {folder / 'world.json'}")
    assert status == 2


@pytest.mark.parametrize(
    "content", [b"", b"{", b"[]", b"{}", b"\xff",
     b'{"format":"zof-emulator-world","version":3,"sha256":"","world":{}}', b"1" * 5_000],
    ids=["empty", "cut", "array", "object", "no text", "future", "number"],
)  # fmt: skip
def test_a_damaged_file(tmp_path: Path, content: bytes) -> None:
    """A file that holds no world stops the start with one line that names it."""
    (tmp_path / "w").write_bytes(content)
    assert f"cannot load {tmp_path / 'w'}: " in complaint(command("serve", "--port=0", f"--load={tmp_path / 'w'}"))


def test_a_file_without_end() -> None:
    """A file that begins with no JSON is not read to its end, which a device does not have."""
    assert "cannot load /dev/zero: it is not valid JSON" in complaint(command("serve", "--port=0", "--load=/dev/zero"))


@pytest.mark.parametrize("name", ["none", "."])
def test_no_file(tmp_path: Path, name: str) -> None:
    """A file that is not there stops the start with one line that names it."""
    assert f"cannot read {tmp_path / name}: " in complaint(command("serve", "--port=0", f"--load={tmp_path / name}"))


@pytest.mark.parametrize("quiet", [(), ("--quiet",)], ids=["banner", "quiet"])
def test_the_token_is_told(quiet: tuple[str, ...]) -> None:
    """Where others can reach it, a token is made up and told on stderr, quiet or not, and opens control."""
    with Server("--host", "0.0.0.0", *quiet) as server:  # noqa: S104  for a moment
        (token,) = re.findall(r"oken for /_emulator.*: (\S{32})$", server.log, re.MULTILINE)
        assert Path(server.ready["token_file"]).read_text() == token + "\n"
        clock = "/_emulator/clock"
        assert ask(server.port, request("GET", clock, key=token)).status == 200
        for wrong in (None, token[:-1]):
            assert ask(server.port, request("GET", clock, key=wrong)).status == 401
        assert ask(server.port, request("GET", "/v1/runs")).status == 200


def test_a_token_of_ones_own() -> None:
    """A token may be set by flag or variable, on loopback too."""
    for flags, variables in ((("--token", "mine"), {}), ((), {"ZOF_EMULATOR_TOKEN": "mine"})):
        with Server("--quiet", *flags, variables=variables) as server:
            answers = [ask(server.port, request("GET", "/_emulator/clock", key=key)).status for key in ("mine", None)]
            assert answers == [200, 401]
            assert server.log == ""


def test_no_token_on_loopback() -> None:
    """On loopback no token is made up, and none is asked for."""
    with Server() as server:
        assert "oken" not in server.log
        assert ask(server.port, request("GET", "/_emulator/clock", key=None)).status == 200
