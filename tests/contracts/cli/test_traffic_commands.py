"""The commands on recorded traffic end with the documented status, and an error is one line."""

from __future__ import annotations

import http.client
import io
import json
import signal
import socket
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest
from zof_contracts.cli.main import main

from tests.client_programs import broken, good
from tests.client_programs.rig import Rig
from tests.served import ROOT, Server, environment, first_line
from tests.zof import ADMIN

if TYPE_CHECKING:
    from pathlib import Path

COMMAND = [sys.executable, "-P", "-m", "zof_contracts"]


def run(*arguments: str, stdin: bytes = b"", folder: Path | None = None) -> tuple[int, str, str]:
    """Status, output and errors of a command."""
    done = subprocess.run(
        [*COMMAND, *arguments],
        input=stdin,
        capture_output=True,
        cwd=folder,
        env=environment({}),
        check=False,
        timeout=60,
    )
    return done.returncode, done.stdout.decode(), done.stderr.decode()


def record(program: Any) -> bytes:  # noqa: ANN401  a module with a program
    """A recording of a client, as HAR."""
    rig = Rig(rate=17)
    program.run_program(rig.base, ADMIN, rig.sleep, rig.transport())
    return rig.har()


def test_a_broken_client_ends_with_status_1(tmp_path: Path) -> None:
    """Findings are reported in every format without the key, and a baseline forgives them."""
    (tmp_path / "session.har").write_bytes(record(broken))
    forms = "text,json,junit,sarif,html,gitlab"
    status, output, _ = run("client", "session.har", "--report", forms, folder=tmp_path)
    assert status == 1
    assert "VIOLATED  client.cancel.not-after-end" in output
    reports = list((tmp_path / "contract-report").iterdir())
    assert len(reports) == 5
    assert all(ADMIN not in path.read_text() for path in reports)
    assert ADMIN not in output
    baseline = ("--baseline", "contract-report/report.json")
    assert run("client", "session.har", *baseline, folder=tmp_path)[0] == 0
    assert run("client", "session.har", "--include", "client.retry.jitter", folder=tmp_path)[0] == 2
    assert run("client", "session.har", "--include", "client.requests.json", folder=tmp_path)[0] == 0


def test_a_finding_names_the_recordings_that_show_it(tmp_path: Path) -> None:
    """Of several recordings, a finding names those that show it, in the text report and in the JSON report."""
    for name, program in (("bad.har", broken), ("good.har", good), ("again.har", broken)):
        (tmp_path / name).write_bytes(record(program))
    _, output, _ = run("client", "bad.har", "good.har", "again.har", "--report", "text,json", folder=tmp_path)
    assert "recorded  in bad.har, again.har" in output
    report = json.loads((tmp_path / "contract-report" / "report.json").read_text())
    assert {tuple(each["recordings"]) for each in report["findings"]} == {("bad.har", "again.har")}


def test_a_good_client_ends_with_status_0() -> None:
    """A client without findings ends with 0, from standard input too; too little evidence ends with 2."""
    har = record(good)
    for command in ("client", "check", "coverage"):
        status, output, errors = run(command, "-", stdin=har)
        assert (status, errors) == (0, ""), output
    assert run("client", "-", "--fail-under", "99", stdin=har)[0] == 2
    assert run("coverage", "-", "--fail-under", "99", stdin=har)[0] == 1


@pytest.mark.parametrize(
    ("arguments", "content"),
    [
        ([], b""),
        (["-"], b""),
        (["-"], b"hello"),
        (
            ["-"],
            b'{"log": {"entries": [{"request": {"url": "https://example.com", "method": "GET"}, "response": {}}]}}',
        ),
        (["nothing.har"], b""),
        (["-", "--url", "http://127.0.0.1:1"], b""),
        (["--url", "http://127.0.0.1:1"], b""),
        (["--url", "nothing"], b""),
        (["-", "--base-url", "ftp://x"], b"x"),
        (["-", "--report", "har"], b"x"),
    ],
)
def test_what_cannot_be_read_ends_with_status_2(
    arguments: list[str], content: bytes, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A file that is empty, foreign or not there, and a wrong address, are one line and status 2."""
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(content)))
    for command in ("client", "check", "coverage"):
        with pytest.raises(SystemExit) as ended:
            main([command, *arguments])
        output, errors = capsys.readouterr()
        assert (ended.value.code, output) == (2, "")
        assert errors.startswith("zof-contracts: error: ")
        assert errors.count("\n") == 1


def test_a_world_that_does_not_exist_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    """The address of a world that the emulator does not have is one line, for each command that reads journals."""
    with Server("--quiet") as server:
        for command in ("client", "check", "coverage"):
            with pytest.raises(SystemExit) as ended:
                main([command, "--url", f"http://127.0.0.1:{server.port}/w/nowhere"])
            error = capsys.readouterr().err
            assert (ended.value.code, error.count("\n")) == (2, 1)
            assert error.endswith("/w/nowhere: the emulator has no world 'nowhere'\n")


def test_the_proxy_reports_when_it_is_asked_to_end(tmp_path: Path) -> None:
    """The proxy prints where it listens, forwards, and writes its reports when a signal ends it."""
    with Server("--quiet") as server:
        upstream = f"http://127.0.0.1:{server.port}/v1"
        process = subprocess.Popen(
            [*COMMAND, "proxy", "--upstream", upstream, "-p", "0", "--report", "text,json", "--quiet"],
            cwd=tmp_path,
            env=environment({"PYTHONPATH": str(ROOT)}),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        ready = json.loads(first_line(process))
        port = int(ready["base_url"].removesuffix("/v1").rpartition(":")[2])
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
        connection.request("GET", "/v1/projects", headers={"Authorization": f"Bearer {ADMIN}"})
        answer = connection.getresponse()
        assert (answer.status, bool(answer.read())) == (200, True)
        process.send_signal(signal.SIGTERM)
        output, errors = process.communicate(timeout=20)
        connection.close()
    assert (process.returncode, errors) == (0, b"")
    assert b"keeps the" in output
    folder = tmp_path / "contract-report"
    assert (folder / "coverage.json").exists()
    for name in ("contract", "client"):
        assert json.loads((folder / name / "report.json").read_text())["summary"]["requests"] == 1


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        (["--upstream", "x"], "--upstream"),
        (["--upstream", "http://127.0.0.1:9630/w/beta"], "/w/beta"),
        (["--upstream", "http://127.0.0.1:9630", "--host", "0.0.0.0"], "--token"),  # noqa: S104
        (["--upstream", "http://127.0.0.1:9630", "--token", "short"], "--token"),
        (["--upstream", "https://127.0.0.1:9630", "--ca-file", "nothing.pem"], "nothing.pem"),
    ],
)
def test_the_proxy_refuses_what_it_cannot_do(
    arguments: list[str], word: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """A wrong option of the proxy is one line and status 2."""
    with pytest.raises(SystemExit) as ended:
        main(["proxy", *arguments])
    output, errors = capsys.readouterr()
    assert (ended.value.code, output) == (2, "")
    assert word in errors
    assert errors.count("\n") == 1


def test_the_proxy_says_that_a_port_is_taken() -> None:
    """A port that is taken is one line and status 2."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        status, _, errors = run("proxy", "--upstream", "http://127.0.0.1:9630", "-p", str(port))
    assert status == 2
    assert f"cannot listen on 127.0.0.1:{port}" in errors
    assert errors.count("\n") == 1


def test_the_rules_for_clients_are_listed_and_explained() -> None:
    """The catalogue lists the rules for clients, and explains each."""
    status, output, _ = run("rules", "--client")
    assert status == 0
    assert "31 rules" in output
    status, output, _ = run("explain", "client.retry.retry-after")
    assert status == 0
    assert "A client that breaks it acts against the vendor's advice." in " ".join(output.split())
