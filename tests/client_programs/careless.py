"""A client that works on a good day, written with urllib3 and its Retry: it leaves out what only bad days show."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

import urllib3

if TYPE_CHECKING:
    from collections.abc import Callable

BREAKS: Final = {
    "client.idempotency.start-has-key",
    "client.idempotency.unkeyed-once",
    "client.retry.jitter",
    "client.poll.interval",
    "client.pages.to-end",
    "client.requests.known",
}
"""The rules that it breaks."""


class FixedRetry(urllib3.Retry):
    """urllib3's Retry with a clock that can be replaced."""

    wait: Callable[[float], None]

    def sleep(self, response: urllib3.BaseHTTPResponse | None = None) -> None:
        """Wait as urllib3 does: as Retry-After says, or with an exponential back-off."""
        demanded = None if response is None else self.get_retry_after(response)
        type(self).wait(self.get_backoff_time() if demanded is None else demanded)


def run_program(base: str, key: str, sleep: Callable[[float], None]) -> None:
    """Start a run, wait for it, and read its results."""
    retry = type("Patient", (FixedRetry,), {"wait": staticmethod(sleep)})(
        total=5, status_forcelist=[429, 500, 502, 503, 504], backoff_factor=0.5, allowed_methods=None
    )
    pool = urllib3.PoolManager(headers={"Authorization": f"Bearer {key}"}, retries=retry)

    def call(method: str, path: str, body: object = None) -> Any:  # noqa: ANN401  a JSON value
        content = None if body is None else json.dumps(body).encode()
        headers = {"Authorization": f"Bearer {key}", **({} if body is None else {"Content-Type": "application/json"})}
        return pool.request(method, f"{base}/v1{path}", body=content, headers=headers).json()

    run = call(
        "POST", "/runs", {"project_id": "proj_abc123", "environment": "staging", "test_suite_id": "suite_slow_smoke"}
    )
    while run["status"] not in {"passed", "failed", "error", "canceled"}:
        sleep(0.1)
        run = call("GET", f"/runs/{run['id']}")
    call("GET", f"/results?run_id={run['id']}&status=passed")
    call("GET", "/runs?page=1&sort=created_at")
    call("GET", "/runs")
    pool.clear()
