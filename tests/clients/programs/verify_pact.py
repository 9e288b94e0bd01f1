"""Verifies a pact, by its path, against the emulator on a port of this machine; exit status 0 when it holds."""

from __future__ import annotations

import os
import sys
from http.client import HTTPConnection

os.environ["PACT_DO_NOT_TRACK"] = "true"  # read when pact is imported
from pact import Verifier

path, port = sys.argv[1:]
HOST = "127.0.0.1"
TOO_MANY = 429


def send(method: str, target: str) -> int:
    """The status of the answer to a request of the pact's consumer."""
    connection = HTTPConnection(HOST, int(port), timeout=10)
    connection.request(method, target, headers={"Authorization": "Bearer zof_test_ci"})
    status = connection.getresponse().status
    connection.close()
    return status


def reset() -> None:
    """Return the emulator to its initial data, runs and rate limits."""
    send("POST", "/_emulator/reset")


def reach_limit() -> None:
    """Send requests until one is refused."""
    reset()
    while send("GET", "/v1/projects") != TOO_MANY:
        pass


verifier = Verifier("zof", host=HOST).add_transport(url=f"http://{HOST}:{port}").add_source(path)
verifier.set_error_on_empty_pact(enabled=True).set_coloured_output(enabled=False)
states = {"a fresh emulator": reset, "an emulator whose rate limit is reached": reach_limit}
verifier.state_handler(lambda state, **_: states.get(state, reset)())
try:
    verifier.verify()
except RuntimeError as error:  # the verifier has printed why
    sys.exit(str(error))
