"""The command line: what each flag and its variable do, and what is said, in one line, when something is wrong."""

from __future__ import annotations

import os
import re
import socket
import subprocess
import sys
from typing import TYPE_CHECKING, Any, Final

import pytest
from zof_emulator.cli.main import main

from tests.commands import command, complaint
from tests.served import ROOT, START, Server, Wire, ask, environment, request
from tests.zof import ADMIN, CI

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

Effect = Any  # what a setting shows itself by


@pytest.mark.parametrize("flag", ["--help", "-h"])
def test_help_without_arguments(flag: str) -> None:
    """Without arguments the command prints the help that it prints when asked for it, and exits with 0."""
    bare, asked = command(), command(flag)
    assert (bare.returncode, bare.stderr) == (0, "")
    assert bare.stdout == asked.stdout
    assert "Commands:\n" in bare.stdout


# --- what a flag does


def get(server: Server, path: str, key: str | None = ADMIN) -> Any:  # noqa: ANN401  a JSON value
    """The IDs that exist."""
    answer = ask(server.port, request("GET", path, key=key))
    assert answer.status == 200
    return answer.json


def start(server: Server, **fields: str) -> Any:  # noqa: ANN401  a JSON value
    """The run that was started, or the refusal."""
    answer = ask(server.port, request("POST", "/v1/runs", {**START, **fields}))
    return answer.json if answer.status == 201 else answer.refusal


def the_limit(server: Server) -> Effect:
    """The limit's size, its window in seconds, and whether another key of the organization feels it."""
    answers = [ask(server.port, request("GET", "/v1/projects", key=key)) for key in (ADMIN, CI)]
    limit, left = (int(answers[1][f"x-ratelimit-{word}"] or "") for word in ("limit", "remaining"))
    window = int(answers[0]["x-ratelimit-reset"] or "") - 1_767_225_600
    return limit, window, "organization" if left == limit - 2 else "key"


def served_in_a_window(server: Server) -> Effect:
    """How many requests are served before the first 429."""
    served = 0
    while ask(server.port, request("GET", "/v1/projects")).status == 200:
        served += 1
    return served


def at_once(server: Server) -> Effect:
    """How many runs of six run at once."""
    for _ in range(6):
        assert start(server)["status"] == "queued"
    runs = get(server, "/v1/runs")["data"]
    return [run["status"] for run in runs].count("running")


def labels(server: Server) -> Effect:
    """Which of these environments a run may name."""
    return [name for name in ("staging", "qa", "eu.1", "dev") if "id" in dict(start_object(server, name))]


def start_object(server: Server, name: str) -> Any:  # noqa: ANN401  a JSON value
    """The body of the answer to a start in an environment."""
    return ask(server.port, request("POST", "/v1/runs", {**START, "environment": name})).json


def form_of_lines(server: Server) -> Effect:
    """The beginning of a log line."""
    get(server, "/v1/projects")
    return server.log.splitlines()[-1][:10]


def has_banner(server: Server) -> Effect:
    """Whether there was a banner."""
    return "Base URL" in server.log


def start_unknown_project(server: Server) -> Effect:
    """The answer to a start that names a project that does not exist."""
    run = start(server, project_id="proj_x")
    return run["project_id"] if isinstance(run, dict) else run


def links(server: Server) -> Effect:
    """The beginning of the links to runs."""
    return get(server, "/v1/runs/run_sample_failed")["url"].removesuffix("/run_sample_failed")


def count_journal(server: Server) -> Effect:
    """How many of five exchanges the journal still holds."""
    for _ in range(5):
        get(server, "/v1/projects")
    return len(get(server, "/_emulator/journal")["data"])


def worlds(server: Server) -> Effect:
    """How many worlds there may be, of five that are asked for."""
    for number in range(5):
        ask(server.port, request("GET", f"/w/{number}/v1/runs"))
    return len(get(server, "/_emulator/worlds")["data"])


def opens(server: Server) -> Effect:
    """Which of these tokens opens control."""
    tried = ("one", "two", "three")
    return [key for key in tried if ask(server.port, request("GET", "/_emulator/clock", key=key)).status == 200]


def readers(server: Server) -> Effect:
    """The origins whose pages may read answers."""
    tried = ("http://a.test", "http://b.test", "http://c")
    answers = {one: ask(server.port, request("GET", "/v1/projects", None, f"Origin: {one}".encode())) for one in tried}
    return [one for one, answer in answers.items() if answer["access-control-allow-origin"] == one]


def believes(server: Server) -> Effect:
    """Whether a client on this machine is believed to be a proxy."""
    answer = ask(server.port, request("GET", "/v1/runs/run_sample_failed", None, b"X-Forwarded-Host: a.test"))
    return str(answer.json["url"]).startswith("http://a.test/")


MANUAL: Final = ("--clock", "manual")
Case = tuple[str, str, "Effect", str, "Effect", "Callable[[Server], Effect]", tuple[str, ...]]
# flag, value in the environment and its effect, value on the command line and its effect, how it shows, other flags
FLAGS: Final[list[Case]] = [
    ("host", "127.0.0.2", "127.0.0.2", "127.0.0.1", "127.0.0.1", lambda server: server.ready["host"], ()),
    ("seed", "7", 7, "8", 8, lambda server: get(server, "/_emulator/version")["seed"], ()),
    ("clock", "manual", "manual", "real", "real", lambda server: get(server, "/_emulator/clock")["mode"], ()),
    ("rate-limit", "7/30:organization", (7, 30, "organization"), "9/90", (9, 90, "key"), the_limit, MANUAL),
    ("rate-limit", "off", (1_000_000_000, 60, "key"), "1000/1:key", (1000, 1, "key"), the_limit, MANUAL),
    ("burst", "3", 5, "1", 3, served_in_a_window, (*MANUAL, "--rate-limit", "2/60")),
    ("capacity", "1", 1, "5", 5, at_once, MANUAL),
    ("references", "strict", (404, "not_found", "project_id"), "open", "proj_x", start_unknown_project, ()),
    ("environment", "qa eu.1", ["staging", "qa", "eu.1"], "dev", ["staging", "dev"], labels, ()),
    ("journal", "3", 3, "4", 4, count_journal, ()),
    ("max-worlds", "3", 3, "4", 4, worlds, ()),
    ("token", "one", ["one"], "two", ["two"], opens, ()),
    ("public-url", "https://zof.test:8443", "https://zof.test:8443/runs", "http://a/b", "http://a/b/runs", links, ()),
    ("cors", "http://a.test http://b.test", ["http://a.test", "http://b.test"], "http://c", ["http://c"], readers, ()),
    ("trusted-proxy", "10.0.0.0/8 127.0.0.1", True, "10.0.0.1", False, believes, ()),
    ("log-format", "json", '{"level": ', "text", "2026-01-01", form_of_lines, MANUAL),
]  # fmt: skip


def variable(flag: str) -> str:
    """The variable that stands for a flag."""
    return f"ZOF_EMULATOR_{flag.upper().replace('-', '_')}"


IDS: Final = [f"{case[0]} {case[1]}"[:20] for case in FLAGS]


@pytest.mark.parametrize("case", FLAGS, ids=IDS)
def test_a_variable_does_what_its_flag_does(case: Case) -> None:
    """Each flag can be set in the environment."""
    flag, value, effect, _, _, shown, others = case
    with Server(*others, variables={variable(flag): value}) as server:
        assert shown(server) == effect


@pytest.mark.parametrize("case", FLAGS, ids=IDS)
def test_a_flag_beats_its_variable(case: Case) -> None:
    """An option on the command line takes precedence over the environment."""
    flag, value, _, given, effect, shown, others = case
    with Server(*others, f"--{flag}", given, variables={variable(flag): value}) as server:
        assert shown(server) == effect


def test_environments_add_up() -> None:
    """An organization may have several environments of its own."""
    with Server("--environment", "qa", "--environment", "eu.1") as server:
        assert labels(server) == ["staging", "qa", "eu.1"]


@pytest.mark.parametrize(
    ("flags", "value", "shown"),
    [
        ((), None, True),
        (("--quiet",), None, False),
        (("-q",), None, False),
        ((), "1", False),
        ((), "true", False),
        ((), "0", True),
    ],
    ids=["by default", "flag", "short flag", "1", "true", "0"],
)
def test_quiet_leaves_out_the_banner(flags: Sequence[str], value: str | None, shown: bool) -> None:  # noqa: FBT001
    """Quiet by flag or variable, there is no banner."""
    with Server(*flags, variables={} if value is None else {"ZOF_EMULATOR_QUIET": value}) as server:
        assert has_banner(server) is shown


@pytest.mark.parametrize(
    ("flags", "value", "samples"),
    [((), None, 2), (("--no-samples",), None, 0), ((), "0", 0), ((), "false", 0), ((), "1", 2),
     (("--samples",), "0", 2), (("--no-samples",), "1", 0)],
    ids=["by default", "flag", "0", "false", "1", "flag over 0", "flag over 1"],
)  # fmt: skip
def test_samples_can_be_left_out(flags: Sequence[str], value: str | None, samples: int) -> None:
    """Without samples, by flag or variable, a fresh world holds no run."""
    with Server(*flags, variables={} if value is None else {"ZOF_EMULATOR_SAMPLES": value}) as server:
        assert len(get(server, "/v1/runs")["data"]) == samples


@pytest.fixture
def port() -> int:
    """A port that is free until the test takes it."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        found: int = listener.getsockname()[1]
    return found


@pytest.mark.parametrize("name", ["--port", "-p"])
def test_the_port(port: int, name: str) -> None:
    """The port is the flag's, by either of its names, though the environment has another."""
    done = [sys.executable, "-m", "zof_emulator", "serve", name, str(port), "--quiet"]
    with subprocess.Popen(
        done, cwd=ROOT, env=environment({"ZOF_EMULATOR_PORT": "1"}), stdout=subprocess.PIPE
    ) as process:
        try:
            assert process.stdout is not None
            assert f'"port": {port},' in process.stdout.readline().decode()
            assert ask(port, request("GET", "/v1/runs")).status == 200
        finally:
            process.terminate()


def test_the_port_in_the_environment(port: int) -> None:
    """The port may stand in the environment; 0 on the command line picks a free one all the same."""
    with Server(variables={"ZOF_EMULATOR_PORT": str(port)}) as server:
        assert server.port != port
    done = [sys.executable, "-m", "zof_emulator", "serve", "--quiet"]
    with subprocess.Popen(
        done, cwd=ROOT, env=environment({"ZOF_EMULATOR_PORT": str(port)}), stdout=subprocess.PIPE
    ) as process:
        try:
            assert process.stdout is not None
            assert f'"port": {port},' in process.stdout.readline().decode()
        finally:
            process.terminate()


# --- what cannot be

BAD: Final = [
    ("port", "65536"), ("port", "-1"), ("port", "http"), ("port", "9630.5"), ("port", "٣x"),
    ("seed", "-1"), ("seed", "9223372036854775808"), ("seed", "now"),
    ("clock", "wall"), ("clock", ""),
    ("rate-limit", "100"), ("rate-limit", "0/60"), ("rate-limit", "1/0"), ("rate-limit", "1/60:user"),
    ("rate-limit", "OFF"), ("rate-limit", "٣/٣"), ("rate-limit", "1/60 "),
    ("burst", "-1"), ("burst", "1000001"), ("burst", "x"),
    ("capacity", "0"), ("capacity", "1000001"), ("capacity", "many"),
    ("references", "closed"),
    ("environment", "a b"), ("environment", "-x"), ("environment", "ä"), ("environment", "a" * 64),
    ("public-url", "zof.test"), ("public-url", "ftp://zof.test"), ("public-url", "http://zof.test//v1"),
    ("public-url", "http://[::1"), ("public-url", "http://zof.test:99999"), ("public-url", "http://☃.test"),
    ("public-url", "http://a b"), ("public-url", "http://a?b"),
    ("cors", "*"), ("cors", "null"), ("cors", "http://a/b"),
    ("trusted-proxy", "proxy.test"), ("trusted-proxy", "1.2.3.4/33"),
    ("journal", "-1"), ("journal", "x"), ("max-worlds", "0"), ("max-worlds", "x"),
    ("world-idle", "0"), ("world-idle", "x"),
    ("log-format", "xml"),
    ("workers", "two"),
]  # fmt: skip


def run_in_process(*arguments: str, variables: Mapping[str, str], printed: pytest.CaptureFixture[str]) -> str:
    """The one line in which a command complains that is run in this process, where many can be run in no time.

    Its host is nobody's, so that a command that should not start does not.
    """
    printed.readouterr()
    with pytest.MonkeyPatch.context() as patch:
        for name in os.environ.keys() - environment({}).keys():
            patch.delenv(name)
        for name, value in variables.items():
            patch.setenv(name, value)
        with pytest.raises(SystemExit) as ended:
            main(["serve", "--host=192.0.2.1", *arguments])
    out, err = printed.readouterr()
    return complaint(subprocess.CompletedProcess(arguments, int(ended.value.code or 0), out, err))


@pytest.mark.parametrize(("flag", "value"), BAD, ids=[f"{flag} {value}"[:30] for flag, value in BAD])
def test_a_bad_value_of_a_flag(capsys: pytest.CaptureFixture[str], flag: str, value: str) -> None:
    """A value that a flag does not take is one line that names the flag, and exit status 2."""
    assert f"'--{flag}'" in run_in_process(f"--{flag}={value}", variables={}, printed=capsys)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("PORT", "x"),
        ("SEED", "-1"),
        ("RATE_LIMIT", "5"),
        ("ENVIRONMENT", "ok ä"),
        ("QUIET", "perhaps"),
        ("SAMPLES", "perhaps"),
    ],
    ids=str,
)
def test_a_bad_value_of_a_variable(capsys: pytest.CaptureFixture[str], name: str, value: str) -> None:
    """A value that a variable does not take is one line that names the variable, and exit status 2."""
    assert f"ZOF_EMULATOR_{name}" in run_in_process(variables={f"ZOF_EMULATOR_{name}": value}, printed=capsys)


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (("serve", "--port=abc"), "'abc' is not allowed; use a whole number from 0 to 65535"),
        (("serve", "--burst=-1"), "'-1' is not allowed; use a whole number from 0 to 1000000"),
        (("exec", "--port=65536", "true"), "'65536' is not allowed; use a whole number from 0 to 65535"),
        (("status", "--wait=soon"), "'soon' is not allowed; use a whole number from 0 to 3600"),
        (("stop", "--port=0"), "'0' is not allowed; use a whole number from 1 to 65535"),
        (("env", "--port=1.5"), "'1.5' is not allowed; use a whole number from 1 to 65535"),
        (("env", "--host=a b"), "invalid host 'a b': use a host name or an IP address without a port"),
        (("env", "--host=http://a"), "invalid host 'http://a': use a host name or an IP address without a port"),
        (("webhooks", "--url=ftp://a"), "invalid URL 'ftp://a': use a scheme, a host and a path"),
    ],
    ids=str,
)
def test_an_error_says_what_is_allowed(
    arguments: Sequence[str], expected: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """The error about a value of an option names the option, the value, and what is allowed, in one line."""
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    assert ended.value.code == 2
    error = capsys.readouterr().err
    assert expected in error
    assert arguments[1].partition("=")[0] in error
    assert error.count("\n") == 1


@pytest.mark.parametrize("name", ["PREFER", "EVOLVE", "QUIET", "SAMPLES", "WATCH", "DETACH"])
def test_a_variable_that_is_neither_true_nor_false(capsys: pytest.CaptureFixture[str], name: str) -> None:
    """The error about a variable of a switch names the values that it takes."""
    found = run_in_process(variables={f"ZOF_EMULATOR_{name}": "maybe"}, printed=capsys)
    assert "'maybe' is not allowed; use true or false, yes or no, on or off, 1 or 0" in found


@pytest.mark.parametrize(
    "arguments",
    [("serve", "--seed", "x"), ("serve", "--prot", "1"), ("serve", "extra"), ("serve", "-p"), ("sevre",), ("--prot",)],
    ids=" ".join,
)
def test_a_mistyped_command_line(arguments: Sequence[str]) -> None:
    """An unknown option or command is one line, and exit status 2."""
    complaint(command(*arguments))


@pytest.mark.parametrize(
    ("flags", "variables"),
    [
        (("--workers", "2"), {}),
        ((), {"WEB_CONCURRENCY": "2"}),
        (("--workers", "0"), {}),
        (("--workers", "3"), {"WEB_CONCURRENCY": "1"}),
    ],
    ids=["flag", "WEB_CONCURRENCY", "none", "flag over variable"],
)
def test_more_than_one_worker(flags: Sequence[str], variables: Mapping[str, str]) -> None:
    """More than one process is refused with the reason: each would have a state of its own."""
    line = complaint(command("serve", "--port=0", *flags, variables=variables))
    assert "1 worker" in line
    assert "state" in line


@pytest.mark.parametrize(
    ("flags", "value"), [((), "1"), ((), ""), (("--workers", "1"), "4")], ids=["1", "empty", "flag over variable"]
)
def test_one_worker(flags: Sequence[str], value: str) -> None:
    """One process is what there is, so asking for it is fine; an empty variable asks for nothing."""
    with Server(*flags, variables={"WEB_CONCURRENCY": value}) as server:
        assert ask(server.port, request("GET", "/v1/runs")).status == 200


def test_an_unknown_variable() -> None:
    """A variable that begins as ours do, and that no command reads, is refused with the nearest one, by any command."""
    for command_name in ("serve", "status", "scenario"):
        line = complaint(command(command_name, variables={"ZOF_EMULATOR_CLOK": "auto"}))
        assert line.endswith("unknown environment variable ZOF_EMULATOR_CLOK; the nearest is ZOF_EMULATOR_CLOCK")


@pytest.mark.parametrize(
    "name", ["ZOF_EMULATOR_URL", "ZOF_EMULATOR_TOKEN", "ZOF_EMULATOR_DETACH", "ZOF_EMULATOR_SERVICE_HOST"]
)
def test_a_known_variable(name: str) -> None:
    """The variables of one command are no mistake for another, nor are those of `exec` and of Kubernetes."""
    done = command("scenario", "show", variables={name: ""})
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("program", ["zof_emulator", "zof_contracts"])
def test_the_list_of_commands(program: str) -> None:
    """The help describes each command by a whole sentence on one line of at most 80 characters."""
    printed = subprocess.run(
        [sys.executable, "-m", program, "--help"], env=environment({}), capture_output=True, text=True, check=True
    ).stdout
    lines = printed.partition("Commands:\n")[2].splitlines()
    assert len(lines) >= 8
    for line in lines:
        assert re.fullmatch(r"  [a-z]+ +[A-Z].*[A-Za-z]\.", line)
        assert len(line) <= 80


def test_an_empty_variable_is_none() -> None:
    """A variable that is set to nothing is as good as not set."""
    names = {case[0] for case in FLAGS} | {"quiet", "samples"}
    with Server(variables={variable(name): "" for name in names}) as server:
        assert len(get(server, "/v1/runs")["data"]) == 2
        assert has_banner(server)


def test_a_port_in_use() -> None:
    """A port that somebody listens on is one line that names it and says what to do."""
    with Server() as server:
        line = complaint(command("serve", "--port", str(server.port)))
        assert f"127.0.0.1:{server.port}" in line
        assert "--port" in line
        assert ask(server.port, request("GET", "/v1/runs")).status == 200


@pytest.mark.parametrize(
    "host", ["no.such.invalid", "", "a..b", "a" * 64, "192.0.2.1", "http://127.0.0.1"], ids=lambda host: host[:20]
)
def test_a_host_that_cannot_be_had(host: str) -> None:
    """A host that does not resolve, or is another machine's, is one line that names it."""
    assert host in complaint(command("serve", "--port=0", f"--host={host}"))


def test_a_host_in_no_encoding() -> None:
    """A host that is not even text is one line."""
    complaint(command("serve", "--port=0", "--host=" + os.fsdecode(b"\xff")))


# --- asking


def test_version() -> None:
    """--version is one line on stdout."""
    done = command("--version")
    assert (done.returncode, done.stderr) == (0, "")
    assert re.fullmatch(r"zof-emulator, version \S+\n", done.stdout)


@pytest.mark.parametrize("name", ["--help", "-h"])
def test_help(name: str) -> None:
    """--help on stdout names every flag with its variable, without escape codes."""
    assert "serve" in command(name).stdout
    done = command("serve", name, variables={"FORCE_COLOR": "1", "COLUMNS": "200"})
    assert (done.returncode, done.stderr) == (0, "")
    assert "\x1b" not in done.stdout
    for flag in {case[0] for case in FLAGS} | {"port", "quiet", "samples", "world-idle", "load", "save-on-exit"}:
        assert f"--{flag}" in done.stdout
        assert variable(flag) in done.stdout
    assert "WEB_CONCURRENCY" in done.stdout or "--workers" in done.stdout


def test_two_servers_side_by_side() -> None:
    """Two emulators on two ports know nothing of each other."""
    with Server() as one, Server() as other:
        start(one)
        assert [len(get(server, "/v1/runs")["data"]) for server in (one, other)] == [3, 2]


def test_a_connection_that_says_nothing() -> None:
    """Connections that say nothing keep nobody out."""
    with Server() as server, Wire(server.port), Wire(server.port):
        assert ask(server.port, request("GET", "/v1/runs")).status == 200
