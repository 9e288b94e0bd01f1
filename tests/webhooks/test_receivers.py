"""Users' receivers: the examples in Starlette and Node take deliveries from a real server, and refuse forgeries."""

from __future__ import annotations

import json
import re
import runpy
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import pytest

from tests.served import PATIENCE, Server, environment
from tests.zof import ADMIN

if TYPE_CHECKING:
    from collections.abc import Iterator

EXAMPLES: Final = Path(__file__).parents[2] / "examples"
README: Final = (EXAMPLES.parent / "README.md").read_text()
SECRET: Final = "whsec_of_the_tests_é"  # noqa: S105  of the tests alone


def call(server: Server, method: str, path: str, body: object = None) -> Any:  # noqa: ANN401  JSON
    """Send a request to the server."""
    request = urllib.request.Request(
        f"http://127.0.0.1:{server.port}{path}",
        None if body is None else json.dumps(body).encode(),
        {"Content-Type": "application/json", "Authorization": f"Bearer {ADMIN}"},
        method=method,
    )
    with urllib.request.urlopen(request, timeout=PATIENCE) as answer:  # noqa: S310
        return json.load(answer)


def free_port() -> int:
    """A port on which nobody listens."""
    with socket.create_server(("127.0.0.1", 0)) as found:
        port: int = found.getsockname()[1]
        return port


@contextmanager
def receiver(command: list[str], port: int) -> Iterator[subprocess.Popen[str]]:
    """A receiver as a process, which listens when the `with` begins."""
    own = {"ZOF_WEBHOOK_SECRET": SECRET, "PORT": str(port)}
    with subprocess.Popen(
        command, cwd=EXAMPLES, env=environment(own), stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as process:
        try:
            end = time.monotonic() + PATIENCE
            while True:
                try:
                    socket.create_connection(("127.0.0.1", port), 1).close()
                    break
                except OSError:
                    assert time.monotonic() < end
                    assert process.poll() is None
            yield process
        finally:
            process.kill()


COMMANDS: Final = {
    "starlette": [sys.executable, "-m", "uvicorn", "webhook_receiver:app", "--log-level", "critical", "--port"],
    "node": ["node", "webhook_receiver.mjs"],
    "vendor": ["node", str(Path(__file__).with_name("vendor_receiver.mjs"))],
}
GATE: Final = runpy.run_path(str(EXAMPLES / "ci_gate.py"))
EVENTS: Final = ["run.started", "run.completed", "run.failed"]


@pytest.mark.parametrize("kind", COMMANDS)
def test_a_receiver_takes_each_event_once_and_refuses_forgeries(
    kind: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The receiver handles each event of a client's run once, and answers every forgery with 401.

    The receivers are the examples, and one that verifies with the function that the vendor publishes.
    """
    if shutil.which(COMMANDS[kind][0]) is None:
        pytest.skip("node is not installed")
    port = free_port()
    command = COMMANDS[kind] + ([str(port)] if kind == "starlette" else [])
    with Server("--clock", "auto", "--quiet") as server, receiver(command, port) as process:
        hook = {"url": f"http://127.0.0.1:{port}/webhooks", "events": EVENTS, "secret": SECRET}
        call(server, "POST", "/v1/webhooks", hook)
        call(server, "POST", "/_emulator/delivery-rules", {"action": "duplicate", "times": 1})
        monkeypatch.setenv("ZOF_API_KEY", ADMIN)
        monkeypatch.setenv("ZOF_BASE_URL", f"http://127.0.0.1:{server.port}/v1")
        assert GATE["main"](["proj_x", "staging", "--case", "tc_x_fail"], lambda _: None) == 1
        run = re.findall(r"run_\w+", capsys.readouterr().out)[0]
        call(server, "POST", "/_emulator/clock/advance", {"until": "delivered"})
        genuine, forged = disturb(server)
        assert forged == [[401]] * 3
        assert genuine == [[204]] * 6
        process.kill()
        assert process.stdout is not None
        assert process.stdout.read().splitlines() == [f"{event} {run}" for event in EVENTS]
        server.stop()


def disturb(server: Server) -> tuple[list[list[int]], list[list[int]]]:
    """Send forgeries and repetitions of the last delivery; the statuses of all genuine and all forged deliveries."""
    last = call(server, "GET", "/_emulator/deliveries")["data"][-1]
    target = f"/_emulator/deliveries/{last['id']}/actions"
    forged = {
        call(server, "POST", target, {"action": "tamper", "tampering": tampering})["id"]
        for tampering in ("signature", "body", "whitespace")
    }
    for action in ({"action": "redeliver"}, {"action": "tamper", "tampering": "old_event"}):
        call(server, "POST", target, action)
    call(server, "POST", "/_emulator/clock/advance", {"until": "delivered"})
    page = call(server, "GET", "/_emulator/deliveries")["data"]
    answers = {one["id"]: [attempt["status"] for attempt in one["attempts"]] for one in page}
    return [found for name, found in answers.items() if name not in forged], [answers[name] for name in forged]


@pytest.mark.parametrize(("file", "fence", "start"), [("py", "py", "seen:"), ("mjs", "js", "const seen")])
def test_the_readme_shows_the_receivers(file: str, fence: str, start: str) -> None:
    """README contains the examples verbatim, and each receiver is ten lines of code without its imports."""
    content = (EXAMPLES / f"webhook_receiver.{file}").read_text()
    shown = content[content.index(start) :]
    assert f"```{fence}\n{shown}```" in README
    assert len([line for line in shown.splitlines() if line and not line.lstrip().startswith('"""')]) <= 10
