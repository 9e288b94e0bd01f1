"""A client that follows the vendor's advice, written with httpx."""

from __future__ import annotations

import random
import uuid
from typing import TYPE_CHECKING, Any, Final

import httpx

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

TERMINAL: Final = {"passed", "failed", "error", "canceled"}
ATTEMPTS: Final = 6


class GoodClient:
    """Repeats what may be repeated, waits as it is told, and stops at the end."""

    def __init__(self, base: str, key: str, sleep: Callable[[float], None], transport: httpx.BaseTransport) -> None:
        headers = {"Authorization": f"Bearer {key}"}
        self.http = httpx.Client(base_url=f"{base}/v1", headers=headers, transport=transport, timeout=30)
        self.sleep = sleep
        self.random = random.Random(7)  # noqa: S311  jitter

    def call(self, method: str, url: str, **options: Any) -> httpx.Response:  # noqa: ANN401  httpx's own options
        """Send a request until it is answered; a POST needs an idempotency key."""
        for attempt in range(ATTEMPTS):
            wait = 0.5 * 2**attempt * self.random.uniform(0.5, 1)
            try:
                answer = self.http.request(method, url, **options)
            except httpx.TransportError:
                self.sleep(wait)
                continue
            if answer.status_code != 429 and answer.status_code < 500:
                answer.raise_for_status()
                return answer
            self.sleep(float(answer.headers.get("Retry-After", wait)))
        raise RuntimeError(f"{method} {url} failed {ATTEMPTS} times")

    def post(self, url: str, body: object = None) -> Any:  # noqa: ANN401  a JSON value
        """Send a POST with a key of its own."""
        return self.call(
            "POST", url, json=body, headers={"Idempotency-Key": str(uuid.UUID(int=self.random.getrandbits(128)))}
        ).json()

    def read_list(self, url: str, **filters: str) -> Iterator[Any]:
        """Every item of a list."""
        cursor: dict[str, str] = {}
        while True:
            page = self.call("GET", url, params={**filters, "limit": "2", **cursor}).json()
            yield from page["data"]
            if not page["has_more"]:
                return
            cursor = {"starting_after": page["next_cursor"]}

    def wait(self, run: Any) -> Any:  # noqa: ANN401  a JSON value
        """Poll a run until it has ended."""
        pause = 1.0
        while run["status"] not in TERMINAL:
            self.sleep(pause * self.random.uniform(0.6, 1))
            pause = min(30, pause * 2)
            run = self.call("GET", f"/runs/{run['id']}").json()
        return run


ORDER: Final = {"project_id": "proj_abc123", "environment": "staging"}


def run_program(base: str, key: str, sleep: Callable[[float], None], transport: httpx.BaseTransport) -> None:
    """Start a run, wait for it, read its results and artifacts, and cancel another run."""
    client = GoodClient(base, key, sleep, transport)
    run = client.wait(client.post("/runs", {**ORDER, "test_case_ids": ["tc_a", "tc_fail", "tc_c"]}))
    for result in client.read_list("/results", run_id=run["id"]):
        client.call("GET", f"/results/{result['id']}")
    for artifact in client.read_list(f"/runs/{run['id']}/artifacts"):
        client.call("GET", artifact["url"])
    second = client.post("/runs", {**ORDER, "test_suite_id": "suite_pr_smoke"})
    if client.call("GET", f"/runs/{second['id']}").json()["status"] not in TERMINAL:
        client.post(f"/runs/{second['id']}/cancel")
