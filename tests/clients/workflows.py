"""Runs the workflows of docs/zof.arazzo.yaml with Redocly Respect and Prism, and verifies docs/zof.pact.json with Pact.

`scripts/workflows` runs it. Exit status: 0 when all pass, 1 when one does not.
"""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import time
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Final
from urllib.request import Request, urlopen

from tests.clients.processes import run_command
from tests.clients.recipes import CHILD, CONTRACT, NODE, PROGRAMS, ROOT
from tests.clients.servers import serve_emulator

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

SECONDS: Final = 120
"""How long one tool may take."""
KEY: Final = "zof_test_admin"
RESPECT: Final = str(ROOT / "node_modules" / ".bin" / "redocly")
WORKFLOWS: Final = "docs/zof.arazzo.yaml"
PACT: Final = "docs/zof.pact.json"
LIMITED: Final = "retry-after-429"
"""The workflow that reaches the rate limit when the emulator admits few requests."""


def run_workflows() -> str:
    """Run every workflow against a fresh emulator: what failed, or an empty text."""
    with serve_emulator() as port:
        return _run(_respect(f"http://127.0.0.1:{port}/v1"))


def run_workflows_through_prism() -> str:
    """Run every workflow through Prism: what failed, or an empty text.

    Prism compares each request and answer with the document. When one does not fit, it answers with an error of its
    own, and the workflow fails.
    """
    with serve_emulator() as port, _serve_prism(port) as proxy:
        return _run(_respect(f"http://127.0.0.1:{proxy}"))


def retry_after_429() -> str:
    """Run the workflow of the rate limit when its window is used up: what failed, or an empty text.

    The emulator admits one request in a window, and it was sent before. The workflow must be refused once, wait, and be
    served then; its clock moves to the next window when a client asks again after a refusal.
    """
    with serve_emulator("--rate-limit", "1/60") as port:
        urlopen(Request(f"http://127.0.0.1:{port}/v1/projects", headers={"Authorization": f"Bearer {KEY}"})).close()
        failed = _run((*_respect(f"http://127.0.0.1:{port}/v1"), "--workflow", LIMITED))
        if failed:
            return failed
        with urlopen(f"http://127.0.0.1:{port}/_emulator/journal?operation=listProjects") as answer:
            statuses = [exchange["response"]["status"] for exchange in json.load(answer)["data"]]
        wanted = [200, 429, 200]
        return "" if statuses == wanted else f"the requests were answered with {statuses} instead of {wanted}"


def verify_pact() -> str:
    """Verify the pact against a fresh emulator: what failed, or an empty text.

    The clock is moved by hand, so that a rate limit that is reached stays reached.
    """
    with serve_emulator("--clock", "manual") as port:
        return _run((CHILD, str(PROGRAMS / "verify_pact.py"), str(ROOT / PACT), str(port)))


@contextmanager
def _serve_prism(port: int) -> Iterator[int]:
    """The port of Prism in front of the emulator, which refuses what does not fit the document."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        proxy: int = free.getsockname()[1]
    command = (str(NODE / "prism"), "proxy", str(CONTRACT), f"http://127.0.0.1:{port}/v1")
    options = ("--errors", "--host", "127.0.0.1", "--port", str(proxy))
    quiet = subprocess.DEVNULL
    with subprocess.Popen((*command, *options), stdin=quiet, stdout=quiet, stderr=quiet) as prism:
        try:
            _wait_for(proxy, prism)
            yield proxy
        finally:
            prism.terminate()


def _wait_for(port: int, process: subprocess.Popen[bytes]) -> None:
    """Wait until a process listens on a port; when it ends before, the connections that follow say so."""
    until = time.monotonic() + SECONDS
    while process.poll() is None and time.monotonic() < until:
        with suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            return
        time.sleep(0.1)


def _respect(base_url: str) -> tuple[str, ...]:
    return (RESPECT, "respect", WORKFLOWS, "--server", f"zof={base_url}", "--input", f"key={KEY}")


def _run(command: Sequence[str]) -> str:
    variables = {"REDOCLY_TELEMETRY": "off", "REDOCLY_SUPPRESS_UPDATE_NOTICE": "true"}
    ran = run_command(command, seconds=SECONDS, folder=ROOT, variables=variables)
    return ran.stdout + ran.stderr if ran.returncode else ""


TRIALS: Final = {
    f"the workflows of {WORKFLOWS}": run_workflows,
    f"the workflows of {WORKFLOWS} through Prism": run_workflows_through_prism,
    f"the workflow {LIMITED} when the rate limit is reached": retry_after_429,
    f"the pact {PACT}": verify_pact,
}


def main() -> int:
    """Run all, and print a line for each and the output of what failed."""
    failures = 0
    for name, attempt in TRIALS.items():
        began = time.monotonic()
        failed = attempt()
        failures += bool(failed)
        sys.stdout.write(f"{'FAILED' if failed else 'ok':8}{name}, {time.monotonic() - began:.0f} s\n")
        sys.stdout.write(f"{failed}\n" if failed else "")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
