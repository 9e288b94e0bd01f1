"""`zof-emulator scenario`, `serve --scenario` and `exec --scenario`."""

from __future__ import annotations

import json
import os
import sys
import time
import urllib.request
from threading import Event
from typing import TYPE_CHECKING, Final

import pytest
from zof_emulator.cli import watch
from zof_emulator.cli.main import main
from zof_emulator.cli.serve import build_settings, find_explicit_flags, serve
from zof_emulator.cli.watch import FileWatcher
from zof_emulator.core.scenario import Scenario
from zof_emulator.scenarios.load import UnusableScenario, list_names, read_builtin
from zof_emulator.scenarios.schema import SCHEMA
from zof_emulator.server.terminal import list_public_keys, render_banner

from tests.commands import command
from tests.served import PATIENCE, Server

if TYPE_CHECKING:
    from pathlib import Path

    from zof_emulator.settings import Settings

WRONG: Final = "capcity: 1\noutcomes:\n  - status: fail\n"
OWN_KEY: Final = "zof_own_secret_key"


def run(*arguments: str) -> int:
    """The exit status of a command."""
    with pytest.raises(SystemExit) as caught:
        main(arguments)
    return int(str(caught.value.code))


def settings(*arguments: str) -> Settings:
    """The settings that `serve` makes of a command line."""
    context = serve.make_context("serve", list(arguments))
    return build_settings(context.params, find_explicit_flags(context))


def test_check(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """`check` prints each mistake with file and line; its status is 0 without, 1 with mistakes, 2 without a file."""
    good, bad, missing = (tmp_path / name for name in ("good.yaml", "bad.yaml", "missing.yaml"))
    good.write_text("capacity: 2\nruns: [{project: proj_abc, cases: [tc_x], count: 3}]\n")
    bad.write_text(WRONG)
    assert run("scenario", "check", str(good)) == 0
    assert (
        capsys.readouterr().out
        == f"{good}: scenario good has no mistake; settings: 1, outcomes: 0, faults: 0, runs: 3\n"
    )
    assert run("scenario", "check", str(good), str(bad)) == 1
    assert capsys.readouterr().out.splitlines()[1:] == [
        f"{bad}:1: capcity: unknown field 'capcity'; the nearest is capacity",
        f'{bad}:3: outcomes[0].status: "fail" is not one of passed, failed, error; the nearest is failed',
    ]
    assert run("scenario", "check", str(missing), str(bad)) == 2
    assert capsys.readouterr().err == f"zof-emulator: error: cannot read {missing}: No such file or directory\n"


def test_show(capsys: pytest.CaptureFixture[str]) -> None:
    """`show` lists the built-in scenarios, prints one, and refuses an unknown name with the nearest."""
    assert run("scenario", "show") == 0
    assert [line.split()[0] for line in capsys.readouterr().out.splitlines()] == list_names()
    assert run("scenario", "show", "slow-queue") == 0
    assert capsys.readouterr().out == read_builtin("slow-queue")
    assert run("scenario", "show", "default") == 0
    assert run("scenario", "show", "slow-queu") == 2
    assert "the nearest is slow-queue" in capsys.readouterr().err


def test_schema(capsys: pytest.CaptureFixture[str]) -> None:
    """`schema` prints the schema of scenarios."""
    assert run("scenario", "schema") == 0
    assert json.loads(capsys.readouterr().out) == SCHEMA


def test_flags_override_the_scenario(tmp_path: Path) -> None:
    """A flag that is given overrides the setting of the scenario, and a flag that is left out does not."""
    file = tmp_path / "own.yaml"
    file.write_text("capacity: 2\nseed: 7\nclock: auto\nrate: {limit: 5, burst: 1}\nevolve: true\n")
    found = settings("--scenario", str(file), "--capacity", "4", "--burst", "3", "--port", "0")
    assert (found.capacity, found.seed, found.clock.value, found.port) == (4, 7, "auto", 0)
    assert (found.rate.limit, found.rate.burst, found.evolve, found.scenario.name) == (5, 3, True, "own")
    assert settings("--scenario", str(file), "--rate-limit", "9/60").rate.limit == 9
    assert settings("--scenario", "slow-queue").capacity == 1
    assert settings("--scenario", "empty").scenario is Scenario.EMPTY
    with pytest.raises(Exception, match="either --scenario or --no-samples"):
        settings("--scenario", "slow-queue", "--no-samples")


def test_a_variable_names_a_scenario(monkeypatch: pytest.MonkeyPatch) -> None:
    """The variables of the environment name a scenario and override its settings."""
    monkeypatch.setenv("ZOF_EMULATOR_SCENARIO", "slow-queue")
    assert settings().capacity == 1
    monkeypatch.setenv("ZOF_EMULATOR_CAPACITY", "3")
    assert settings().capacity == 3


@pytest.mark.parametrize(("name", "said"), [("slow-queu", "the nearest is slow-queue"), ("none.yaml", "cannot read")])
def test_an_unknown_scenario(name: str, said: str, capsys: pytest.CaptureFixture[str]) -> None:
    """`serve` refuses a scenario that is not there, in one line and with status 2."""
    assert run("serve", "--port", "0", "--scenario", name) == 2
    error = capsys.readouterr().err
    assert said in error
    assert error.count("\n") == 1


def test_watch_needs_a_file(capsys: pytest.CaptureFixture[str]) -> None:
    """`--watch` without a file is refused."""
    for more in ([], ["--scenario", "slow-queue"]):
        assert run("serve", "--port", "0", "--watch", *more) == 2
        assert "--watch needs the file of a scenario" in capsys.readouterr().err


def test_the_watcher(tmp_path: Path) -> None:
    """A change of the file is reported once, and a file that is gone for a while is no change."""
    file, changes = tmp_path / "x.yaml", list[int]()
    file.write_text("a: 1\n")
    watcher = FileWatcher(file, lambda: changes.append(1))
    watcher.check()
    assert changes == []
    file.write_text("a: 12\n")
    watcher.check()
    watcher.check()
    assert changes == [1]
    file.unlink()
    watcher.check()
    assert changes == [1]
    file.write_text("a: 123\n")
    watcher.check()
    assert changes == [1, 1]


def test_the_watcher_reads_no_pipe(tmp_path: Path) -> None:
    """A pipe or a folder in the place of the file is no change, since reading a pipe would block."""
    file, changes = tmp_path / "x.yaml", list[int]()
    file.write_text("a: 1\n")
    watcher = FileWatcher(file, lambda: changes.append(1))
    for put in (os.mkfifo, os.mkdir):
        (file.rmdir if file.is_dir() else file.unlink)()
        put(file)
        watcher.check()
        assert changes == []


def test_the_watcher_ends_while_its_function_hangs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The end of the watcher waits for its function for a limited time only."""
    monkeypatch.setattr(watch, "_PAUSE", 0.001)
    monkeypatch.setattr(watch, "_PATIENCE", 0.001)
    file, began, released = tmp_path / "x.yaml", Event(), Event()
    file.write_text("a: 1\n")

    def hang() -> None:
        began.set()
        released.wait()

    watcher = FileWatcher(file, hang)
    watcher.start()
    file.write_text("a: 12\n")
    assert began.wait(PATIENCE)
    watcher.stop()
    released.set()


def test_serve_follows_the_file(tmp_path: Path) -> None:
    """With `--watch` a changed file restarts the world; a file with a mistake changes nothing and is explained."""
    file = tmp_path / "own.yaml"
    file.write_text("capacity: 2\n")
    with Server("--scenario", str(file), "--watch", "--clock", "manual") as server:
        assert capacity(server) == 2
        replace_file(file, WRONG)
        wait_for(server, "nothing was changed, because the scenario has mistakes")
        assert capacity(server) == 2
        replace_file(file, "capacity: 3\nclock: auto\n")
        wait_for(server, "the default world was restarted")
        assert capacity(server) == 3
        assert scenario(server)["settings"]["clock"] == "manual"


def capacity(server: Server) -> int:
    """The capacity of the default world."""
    return int(str(scenario(server)["settings"]["capacity"]))


def test_exec_gives_the_key_of_the_scenario(tmp_path: Path) -> None:
    """A command finds the key of its scenario, which the emulator prints nowhere."""
    file = tmp_path / "own.yaml"
    file.write_text(
        "base: none\norganizations: [{id: org_x}]\nkeys:\n  - {secret: zof_viewer_key, role: Viewer}\n"
        f"  - {{secret: {OWN_KEY}, role: QA Lead}}\n"
    )
    client = "import os; print(os.environ['ZOF_API_KEY'])"
    done = command("exec", "--scenario", str(file), "--", sys.executable, "-c", client)
    assert (done.returncode, done.stdout, done.stderr) == (0, f"{OWN_KEY}\n", "")


def test_the_banner_shows_no_key_of_a_scenario(tmp_path: Path) -> None:
    """The banner shows the keys of the default data, and none that a scenario adds."""
    file = tmp_path / "own.yaml"
    file.write_text(f"keys: [{{secret: {OWN_KEY}, role: Viewer}}]\n")
    shown = render_banner("http://x/v1", list_public_keys(settings("--scenario", str(file)).scenario), "real", token="")
    assert "zof_test_admin" in shown
    assert OWN_KEY not in shown
    file.write_text(f"base: none\norganizations: [{{id: org_x}}]\nkeys: [{{secret: {OWN_KEY}, role: Viewer}}]\n")
    shown = render_banner("http://x/v1", list_public_keys(settings("--scenario", str(file)).scenario), "real", token="")
    assert "zof_test" not in shown
    assert OWN_KEY not in shown


def test_a_mistake_stops_the_boot(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A file with mistakes stops the boot with the first mistake and the number of the others."""
    file = tmp_path / "own.yaml"
    file.write_text(WRONG)
    with pytest.raises(UnusableScenario):
        settings("--scenario", str(file))
    assert run("serve", "--port", "0", "--scenario", str(file)) == 2
    assert (
        f"{file}:1: capcity: unknown field 'capcity'; the nearest is capacity (and 1 more)" in capsys.readouterr().err
    )


def replace_file(file: Path, text: str) -> None:
    """Replace a file at once, as an editor does."""
    new = file.with_suffix(".new")
    new.write_text(text)
    os.replace(new, file)  # noqa: PTH105  the name says that the old file goes


def scenario(server: Server) -> dict[str, dict[str, object]]:
    """The scenario of the default world."""
    with urllib.request.urlopen(f"http://127.0.0.1:{server.port}/_emulator/scenario", timeout=PATIENCE) as answer:
        found: dict[str, dict[str, object]] = json.load(answer)
    return found


def wait_for(server: Server, text: str) -> None:
    """Send requests until the server has logged a text."""
    end = time.monotonic() + PATIENCE
    while text not in server.log:
        assert time.monotonic() < end, server.log
        scenario(server)
