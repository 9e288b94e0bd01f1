"""`zof-emulator exec` and `zof-emulator env`, run as users run them."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from typing import TYPE_CHECKING, Final

import pytest

from tests.served import PATIENCE, environment

if TYPE_CHECKING:
    from pathlib import Path

CLIENT: Final = """
import json, os, sys, urllib.request
headers = {"Authorization": "Bearer " + os.environ["ZOF_API_KEY"], "Content-Type": "application/json"}
order = {"project_id": "proj_a", "environment": "staging", "test_suite_id": "suite_a"}
request = urllib.request.Request(os.environ["ZOF_BASE_URL"] + "/runs", json.dumps(order).encode(), headers)
print(json.load(urllib.request.urlopen(request))["status"])
"""


def execute(*arguments: str, folder: Path | None = None) -> subprocess.CompletedProcess[str]:
    """Run `zof-emulator exec` with these arguments."""
    return subprocess.run(
        [sys.executable, "-m", "zof_emulator", "exec", *arguments],
        cwd=folder,
        env=environment({}),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )


def run_module(module: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run one of the commands."""
    command = [sys.executable, "-m", module, *arguments]
    return subprocess.run(command, env=environment({}), capture_output=True, text=True, timeout=PATIENCE, check=False)


def test_a_client_finds_the_emulator() -> None:
    """The command gets the address and the key, and its output passes through unchanged."""
    done = execute("--", sys.executable, "-c", CLIENT)
    assert (done.returncode, done.stdout, done.stderr) == (0, "queued\n", "")


@pytest.mark.parametrize("status", [0, 1, 3, 255])
def test_the_exit_status_is_that_of_the_command(status: int) -> None:
    """The exit status of the command is passed on."""
    assert execute("sh", "-c", f"exit {status}").returncode == status


def test_a_command_that_a_signal_ends() -> None:
    """A command that a signal ends gives 128 and the signal's number, as in a shell."""
    assert execute("sh", "-c", "kill -TERM $$").returncode == 128 + signal.SIGTERM


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--", "no-such-command", "it's"), "cannot start no-such-command 'it'\"'\"'s': No such file or directory"),
        (("--seed", "x", "true"), "'--seed'"),
        ((), "Missing argument 'COMMAND...'"),
        (("--load", "no-such-file", "true"), "no-such-file"),
        (("--report", "junit", "true"), "--report and --report-dir need --check-client"),
        (("--journal", "no/such/folder/file", "true"), "no/such/folder/file"),
    ],
)
def test_what_cannot_be_done(arguments: tuple[str, ...], message: str) -> None:
    """An error is one line on stderr with exit status 2, and the command does not run."""
    done = execute(*arguments)
    assert (done.returncode, done.stdout) == (2, "")
    assert message in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_options_of_the_command_are_its_own() -> None:
    """Options behind the command belong to it."""
    assert execute("sh", "-c", 'echo "$@"', "sh", "--seed", "--help").stdout == "--seed --help\n"


def test_options_of_the_emulator(tmp_path: Path) -> None:
    """The emulator takes the options of `serve`: a world of this clock, without runs."""
    script = 'curl -sf "$ZOF_CONTROL_URL/clock"; curl -sf -H "Authorization: Bearer $ZOF_API_KEY" "$ZOF_BASE_URL/runs"'
    done = execute("--clock", "manual", "--no-samples", "sh", "-c", script, folder=tmp_path)
    assert '"mode":"manual"' in done.stdout
    assert '"data":[]' in done.stdout


def test_the_summary_and_the_journal(tmp_path: Path) -> None:
    """The summary lists called and uncalled operations; the journal file can be replayed."""
    file = tmp_path / "exchanges.ndjson"
    done = execute("--summary", "--clock", "manual", "--journal", str(file), sys.executable, "-c", CLIENT)
    assert done.returncode == 0
    first, call, never = done.stderr.splitlines()
    assert first == "zof-emulator: 1 request reached an operation"
    assert call.split() == ["startRun", "201:", "1"]
    assert never.startswith("never called: ")
    assert "startRun" not in never
    assert "cancelRun" in never
    header, exchange = map(json.loads, file.read_text().splitlines())
    assert (header["clock"], exchange["operation"]) == ("manual", "startRun")
    replayed = [sys.executable, "-m", "zof_emulator", "replay", str(file)]
    assert subprocess.run(replayed, env=environment({}), capture_output=True, check=False).returncode == 0


BROKEN: Final = """
import json, os, urllib.request
rule = {"match": {"operation": "listRuns"}, "schedule": {"first": 1}, "effect": {"reset": True}}
headers = {"Authorization": "Bearer " + os.environ["ZOF_API_KEY"], "Content-Type": "application/json"}
faults = os.environ["ZOF_CONTROL_URL"] + "/faults"
urllib.request.urlopen(urllib.request.Request(faults, json.dumps(rule).encode(), headers))
for path in ("/runs", "/runs", "/runs/run_missing"):
    try:
        urllib.request.urlopen(urllib.request.Request(os.environ["ZOF_BASE_URL"] + path, headers=headers))
    except OSError:
        pass
"""


def test_the_summary_of_requests_without_success() -> None:
    """The summary counts the requests that were refused, by status, and those that got no answer."""
    done = execute("--summary", sys.executable, "-c", BROKEN)
    assert done.returncode == 0, done.stderr
    lines = [line.split(maxsplit=1) for line in done.stderr.splitlines()[1:3]]
    assert lines == [["listRuns", "no answer: 1, 200: 1"], ["getRun", "404: 1"]]


WORLDS: Final = """
import json, os, urllib.request
url = os.environ["ZOF_EMULATOR_URL"]
headers = {"Authorization": "Bearer " + os.environ["ZOF_API_KEY"]}
def send(method, path):
    urllib.request.urlopen(urllib.request.Request(url + path, method=method, headers=headers))
send("GET", "/v1/runs")
send("POST", "/_emulator/reset")
send("GET", "/v1/projects")
send("GET", "/w/mine/v1/results")
send("DELETE", "/_emulator/worlds/mine")
send("GET", "/w/other/v1/webhooks")
send("DELETE", "/w/other/_emulator/journal")
send("GET", "/w/other/v1/webhooks")
"""


def test_all_worlds(tmp_path: Path) -> None:
    """The summary and the journal hold the exchanges of all worlds, also of those that were reset or deleted."""
    file = tmp_path / "exchanges.ndjson"
    done = execute("--summary", "--clock", "manual", "--journal", str(file), sys.executable, "-c", WORLDS)
    assert done.returncode == 0, done.stderr
    first, *lines, _never = done.stderr.splitlines()
    assert first == "zof-emulator: 5 requests reached an operation"
    called = [["listProjects", "200:", "1"], ["listResults", "200:", "1"], ["listRuns", "200:", "1"]]
    assert sorted(line.split() for line in lines) == [*called, ["listWebhooks", "200:", "2"]]
    found: list[tuple[str, list[str]]] = []
    for line in map(json.loads, file.read_text().splitlines()):
        if "format" in line:
            found.append((line["world"], []))
        elif line["operation"] in {"listRuns", "listProjects", "listResults", "listWebhooks"}:
            found[-1][1].append(line["operation"])
    listed = ["listWebhooks"]
    assert found[:3] == [("default", ["listRuns"]), ("mine", ["listResults"]), ("other", listed)]
    assert sorted(found[3:]) == [("default", ["listProjects"]), ("other", listed)]


def test_a_file_with_several_journals(tmp_path: Path) -> None:
    """`replay` and `zof-contracts check` read the journals of all worlds in the file of `exec --journal`."""
    file = tmp_path / "exchanges.ndjson"
    script = WORLDS.replace('send("DELETE", "/w/other/_emulator/journal")', "")
    assert execute("--clock", "manual", "--journal", str(file), sys.executable, "-c", script).returncode == 0
    replayed = run_module("zof_emulator", "replay", str(file))
    assert (replayed.returncode, replayed.stdout.split()[0]) == (0, replayed.stdout.split()[2])
    checked = run_module("zof_contracts", "check", str(file))
    assert checked.returncode == 0, checked.stdout
    changed = file.read_text().replace('"world":"other","seed":0', '"world":"other","seed":1')
    file.write_text(changed)
    replayed = run_module("zof_emulator", "replay", str(file))
    assert replayed.returncode == 1
    assert "journal 4, number 1, GET /v1/webhooks: headers differs" in replayed.stdout


def test_a_journal_that_cannot_be_replayed(tmp_path: Path) -> None:
    """`replay` names the journals of a file that it cannot replay, replays the others, and ends with 2."""
    file = tmp_path / "exchanges.ndjson"
    assert execute("--clock", "manual", "--journal", str(file), sys.executable, "-c", WORLDS).returncode == 0
    replayed = run_module("zof_emulator", "replay", str(file))
    assert replayed.returncode == 2
    first, last = replayed.stdout.splitlines()
    assert first.startswith("journal 5 was not replayed: the first 1 exchanges of the world other are gone")
    assert last == "4 of 4 answers are the same, byte for byte"


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGUSR1])
def test_signals_reach_the_command(number: signal.Signals) -> None:
    """A signal is passed on to the command, and the exit status is the command's."""
    trap = f"trap 'echo trapped; exit 7' {number.name[3:]}; echo ready; while :; do read _ || sleep 0.01; done"
    process = subprocess.Popen(
        [sys.executable, "-m", "zof_emulator", "exec", "sh", "-c", trap],
        env=environment({}),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    try:
        assert process.stdout.readline() == "ready\n"
        process.send_signal(number)
        assert process.communicate(timeout=PATIENCE)[0] == "trapped\n"
        assert process.returncode == 7
    finally:
        process.kill()
        process.stdout.close()


def test_no_process_is_left_behind() -> None:
    """Background processes of the command are ended, with SIGKILL if they ignore SIGTERM.

    The background process holds the pipe that is read here: reading ends only when that process has ended.
    """
    done = execute("sh", "-c", "trap '' TERM; sleep 1000 & exit 5")
    assert (done.returncode, done.stdout) == (5, "")


LEAVES: Final = """
import os, signal, subprocess, sys
signal.signal(signal.SIGTERM, signal.SIG_IGN)
if os.fork():
    os._exit(6)
os.setsid()
if os.fork():
    os._exit(0)
print(os.getpid(), flush=True)
os.close(1)
os.close(2)
signal.pause()
"""


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux lets a process adopt orphans")
def test_no_daemon_is_left_behind() -> None:
    """A daemon, which has left the process group and the session, ignores SIGTERM and holds no pipe, is ended too."""
    done = execute(sys.executable, "-c", LEAVES)
    assert done.returncode == 6, done.stderr
    with pytest.raises(ProcessLookupError):
        os.kill(int(done.stdout), 0)


def shell(*arguments: str, **variables: str) -> str:
    """The output of `zof-emulator env`."""
    command = [sys.executable, "-m", "zof_emulator", "env", *arguments]
    return subprocess.run(command, env=environment(variables), capture_output=True, text=True, check=True).stdout


def test_env() -> None:
    """The printed commands set the variables in a shell, and with --unset remove them."""
    script = f"{shell('--port', '1234', '--host', '::1')}\necho $ZOF_BASE_URL $ZOF_API_KEY\n{shell('--unset')}\nenv"
    done = subprocess.run(["/bin/sh"], input=script, env={}, capture_output=True, text=True, check=True)
    first, *variables = done.stdout.splitlines()
    assert first == "http://[::1]:1234/v1 zof_test_admin"
    assert not any(line.startswith("ZOF_") for line in variables)


def test_the_key_of_env(tmp_path: Path) -> None:
    """`env` prints the key of the scenario that a flag or the variable of `serve` names, or the key that is given."""
    own = tmp_path / "own.yaml"
    own.write_text("base: none\norganizations: [{id: org_a}]\nkeys: [{secret: zof_own_key, role: QA Lead}]\n")
    line = "export ZOF_API_KEY=zof_own_key\n"
    assert line in shell("--scenario", str(own))
    assert line in shell(ZOF_EMULATOR_SCENARIO=str(own))
    assert "export ZOF_API_KEY=zof_test_ci\n" in shell("--key", "zof_test_ci", ZOF_EMULATOR_SCENARIO=str(own))
    assert "export ZOF_API_KEY=zof_test_admin\n" in shell("--scenario", "slow-queue")
    with pytest.raises(subprocess.CalledProcessError) as failed:
        shell("--scenario", "slow-queu")
    assert failed.value.returncode == 2
    assert "the nearest is slow-queue" in failed.value.stderr
